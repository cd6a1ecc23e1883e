"""S3's clock, which dates observations, so that workers on several hosts agree on which of two observations is later.

Every answer from S3 has a Date header with a resolution of one second. If the request was sent at a and the answer
received at b, S3's clock was in [Date, Date + 1 s) at some moment between a and b; so the offset between our clock and
S3's lies in (Date - b, Date + 1 - a). Each further answer narrows these bounds. Our clock here is the monotonic one,
which cannot be set.

A wrong time would be kept for long: a version from the future makes every later change of its object look older. So a
sudden change is believed only after several answers that agree, and no time is far ahead of this machine's own clock.
"""

import threading
import time
from datetime import datetime
from email.utils import parsedate_to_datetime

from worker.core.base.events import LogEvent
from worker.core.base.logs import emit

PRECISE_ENOUGH_S = 0.02
"""Half the width of the bounds that is aimed for at the start; an event takes far longer to reach a second worker."""
JUMP_S = 2.0
"""A change of S3's clock by more than this is a jump; by less, the clocks of two of its servers may differ."""
JUMP_ANSWERS = 3
"""Answers in a row that must agree on a jump before it is believed."""
MAX_AHEAD_S = 900
"""S3 refuses requests whose clock differs from its own by more than 15 minutes (RequestTimeTooSkewed, S3 API Reference)."""
FUTURE_MS = 60_000
"""An observation that is dated so far ahead was dated by a clock that was wrong: those of two hosts differ by far less."""
DRIFT = 100e-6
"""By how many seconds the bounds widen per second: the amount by which a computer's clock may drift."""


class S3Clock:
    """Gives the time in ms on S3's clock; on our own clock before the first answer."""

    def __init__(self) -> None:
        now = time.monotonic()
        guess = time.time() - now
        self._lock = threading.Lock()
        self._seen = False
        self._low, self._high, self._at = guess, guess, now
        self._jump: tuple[float, float] | None = None
        """The bounds on which the last answers agree that contradict those above by far."""
        self._jump_answers = 0

    @property
    def uncertainty_s(self) -> float:
        """By how many seconds the time may be wrong; infinite before the first answer."""
        return (self._high - self._low) / 2 if self._seen else float("inf")

    def now_ms(self) -> int:
        """Milliseconds since the epoch on S3's clock; at most 15 minutes ahead of this machine's own."""
        return int(min(time.monotonic() + (self._low + self._high) / 2, time.time() + MAX_AHEAD_S) * 1000)

    def earliest_ms(self) -> int:
        """The same, but certainly not later than it is: for what is compared with the times of other processes."""
        return self.now_ms() - int(min(self.uncertainty_s, 1.0) * 1000)

    def observe(self, sent: float, date: str, received: float) -> None:
        """Take one answer into account: its Date header, and when request and answer were sent and received.

        Both moments are in monotonic seconds.
        """
        try:
            stamp = parsedate_to_datetime(date).timestamp()
        except ValueError:
            return
        low, high = stamp - received, stamp + 1 - sent
        with self._lock:
            if low > self._high + JUMP_S or high < self._low - JUMP_S:
                jumped_s = self._agreed_jump(low, high)
                if jumped_s is None:
                    return
                low, high = self._jump or (low, high)
            else:
                jumped_s = None
            self._jump = None
            slack = DRIFT * (received - self._at)
            narrowed = max(low, self._low - slack), min(high, self._high + slack)
            if not self._seen or narrowed[0] > narrowed[1]:
                narrowed = low, high  # the first answer, or another of S3's servers, or a jump: start again
            (self._low, self._high), self._at, self._seen = narrowed, received, True
        if jumped_s is not None:
            emit(LogEvent.CLOCK_JUMPED, "warning", seconds=round(jumped_s, 1))

    def _agreed_jump(self, low: float, high: float) -> float | None:
        """By how many seconds the clock has jumped, once enough answers agree on it; None until then."""
        both = (low, high) if self._jump is None else (max(low, self._jump[0]), min(high, self._jump[1]))
        agrees = self._jump is not None and both[0] <= both[1]
        self._jump = both if agrees else (low, high)
        self._jump_answers = self._jump_answers + 1 if agrees else 1
        return (low + high - self._low - self._high) / 2 if self._jump_answers >= JUMP_ANSWERS else None

    def best_moment_s(self) -> float:
        """In how many seconds an answer would halve the bounds: when a second begins according to their middle."""
        return 1 - (time.monotonic() + (self._low + self._high) / 2) % 1

    def skew_s(self) -> float:
        """By how many seconds this machine's clock differs from S3's; positive if it is fast."""
        return time.time() - time.monotonic() - (self._low + self._high) / 2


def iso_moment(said: object) -> datetime | None:
    """A time in ISO 8601 with its offset from UTC, such as S3 says; None for anything else."""
    try:
        moment = datetime.fromisoformat(said) if isinstance(said, str) else None
    except ValueError:
        return None
    return moment if moment is not None and moment.tzinfo is not None else None
