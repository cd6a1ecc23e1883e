"""How fast an operation sends: slowly at first, then faster, as long as what it has sent does not come back."""

import threading
import time
from collections.abc import Callable

from worker.core.base.concurrency import Pace
from worker.core.base.liveness import Liveness
from worker.core.sqs.queue import MAX_BATCH

STEPS: tuple[float | None, ...] = (1, 2, 5, 10, 20, 50, 100, 200, None)
"""Messages per second in each step; None: as fast as it goes."""
STEP_S = 5.0
TURN_S = 10.0
"""After so long a wait, it is said that this thread lives."""
BOUND = 0.1
"""If a larger share of what was sent has come back, the operation stops: the cause is still there."""


class Ramp:
    """The pace of one operation."""

    def __init__(self, *, rate: float | None, ramps: bool, step: int) -> None:
        """`rate`: so many per second, from the beginning; `ramps`: through STEPS, from `step` on."""
        self._ramps = ramps and rate is None
        self.step = step
        self._rate = STEPS[min(step, len(STEPS) - 1)] if self._ramps else rate
        self._pace = Pace(self._rate)
        self._began = time.monotonic()

    def next_count(self, at_most: int = MAX_BATCH) -> int:
        """How many may be sent together; `wait` says when."""
        return at_most if self._rate is None else max(1, min(at_most, int(self._rate)))

    def wait(self, count: int, stop: threading.Event, liveness: Liveness) -> None:
        """Wait until so many more may be sent, or until `stop`."""
        turn = self._pace.take(count)
        while (left_s := turn - time.monotonic()) > 0 and not stop.wait(min(left_s, TURN_S)):
            liveness.beat()

    @property
    def is_step_over(self) -> bool:
        """Whether it is time to see what has come back."""
        return self._ramps and time.monotonic() - self._began >= STEP_S

    def next_step(self) -> None:
        """Go on, faster if it goes faster."""
        self.step = min(self.step + 1, len(STEPS) - 1)
        self._rate = STEPS[self.step]
        self._pace = Pace(self._rate)
        self._began = time.monotonic()


def why_stop(sent: int, came_back: Callable[[], int]) -> str:
    """Why an operation that has sent so many must not go on; empty if it may."""
    back = came_back() if sent else 0
    if back <= BOUND * sent:
        return ""
    return (
        f"{back:,} of the {sent:,} that were sent have come back, more than {BOUND:.0%}: remove the cause first, then make "
        "another plan; the rest is as it was"
    )
