"""Whether the manager's intake rests: because the ledger, the state bucket or the DLQ refuses. The DLQ keeps its messages."""

import random
import threading
import time

from worker.core.base.events import LogEvent
from worker.core.base.logs import emit

SHORTEST_S = 1.0
LONGEST_S = 60.0


class Rest:
    """The rest that all threads of the intake share, each time twice as long, until something succeeds."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._reason = ""
        self._next_s = SHORTEST_S
        self._until = 0.0

    @property
    def reason(self) -> str:
        """Why it rests; empty if it does not. It stays until something has succeeded."""
        return self._reason

    def begin(self, error: Exception) -> None:
        """Rest for a while, unless another thread has just begun to; the first time, the log says so."""
        with self._lock:
            if time.monotonic() < self._until:
                return
            if not self._reason:
                emit(LogEvent.INTAKE_RESTING, "error", error=str(error))
            self._reason = str(error)
            self._until = time.monotonic() + self._next_s * random.uniform(0.5, 1)  # noqa: S311 (jitter, not a secret)
            self._next_s = min(LONGEST_S, 2 * self._next_s)

    def end(self) -> None:
        """Note that something has succeeded."""
        with self._lock:
            if self._reason:
                emit(LogEvent.INTAKE_RESUMED, "info", after=self._reason)
            self._reason, self._next_s, self._until = "", SHORTEST_S, 0.0

    def wait(self, stop: threading.Event, *, at_most_s: float) -> bool:
        """Wait as long as the rest lasts, and no longer than that; True if it is over."""
        left_s = self._until - time.monotonic()
        if left_s > 0:
            stop.wait(min(left_s, at_most_s))
        return self._until <= time.monotonic()
