"""`retry-index/` → index. Every record is held against S3 as it is now, and deleted only once its write is confirmed.

same etag → the stored document;  another → the pipeline anew;  gone → a removal;  written with that look's version
"""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import islice
from typing import Any

import orjson

from worker.core.classify import is_passing
from worker.core.document import Write
from worker.core.errors import ExtractionStoppedError, IndexAwayError, StoreError
from worker.core.flow import as_done
from worker.core.index import WriteStatus
from worker.core.logs import emit
from worker.core.outside import Outside
from worker.core.pipeline import MAX_LOOK_AGE_MS, Pipeline, Product
from worker.core.retry import in_place
from worker.core.retrystore import RetryRecord, RetryStore
from worker.core.settings import Settings
from worker.core.state import PARKED_PREFIX, RETRY_PREFIX

MAX_ATTEMPTS = 5
"""A record that fails so often for its own fault is parked, where an operator sees it."""
WINDOW = 4
"""Records under way for each thread: those that wait are read ahead."""


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


@dataclass(frozen=True, slots=True)
class _Prepared:
    """One record, ready to be written or with the reason why it is not."""

    name: str
    result: Result
    record: RetryRecord | None = None
    write: Write | None = None
    reason: str = ""


class Replay:
    """One run over `retry-index/`. Two at once do no harm: versions decide, and deleting twice is fine."""

    def __init__(
        self, settings: Settings, outside: Outside, pipeline: Pipeline, retry: RetryStore, *, threads: int
    ) -> None:
        self._settings = settings
        self._outside = outside
        self._pipeline = pipeline
        self._retry = retry
        self._threads = threads
        self._stop = threading.Event()
        self._dry_run = False
        self._tick: Callable[[], None] = lambda: None
        self.counts: Counter[Result] = Counter()
        """How many records came to what, so far."""

    def run(
        self, *, stop: threading.Event, prefix: str = RETRY_PREFIX, limit: int | None = None, dry_run: bool = False,
        rejected_too: bool = True, tick: Callable[[], None] = lambda: None,
    ) -> "Counter[Result]":  # fmt: skip
        """Replay what is under a prefix, oldest day first; the counts.

        `rejected_too`: also what the index has refused for itself. `tick` is called often, and may set `stop`.
        Raises IndexAwayError when the index goes away, StoreError when the state bucket does; everything not confirmed
        then is where it was.
        """
        self._stop, self._dry_run, self._tick = stop, dry_run, tick
        names = islice(self._names(prefix), limit)
        batch: list[_Prepared] = []
        size = 0

        def prepare(name: str) -> _Prepared | None:
            return self._prepare(name, rejected_too=rejected_too)

        with ThreadPoolExecutor(self._threads, thread_name_prefix="replay") as pool:
            for prepared in as_done(pool, prepare, names, window=WINDOW * self._threads):
                tick()
                if prepared is not None:
                    batch.append(prepared)
                    size += prepared.write.size_bytes if prepared.write else 0
                full = len(batch) >= self._settings.bulk_documents or size >= self._settings.bulk_bytes
                if full or (prepared is None and batch):
                    self._flush(batch)
                    batch, size = [], 0
                if stop.is_set():
                    break
        self._flush(batch)
        return self.counts

    # -- one record ----------------------------------------------------------------------------------------------

    def _names(self, prefix: str) -> Iterator[str]:
        for name in self._outside.state.keys(prefix):
            if self._stop.is_set():
                return
            if prefix.startswith(PARKED_PREFIX) or not name.startswith(PARKED_PREFIX):
                yield name

    def _prepare(self, name: str, *, rejected_too: bool) -> _Prepared | None:
        """The write that a record asks for now; None where it is not to be replayed, or another run was first."""
        record: RetryRecord | None = None
        try:
            raw = self._try(lambda: self._outside.state.get(name))
            if raw is None:
                return None
            record = self._record(name, raw)
            if record.rejected and not rejected_too:
                return None
            looked_at: _Prepared = self._try(lambda: self._looked_at(name, record))
            return looked_at
        except ValueError as error:
            return _Prepared(name, Result.PARKED, reason=f"not a retry record: {error}")
        except ExtractionStoppedError as error:
            return _Prepared(name, Result.KEPT, record, reason=str(error))
        except (StoreError, OSError) as error:
            own_fault = (
                record is not None
                and isinstance(error, StoreError)
                and self._outside.objects.is_own_fault(error, record.write.bucket, record.write.key)
            )
            return _Prepared(name, Result.REJECTED if own_fault else Result.KEPT, record, reason=str(error))

    def _try(self, call: Callable[[], Any]) -> Any:
        return in_place(call, passing=is_passing, stop=self._stop)

    def _record(self, name: str, raw: bytes) -> RetryRecord:
        """Ours, or the earlier system's: a bare document under `retry-index/DATE/KEY.json`. Raises ValueError."""
        found = orjson.loads(raw)
        if not isinstance(found, dict):
            raise ValueError("it is no JSON object")  # noqa: TRY004 (what is wrong is the record's value)
        if "schema" in found:
            try:
                return RetryRecord.from_json(raw)
            except (KeyError, TypeError) as error:
                raise ValueError(f"{type(error).__name__}: {error}") from None
        bucket = found.get("bucket") or found.get("s3_bucket") or self._settings.s3_bucket
        key = found.get("file_key") or found.get("key") or found.get("s3_key")
        if not key:
            key = name.removeprefix(RETRY_PREFIX).partition("/")[2].removesuffix(".json")
        if not isinstance(bucket, str) or not isinstance(key, str) or not key:
            raise ValueError("the earlier system's document names no bucket and key, and S3_BUCKET is not set")
        return RetryRecord(Write(bucket, key, 0, None, None), "stored by the earlier system", rejected=False)

    def _looked_at(self, name: str, record: RetryRecord) -> _Prepared:
        stored = record.write
        if stored.source is not None:
            etag, look_ms = self._outside.objects.head(stored.bucket, stored.key)
            if etag is not None and etag == stored.etag:
                return _Prepared(name, Result.REPLAYED, record, replace(stored, version=look_ms))
        found = self._pipeline.read(stored.bucket, stored.key)
        if not isinstance(found, Product):
            found = self._pipeline.document(found)
        result = Result.REMOVED if found.write.is_removal else Result.REBUILT
        return _Prepared(name, result, record, found.write)

    # -- a batch -------------------------------------------------------------------------------------------------

    def _flush(self, batch: list[_Prepared]) -> None:
        """Write a batch, then delete what was confirmed."""
        oldest_ms = self._outside.objects.clock.now_ms() - MAX_LOOK_AGE_MS
        writes = [one for one in batch if one.write is not None and one.write.version >= oldest_ms]
        settled = [one if one.write is None else replace(one, result=Result.KEPT) for one in batch if one not in writes]
        if self._dry_run:
            settled += writes
        elif writes:
            settled += self._written(writes)
        if not self._dry_run:
            self._outside.state.delete_all([one.name for one in settled if one.result in CONFIRMED])
        for one in settled:
            if not self._dry_run and one.result in {Result.REJECTED, Result.PARKED}:
                one = self._again_or_parked(one)  # noqa: PLW2901 (what it came to)
            self.counts[one.result] += 1
            emit(
                "replay.record", "debug" if one.result in CONFIRMED else "warning", result=one.result, name=one.name,
                reason=one.reason, dry_run=self._dry_run,
            )  # fmt: skip

    def _written(self, batch: list[_Prepared]) -> list[_Prepared]:
        """Write them; each with what it came to. Raises IndexAwayError when the index does not take them now."""

        def write() -> list[_Prepared]:
            writes = [one.write for one in batch if one.write is not None]
            results = self._outside.index.write(writes)
            away = next((each.reason for each in results if each.status is WriteStatus.AWAY), None)
            if away is not None:
                raise IndexAwayError(away)
            return [
                replace(one, result=Result.REJECTED, reason=each.reason) if each.status is WriteStatus.REJECTED else one
                for one, each in zip(batch, results, strict=True)
            ]

        found: list[_Prepared] = self._try(write)
        return found

    def _again_or_parked(self, one: _Prepared) -> _Prepared:
        """Count one more failure of a record's own; after too many it is parked. Stored anew before it is deleted."""
        state, parked = (
            self._outside.state,
            PARKED_PREFIX + one.name.removeprefix(PARKED_PREFIX).removeprefix(RETRY_PREFIX),
        )
        if one.record is None:
            raw = state.get(one.name)
            if raw is not None and one.name != parked:
                state.put(parked, raw, metadata={"reason": one.reason[:300]})
                state.delete(one.name)
            return replace(one, result=Result.PARKED)
        record = one.record.tried(one.reason)
        is_parked = one.name == parked or record.attempts >= MAX_ATTEMPTS
        self._retry.put_as(parked if is_parked else one.name, record)
        if is_parked and one.name != parked:
            state.delete(one.name)
            emit(
                "replay.parked",
                "error",
                name=parked,
                bucket=record.write.bucket,
                key=record.write.key,
                reason=one.reason,
            )
        return replace(one, result=Result.PARKED if is_parked else Result.REJECTED)
