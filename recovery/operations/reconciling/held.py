"""What holds an object of one place while it is not in the index: retry records, dead letters and the archive.

They are read in the order in which things move between them, so that what moves meanwhile is read twice rather than not at
all. Nothing is consumed: the messages of the dead-letter queue are hidden while they are read, and then released.
"""

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from recovery.operations.dead_letters.scan import INVISIBLE_S, scan
from recovery.operations.dead_letters.stored import stored_all
from recovery.operations.reconciling.request import ReconcileState
from recovery.operations.reconciling.work_file import Held
from recovery.operations.records import archive
from recovery.operations.records.holders import register_holder
from recovery.operations.records.reading import read_all
from worker.core.audit import Run
from worker.core.base.errors import MalformedEventError
from worker.core.base.settings import Settings
from worker.core.clients import Clients
from worker.core.indexing.retry_store import RetryRecord, read_record
from worker.core.s3.events import ObjectRef, parse
from worker.core.s3.objects import Place
from worker.core.s3.state import ARCHIVE_PREFIX, HELD_PREFIX, PARKED_PREFIX, RETRY_PREFIX
from worker.core.sqs.dead_letter import DeadLetter
from worker.core.sqs.visibility import VisibilityExtender


@dataclass(slots=True)
class Unknown:
    """What could not be read, and may be about an object."""

    records: int = 0
    """Retry records that cannot be read."""
    dead_letters: int = 0
    """Dead letters in the queue that were not seen, because others were holding them."""


def held_in(
    place: Place, settings: Settings, clients: Clients, run: Run, unknown: Unknown, *, stop: threading.Event
) -> Iterator[Held]:
    """Everything that holds an object of this place; what could not be read is counted in `unknown`.

    Raises QueueError, and StoreError where the state bucket cannot be read.
    """
    reader = _Reader(place, settings.s3_bucket)
    yield from _in_queue(reader, clients, run, unknown, stop)
    for stored in stored_all(clients.state):
        yield from reader.of(stored.dead_letter, ReconcileState.DEAD, _failed_ms(stored.dead_letter))
    for one in archive.read_all(clients.state, clients.state.keys(ARCHIVE_PREFIX)):
        if one.restored is None or not one.restored.done:  # what was sent again is wherever that has led
            yield from reader.of(one.dead_letter, ReconcileState.ARCHIVED, _failed_ms(one.dead_letter))
    yield from _retry_records(place, settings, clients, unknown)


class _Reader:
    """Tells which objects of one place a dead letter is about."""

    def __init__(self, place: Place, default_bucket: str | None) -> None:
        self._place = place
        self._default_bucket = default_bucket

    def of(self, dead_letter: DeadLetter, state: ReconcileState, failed_ms: int) -> Iterator[Held]:
        """One for each of its records that is about an object of the place; none if it is no event."""
        try:
            items = parse(dead_letter.body, default_bucket=self._default_bucket)
        except MalformedEventError:
            return
        for item in items:
            if isinstance(item, ObjectRef) and self._place.contains(item.bucket, item.key):
                yield Held(item.key, state, item.etag, failed_ms)


def _in_queue(reader: _Reader, clients: Clients, run: Run, unknown: Unknown, stop: threading.Event) -> Iterator[Held]:
    """What the dead letters in the queue hold; they are released before any of it is returned. Raises QueueError."""
    found: list[Held] = []

    def take(dead_letter: DeadLetter) -> bool:
        found.extend(reader.of(dead_letter, ReconcileState.DEAD, _failed_ms(dead_letter)))
        return False  # it is not wanted for anything else

    extender = VisibilityExtender(clients.dlq, visibility_s=INVISIBLE_S)
    with register_holder(clients.state, run), extender.running():
        seen = scan(clients.dlq, extender, stop=stop, wanted=take)
    unknown.dead_letters = max(0, seen.about - seen.seen)
    yield from found


def _retry_records(place: Place, settings: Settings, clients: Clients, unknown: Unknown) -> Iterator[Held]:
    """One for each retry record of the place, read for nothing but its object.

    A replay moves records from `held/` to the others and from there to `parked/`, so each is listed once the one before is read.
    """

    def read(name: str) -> Held | str | None:
        raw = clients.state.get(name)
        if raw is None:
            return None
        try:
            record = read_record(name, raw, default_bucket=settings.s3_bucket)
        except ValueError:
            return name
        if not place.contains(record.write.bucket, record.write.key):
            return None
        state = ReconcileState.PARKED if name.startswith(PARKED_PREFIX) else ReconcileState.WAITING
        return Held(record.write.key, state, record.write.etag, _parked_ms(record))

    unreadable: set[str] = set()
    for prefix in (HELD_PREFIX, RETRY_PREFIX, PARKED_PREFIX):
        found: Iterator[Held | str] = read_all(clients.state.keys(prefix), read)
        for one in found:
            if isinstance(one, str):
                unreadable.add(one)
            else:
                yield one
    unknown.records += len(unreadable)


def _parked_ms(record: RetryRecord) -> int:
    """When a record last failed."""
    last = record.history[-1] if record.history else None
    return _ms(last.get("at", "") if isinstance(last, dict) else record.stored_at)


def _failed_ms(dead_letter: DeadLetter) -> int:
    """When a dead letter last failed, or, where that is not known, when it was sent: after its object had changed.

    What has been archived, restored or imported since has not failed again by that.
    """
    failure = dead_letter.failure
    return (_ms(failure.last_failed_at) if failure else 0) or dead_letter.sent_ms


def _ms(moment: str) -> int:
    """A time in ISO 8601 as ms since the epoch; 0 if it is none."""
    try:
        return int(datetime.fromisoformat(moment).timestamp() * 1000)
    except (ValueError, TypeError, OverflowError, OSError):
        return 0
