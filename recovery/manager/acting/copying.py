"""Copy, edit, send: what only its own consumer can process is sent with another body, and the original is kept.

Once a copy was sent, the original is held: both would be processed if somebody redrove the original as well, and if it ended,
nobody could look at it again should the copy fail. Its hold names the copy. Whoever has seen the copy succeed releases the
original, and abandons it; whoever wants another copy releases it, too. So one version of a dead letter is copied once.
"""

import secrets
import uuid
from dataclasses import dataclass, replace

from recovery.ledger.errors import LedgerError
from recovery.ledger.ledger import Ledger
from recovery.ledger.operation_items import Result
from recovery.ledger.rows import ENDED, Change, Outcome, Row, State
from recovery.manager.acting.acts import GONE, Acted, World, after_conflict, as_recorded, read_records
from recovery.manager.redaction import HIDDEN, NOT_JSON
from recovery.manager.retry_targets import RetryTargets
from recovery.operations.dead_letters.copies import Copy, message_of, with_copy, without_copy
from recovery.operations.dead_letters.desk import change_record
from recovery.operations.dead_letters.message_types import S3_EVENT, UNKNOWN, MessageTypes
from recovery.operations.dead_letters.stored import why_not
from recovery.operations.transfer.sending import is_fifo
from recovery.operations.transfer.targets import Target, redrive_target
from worker.core.audit import AuditEvent, Run, record
from worker.core.base.classify import is_transient
from worker.core.base.errors import QueueError, StoreError
from worker.core.base.text import sendable
from worker.core.sqs.dead_letter import DeadLetter, Refused, SendEntry
from worker.core.sqs.queue import MAX_MESSAGE_BYTES
from worker.core.sqs.stored_dead_letter import StoredDeadLetter

ACTION = "copy"
EVENT = "copied"
NOT_EDITED = "it is an S3 event, and is not edited: the worker reads the object as it is now; redrive it"
MAX_BODY_CHARS = MAX_MESSAGE_BYTES


class CopyRefusedError(Exception):
    """Raised where no copy may be sent; says why, and what would be right. Nothing was done."""


class CopyUnclearError(Exception):
    """Raised where nobody knows whether the copy was sent: the original is held, so that it is not sent once more."""


@dataclass(frozen=True, slots=True)
class Copied:
    """A copy that a queue has accepted."""

    copy: Copy
    not_recorded: str = ""
    """Why the record of the original does not say so; it says that the copy was being sent. Empty if it does."""


def why_not_copied(row: Row) -> str:
    """Why a dead letter is not copied, from its row alone; empty if it may be."""
    if row.type == S3_EVENT:
        return NOT_EDITED
    if row.state in {*ENDED, State.MISSING}:
        return f"it is {row.state.value}: it has no record any more"
    if row.hold is not None:
        return f"it is held: {row.hold}"
    if row.state is State.SENT and row.outcome != Outcome.UNCONFIRMED:
        return f"{row.sent_by} has sent it to {row.sent_to}; what came of that is not known yet"
    return ""


def why_not_body(types: MessageTypes, before: str, body: str) -> str:
    """Why this is no body for a copy of a message with the one before; empty if it is."""
    of = types.of(before)
    if of == S3_EVENT:
        return NOT_EDITED
    if HIDDEN in body or NOT_JSON in body:
        return (
            f"the body has {HIDDEN if HIDDEN in body else NOT_JSON}, which stands for what REDACT_FIELDS hides: "
            "write what is to be sent there"
        )
    if body == before:
        return "the body is that of the original: change it, or redrive the original"
    if sendable(body) != body:
        return "the body has control characters or lone surrogates, which SQS does not take"
    found = types.of(body)
    if found == S3_EVENT:
        return "the body is an S3 event; a copy of one is not sent, because the worker reads the object as it is now"
    if of not in {found, UNKNOWN}:
        return f"the body is of type {found}; it should be of type {of}, as the original"
    return types.fault(body) or ""


def copy(ledger: Ledger, world: World, row: Row, body: str, *, by: str, to: str | None = None) -> Copied:
    """Send a copy of a dead letter with this body to the queue in which it failed, or to the one named.

    Raises CopyRefusedError, CopyUnclearError; ConfigError, PausedError, StoreError or another DependencyError before anything is
    done; and LedgerError, after which the rows follow the records.
    """
    stored = read_records(world, [row])[row.identity]
    if stored is None:
        raise CopyRefusedError(GONE)
    if why := why_not_copied(row) or why_not_body(world.clients.types, stored.dead_letter.body, body):
        raise CopyRefusedError(why)
    target = _target(world, stored.dead_letter, to)
    begun = Run.new("dlq-manager api", action=ACTION, by=by)
    run = replace(begun, name=f"{begun.name}-{secrets.token_hex(3)}")
    name = str(uuid.uuid4())
    made, entry = _entry(stored.dead_letter, body, name, target)
    now_ms = world.clients.objects.clock.now_ms()
    planned = Copy(name, now_ms, by, run.name, target.url, made.body_sha256)
    return _Copying(ledger, world, row, run, planned).send(target, entry)


def _target(world: World, dead_letter: DeadLetter, to: str | None) -> Target:
    """Where a copy is sent, with the checks of a redrive."""
    failed_in = dead_letter.source_queue
    if to is not None:
        return redrive_target(world.clients, world.queue(to), is_named=True)
    if failed_in in {"", world.source.url}:
        return redrive_target(world.clients, world.source, is_named=False)
    target = RetryTargets(world.clients, world.source.url, world.queue).of(dead_letter)
    if isinstance(target, Refused):
        raise CopyRefusedError(f"it failed in {failed_in}, whose failures do not come here: name the queue in `to`")
    return target


def _entry(original: DeadLetter, body: str, name: str, target: Target) -> tuple[DeadLetter, SendEntry]:
    made, failure = message_of(original, body, name, to=target.url)
    max_bytes = int(target.attributes.get("MaximumMessageSize", MAX_MESSAGE_BYTES))
    entry = made.entry(failure, max_bytes=max_bytes, fifo=is_fifo(target.queue))
    if isinstance(entry, Refused):
        raise CopyRefusedError(entry.reason)
    return made, entry


def _send(target: Target, entry: SendEntry) -> None:
    """Send it once: whatever has no clear answer is not repeated."""
    try:
        refused = target.queue.send([entry])
    except QueueError as error:
        if is_transient(error):
            raise CopyUnclearError(_unclear(target, str(error))) from error
        raise CopyRefusedError(f"{target.url} refuses: {error}") from error
    if refusal := refused.get(0):
        said = f"{refusal.code}: {refusal.message}"
        if refusal.code == "NoAnswer":
            raise CopyUnclearError(_unclear(target, said))
        raise CopyRefusedError(f"{target.url} refuses: {said}")


def _unclear(target: Target, why: str) -> str:
    return (
        f"nobody knows whether the copy was sent to {target.url} ({why}); the original is held, so that it is not sent twice: "
        "look into that queue whether it came, before you release it"
    )


class _Copying:
    """The sending of one copy: its record first, then its row, then the queue."""

    def __init__(self, ledger: Ledger, world: World, row: Row, run: Run, planned: Copy) -> None:
        self._ledger = ledger
        self._world = world
        self._row = row
        self._run = run
        self._planned = planned
        self._retry_at_ms: int | None = None
        """When the original was to be sent by itself."""

    def send(self, target: Target, entry: SendEntry) -> Copied:
        """Hold the original, send the copy, and say so everywhere."""
        held = self._hold()
        try:
            self._tell_row("copying", held)
            _send(target, entry)
        except LedgerError:
            self._let_go()
            raise
        except CopyRefusedError as error:
            self._undo(error)
            raise
        except CopyUnclearError:
            self._tell_audit("unclear")
            raise
        return self._sent()

    def _hold(self) -> StoredDeadLetter:
        """Write into the record that a copy is being sent. Raises CopyRefusedError if anybody was faster."""

        def hold(found: StoredDeadLetter) -> StoredDeadLetter:
            if why := why_not(found, now_ms=self._planned.at_ms):
                raise CopyRefusedError(why)
            self._retry_at_ms = found.retry.at_ms
            return with_copy(found, self._planned)

        try:
            held = change_record(self._world.state, self._row.key, hold)
        except ValueError as error:
            raise CopyRefusedError(str(error)) from None
        if held is None:
            raise CopyRefusedError(GONE)
        return held

    def _let_go(self) -> StoredDeadLetter | None:
        """Let the record be as it was, for nothing was sent. Raises StoreError; its hold stays then."""

        def undo(found: StoredDeadLetter) -> StoredDeadLetter:
            return without_copy(found, self._planned, retry_at_ms=self._retry_at_ms)

        return change_record(self._world.state, self._row.key, undo)

    def _undo(self, why: CopyRefusedError) -> None:
        """Let the original be as it was, after a queue has refused the copy."""
        try:
            found = self._let_go()
        except (StoreError, ValueError) as error:
            raise CopyRefusedError(f"{why}; nothing was sent, but the original is still held: {error}") from error
        if found is not None:
            self._tell_row("not copied", found, why=str(why))

    def _sent(self) -> Copied:
        """Record that it was sent, which it is whatever the record, the audit and the ledger say."""
        done, not_recorded = replace(self._planned, is_sent=True), ""

        def mark(found: StoredDeadLetter) -> StoredDeadLetter:
            marked = with_copy(found, done)
            return marked if found.hold == self._planned.hold else replace(marked, hold=found.hold)

        self._tell_audit(EVENT)
        try:
            if held := change_record(self._world.state, self._row.key, mark):
                self._tell_row(EVENT, held)
        except (StoreError, ValueError, LedgerError) as error:
            not_recorded = str(error)
        return Copied(done, not_recorded)

    def _tell_audit(self, result: str) -> None:
        made, run, name = self._planned, self._run, self._row.identity
        details = {"copy": made.id, "to": made.to, "body_sha256": made.body_sha256}
        record(self._world.state, AuditEvent(run.action, run.name, run.by, (name,), {name: result}, details))

    def _tell_row(self, action: str, stored: StoredDeadLetter, **more: str) -> None:
        """Bring the row to what its record says, with an event that names the copy."""
        made, row = self._planned, self._row
        details = {"copy": made.id, "to": made.to, "body_sha256": made.body_sha256, "run": self._run.name, **more}
        acted = Acted(row, Result.DONE, fields=as_recorded(self._world, stored))
        change = Change(row.identity, action, self._run.by, acted.fields, details, row.version)
        changed = self._ledger.change_many([change])
        if row.identity in changed.conflicts:
            again = after_conflict(self._world, acted, change, changed.conflicts[row.identity])
            changed = self._ledger.change_many([again] if again else [])
        self._row = changed.rows.get(row.identity, row)
