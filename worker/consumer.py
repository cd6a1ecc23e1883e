"""THE LOOP: receive → keep invisible → deliver to the handlers. Rests when the worker is full or paused, or S3 is down."""

import threading
import time
from collections.abc import Callable

from worker.core.base.errors import QueueError
from worker.core.base.events import LogEvent
from worker.core.base.liveness import Liveness
from worker.core.base.logs import emit
from worker.core.sqs.call_health import CallHealth
from worker.core.sqs.in_flight import InFlightMessage, InFlightMessages
from worker.core.sqs.queue import MAX_BATCH, Message, Queue
from worker.pause_gate import PauseGate
from worker.supervisor import IDLE_TURN_S

MAX_SILENCE_S = 120
"""The slowest turn: one receive until its read timeout, twice."""
FIRST_BACKOFF_S = 1.0
LONGEST_BACKOFF_S = 30.0


class Consumer:
    """Receives. One thread always polls; the others join in while receives come back full, and rest while few come."""

    def __init__(
        self,
        *,
        queue: Queue,
        in_flight: InFlightMessages,
        gate: PauseGate,
        deliver: Callable[[InFlightMessage], None],
        settle: Callable[[InFlightMessage], None],
        visibility_s: int,
        deadline_s: int,
        long_poll_s: int,
        max_in_flight: int,
        max_body_bytes: int,
    ) -> None:
        """`deliver` takes each message to be worked on; `settle` is called by the last release of one."""
        self._queue = queue
        self._in_flight = in_flight
        self._gate = gate
        self._deliver = deliver
        self._settle = settle
        self._visibility_s = visibility_s
        self._deadline_s = deadline_s
        self._long_poll_s = long_poll_s
        self._max_in_flight = max_in_flight
        self._max_body_bytes = max_body_bytes
        self._receives = CallHealth("sqs:ReceiveMessage", queue.name)
        self._busy = threading.Event()
        self._stop = threading.Event()

    @property
    def fault(self) -> str:
        """Why receives have been failing for a while; empty if they have not."""
        return self._receives.fault

    def run_first(self, liveness: Liveness) -> None:
        """Receive until stopped."""
        self._run(liveness, lambda: True)

    def run_helper(self, liveness: Liveness) -> None:
        """Receive until stopped, but only while the last receive came full."""
        self._run(liveness, lambda: self._busy.wait(IDLE_TURN_S))

    def stop(self) -> None:
        """Receive no more. An open poll is awaited: cutting it would hide its messages for their whole visibility timeout."""
        self._stop.set()

    def _run(self, liveness: Liveness, wanted: Callable[[], bool]) -> None:
        backoff_s = FIRST_BACKOFF_S
        while not self._stop.is_set():
            liveness.beat()
            if not self._may_receive() or not wanted():
                continue
            try:
                self._receive_once()
                backoff_s = FIRST_BACKOFF_S
            except QueueError as error:
                self._receives.failed(error.code, str(error))
                hint = self._receives.hint(error.code, str(error))
                emit(
                    LogEvent.QUEUE_RECEIVE_FAILED,
                    "error",
                    code=error.code,
                    error=str(error),
                    hint=hint,
                    retry_s=backoff_s,
                )
                self._stop.wait(backoff_s)
                backoff_s = min(2 * backoff_s, LONGEST_BACKOFF_S)

    def _may_receive(self) -> bool:
        return self._gate.wait_open(time.monotonic() + IDLE_TURN_S, self._stop) and self._in_flight.wait_for_room(
            self._max_in_flight, self._max_body_bytes, IDLE_TURN_S
        )

    def _receive_once(self) -> None:
        messages = self._queue.receive(wait_s=self._long_poll_s, visibility_s=self._visibility_s)
        self._receives.succeeded()
        if len(messages) == MAX_BATCH:
            self._busy.set()
        else:
            self._busy.clear()
        items = [InFlightMessage(message, deadline_s=self._deadline_s, settle=self._settle) for message in messages]
        self._in_flight.add(items)
        emit(LogEvent.QUEUE_RECEIVED, "debug", count=len(messages), lags_s=_lags_s(messages))
        for item in items:
            self._deliver(item)


def _lags_s(messages: list[Message]) -> list[float]:
    """Seconds from send to first receive; a later receive does not show how far behind the fleet is."""
    now_ms = time.time() * 1000
    return [max(0.0, now_ms - m.sent_ms) / 1000 for m in messages if m.sent_ms is not None and m.receives == 1]
