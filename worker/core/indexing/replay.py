"""`retry-index/` → index. Every record is compared with S3 as it is now, and deleted only once its write is confirmed.

unchanged → the stored document;  changed → the pipeline again;  gone → a removal;  each with the new observation's version
"""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, nullcontext
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import islice

import orjson

from worker.core.base.errors import StoreError
from worker.core.base.events import LogEvent
from worker.core.base.logs import emit
from worker.core.base.reasons import cause_of
from worker.core.base.settings import Settings
from worker.core.clients import Clients
from worker.core.index import Stored
from worker.core.index.document import Write
from worker.core.indexing.pipeline import Pipeline, is_current
from worker.core.indexing.reindexer import (
    UNNAMED,
    ObjectName,
    Observation,
    Reindexed,
    Reindexer,
    SkippedBuckets,
    Status,
)
from worker.core.indexing.retry_store import (
    LARGE_BYTES,
    RetryRecord,
    RetryStore,
    held_for,
    parked_name,
    read_record,
    waiting_name,
)
from worker.core.s3.state import HELD_PREFIX, PARKED_PREFIX, RETRY_PREFIX

MAX_ATTEMPTS = 5
"""A record that has failed so often through its own fault is parked, where an operator sees it."""
WINDOW = 4
"""Records in flight for each thread: those that wait for one are read ahead."""


class Result(StrEnum):
    """What became of one record."""

    REPLAYED = "replayed"
    """The stored document was written: the object has not changed."""
    REBUILT = "rebuilt"
    """The object had changed, or the record holds no document to write: it was read again and written."""
    REMOVED = "removed"
    """The object is gone, and so is its document."""
    REJECTED = "rejected"
    """The index, or S3, refused this object itself; the record stays, with one attempt more."""
    PARKED = "parked"
    """Refused too often, or unreadable: it is under `retry-index/parked/` now."""
    KEPT = "kept"
    """Nothing was decided, for a transient reason; the record stays as it is."""


CONFIRMED = frozenset({Result.REPLAYED, Result.REBUILT, Result.REMOVED})


@dataclass(frozen=True, slots=True)
class RecordResult:
    """What became of one record of `retry-index/`, by its name, and why if it was not written."""

    name: str
    result: Result
    reason: str = ""
    error_type: str = ""
    """Name of the error, for grouping: an exception's name, or the error type of the index."""
    cause: str = ""
    """What records of one cause have in common, in words; empty if nothing but the error type says so."""


OnResult = Callable[[RecordResult], None]


@dataclass(slots=True)
class _Entry:
    """One record in flight. Its document is not kept: hundreds of records may wait for one bulk request."""

    name: str
    object_name: ObjectName | None = None
    """Known once the record was read."""


_Observation = Observation[RecordResult | None]
"""None where the record is not to be replayed, or another run was first."""


class Replay:
    """One run over `retry-index/`. Two at once do no harm: versions decide, and deleting twice is fine."""

    def __init__(
        self, settings: Settings, clients: Clients, *, pipeline: Pipeline, retry: RetryStore, threads: int,
        may_release: Callable[[str], bool] = lambda _: False,
    ) -> None:  # fmt: skip
        """`may_release`: whether the cap for which records are held has room, by its scope (see `held_for`)."""
        self._may_release = may_release
        self._settings = settings
        self._clients = clients
        self._pipeline = pipeline
        self._retry = retry
        self._threads = threads
        self._large = threading.Lock()
        """Large records are looked at one at a time: each takes several times its size."""
        self._dry_run = self._quiet = False
        self._rejected_too = True
        self._tick: Callable[[], None] = lambda: None
        self._on_result: OnResult = lambda _: None
        self.skipped = SkippedBuckets()
        """Buckets whose records were not tried any more."""
        self.is_behind = False
        """Whether only the second index of a reindex has not taken something."""
        self.counts: Counter[Result] = Counter()
        """How many records have had each result so far."""

    def run(
        self, *, stop: threading.Event, prefix: str = RETRY_PREFIX, limit: int | None = None, dry_run: bool = False,
        rejected_too: bool = True, tick: Callable[[], None] = lambda: None, on_result: OnResult = lambda _: None,
        quiet: bool = False,
    ) -> "Counter[Result]":  # fmt: skip
        """Replay what is under a prefix, oldest day first; the counts.

        `rejected_too`: also what the index has rejected. `tick` is called often, and may set `stop`; `on_result` is called
        once for each record. Both are called on the caller's thread. `quiet`: no record is worth a line in the log.
        Raises IndexUnavailableError when the index becomes unavailable, and StoreError when the state bucket does; everything
        not confirmed by then is where it was.
        """
        self._dry_run, self._rejected_too, self._tick, self._on_result = dry_run, rejected_too, tick, on_result
        self._quiet = quiet
        entries = map(_Entry, islice(self._names(prefix), limit))
        with ThreadPoolExecutor(self._threads, thread_name_prefix="replay") as pool:
            reindexer = Reindexer(self._settings, self._clients, pool=pool, window=WINDOW * self._threads)
            self.skipped = reindexer.skipped
            groups = reindexer.run(
                entries, self._observe, object_of=lambda entry: entry.object_name, stop=stop, tick=tick
            )
            with closing(groups):
                for group in groups:
                    self._settle(group)
                    self.is_behind = reindexer.behind > 0
        return self.counts

    def _names(self, prefix: str) -> Iterator[str]:
        for name in self._clients.state.keys(prefix):
            if is_due(name, self._may_release) or prefix.startswith((PARKED_PREFIX, HELD_PREFIX)):
                yield name

    # -- one record ----------------------------------------------------------------------------------------------

    def _observe(self, entry: _Entry) -> _Observation:
        """The write that a record asks for now, or why there is none."""
        raw = self._clients.state.get(entry.name)
        if raw is None:
            return Observation(None)
        with self._large if len(raw) > LARGE_BYTES else nullcontext():
            return self._observed(entry, raw)

    def _observed(self, entry: _Entry, raw: bytes) -> _Observation:
        try:
            record = read_record(entry.name, raw, default_bucket=self._settings.s3_bucket)
        except ValueError as error:
            return Observation(
                RecordResult(entry.name, Result.PARKED, f"it cannot be read: {error}", cause="it cannot be read")
            )
        if record.rejected and not self._rejected_too:
            return Observation(None)
        if (why := self.skipped.why(record.write.bucket)) is not None:
            return Observation(RecordResult(entry.name, Result.KEPT, why, cause=why))
        entry.object_name = record.write.bucket, record.write.key
        result, write = self._wanted(record)
        if result is not Result.REMOVED and (why := self._pipeline.excluded(*entry.object_name)) is not None:
            reason = f"it is not to be indexed any more: {why}"
            return Observation(RecordResult(entry.name, Result.PARKED, reason, cause=reason))
        return Observation(RecordResult(entry.name, result), None if self._dry_run else write)

    def _wanted(self, record: RetryRecord) -> tuple[Result, Write]:
        """What the index should hold for the record's object now."""
        stored = record.write
        if stored.source is not None:
            state, observed_at_ms = self._clients.objects.head(stored.bucket, stored.key)
            if is_current(Stored.of(orjson.loads(stored.source), version=stored.version), state):
                return Result.REPLAYED, replace(stored, version=observed_at_ms)
        write = self._pipeline.build(stored.bucket, stored.key).write
        return Result.REMOVED if write.is_removal else Result.REBUILT, write

    # -- a group -------------------------------------------------------------------------------------------------

    def _settle(self, group: list[Reindexed[_Entry, RecordResult | None]]) -> None:
        """Delete the records whose writes are confirmed, count attempts of the others, and report each."""
        if (why := self.skipped.why(UNNAMED)) is not None:
            raise StoreError(f"the records in {self._clients.state.bucket} cannot be read: {why}", code="Unreadable")
        results = [(one.item, result) for one in group if (result := _result_of(one)) is not None]
        confirmed = [result for _, result in results if result.result in CONFIRMED]
        if not self._dry_run:
            self._clients.state.delete_all([result.name for result in confirmed])
        for result in confirmed:
            self._report(result)
        for _, result in results:
            if result.result in CONFIRMED:
                continue
            self._tick()
            if self._dry_run or result.result is Result.KEPT:
                self._report(result)
            elif (final := self._count_attempt_or_park(result)) is not None:
                self._report(final)

    def _report(self, record: RecordResult) -> None:
        self.counts[record.result] += 1
        emit(
            LogEvent.REPLAY_RECORD, "debug" if self._quiet or record.result in CONFIRMED else "warning", result=record.result,
            name=record.name, reason=record.reason, dry_run=self._dry_run,
        )  # fmt: skip
        self._on_result(record)

    def _count_attempt_or_park(self, record: RecordResult) -> RecordResult | None:
        """Store a record again with one attempt more, or, after too many, parked. It is stored before the old is deleted.

        Returns None where another run was first.
        """
        state, name, reason, parked = self._clients.state, record.name, record.reason, parked_name(record.name)
        raw = state.get(name)
        if raw is None:
            return None
        if record.result is Result.PARKED:
            state.put(parked, raw, metadata={"reason": reason})
        else:
            read = read_record(name, raw, default_bucket=self._settings.s3_bucket)
            tried = read.tried(reason)
            if name != parked and tried.attempts < MAX_ATTEMPTS:
                self._retry.put_as(waits := waiting_name(name), tried)
                if waits != name:
                    state.delete(name)
                return record
            self._retry.put_as(parked, tried)
        if name != parked:
            state.delete(name)
            emit(LogEvent.REPLAY_PARKED, "error", name=parked, reason=reason)
        return replace(record, result=Result.PARKED)


def is_due(name: str, may_release: Callable[[str], bool]) -> bool:
    """Whether a record is to be replayed: it is not parked, and not held for a cap that has no room."""
    scope = held_for(name)
    return not name.startswith(PARKED_PREFIX) and (scope is None or may_release(scope))


def _result_of(one: Reindexed[_Entry, RecordResult | None]) -> RecordResult | None:
    """What becomes of the record; None where there is nothing to be said of it."""
    if one.is_bug:
        emit(LogEvent.REPLAY_BUG, "error", name=one.item.name, error=repr(one.error), exc_info=one.error)
    match one.status:
        case Status.DECIDED | Status.WRITTEN:
            return one.value
        case Status.REJECTED | Status.OBJECT_FAULT:
            return _failed(one, Result.REJECTED)
        case Status.UNDECIDED:
            return _failed(one, Result.KEPT)


def _failed(one: Reindexed[_Entry, RecordResult | None], result: Result) -> RecordResult:
    bucket = one.item.object_name[0] if one.item.object_name else ""
    return RecordResult(one.item.name, result, one.reason, one.error_type, cause_of(one.error, bucket))
