"""`retry-index/` → index. Every record is held against S3 as it is now, and deleted only once its write is confirmed.

same etag → the stored document;  another → the pipeline anew;  gone → a removal;  written with that look's version
"""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import islice
from typing import Any

import orjson

from worker.core.base.classify import is_transient
from worker.core.base.concurrency import as_done
from worker.core.base.errors import DependencyError, ExtractionStoppedError, StoreError
from worker.core.base.events import LogEvent
from worker.core.base.logs import emit
from worker.core.base.retry import retry_transient
from worker.core.base.settings import Settings
from worker.core.clients import Clients
from worker.core.index import WriteStatus
from worker.core.index.document import Write
from worker.core.indexing.pipeline import MAX_OBSERVATION_AGE_MS, Pipeline, Product
from worker.core.indexing.retry_store import RetryRecord, RetryStore
from worker.core.s3.state import PARKED_PREFIX, RETRY_PREFIX

MAX_ATTEMPTS = 5
"""A record that fails so often for its own fault is parked, where an operator sees it."""
WINDOW = 4
"""Records under way for each thread: those that wait are read ahead."""
LONGEST_WAIT_MS = 5_000
"""A look waits so long at most for others to fill its request: slow files must not make quick ones stale."""
KEPT_IN_A_ROW = 50
"""So many undecided and none decided since: whatever they wait for is away for all."""


class Result(StrEnum):
    """What became of one record."""

    REPLAYED = "replayed"
    """The stored document was written: the object is as it was."""
    REBUILT = "rebuilt"
    """The object had changed (or the record is the earlier system's): read anew and written."""
    REMOVED = "removed"
    """The object is gone, and so is its document."""
    REJECTED = "rejected"
    """The index, or S3, refused this one for itself; it stays, one attempt older."""
    PARKED = "parked"
    """Refused too often, or unreadable: under `retry-index/parked/` now."""
    KEPT = "kept"
    """Nothing was decided, for a passing reason."""


CONFIRMED = frozenset({Result.REPLAYED, Result.REBUILT, Result.REMOVED})
_NOT_WRITTEN = {WriteStatus.REJECTED: Result.REJECTED, WriteStatus.UNAVAILABLE: Result.KEPT}


@dataclass(frozen=True, slots=True)
class RecordResult:
    """What became of one record of `retry-index/`, by its name, and why where it was not written."""

    name: str
    result: Result
    reason: str = ""


OnResult = Callable[[RecordResult], None]


@dataclass(frozen=True, slots=True)
class _Prepared:
    """One record, ready to be written or with the reason why it is not."""

    name: str
    result: Result | None
    """None where it is not to be replayed, or another run was first."""
    record: RetryRecord | None = None
    write: Write | None = None
    reason: str = ""


@dataclass(slots=True)
class _Batch:
    """Records that are to share a bulk request."""

    of: list[_Prepared] = field(default_factory=list)
    size_bytes: int = 0
    oldest_ms: float = float("inf")

    def add(self, one: _Prepared) -> None:
        self.of.append(one)
        if one.write is not None:
            self.size_bytes += one.write.size_bytes
            self.oldest_ms = min(self.oldest_ms, one.write.version)


class Replay:
    """One run over `retry-index/`. Two at once do no harm: versions decide, and deleting twice is fine."""

    def __init__(
        self, settings: Settings, clients: Clients, pipeline: Pipeline, retry: RetryStore, *, threads: int
    ) -> None:
        self._settings = settings
        self._clients = clients
        self._pipeline = pipeline
        self._retry = retry
        self._threads = threads
        self._stop = threading.Event()
        self._dry_run = False
        self._tick: Callable[[], None] = lambda: None
        self._on_result: OnResult = lambda _: None
        self._kept_in_a_row = 0
        self.counts: Counter[Result] = Counter()
        """How many records came to what, so far."""

    def run(
        self, *, stop: threading.Event, prefix: str = RETRY_PREFIX, limit: int | None = None, dry_run: bool = False,
        rejected_too: bool = True, tick: Callable[[], None] = lambda: None, on_result: OnResult = lambda _: None,
    ) -> "Counter[Result]":  # fmt: skip
        """Replay what is under a prefix, oldest day first; the counts.

        `rejected_too`: also what the index has refused for itself. `tick` is called often, and may set `stop`;
        `on_result` is called once for each record, on the caller's thread.
        Raises IndexUnavailableError when the index goes away, StoreError when the state bucket does, DependencyError when
        nothing can be decided any more; everything not confirmed then is where it was.
        """
        self._stop, self._dry_run, self._tick, self._on_result = stop, dry_run, tick, on_result
        names = islice(self._names(prefix), limit)

        def prepare(name: str) -> _Prepared:
            return self._prepare(name, rejected_too=rejected_too)

        batch = _Batch()
        with ThreadPoolExecutor(self._threads, thread_name_prefix="replay") as pool:
            for prepared in as_done(pool, prepare, names, window=WINDOW * self._threads):
                tick()
                if prepared is not None and prepared.result is not None:
                    batch.add(prepared)
                if batch.of and (prepared is None or self._is_due(batch)):
                    self._flush(batch)
                    batch = _Batch()
                if stop.is_set():
                    break
        self._flush(batch)
        return self.counts

    def _is_due(self, batch: _Batch) -> bool:
        full = len(batch.of) >= self._settings.bulk_documents or batch.size_bytes >= self._settings.bulk_bytes
        return full or self._now_ms() - batch.oldest_ms > LONGEST_WAIT_MS

    def _now_ms(self) -> int:
        return self._clients.objects.clock.now_ms()

    # -- one record ----------------------------------------------------------------------------------------------

    def _names(self, prefix: str) -> Iterator[str]:
        for name in self._clients.state.keys(prefix):
            if self._stop.is_set():
                return
            if prefix.startswith(PARKED_PREFIX) or not name.startswith(PARKED_PREFIX):
                yield name

    def _prepare(self, name: str, *, rejected_too: bool) -> _Prepared:
        """The write that a record asks for now, or why there is none."""
        record: RetryRecord | None = None
        try:
            raw = self._try(lambda: self._clients.state.get(name))
            if raw is None:
                return _Prepared(name, None)
            try:
                record = self._record(name, raw)
            except ValueError as error:
                return _Prepared(name, Result.PARKED, reason=f"it cannot be read: {error}")
            if record.rejected and not rejected_too:
                return _Prepared(name, None)
            observed: _Prepared = self._try(lambda: self._prepared_write(name, record))
            return observed
        except ExtractionStoppedError as error:
            return _Prepared(name, Result.KEPT, record, reason=str(error))
        except (StoreError, OSError) as error:
            object_fault = (
                record is not None
                and isinstance(error, StoreError)
                and self._clients.objects.is_object_fault(error, record.write.bucket, record.write.key)
            )
            return _Prepared(name, Result.REJECTED if object_fault else Result.KEPT, record, reason=str(error))
        except Exception as error:  # noqa: BLE001 (one record must not end the run, nor the worker's thread)
            emit(LogEvent.REPLAY_BUG, "error", name=name, error=repr(error), exc_info=error)
            return _Prepared(name, Result.KEPT, record, reason=f"a bug of ours: {error!r}")

    def _try(self, call: Callable[[], Any]) -> Any:
        return retry_transient(call, transient=is_transient, stop=self._stop)

    def _record(self, name: str, raw: bytes) -> RetryRecord:
        """Ours, or the earlier system's: a bare document under `retry-index/DATE/KEY.json`. Raises ValueError."""
        found = orjson.loads(raw)
        if not isinstance(found, dict):
            raise ValueError("it is no JSON object")  # noqa: TRY004 (what is wrong is the record's value)
        if "schema" in found:
            return RetryRecord.from_json(raw)
        bucket = found.get("bucket") or found.get("s3_bucket") or self._settings.s3_bucket
        key = found.get("file_key") or found.get("key") or found.get("s3_key")
        if not key:
            key = name.removeprefix(RETRY_PREFIX).partition("/")[2].removesuffix(".json")
        if not isinstance(bucket, str) or not isinstance(key, str) or not key:
            raise ValueError("the earlier system's document names no bucket and key, and S3_BUCKET is not set")
        return RetryRecord(Write(bucket, key, 0, None, None), "stored by the earlier system", rejected=False)

    def _prepared_write(self, name: str, record: RetryRecord) -> _Prepared:
        stored = record.write
        if stored.source is not None:
            etag, observed_at_ms = self._clients.objects.head(stored.bucket, stored.key)
            if etag is not None and etag == stored.etag:
                return _Prepared(name, Result.REPLAYED, record, replace(stored, version=observed_at_ms))
        found = self._pipeline.read(stored.bucket, stored.key)
        if not isinstance(found, Product):
            found = self._pipeline.document(found)
        result = Result.REMOVED if found.write.is_removal else Result.REBUILT
        return _Prepared(name, result, record, found.write)

    # -- a batch -------------------------------------------------------------------------------------------------

    def _flush(self, batch: _Batch) -> None:
        """Write a batch, delete what was confirmed, and say what each came to."""
        came_to = batch.of if self._dry_run else self._written(batch.of)
        confirmed = [one for one in came_to if one.result in CONFIRMED]
        if not self._dry_run:
            self._clients.state.delete_all([one.name for one in confirmed])
        for one in confirmed:
            self._count(one)
        for one in came_to:
            if one.result in CONFIRMED:
                continue
            self._tick()
            self._count(one if self._dry_run or one.result is Result.KEPT else self._again_or_parked(one))
        self._go_on_if_any_is_decided(came_to)

    def _go_on_if_any_is_decided(self, batch: list[_Prepared]) -> None:
        """Raises DependencyError where too many in a row were not."""
        self._kept_in_a_row += len(batch)
        if any(one.result is not Result.KEPT for one in batch):
            self._kept_in_a_row = 0
        if self._kept_in_a_row >= KEPT_IN_A_ROW:
            raise DependencyError(
                f"{self._kept_in_a_row} records in a row could not be decided, the last because: {batch[-1].reason}"
            )

    def _count(self, one: _Prepared) -> None:
        if one.result is not None:
            self.counts[one.result] += 1
            emit(
                LogEvent.REPLAY_RECORD, "debug" if one.result in CONFIRMED else "warning", result=one.result, name=one.name,
                reason=one.reason, dry_run=self._dry_run,
            )  # fmt: skip
            self._on_result(RecordResult(one.name, one.result, one.reason))

    def _written(self, batch: list[_Prepared]) -> list[_Prepared]:
        """Write those that ask for it; each with what it came to. Raises IndexUnavailableError."""
        came_to: list[_Prepared] = []
        writes: list[tuple[_Prepared, Write]] = []
        oldest_ms = self._now_ms() - MAX_OBSERVATION_AGE_MS
        for one in batch:
            if one.write is None:
                came_to.append(one)
            elif one.write.version < oldest_ms:
                came_to.append(replace(one, result=Result.KEPT, reason="its look is too old to be written safely"))
            else:
                writes.append((one, one.write))
        if writes:
            came_to += self._try(lambda: self._write(writes))
        return came_to

    def _write(self, writes: list[tuple[_Prepared, Write]]) -> list[_Prepared]:
        results = self._clients.write([write for _, write in writes])
        return [
            replace(one, result=_NOT_WRITTEN[each.status], reason=each.reason) if each.status in _NOT_WRITTEN else one
            for (one, _), each in zip(writes, results, strict=True)
        ]

    def _again_or_parked(self, one: _Prepared) -> _Prepared:
        """Count one more failure of a record's own; after too many it is parked. Stored anew before it is deleted."""
        state = self._clients.state
        parked = PARKED_PREFIX + one.name.removeprefix(PARKED_PREFIX).removeprefix(RETRY_PREFIX)
        if one.record is None:
            raw = state.get(one.name)
            if raw is not None:
                state.put(parked, raw, metadata={"reason": one.reason[:300]})
        else:
            record = one.record.tried(one.reason)
            if one.name != parked and record.attempts < MAX_ATTEMPTS:
                self._retry.put_as(one.name, record)
                return replace(one, result=Result.REJECTED)
            self._retry.put_as(parked, record)
        if one.name != parked:
            state.delete(one.name)
            emit(LogEvent.REPLAY_PARKED, "error", name=parked, reason=one.reason)
        return replace(one, result=Result.PARKED)
