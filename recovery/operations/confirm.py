"""`confirm`: what became of dead letters that were sent again. "Sent" is not "handled": only S3 and the index can say so.

A dead letter of ours is confirmed once every record of its message is: the index holds the object as it is in S3 now, observed
after the sending and with its text; or object and document are both gone. Its record is then deleted, after the audit says so.
"""

import threading
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import islice

from recovery.operations.dead_letters.message_types import S3_EVENT, MessageTypes
from worker.core import audit
from worker.core.audit import AuditEvent, Run
from worker.core.base.classify import is_transient
from worker.core.base.concurrency import Pace
from worker.core.base.errors import MalformedEventError, ObjectGoneError, StoreError
from worker.core.base.settings import Settings
from worker.core.extract import FAILURES
from worker.core.index import Index, Stored
from worker.core.indexing.pipeline import excluded, is_current
from worker.core.indexing.retry_store import record_name, stored_as
from worker.core.s3.events import ObjectRef, parse
from worker.core.s3.objects import ObjectStore
from worker.core.s3.state import PARKED_PREFIX, RETRY_PREFIX, State
from worker.core.sqs import dead_letter_store
from worker.core.sqs.stored_dead_letter import Claim, StoredDeadLetter, StoredState

READERS = 16
"""Objects that are looked at together; the rate bounds all of them."""
MAX_WAITING = 20_000
"""Records of `retry-index/` whose names are read: during a long outage there may be millions, which say nothing more."""
CLAIM_S = 300
"""For how long nobody else acts on a dead letter that is being ended."""
ObjectName = tuple[str, str]


class Standing(StrEnum):
    """What is known of one sending. If a message has several records, the one that is last in this list counts."""

    CONFIRMED = "confirmed"
    WAITING = "waiting"
    """Nothing says yet that it was processed."""
    UNREADABLE = "unreadable"
    """It was processed; its file could not be read, and so it should come back."""
    STORED_FOR_RETRY = "stored_for_retry"
    """It was processed; the index did not take its document, which waits in `retry-index/`."""
    PARKED = "parked"
    """It was processed; the index refuses its document for good."""


_SEVERITY = {standing: place for place, standing in enumerate(Standing)}


@dataclass(frozen=True, slots=True)
class Confirmation:
    """One dead letter that was sent, and what is known of that."""

    stored: StoredDeadLetter
    standing: Standing
    why: str = ""
    """In a sentence, where it is not confirmed."""


@dataclass(frozen=True, slots=True)
class Known:
    """What is asked of S3 and the index."""

    settings: Settings
    objects: ObjectStore
    index: Index
    pace: Pace
    """Of the objects that are looked at."""
    stop: threading.Event


def refs_of(stored: StoredDeadLetter, settings: Settings, types: MessageTypes) -> list[ObjectRef]:
    """The objects whose documents can confirm that a message was processed; none if it is another program's message.

    Objects that are not to be in the index leave no trace there, nor do folders.
    """
    body = stored.dead_letter.body
    if types.of(body) != S3_EVENT:
        return []
    try:
        items = parse(body, default_bucket=settings.s3_bucket)
    except MalformedEventError:
        return []
    refs = (item for item in items if isinstance(item, ObjectRef) and not item.key.endswith("/"))
    return [ref for ref in refs if excluded(settings, ref.bucket, ref.key) is None]


def confirm(
    known: Known, sent: Sequence[tuple[StoredDeadLetter, Sequence[ObjectRef]]], waiting: Mapping[ObjectName, bool]
) -> list[Confirmation]:
    """What is known of each of these, in order; each with its `refs_of`. `waiting`: see `waiting_in`.

    Raises IndexUnavailableError or StoreError: then nothing is known of any.
    """
    names = sorted({(ref.bucket, ref.key) for _, refs in sent for ref in refs})
    documents = dict(zip(names, known.index.stored(names), strict=True)) if names else {}
    tasks = [(place, ref) for place, (_, refs) in enumerate(sent) for ref in refs]
    found: list[list[Confirmation]] = [[] for _ in sent]

    def look_at(task: tuple[int, ObjectRef]) -> Confirmation:
        place, ref = task
        try:
            return _standing(known, sent[place][0], ref, documents[ref.bucket, ref.key], waiting)
        except StoreError as error:
            if is_transient(error):
                raise
            why = f"S3 does not say what became of s3://{ref.bucket}/{ref.key}: {error}"
            return Confirmation(sent[place][0], Standing.WAITING, why)

    with ThreadPoolExecutor(READERS, thread_name_prefix="confirm") as pool:
        for (place, _), one in zip(tasks, pool.map(look_at, tasks), strict=True):
            found[place].append(one)
    nothing = [Confirmation(stored, Standing.WAITING) for stored, _ in sent]
    return [max(some, key=_severity) if some else none for some, none in zip(found, nothing, strict=True)]


def _severity(one: Confirmation) -> int:
    return _SEVERITY[one.standing]


def _standing(
    known: Known, stored: StoredDeadLetter, ref: ObjectRef, document: Stored | None, waiting: Mapping[ObjectName, bool]
) -> Confirmation:
    name, sent_ms = f"s3://{ref.bucket}/{ref.key}", stored.sent.at_ms if stored.sent else 0
    is_later = document is not None and document.version >= sent_ms
    if document is None or is_later:
        known.pace.wait(known.stop)
        state, _ = known.objects.head(ref.bucket, ref.key)
        if is_later and is_current(document, state):
            return Confirmation(stored, Standing.CONFIRMED)
        if document is None and state is None and _is_gone(known.objects, ref):
            return Confirmation(stored, Standing.CONFIRMED)
    if is_later and document is not None and document.extraction_status in FAILURES:
        why = f"the text of {name} could not be read again ({document.extraction_status}): it is about to come back"
        return Confirmation(stored, Standing.UNREADABLE, why)
    if (is_parked := waiting.get((ref.bucket, ref.key))) is not None:
        if is_parked:
            return Confirmation(stored, Standing.PARKED, f"the document of {name} is parked in {PARKED_PREFIX}")
        return Confirmation(stored, Standing.STORED_FOR_RETRY, f"the document of {name} waits in {RETRY_PREFIX}")
    return Confirmation(
        stored, Standing.WAITING, f"the index does not hold {name} as it is now, seen after the sending"
    )


def _is_gone(objects: ObjectStore, ref: ObjectRef) -> bool:
    """Whether a GET says so; raises StoreError for any other answer."""
    try:
        objects.read(ref.bucket, ref.key).discard()
    except ObjectGoneError:
        return True
    return False


# -- retry-index/ ------------------------------------------------------------------------------------------------


def waiting_in(state: State, objects: Iterable[ObjectName]) -> dict[ObjectName, bool]:
    """Those of these objects whose documents wait in `retry-index/`, and whether they are parked. Raises StoreError."""
    wanted = {_without_time(record_name(bucket, key, 10**12)): (bucket, key) for bucket, key in objects}
    if not wanted:
        return {}
    found: dict[ObjectName, bool] = {}
    for name in islice(state.keys(RETRY_PREFIX), MAX_WAITING):
        about = wanted.get(_without_time(name))
        if about is not None:
            found[about] = found.get(about, False) or name.startswith(PARKED_PREFIX)
    return found


def _without_time(name: str) -> str:
    """What all records of an object share: their names without the day and the time of the observation."""
    return stored_as(name).partition("/")[2].removesuffix(".json").rpartition(".")[0]


# -- the end -----------------------------------------------------------------------------------------------------


def end(
    state: State, run: Run, sent: Sequence[StoredDeadLetter], outcome: str, *, now_ms: int
) -> list[StoredDeadLetter]:
    """Delete the records of dead letters that are done with, as they were when that was found; those that are deleted.

    Each is claimed first, by a conditional write: what has come back since, or what somebody else is acting on, stays. The
    audit says what has become of the others before their records are deleted. Raises StoreError; what is left is ended by
    a later run.
    """
    with ThreadPoolExecutor(READERS, thread_name_prefix="end") as pool:
        claimed = list(filter(None, pool.map(lambda one: _claimed(state, run, one, now_ms), sent)))
        if not claimed:
            return []
        results = {one.dead_letter.id: outcome for one in claimed}
        audit.write(state, AuditEvent(run.action, run.name, run.by, tuple(results), results))
        unchanged = list(filter(None, pool.map(lambda one: _unchanged(state, one), claimed)))
    state.delete_all([one.key for one in unchanged])
    return unchanged


def _claimed(state: State, run: Run, stored: StoredDeadLetter, now_ms: int) -> StoredDeadLetter | None:
    claim = stored.claim
    if stored.state is not StoredState.SENT or (claim is not None and claim.until_ms > now_ms):
        return None
    return dead_letter_store.write(state, replace(stored, claim=Claim(run.by, run.name, now_ms + CLAIM_S * 1000)))


def _unchanged(state: State, stored: StoredDeadLetter) -> StoredDeadLetter | None:
    """The same, if it is still as it was claimed: it may have come back while the audit was written."""
    found = dead_letter_store.read(state, stored.key)
    return stored if found is not None and found.etag == stored.etag else None
