"""S3's clock: what a look's time is told by, so that workers on several hosts agree on who looked later.

Every answer of S3 carries a Date with a resolution of one second. Sent at a and received at b, it says that S3's clock
was in [Date, Date + 1 s) at some moment between the two; so the offset between our clock and S3's lies in
(Date - b, Date + 1 - a). Each further answer narrows that. Our clock here is the monotonic one: nobody can set it.
"""

import threading
import time
from email.utils import parsedate_to_datetime

PRECISE_ENOUGH_S = 0.02
"""Half the width of the bounds we aim for at start; an event takes far longer to reach a second worker."""
DRIFT = 100e-6
"""Seconds a second by which the bounds widen again: what a computer's clock may drift."""


class S3Clock:
    """Tells S3's time in ms. Until the first answer was seen, our own."""

    def __init__(self) -> None:
        now = time.monotonic()
        guess = time.time() - now
        self._lock = threading.Lock()
        self._seen = False
        self._low, self._high, self._at = guess, guess, now

    @property
    def uncertainty_s(self) -> float:
        """By how much the time told may be wrong, seconds; infinite before the first answer."""
        return (self._high - self._low) / 2 if self._seen else float("inf")

    def now_ms(self) -> int:
        """Milliseconds since the epoch on S3's clock."""
        return int((time.monotonic() + (self._low + self._high) / 2) * 1000)

    def observe(self, sent: float, date: str, received: float) -> None:
        """Take in one answer: its Date header, and when the request went and the answer came (monotonic seconds)."""
        try:
            stamp = parsedate_to_datetime(date).timestamp()
        except ValueError:
            return
        low, high = stamp - received, stamp + 1 - sent
        with self._lock:
            slack = DRIFT * (received - self._at)
            narrowed = max(low, self._low - slack), min(high, self._high + slack)
            if not self._seen or narrowed[0] > narrowed[1]:
                narrowed = low, high  # the first answer; or S3's clock was set: start anew
            (self._low, self._high), self._at, self._seen = narrowed, received, True

    def best_moment_s(self) -> float:
        """Seconds from now at which an answer would halve the bounds: when their middle says a second begins."""
        return 1 - (time.monotonic() + (self._low + self._high) / 2) % 1

    def skew_s(self) -> float:
        """How far this machine's own clock is off S3's, seconds; positive when it is fast."""
        return time.time() - time.monotonic() - (self._low + self._high) / 2
