"""One message in, one outcome out. Whatever happens on the way, a `finally` releases the message with an outcome."""

import threading
import time
from collections.abc import Callable
from functools import partial
from queue import Empty, Queue

from worker.batcher import Batcher
from worker.byte_budget import MemoryBudget, Reservation
from worker.core.base.classify import is_transient
from worker.core.base.errors import BudgetError, ExtractionStoppedError, MalformedEventError, OutageError, StoreError
from worker.core.base.events import LogEvent
from worker.core.base.liveness import Liveness
from worker.core.base.logs import emit
from worker.core.base.retry import release_delay_s
from worker.core.base.settings import KIB
from worker.core.index import WriteStatus
from worker.core.indexing.pipeline import Pipeline, Product
from worker.core.s3.events import Item, ObjectRef, Skipped, parse
from worker.core.s3.objects import Snapshot
from worker.core.sqs.in_flight import InFlightMessage
from worker.core.sqs.outcome import Done, Failed, Outcome, Release, label
from worker.memory import RecordMemory
from worker.pause_gate import PauseGate
from worker.s3_health import S3Health
from worker.supervisor import IDLE_TURN_S

BODY_FACTOR = 3
"""A message's body, the names of its objects, and the hand-off made of it."""
PARSING_FACTOR = 24
"""What parsing a message takes of its body's size, for a moment (measured: 16 to 22 with 1 MiB of records)."""
LARGE_BODY = 64 * KIB

_NOTES = {
    WriteStatus.WRITTEN: "indexed",
    WriteStatus.SUPERSEDED: "superseded",
    WriteStatus.REJECTED: "rejected_by_index",
}


class Handler:
    """Works on messages. Its `run` is the loop of several threads; slow files go to threads of their own."""

    def __init__(
        self,
        *,
        pipeline: Pipeline,
        batcher: Batcher,
        s3_health: S3Health,
        gate: PauseGate,
        budget: MemoryBudget,
        hold: Callable[[str, str, BudgetError], None],
        default_bucket: str | None,
        spool_bytes: int,
        slow_threads: int,
    ) -> None:
        """`default_bucket`: of messages that name only a key. `spool_bytes`: what of a larger object stays in memory.

        `hold` stores that an object is to be read once a cap has room. It raises StoreError.
        """
        self.pipeline = pipeline
        self.batcher = batcher
        self.hold = hold
        self.slow_threads = slow_threads
        self._s3_health = s3_health
        self._gate = gate
        self._budget = budget
        self._default_bucket = default_bucket
        self._spool_bytes = spool_bytes
        self._stopping = threading.Event()
        # Not an executor: that starts its threads when work comes, when there may be no memory for one, and keeps what
        # happens on them to itself.
        self._slow: Queue[Callable[[], None] | None] = Queue()
        # Bounded by what may be in flight. No SimpleQueue: with several consumers, get(timeout=…) may wait for ever (3.11).
        self._inbox: Queue[InFlightMessage] = Queue()

    def deliver(self, item: InFlightMessage) -> None:
        """Take in a message that was received; never blocks."""
        self._inbox.put(item)

    def run(self, _liveness: Liveness) -> None:
        """Work on messages until stopped. It does not beat: a thread that hangs is found by the message it works on."""
        while not self._stopping.is_set():
            try:
                item = self._inbox.get(timeout=IDLE_TURN_S)
            except Empty:
                continue
            if item.start():
                self.handle(item)

    def run_slow(self, _liveness: Liveness) -> None:
        """Work on slow files until closed. It does not beat either."""
        while (work := self._slow.get()) is not None:
            work()

    def stop(self) -> None:
        """Begin nothing more, and end every wait; work that has begun goes on."""
        self._stopping.set()

    def close(self) -> None:
        """End the threads for slow files."""
        for _ in range(self.slow_threads):
            self._slow.put(None)

    def handle(self, item: InFlightMessage) -> None:
        """Work on one message: each of its records takes effect on its own, and has an outcome of its own."""
        outcome: Outcome = Release(0, "interrupted")
        try:
            records = self._records(item)
            item.describe(records)
            for record in records:
                work = RecordWork(self, item, record)
                item.retain()
                work.begin()
            outcome = Done()
        except MalformedEventError as error:
            outcome = Failed(error)
        except InterruptedError:
            outcome = Release(0, "the worker stops")
        except OutageError as error:
            outcome = Release(release_delay_s(item.message.receives), str(error))
        except BaseException as error:  # noqa: BLE001 (no memory; or a bug or a panic in Rust: to the DLQ, with its stack)
            outcome = _unforeseen(item, error)
        finally:
            item.release(outcome)

    def _records(self, item: InFlightMessage) -> list[Item]:
        """What the message says happened; a large one is parsed within the memory budget. Raises MalformedEventError."""
        body, parsing = item.message.body, Reservation(self._budget.bodies)
        try:
            if len(body) > LARGE_BODY:
                parsing.at_least(PARSING_FACTOR * len(body), until=item.deadline, stop=self._stopping)
            with item.working():
                return parse(body, default_bucket=self._default_bucket)
        finally:
            parsing.release()

    # -- what the work on one record needs -----------------------------------------------------------------------

    def memory_of(self, item: InFlightMessage) -> RecordMemory:
        """What one record of a message takes of the memory budget."""
        return RecordMemory(self._budget, item, self._stopping)

    def read(self, ref: ObjectRef, item: InFlightMessage, memory: RecordMemory) -> Snapshot | Product | Failed:
        """The object as it is now, within the memory budget. Raises OutageError, StoreError, InterruptedError, BudgetError."""

        def admit(size: int) -> None:
            memory.for_body(min(size, self._spool_bytes))

        read = partial(self.pipeline.read, ref.bucket, ref.key, admit=admit)
        return self._s3_health.read(
            read, bucket=ref.bucket, key=ref.key, until=item.deadline, stop=self._stopping, waiting=item.waiting
        )  # fmt: skip

    def work_later(self, work: Callable[[], None]) -> None:
        """Have a slow file worked on by a thread for such."""
        self._slow.put(work)

    @property
    def is_stopping_in_good_order(self) -> bool:
        """Whether the worker stops and nothing holds work back: then messages go straight back to the queue."""
        return self._stopping.is_set() and self._gate.is_open


class RecordWork:
    """The work on one record, from reference to acknowledged effect. It holds the message until then."""

    def __init__(self, handler: Handler, item: InFlightMessage, record: Item) -> None:
        self._handler = handler
        self._item = item
        self._record = record
        self._memory = handler.memory_of(item)

    def begin(self) -> None:
        """Observe the object now; the effect may be acknowledged later, on another thread."""
        self._step(self._observe)

    def _step(self, step: Callable[[], Outcome | None]) -> None:
        """One step of the work; it returns None where the next step has taken over. None begins after the deadline."""
        outcome: Outcome | None = Release(self._long_delay_s(), "interrupted")
        try:
            if self._item.is_overdue:
                outcome = Release(self._long_delay_s(), "held back to its deadline")
            else:
                with self._item.working():
                    outcome = self._within_budget(step)
        except BaseException as error:  # noqa: BLE001 (classified, never swallowed; a panic in Rust is no Exception)
            outcome = self._outcome_of(error)
        finally:
            if outcome is not None:
                self._finish(outcome)

    def _within_budget(self, step: Callable[[], Outcome | None]) -> Outcome | None:
        """The step; an object over a cap on its prefix is held, as its message must not hold up the others in the queue."""
        try:
            return step()
        except BudgetError as error:
            if not error.scope or not isinstance(self._record, ObjectRef):
                raise
            self._handler.hold(self._record.bucket, self._record.key, error)
            return Done("held for its budget")

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
                found = self._handler.read(ref, self._item, self._memory)
        if isinstance(found, Failed):
            return found
        if isinstance(found, Product):
            return self._submit(found)
        if self._handler.pipeline.is_slow(found):
            self._handler.work_later(partial(self._make_later, found))
            return None
        pipeline = self._handler.pipeline
        try:
            with self._memory.for_parsing(found, pipeline):
                product = pipeline.document(found)
            return self._submit(product)
        finally:
            found.discard()  # not used where there was no room

    def _make_later(self, snapshot: Snapshot) -> None:
        try:
            self._step(partial(self._make, snapshot))
        finally:
            snapshot.discard()  # not used where its message was overdue

    def _make(self, snapshot: Snapshot) -> Outcome | None:
        return self._submit(self._handler.pipeline.document(snapshot))

    def _submit(self, product: Product) -> Outcome | None:
        self._memory.for_document(product)

        def acknowledge(status: WriteStatus, error: StoreError | None) -> None:
            if error is not None:
                self._finish(Release(self._long_delay_s(), f"neither the index nor retry-index/ takes it: {error}"))
            elif product.fault is not None:
                self._finish(Failed(product.fault))
            elif product.skipped:
                self._finish(Done(f"skipped: {product.skipped}"))
            else:
                removed = status is WriteStatus.WRITTEN and product.write.is_removal
                self._finish(Done("removed" if removed else _NOTES.get(status, "stored_for_retry")))

        self._handler.batcher.submit(product.write, acknowledge)
        return None

    def _skip(self, reason: str) -> Outcome:
        emit(LogEvent.RECORD_SKIPPED, "debug", message_id=self._item.id, reason=reason)
        return Done(f"skipped: {reason}")

    def _outcome_of(self, error: BaseException) -> Outcome:
        match error:
            case ExtractionStoppedError() | InterruptedError():
                return Release(0, "the worker stops")
            case OutageError() if self._handler.is_stopping_in_good_order:
                return Release(0, "the worker stops")
            case OutageError() | StoreError() | BudgetError():
                return Release(self._long_delay_s(), str(error))
            case _:
                return _unforeseen(self._item, error)

    def _long_delay_s(self) -> int:
        return release_delay_s(self._item.message.receives)

    def _finish(self, outcome: Outcome) -> None:
        self._memory.release()
        item, record = self._item, self._record
        if item.record_count > 1 and isinstance(record, ObjectRef):
            emit(
                LogEvent.RECORD_DONE, message_id=item.id, bucket=record.bucket, key=record.key, outcome=label(outcome),
                duration_ms=round((time.monotonic() - item.message.received_at) * 1000, 1),
            )  # fmt: skip
        item.release(outcome)


def _unforeseen(item: InFlightMessage, error: BaseException) -> Outcome:
    """The machine's fault (no disk, no descriptors, no memory), for which no message is dead-lettered; or a bug."""
    if is_transient(error):
        return Release(release_delay_s(item.message.receives), str(error) or repr(error))
    emit(LogEvent.HANDLER_BUG, "error", message_id=item.id, error=repr(error), exc_info=error)
    return Failed(error)
