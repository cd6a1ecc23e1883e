"""Outcome → hand-off, then delete. A message is deleted only once its effect is durable and SQS has confirmed the hand-off.

Done     → delete
Failed   → DLQ; if refused → dead-letters/; if refused → left to reappear; once handed off → delete
Release  → visible again after its delay
"""

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from queue import SimpleQueue
from typing import TypeVar

from worker.batches import collect_batch
from worker.core.base.classify import is_transient
from worker.core.base.errors import StoreError
from worker.core.base.events import LogEvent
from worker.core.base.liveness import Liveness
from worker.core.base.logs import emit
from worker.core.base.retry import release_delay_s, retry_transient
from worker.core.s3.state import State
from worker.core.sqs import dead_letter_store
from worker.core.sqs.call_health import CallHealth
from worker.core.sqs.dead_letter import DeadLetter, Refused, SendEntry, entry_bytes
from worker.core.sqs.failure_record import FailureRecord
from worker.core.sqs.in_flight import InFlightMessage, InFlightMessages
from worker.core.sqs.outcome import Done, Failed, Release, label
from worker.core.sqs.queue import MAX_BATCH, Queue, Refusal, in_batch

T = TypeVar("T")

BATCH_WAIT_S = 0.1
"""How long a settlement waits for others to join its call: at 100 messages/s, just long enough for ten."""
MAX_SILENCE_S = 180
"""The slowest step: three attempts of a call, each with its full timeout."""


@dataclass(frozen=True, slots=True)
class _HandOff:
    """A failed message on its way to the DLQ."""

    item: InFlightMessage
    dead_letter: DeadLetter
    record: FailureRecord
    entry: SendEntry | Refused
    """Refused where body and attributes leave no room for the record."""


class Settlement:
    """Settles messages in batches; its loops run on the worker's threads."""

    def __init__(
        self,
        *,
        source: Queue,
        dlq: Queue,
        state: State,
        in_flight: InFlightMessages,
        worker: str,
        dlq_max_bytes: int,
    ) -> None:
        """`worker` is named in failure records; `dlq_max_bytes` is the DLQ's MaximumMessageSize."""
        self._source = source
        self._dlq = dlq
        self._state = state
        self._in_flight = in_flight
        self._worker = worker
        self._dlq_max_bytes = dlq_max_bytes
        self._delete_calls = CallHealth("sqs:DeleteMessage", source.name)
        self._send_calls = CallHealth("sqs:SendMessage", dlq.name)
        self._deletes: SimpleQueue[InFlightMessage] = SimpleQueue()
        self._hand_offs: SimpleQueue[_HandOff] = SimpleQueue()
        self._releases: SimpleQueue[tuple[InFlightMessage, int]] = SimpleQueue()
        self._collecting = threading.Lock()
        self._stopping = threading.Event()

    def settle(self, item: InFlightMessage) -> None:
        """Begin to settle a message after its last release. Never blocks for long."""
        outcome, message = item.outcome or Done(), item.message
        emit(
            LogEvent.MESSAGE_SETTLED,
            "warning" if isinstance(outcome, Failed) else "info",
            message_id=message.id,
            outcome=label(outcome),
            note=outcome.note if isinstance(outcome, Done) else _why(outcome),
            receives=message.receives,
            duration_ms=round((time.monotonic() - message.received_at) * 1000, 1),
            **item.subject,
        )
        match outcome:
            case Done():
                self._deletes.put(item)
            case Failed():
                self._hand_off_or_release(item, outcome)
            case Release(delay_s=delay_s):
                self._releases.put((item, delay_s))

    @property
    def faults(self) -> list[str]:
        """Which calls have been failing for a while, and why."""
        return [call.fault for call in (self._delete_calls, self._send_calls) if call.fault]

    def loops(self) -> list[tuple[str, Callable[[Liveness], None]]]:
        """The loops to run, each on a thread of its own. Deletes have two, since every message needs one."""
        return [
            ("settle-delete-1", self._delete_loop),
            ("settle-delete-2", self._delete_loop),
            ("settle-dlq", self._hand_off_loop),
            ("settle-release", self._release_loop),
        ]

    def stop(self) -> None:
        """End the loops once each has nothing left."""
        self._stopping.set()

    # -- delete --------------------------------------------------------------------------------------------------

    def _delete_loop(self, liveness: Liveness) -> None:
        self._loop(liveness, self._deletes, self._delete, size_of=lambda _: 0, collecting=self._collecting)

    def _delete(self, items: list[InFlightMessage]) -> None:
        try:
            refused = self._try_all(self._delete_calls, self._source.delete, [item.message.receipt for item in items])
            for position, item in enumerate(items):
                if position in refused:
                    # Its effect is durable: it reappears and is processed again, which is harmless.
                    code, said = refused[position].code, refused[position].message
                    hint = self._delete_calls.hint(code, said)
                    emit(LogEvent.MESSAGE_DELETE_FAILED, "error", message_id=item.message.id, code=code, hint=hint)
        finally:
            self._in_flight.forget(items)

    # -- hand-off ------------------------------------------------------------------------------------------------

    def _hand_off_or_release(self, item: InFlightMessage, outcome: Failed) -> None:
        """Begin a hand-off. A message for which that fails goes back: whatever is in it, this thread serves others too."""
        try:
            self._begin_hand_off(item, outcome)
        except Exception as error:  # noqa: BLE001 (a bug, or no memory)
            emit(LogEvent.HANDLER_BUG, "error", message_id=item.id, error=repr(error), exc_info=error)
            self._releases.put((item, release_delay_s(item.message.receives)))

    def _begin_hand_off(self, item: InFlightMessage, outcome: Failed) -> None:
        dead_letter = DeadLetter.received(item.message)
        record = FailureRecord.of_error(
            outcome.error,
            earlier=dead_letter.failure,
            attributes=dead_letter.attributes,
            receives=item.message.receives,
            source_queue=self._source.url,
            message_id=dead_letter.id,
            worker=self._worker,
        )
        entry = dead_letter.entry(record, max_bytes=self._dlq_max_bytes)
        self._hand_offs.put(_HandOff(item, dead_letter, record, entry))

    def _hand_off_loop(self, liveness: Liveness) -> None:
        self._loop(liveness, self._hand_offs, partial(self._hand_off, liveness), size_of=_entry_bytes)

    def _hand_off(self, liveness: Liveness, batch: list[_HandOff]) -> None:
        fitting: list[tuple[_HandOff, SendEntry]] = []
        too_large: list[tuple[_HandOff, str]] = []
        for hand_off in batch:
            match hand_off.entry:
                case Refused(reason):
                    too_large.append((hand_off, reason))
                case entry:
                    fitting.append((hand_off, entry))
        refused = self._try_all(self._send_calls, self._dlq.send, [entry for _, entry in fitting]) if fitting else {}
        for position, (hand_off, _) in enumerate(fitting):
            if position not in refused:
                self._handed_off(hand_off, LogEvent.DLQ_HANDED_OFF)
        refusals = [(fitting[at][0], f"{one.code}: {one.message}") for at, one in refused.items()]
        for hand_off, why in (*refusals, *too_large):
            liveness.beat()
            self._spill(hand_off, why)

    def _spill(self, hand_off: _HandOff, why: str) -> None:
        """Store in `dead-letters/` what the DLQ refused; if S3 refuses it as well, leave it to reappear on the queue."""
        try:
            retry_transient(
                lambda: dead_letter_store.put(self._state, hand_off.dead_letter, hand_off.record),
                transient=is_transient, stop=self._stopping,
            )  # fmt: skip
        except StoreError as error:
            emit(
                LogEvent.DLQ_UNREACHABLE, "critical", message_id=hand_off.item.id, dlq_error=why, spill_error=str(error),
                error=hand_off.record.message,
            )  # fmt: skip
            self._in_flight.forget([hand_off.item])
            return
        self._handed_off(hand_off, LogEvent.DLQ_SPILLED, why=why)

    def _handed_off(self, hand_off: _HandOff, event: LogEvent, **extra: str) -> None:
        record = hand_off.record
        emit(
            event, "warning", message_id=hand_off.item.message.id, kind=record.kind, error_type=record.error_type,
            reason=record.reason, error=record.message, fingerprint=record.fingerprint, **extra,
        )  # fmt: skip
        self._deletes.put(hand_off.item)

    # -- release -------------------------------------------------------------------------------------------------

    def _release_loop(self, liveness: Liveness) -> None:
        self._loop(liveness, self._releases, self._release, size_of=lambda _: 0)

    def _release(self, batch: list[tuple[InFlightMessage, int]]) -> None:
        self._in_flight.release(batch, stop=self._stopping)

    # -- common --------------------------------------------------------------------------------------------------

    def _loop(
        self,
        liveness: Liveness,
        queue: "SimpleQueue[T]",
        act: Callable[[list[T]], None],
        *,
        size_of: Callable[[T], int],
        collecting: AbstractContextManager[object] = nullcontext(),  # noqa: B008 (it has no state)
    ) -> None:
        while True:
            liveness.beat()
            with collecting:  # two loops on one queue: one at a time, or each would collect half a batch
                batch = collect_batch(
                    queue, count=MAX_BATCH, size=self._dlq_max_bytes, wait_s=BATCH_WAIT_S, size_of=size_of
                )
            if batch:
                act(batch)
            elif self._stopping.is_set():
                return

    def _try_all(
        self, health: CallHealth, call: Callable[[Sequence[T]], dict[int, Refusal]], entries: Sequence[T]
    ) -> dict[int, Refusal]:
        """Make a batch call; by position, what remains refused. Entries refused for their content do not count against the call."""
        refused = in_batch(call, entries, stop=self._stopping)
        if len(refused) < len(entries):
            health.succeeded()
        elif (first := next((one for one in refused.values() if health.hint(one.code, one.message)), None)) is not None:
            health.failed(first.code, first.message)
        return refused


def _why(outcome: Failed | Release) -> str:
    return f"{outcome.kind}: {outcome.error}" if isinstance(outcome, Failed) else outcome.reason


def _entry_bytes(hand_off: _HandOff) -> int:
    return 0 if isinstance(hand_off.entry, Refused) else entry_bytes(hand_off.entry)
