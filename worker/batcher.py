"""Gathers documents into bulk requests. What the index does not take goes to `retry-index/`; no message waits for it."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from queue import SimpleQueue

from worker.batches import gather
from worker.core.base.breaker import Breaker
from worker.core.base.clock import S3Clock
from worker.core.base.errors import IndexUnavailableError, StoreError
from worker.core.base.events import LogEvent
from worker.core.base.liveness import Liveness
from worker.core.base.logs import emit
from worker.core.index import Index, WriteResult, WriteStatus
from worker.core.index.document import Write
from worker.core.indexing.pipeline import MAX_OBSERVATION_AGE_MS, MAX_WRITE_AGE_MS
from worker.core.indexing.retry_store import RetryRecord, RetryStore

MAX_SILENCE_S = 180
"""The slowest turn: a bulk request to its timeout, then its documents stored for retry, each to S3's timeout."""
PATIENCE_S = 2.5
"""A request that takes longer makes us ask whether the index is there at all."""
PING_PATIENCE_S = 1.5
"""Together they open the breaker within 5 s when the index goes silent, though a slow one has its whole timeout."""
SENDERS = 32
"""Requests and pings under way, those given up on included; threads are made as they are needed."""

Acknowledge = Callable[[WriteStatus, StoreError | None], None]
"""Told once for each write: what became of it (AWAY and REJECTED: stored for retry), or why it is durable nowhere."""


@dataclass(frozen=True, slots=True)
class _Entry:
    write: Write
    acknowledge: Acknowledge


class Batcher:
    """Bulk requests to the index, several at once, behind a breaker."""

    def __init__(
        self,
        index: Index,
        retry: RetryStore,
        breaker: Breaker,
        clock: S3Clock,
        *,
        documents: int,
        size_bytes: int,
        wait_s: float,
    ) -> None:
        self._index = index
        self._retry = retry
        self._breaker = breaker
        self._clock = clock
        self._documents = documents
        self._size_bytes = size_bytes
        self._wait_s = wait_s
        self._queue: SimpleQueue[_Entry] = SimpleQueue()
        self._gathering = threading.Lock()
        self._stopping = threading.Event()
        self._senders = ThreadPoolExecutor(SENDERS, thread_name_prefix="bulk-request")

    def submit(self, write: Write, acknowledge: Acknowledge) -> None:
        """Have it written with the next bulk request. Never blocks: messages in hand are bounded."""
        self._queue.put(_Entry(write, acknowledge))

    def run(self, liveness: Liveness) -> None:
        """Send bulk requests until stopped and empty; several threads may run this."""
        while True:
            liveness.beat()
            with self._gathering:  # one at a time, or each would gather half a batch
                batch = gather(
                    self._queue,
                    count=self._documents,
                    size=self._size_bytes,
                    wait_s=self._wait_s,
                    size_of=lambda entry: entry.write.size_bytes,
                )
            if batch:
                self._flush(batch)
            elif self._stopping.is_set():
                return

    def stop(self) -> None:
        """End the threads once everything submitted has been acknowledged."""
        self._stopping.set()

    def close(self) -> None:
        """End the threads that requests are made on."""
        self._senders.shutdown(wait=False, cancel_futures=True)

    def _flush(self, batch: list[_Entry]) -> None:
        oldest_ms = self._clock.now_ms() - MAX_OBSERVATION_AGE_MS
        fresh = [entry for entry in batch if entry.write.version >= oldest_ms]
        stale = [entry for entry in batch if entry.write.version < oldest_ms]
        self._store(stale, WriteStatus.UNAVAILABLE, ["its look is too old to be written safely"] * len(stale))
        if self._breaker.is_open:
            self._store(fresh, WriteStatus.UNAVAILABLE, ["the index is away"] * len(fresh))
        elif fresh:
            self._write(fresh)

    def _write(self, batch: list[_Entry]) -> None:
        try:
            results = self._ask([entry.write for entry in batch])
        except Exception as error:  # noqa: BLE001 (a bug of ours in the index's client must lose no document either)
            if not isinstance(error, IndexUnavailableError):
                emit(LogEvent.INDEX_WRITE_FAILED, "error", error=repr(error), exc_info=error)
            self._breaker.failed(error)
            self._store(batch, WriteStatus.UNAVAILABLE, [str(error)] * len(batch))
            return
        if any(result.status is WriteStatus.UNAVAILABLE for result in results):
            self._breaker.failed(
                IndexUnavailableError(next(r.reason for r in results if r.status is WriteStatus.UNAVAILABLE))
            )
        else:
            self._breaker.succeeded()
        emit(LogEvent.INDEX_BULK, "debug", documents=len(batch))
        results = [self._in_time(entry, result) for entry, result in zip(batch, results, strict=True)]
        for entry, result in zip(batch, results, strict=True):
            if result.status in {WriteStatus.WRITTEN, WriteStatus.SUPERSEDED}:
                entry.acknowledge(result.status, None)
        for status in (WriteStatus.REJECTED, WriteStatus.UNAVAILABLE):
            refused = [(e, r.reason) for e, r in zip(batch, results, strict=True) if r.status is status]
            self._store([e for e, _ in refused], status, [reason for _, reason in refused])

    def _in_time(self, entry: _Entry, result: WriteResult) -> WriteResult:
        """The result; where this process stood still between look and answer (frozen, suspended), one to be replayed."""
        oldest_ms = self._clock.now_ms() - MAX_WRITE_AGE_MS
        if result.status is WriteStatus.WRITTEN and entry.write.version < oldest_ms:
            return WriteResult(WriteStatus.UNAVAILABLE, "it was written too late to be trusted")
        return result

    def _ask(self, writes: list[Write]) -> list[WriteResult]:
        """The index's answer. A request is given up when it is slow and the index answers no ping either.

        Should it arrive all the same, it writes what the retry record holds, with a version older than the replay's.
        """
        answer = self._senders.submit(self._index.write, writes)
        while not wait([answer], timeout=PATIENCE_S).done:
            ping = self._senders.submit(self._index.ping)
            if not wait([ping], timeout=PING_PATIENCE_S).done:
                self._breaker.open(silence := IndexUnavailableError(f"{self._index.description} has gone silent"))
                raise silence
        return answer.result()

    def _store(self, entries: list[_Entry], status: WriteStatus, reasons: list[str]) -> None:
        if not entries:
            return
        rejected = status is WriteStatus.REJECTED
        records = [RetryRecord(e.write, reason, rejected) for e, reason in zip(entries, reasons, strict=True)]
        for entry, error in zip(entries, self._retry.put_all(records), strict=True):
            entry.acknowledge(status, error)
