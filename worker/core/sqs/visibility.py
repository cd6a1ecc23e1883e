"""Keeps messages in hand invisible, from their receive to their settlement, but not for ever."""

import threading
import time
from collections.abc import Callable, Iterable

from worker.core.base.errors import QueueError
from worker.core.base.events import LogEvent
from worker.core.base.logs import emit
from worker.core.sqs.in_flight import InFlightMessage
from worker.core.sqs.queue import MAX_BATCH, Queue
from worker.supervisor import Liveness

LONGEST_TICK_S = 5.0
MAX_SILENCE_S = 120
"""The slowest turn: some batches, each with its call's full timeout."""
ENDED_CODES = frozenset({"ReceiptHandleIsInvalid", "InvalidParameterValue", "MessageNotInflight"})
"""SQS says: this message is no longer held by this receipt."""


class VisibilityExtender:
    """Knows every message in hand; extends the visibility of each when a third of it is used up."""

    def __init__(
        self,
        queue: Queue,
        *,
        visibility_s: int,
        give_up: Callable[[InFlightMessage], None],
        stuck: Callable[[InFlightMessage], None],
    ) -> None:
        """`give_up` is told of a message whose deadline came before its work began; `stuck`, of one during its work."""
        self._queue = queue
        self._visibility_s = visibility_s
        self._give_up = give_up
        self._stuck = stuck
        self._changed = threading.Condition()
        self._held: dict[str, InFlightMessage] = {}
        self._beating: set[str] = set()
        self._stop = threading.Event()

    def __len__(self) -> int:
        return len(self._held)

    def hold(self, items: list[InFlightMessage]) -> None:
        """Begin to keep these."""
        with self._changed:
            self._held.update((item.message.receipt, item) for item in items)

    def forget(self, items: Iterable[InFlightMessage]) -> None:
        """Their disposition is done: keep them no more."""
        with self._changed:
            for item in items:
                self._held.pop(item.message.receipt, None)
            self._changed.notify_all()

    def forget_before_release(self, item: InFlightMessage) -> None:
        """Keep it no more, and wait for an extension under way: coming late, it would overwrite the release."""
        receipt = item.message.receipt
        with self._changed:
            self._held.pop(receipt, None)
            while receipt in self._beating:
                self._changed.wait()
            self._changed.notify_all()

    def wait_for_room(self, limit: int, timeout_s: float) -> bool:
        """Wait until fewer than `limit` are in hand; whether that came."""
        with self._changed:
            return self._changed.wait_for(lambda: len(self._held) < limit, timeout_s)

    def wait_empty(self, until: float) -> bool:
        """Wait until none is in hand, at most until that monotonic second; whether that came."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._held, max(0.0, until - time.monotonic()))

    def unstarted(self) -> list[InFlightMessage]:
        """Those that no handler has begun."""
        with self._changed:
            return [item for item in self._held.values() if not item.started]

    def run(self, liveness: Liveness) -> None:
        """Beat until stopped."""
        tick_s = min(LONGEST_TICK_S, self._visibility_s / 6)
        while not self._stop.wait(tick_s):
            liveness.beat()
            self._end_overdue()
            self._extend_due()

    def stop(self) -> None:
        """End the beating; what is still in hand reappears by itself."""
        self._stop.set()

    def _end_overdue(self) -> None:
        now = time.monotonic()
        with self._changed:
            overdue = [item for item in self._held.values() if item.deadline <= now and not item.is_settling]
        for item in overdue:
            if item.start():
                self._give_up(item)
            else:
                self.forget([item])
                emit(LogEvent.MESSAGE_STUCK, "critical", message_id=item.message.id, receives=item.message.receives)
                self._stuck(item)

    def _extend_due(self) -> None:
        soon = time.monotonic() + self._visibility_s * 2 / 3
        with self._changed:
            due = [item for item in self._held.values() if item.hidden_until < soon]
        for start in range(0, len(due), MAX_BATCH):
            self._extend(due[start : start + MAX_BATCH])

    def _extend(self, batch: list[InFlightMessage]) -> None:
        with self._changed:
            batch = [item for item in batch if item.message.receipt in self._held]
            self._beating = {item.message.receipt for item in batch}
        if not batch:
            return
        try:
            began = time.monotonic()
            refused = self._queue.change_visibility([(item.message.receipt, self._visibility_s) for item in batch])
            for position, item in enumerate(batch):
                if position not in refused:
                    item.hidden_until = began + self._visibility_s
                elif refused[position].code in ENDED_CODES:
                    self.forget([item])
                    emit(LogEvent.HEARTBEAT_ENDED, "warning", message_id=item.message.id, code=refused[position].code)
                else:
                    emit(LogEvent.HEARTBEAT_FAILED, "warning", message_id=item.message.id, code=refused[position].code)
        except QueueError as error:
            emit(LogEvent.HEARTBEAT_FAILED, "warning", count=len(batch), code=error.code, error=str(error))
        finally:
            with self._changed:
                self._beating = set()
                self._changed.notify_all()
