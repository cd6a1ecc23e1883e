"""Whether index, S3 and fleet are healthy enough to send dead letters again: the workers say so in the state bucket."""

import threading
import time

from worker.core.base.clock import S3Clock
from worker.core.s3.state import State
from worker.core.s3.workers import FRESH_MS, read_workers

FRESH_S = 10.0
"""How long an answer counts as fresh, seconds: workers write every minute, and a turn may come every few seconds."""


def why_unhealthy(state: State, now_ms: int) -> str:
    """Why nothing should be sent at this time (ms on S3's clock); empty if all is well. Raises StoreError.

    One worker with an open breaker is enough: all workers share index and S3, and what is sent may reach that one.
    """
    paused = state.pause_record()
    if paused is not None:
        return f"the fleet is paused by {paused.get('by', '?')}: {paused['reason']}"
    alive = [one for one in read_workers(state, now_ms) if one.is_alive]
    if not alive:
        return f"no worker has reported in the last {FRESH_MS // 60_000} minutes"
    for one in alive:
        for name, why in one.breakers.items():
            return f"{name} is unavailable, says {one.name}: {why}"
        if one.open_breakers:
            return f"{one.open_breakers} breakers are open, says {one.name}"
        if one.failing_calls:
            return f"{one.name} cannot work: {one.failing_calls[0]}"
    return ""


class FleetHealth:
    """The same, asked from time to time. May be used from any thread."""

    def __init__(self, state: State, clock: S3Clock) -> None:
        self._state = state
        self._clock = clock
        self._lock = threading.Lock()
        self._why = ""
        self._read_at = float("-inf")

    def why(self) -> str:
        """Why nothing should be sent, at most FRESH_S ago. Raises StoreError."""
        with self._lock:
            if time.monotonic() - self._read_at > FRESH_S:
                self._why = why_unhealthy(self._state, self._clock.now_ms())
                self._read_at = time.monotonic()
            return self._why
