"""`inspect`: a complete dead letter, the current state of its objects in S3 and in the index, and a recommended command."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from recovery.operations.advice import GONE, Advice, Outlook, Present, advise
from recovery.operations.clients import DlqClients
from recovery.operations.dead_letters.facts import Facts
from recovery.operations.dead_letters.stored import why_not as why_no_command
from recovery.operations.engine import Verdict
from recovery.operations.recovering.outlook import Examiner
from recovery.operations.transfer.sending import Rules
from recovery.operations.transfer.targets import refuse_while_paused
from worker.core.base.errors import IndexUnavailableError, ObjectGoneError, PausedError, StoreError
from worker.core.index import Index, Stored
from worker.core.s3.events import ObjectRef
from worker.core.s3.objects import ObjectState, ObjectStore
from worker.core.s3.state import State
from worker.core.sqs import dead_letter_store
from worker.core.sqs.stored_dead_letter import StoredDeadLetter


@dataclass(frozen=True, slots=True)
class Inspection:
    """One dead letter, the current state of its objects, and the recommended command."""

    facts: Facts
    present: tuple[Present, ...]
    advice: Advice
    stored: StoredDeadLetter | None
    """Its record, if it is in `dead-letters/`."""

    def as_json(self, *, retention_s: int) -> dict[str, object]:
        """Everything, by name."""
        dead_letter = self.facts.dead_letter
        return {
            **self.facts.as_json(retention_s=retention_s),
            **dead_letter.as_json(),
            "failure": dead_letter.failure.as_json() if dead_letter.failure else None,
            "record": None if self.stored is None else self.stored.life(),
            "now": [one.as_json() for one in self.present],
            "advice": self.advice.as_json(),
        }


@dataclass(frozen=True, slots=True)
class Recovery:
    """What says what recovery would do now; without an engine, why there is none."""

    index: Index | None = None
    """The index; None if none is set."""
    why_no_index: str = ""
    engine: Examiner | None = None
    """Of a dry run."""
    unavailable: str = ""
    """Why recovery would not even begin."""


def inspect(clients: DlqClients, recovery: Recovery, found: Sequence[Facts]) -> list[Inspection]:
    """Inspect dead letters. If S3 or the index cannot be reached, the result contains the error. Nothing is changed."""
    rules, is_paused = Rules(clients.dlq, {}, clients.types), _is_paused(clients.state)
    return [_inspected(clients, recovery, facts, rules, is_paused=is_paused) for facts in found]


def _inspected(clients: DlqClients, recovery: Recovery, facts: Facts, rules: Rules, *, is_paused: bool) -> Inspection:
    stored, why_not = _stored(recovery.index, facts, recovery.why_no_index)
    present = tuple(_present(clients.objects, ref, stored, why_not) for ref in facts.refs)
    record = _record(clients.state, facts)
    refused = "" if record is None else why_no_command(record, now_ms=clients.objects.clock.now_ms())
    verdict, unavailable = _verdict(recovery, facts)
    outlook = Outlook(verdict, unavailable, refused, is_paused)
    return Inspection(facts, present, advise(facts, rules, clients.types, outlook), record)


def _verdict(recovery: Recovery, facts: Facts) -> tuple[Verdict | None, str]:
    """What recovery would do, or why it would not even begin."""
    if recovery.engine is None:
        return None, recovery.unavailable
    try:
        [verdict] = recovery.engine.examine([facts.dead_letter])
    except IndexUnavailableError as error:
        return None, str(error)
    return verdict, ""


def _is_paused(state: State | None) -> bool:
    try:
        refuse_while_paused(state, while_paused=False)
    except PausedError:
        return True
    except StoreError:
        return False
    return False


def _record(state: State | None, facts: Facts) -> StoredDeadLetter | None:
    """Its record in `dead-letters/`; None if there is none, or none that can be read at this moment."""
    if state is None or not facts.dead_letter.stored_key:
        return None
    with suppress(StoreError, ValueError):
        return dead_letter_store.read(state, facts.dead_letter.stored_key)
    return None


def _stored(index: Index | None, facts: Facts, why_not: str) -> tuple[dict[tuple[str, str], Stored | None], str]:
    """Return the document of each object; or an empty dict, and why the index could not be queried."""
    names = list({(ref.bucket, ref.key) for ref in facts.refs})
    if index is None or not names:
        return {}, why_not
    try:
        return dict(zip(names, index.stored(names), strict=True)), ""
    except IndexUnavailableError as error:
        return {}, f"cannot be asked: {error}"


def _present(
    objects: ObjectStore, ref: ObjectRef, stored: dict[tuple[str, str], Stored | None], why_not: str
) -> Present:
    state, in_s3 = _in_s3(objects, ref)
    document = stored.get((ref.bucket, ref.key))
    return Present(ref, state, in_s3, document, why_not or _in_index(document))


def _in_s3(objects: ObjectStore, ref: ObjectRef) -> tuple[ObjectState | None, str]:
    """Return the current state and a description. An object counts as gone only if a GET returned NoSuchKey."""
    try:
        snapshot = objects.read(ref.bucket, ref.key)
    except ObjectGoneError:
        return None, GONE
    except StoreError as error:
        return None, f"cannot be asked: {error}"
    snapshot.discard()
    changed = "" if ref.etag in {None, snapshot.etag} else ", changed since the event"
    return (
        snapshot.state,
        f"{snapshot.size:,} bytes, etag {snapshot.etag}, last modified {snapshot.last_modified}{changed}",
    )


def _in_index(stored: Stored | None) -> str:
    if stored is None:
        return "nothing"
    etag = stored.state.etag if stored.state else "unknown"
    return f"a document with etag {etag}, extraction {stored.extraction_status or 'unknown'}"
