"""Collects documents into bulk requests. What the index does not take goes to `retry-index/`, so no message waits for it."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from queue import SimpleQueue

from worker.batches import collect_batch
from worker.core.base.breaker import Breaker
from worker.core.base.clock import S3Clock
from worker.core.base.errors import IndexUnavailableError, StoreError
from worker.core.base.events import LogEvent
from worker.core.base.liveness import Liveness
from worker.core.base.logs import emit
from worker.core.base.throttle import Throttle
from worker.core.index import Index, WriteResult, WriteStatus
from worker.core.index.document import Write
from worker.core.indexing.fresh_writer import FreshWriter
from worker.core.indexing.retry_store import RetryRecord, RetryStore

MAX_SILENCE_S = 180
"""The slowest step: a bulk request, with its full timeout."""
PATIENCE_S = 2.5
"""When a request takes longer, the index is pinged as well."""
PING_PATIENCE_S = 1.5
"""How long that ping may take. Together they open the breaker within 5 s when the index stops answering, while a slow index
still has its whole timeout."""
SENDERS = 32
"""Requests and pings in flight, those given up on included; threads are started as they are needed."""

Acknowledge = Callable[[WriteStatus, StoreError | None], None]
"""Called once for each write with what became of it; REJECTED, UNAVAILABLE and STALE mean that it is stored for retry, or,
if there is an error, that it is not durable anywhere."""

_IN_INDEX = frozenset({WriteStatus.WRITTEN, WriteStatus.SUPERSEDED})
_BREAKER_OPEN = WriteResult(WriteStatus.UNAVAILABLE, "the index is unavailable")


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
        *,
        breaker: Breaker,
        clock: S3Clock,
        documents: int,
        size_bytes: int,
        wait_s: float,
        throttle: Throttle,
    ) -> None:
        """A request holds up to `documents` writes of `size_bytes` together, whatever comes within `wait_s` of the first."""
        self._index = index
        self._retry = retry
        self._breaker = breaker
        self._writer = FreshWriter(clock, self._send, throttle)
        self._documents = documents
        self._size_bytes = size_bytes
        self._wait_s = wait_s
        self._queue: SimpleQueue[_Entry] = SimpleQueue()
        self._collecting = threading.Lock()
        self._stopping = threading.Event()
        self._senders = ThreadPoolExecutor(SENDERS, thread_name_prefix="bulk-request")

    def submit(self, write: Write, acknowledge: Acknowledge) -> None:
        """Have it written with the next bulk request. Never blocks: the number of messages in flight is bounded."""
        self._queue.put(_Entry(write, acknowledge))

    def run(self, liveness: Liveness) -> None:
        """Send bulk requests until stopped and empty; several threads may run this."""
        while True:
            liveness.beat()
            with self._collecting:  # one at a time, or each would collect half a batch
                batch = collect_batch(
                    self._queue,
                    count=self._documents,
                    size=self._size_bytes,
                    wait_s=self._wait_s,
                    size_of=lambda entry: entry.write.size_bytes,
                )
            if batch:
                self._flush(batch, liveness)
            elif self._stopping.is_set():
                return

    def stop(self) -> None:
        """End the threads once everything submitted has been acknowledged."""
        self._stopping.set()

    def close(self) -> None:
        """End the threads that send requests."""
        self._senders.shutdown(wait=False, cancel_futures=True)

    def _flush(self, batch: list[_Entry], liveness: Liveness) -> None:
        """Write a batch, store for retry what the index did not take, and acknowledge every entry."""
        not_taken: list[tuple[_Entry, WriteResult]] = []
        for entry, result in zip(batch, self._write([entry.write for entry in batch]), strict=True):
            if result.status in _IN_INDEX:
                entry.acknowledge(result.status, None)
            else:
                not_taken.append((entry, result))
        if not_taken:
            self._store(not_taken, liveness)

    def _write(self, writes: list[Write]) -> list[WriteResult]:
        """What became of each; never raises."""
        if self._breaker.is_open:
            return [_BREAKER_OPEN] * len(writes)
        try:
            return self._writer.write(writes)
        except BaseException as error:  # noqa: BLE001 (a bug in the index's client must not lose a document either)
            if not isinstance(error, IndexUnavailableError):
                emit(LogEvent.INDEX_WRITE_FAILED, "error", error=repr(error), exc_info=error)
            self._breaker.failed(error)
            return [WriteResult(WriteStatus.UNAVAILABLE, str(error))] * len(writes)

    def _send(self, writes: Sequence[Write]) -> list[WriteResult]:
        """The index's answer to one request; and the breaker counts whether the index accepted what it could."""
        results = self._ask(writes)
        unavailable = next((result for result in results if result.status is WriteStatus.UNAVAILABLE), None)
        if unavailable is None:
            self._breaker.succeeded()
        else:
            self._breaker.failed(IndexUnavailableError(unavailable.reason))
        emit(LogEvent.INDEX_BULK, "debug", documents=len(writes))
        return results

    def _ask(self, writes: Sequence[Write]) -> list[WriteResult]:
        """Send one request. It is given up when it is slow and the index does not answer a ping well either.

        If it arrives all the same, it writes what the retry record holds, with a version older than the replay's.
        """
        answer = self._senders.submit(self._index.write, writes)
        while not wait([answer], timeout=PATIENCE_S).done:
            ping = self._senders.submit(self._index.ping)
            if not wait([ping], timeout=PING_PATIENCE_S).done or ping.exception() is not None:
                self._breaker.open(silence := IndexUnavailableError(f"{self._index.description} has stopped answering"))
                raise silence
        return answer.result()

    def _store(self, not_taken: list[tuple[_Entry, WriteResult]], liveness: Liveness) -> None:
        records = [
            RetryRecord(entry.write, result.reason, rejected=result.status is WriteStatus.REJECTED)
            for entry, result in not_taken
        ]
        for (entry, result), error in zip(not_taken, self._retry.put_all(records), strict=True):
            liveness.beat()
            entry.acknowledge(result.status, error)
