"""`inspect`: a complete dead letter, the current state of its objects in S3 and in the index, and a recommended command."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from recovery.operations.advice import GONE, Advice, Outlook, Present, advise
from recovery.operations.clients import DlqClients
from recovery.operations.dead_letters.facts import Facts
from recovery.operations.dead_letters.stored import why_not as why_no_command
from recovery.operations.engine import Verdict
from recovery.operations.present import InIndex, InS3, in_index, in_s3
from recovery.operations.recovering.outlook import Examiner
from recovery.operations.transfer.sending import Rules
from recovery.operations.transfer.targets import refuse_while_paused
from worker.core.base.errors import IndexUnavailableError, PausedError, StoreError
from worker.core.index import Index
from worker.core.s3.events import ObjectRef
from worker.core.s3.objects import ObjectStore
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
    rules, paused = Rules(clients.dlq, {}, clients.types), is_paused(clients.state)
    return [_inspected(clients, recovery, facts, rules, is_paused=paused) for facts in found]


def _inspected(clients: DlqClients, recovery: Recovery, facts: Facts, rules: Rules, *, is_paused: bool) -> Inspection:
    names = [(ref.bucket, ref.key) for ref in facts.refs]
    documents = in_index(recovery.index, names, recovery.why_no_index)
    present = tuple(_present(clients.objects, ref, documents[ref.bucket, ref.key]) for ref in facts.refs)
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


def is_paused(state: State | None) -> bool:
    """Whether the fleet is paused; False where the state bucket does not say."""
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


def _present(objects: ObjectStore, ref: ObjectRef, found: InIndex) -> Present:
    now = in_s3(objects, ref.bucket, ref.key)
    return Present(ref, now.state, _said(ref, now), found.document, found.said)


def _said(ref: ObjectRef, now: InS3) -> str:
    if now.state is None:
        return now.problem or GONE
    changed = "" if ref.etag in {None, now.state.etag} else ", changed since the event"
    return f"{now.size:,} bytes, etag {now.state.etag}, last modified {now.state.last_modified}{changed}"
