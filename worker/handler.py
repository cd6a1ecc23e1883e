"""One message in, one outcome out. Whatever happens on the way, a `finally` gives the share back that settles it."""

import threading
import time
from collections.abc import Callable
from functools import partial
from queue import Empty, Queue

from worker.batcher import Batcher
from worker.byte_budget import ByteBudget
from worker.core.base.classify import is_transient
from worker.core.base.errors import ExtractionStoppedError, MalformedEventError, OutageError, StoreError
from worker.core.base.events import LogEvent
from worker.core.base.liveness import Liveness
from worker.core.base.logs import emit
from worker.core.base.retry import release_delay_s, retry_transient
from worker.core.index import WriteStatus
from worker.core.indexing.pipeline import Pipeline, Product
from worker.core.s3.events import Item, ObjectRef, Skipped, parse
from worker.core.s3.objects import Snapshot
from worker.core.sqs.in_flight import InFlightMessage
from worker.core.sqs.outcome import Done, Failed, Outcome, Release, label
from worker.pause_gate import PauseGate
from worker.s3_health import S3Health
from worker.supervisor import IDLE_TURN_S

MAX_SILENCE_S = 1_200
"""A handler may wait out an outage until its message's deadline; a stuck one is the heartbeat's to find."""
MEMORY_FACTOR = 3
"""A body in memory, its text, and the document made of it."""

_NOTES = {
    WriteStatus.WRITTEN: "indexed",
    WriteStatus.SUPERSEDED: "superseded",
    WriteStatus.UNAVAILABLE: "stored_for_retry",
    WriteStatus.STALE: "stored_for_retry",
    WriteStatus.REJECTED: "rejected_by_index",
}


class Handler:
    """Works on messages. Its `run` turns on several threads; slow files go to threads of their own."""

    def __init__(
        self, pipeline: Pipeline, batcher: Batcher, s3_health: S3Health, gate: PauseGate, budget: ByteBudget, *,
        default_bucket: str | None, spool_bytes: int, slow_threads: int,
    ) -> None:  # fmt: skip
        self.pipeline = pipeline
        self.batcher = batcher
        self.s3_health = s3_health
        self.gate = gate
        self.budget = budget
        self.spool_bytes = spool_bytes
        self.stopping = threading.Event()
        self.slow: Queue[Callable[[], None] | None] = Queue()
        """Work on slow files; None ends a thread. Not an executor: that starts its threads when work comes, when there may be
        no memory for one, and keeps what happens on them to itself."""
        self.slow_threads = slow_threads
        self.inbox: Queue[InFlightMessage] = Queue()
        """Messages received and not begun; bounded by what may be in hand. Not a SimpleQueue: with several consumers its
        get(timeout=…) may wait for ever once another was faster (seen with 3.11)."""
        self._default_bucket = default_bucket

    def run(self, liveness: Liveness) -> None:
        """Take messages from the inbox until stopped."""
        while not self.stopping.is_set():
            liveness.beat()
            try:
                item = self.inbox.get(timeout=IDLE_TURN_S)
            except Empty:
                continue
            if item.start():
                self.handle(item)

    def run_slow(self, _liveness: Liveness) -> None:
        """Work on slow files until closed. Waits without turning; a file that is stuck is the heartbeat's to find."""
        while (work := self.slow.get()) is not None:
            work()

    def stop(self) -> None:
        """Begin nothing more, and end every wait; what is being worked on goes on."""
        self.stopping.set()

    def close(self) -> None:
        """End the threads for slow files."""
        for _ in range(self.slow_threads):
            self.slow.put(None)

    def handle(self, item: InFlightMessage) -> None:
        """Work on one message: each of its records takes effect on its own, and answers for itself."""
        outcome: Outcome = Release(0, "interrupted")
        try:
            records = parse(item.message.body, default_bucket=self._default_bucket)
            item.describe(records)
            for record in records:
                item.retain()
                RecordWork(self, item, record).begin()
            outcome = Done()
        except MalformedEventError as error:
            outcome = Failed(error)
        except Exception as error:  # noqa: BLE001 (no memory; or a bug of ours: to the DLQ, with its stack)
            outcome = _unforeseen(item, error)
        finally:
            item.release(outcome)


class RecordWork:
    """One record's way from reference to acknowledged effect. Holds one share of its message until then."""

    def __init__(self, handler: Handler, item: InFlightMessage, record: Item) -> None:
        self._handler = handler
        self._item = item
        self._record = record
        self._taken_bytes = 0

    def begin(self) -> None:
        """Look at S3 now; the effect may be acknowledged on another thread, later."""
        self._step(self._observe)

    def _step(self, step: Callable[[], Outcome | None]) -> None:
        """One leg of the way; None where the share was passed on to the next leg."""
        # Stands where it was no Exception (Rust's panics): this thread dies of it, and the next worker is not to at once.
        outcome: Outcome | None = Release(self._long_delay_s(), "interrupted")
        try:
            outcome = step()
        except Exception as error:  # noqa: BLE001 (classified, never swallowed)
            outcome = self._outcome_of(error)
        finally:
            if outcome is not None:
                self._finish(outcome)

    def _observe(self) -> Outcome | None:
        match self._record:
            case MalformedEventError() as error:
                return Failed(error)
            case Skipped(reason=reason):
                return self._skip(reason)
            case ref:
                reason_not = self._handler.pipeline.skip_reason(ref)
                if reason_not is not None:
                    return self._skip(reason_not)
                found = self._read(ref)
        if isinstance(found, Failed):
            return found
        if isinstance(found, Product):
            return self._submit(found)
        if self._handler.pipeline.is_slow(found):
            self._handler.slow.put(partial(self._step, partial(self._make, found)))
            return None
        return self._make(found)

    def _read(self, ref: ObjectRef) -> Snapshot | Product | Failed:
        """The object as it is now, an outage of S3 waited out until the message's deadline."""
        handler, s3_health = self._handler, self._handler.s3_health
        while True:
            if not handler.gate.wait_open(self._item.deadline, handler.stopping):
                raise OutageError(f"held back: {'; '.join(handler.gate.reasons.values())}")
            try:
                read = partial(handler.pipeline.read, ref.bucket, ref.key, admit=self._admit)
                found = retry_transient(read, transient=is_transient, stop=handler.stopping)
            except StoreError as error:
                if s3_health.is_object_fault(error, ref.bucket, ref.key):
                    s3_health.breaker.succeeded()
                    return Failed(error)
                s3_health.failed(error, ref.bucket, ref.key)
                if not s3_health.breaker.is_open:
                    raise
            else:
                s3_health.breaker.succeeded()
                return found

    def _make(self, snapshot: Snapshot) -> Outcome | None:
        return self._submit(self._handler.pipeline.document(snapshot))

    def _submit(self, product: Product) -> Outcome | None:
        def acknowledge(status: WriteStatus, error: StoreError | None) -> None:
            if error is not None:
                self._finish(Release(self._long_delay_s(), f"neither the index nor retry-index/ takes it: {error}"))
            elif product.fault is not None:
                self._finish(Failed(product.fault))
            else:
                removed = status is WriteStatus.WRITTEN and product.write.is_removal
                self._finish(Done("removed" if removed else _NOTES[status]))

        self._handler.batcher.submit(product.write, acknowledge)
        return None

    def _skip(self, reason: str) -> Outcome:
        emit(LogEvent.RECORD_SKIPPED, "debug", message_id=self._item.message.id, reason=reason)
        return Done(f"skipped: {reason}")

    def _admit(self, size: int) -> None:
        """Wait until the body may be in memory; told once more for the same body, take nothing twice."""
        wanted = MEMORY_FACTOR * min(size, self._handler.spool_bytes)
        if wanted > self._taken_bytes:
            self._handler.budget.give_back(self._taken_bytes)
            self._taken_bytes = 0
            self._taken_bytes = self._handler.budget.take(wanted, self._handler.stopping)

    def _outcome_of(self, error: Exception) -> Outcome:
        match error:
            case OutageError() if not self._handler.stopping.is_set() or not self._handler.gate.is_open:
                return Release(self._long_delay_s(), str(error))
            case OutageError() | ExtractionStoppedError() | InterruptedError():
                return Release(0, "the worker stops")
            case StoreError():
                return Release(self._long_delay_s(), str(error))
            case _:
                return _unforeseen(self._item, error)

    def _long_delay_s(self) -> int:
        return release_delay_s(self._item.message.receives)

    def _finish(self, outcome: Outcome) -> None:
        self._handler.budget.give_back(self._taken_bytes)
        item, record = self._item, self._record
        if item.record_count > 1 and isinstance(record, ObjectRef):
            emit(
                LogEvent.RECORD_DONE, message_id=item.message.id, bucket=record.bucket, key=record.key, outcome=label(outcome),
                duration_ms=round((time.monotonic() - item.message.received_at) * 1000, 1),
            )  # fmt: skip
        item.release(outcome)


def _unforeseen(item: InFlightMessage, error: Exception) -> Outcome:
    """The machine's fault (no disk, no descriptors, no memory), which no message pays for; or a bug of ours."""
    if is_transient(error):
        return Release(release_delay_s(item.message.receives), str(error) or repr(error))
    emit(LogEvent.HANDLER_BUG, "error", message_id=item.message.id, error=repr(error), exc_info=error)
    return Failed(error)
