"""Reads what stands only in the objects of dead letters (bodies, attributes, stacks), and records who views it."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

from recovery.ledger.rows import Row
from recovery.manager.web.service import Service
from worker.core.audit import AuditEvent, Run, write
from worker.core.base.events import LogEvent
from worker.core.base.logs import emit
from worker.core.s3.state import State
from worker.core.sqs import dead_letter_store
from worker.core.sqs.stored_dead_letter import StoredDeadLetter

READERS = 4
"""Objects that one request reads at once; as many are in memory, of up to a mebibyte each."""
Read = tuple[Row, StoredDeadLetter | None]


def read_one(state: State, row: Row) -> StoredDeadLetter | None:
    """The object of a dead letter; None if it is gone, or is somebody else's. Raises StoreError."""
    try:
        return dead_letter_store.read(state, row.key)
    except ValueError as error:
        emit(LogEvent.RECOVER_NOT_A_DEAD_LETTER, "warning", name=row.key, error=str(error))
        return None


def read_many(state: State, rows: Sequence[Row]) -> Iterator[Read]:
    """Each row with its object, in order, a few at a time; the first few are read at once. Raises StoreError."""
    windows = _windows(state, rows)
    first = next(windows, [])
    return _each(first, windows)


def _each(first: list[Read], windows: Iterator[list[Read]]) -> Iterator[Read]:
    yield from first
    for window in windows:
        yield from window


def _windows(state: State, rows: Sequence[Row]) -> Iterator[list[Read]]:
    remaining = iter(rows)
    with ThreadPoolExecutor(READERS, thread_name_prefix="bodies") as pool:
        while window := list(islice(remaining, READERS)):
            yield list(zip(window, pool.map(lambda row: read_one(state, row), window), strict=True))


def record_view(service: Service, rows: Sequence[Row]) -> None:
    """Record in the audit that these bodies are viewed. Raises StoreError; then they must not be shown."""
    if not rows:
        return
    run = Run.new("dlq-manager api", action="view", by=service.by)
    ids = tuple(row.identity for row in rows)
    write(service.state, AuditEvent(run.action, run.name, run.by, ids, {"viewed": len(ids)}))
