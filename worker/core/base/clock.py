"""S3's clock, which dates observations, so that workers on several hosts agree on which of two observations is later.

Every answer from S3 has a Date header with a resolution of one second. If the request was sent at a and the answer
received at b, S3's clock was in [Date, Date + 1 s) at some moment between a and b; so the offset between our clock and
S3's lies in (Date - b, Date + 1 - a). Each further answer narrows these bounds. Our clock here is the monotonic one,
which cannot be set.
"""

import threading
import time
from email.utils import parsedate_to_datetime

PRECISE_ENOUGH_S = 0.02
"""Half the width of the bounds that is aimed for at the start; an event takes far longer to reach a second worker."""
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

    @property
    def uncertainty_s(self) -> float:
        """By how many seconds the time may be wrong; infinite before the first answer."""
        return (self._high - self._low) / 2 if self._seen else float("inf")

    def now_ms(self) -> int:
        """Milliseconds since the epoch on S3's clock."""
        return int((time.monotonic() + (self._low + self._high) / 2) * 1000)

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
            slack = DRIFT * (received - self._at)
            narrowed = max(low, self._low - slack), min(high, self._high + slack)
            if not self._seen or narrowed[0] > narrowed[1]:
                narrowed = low, high  # the first answer, or S3's clock has been set: start again
            (self._low, self._high), self._at, self._seen = narrowed, received, True

    def best_moment_s(self) -> float:
        """In how many seconds an answer would halve the bounds: when a second begins according to their middle."""
        return 1 - (time.monotonic() + (self._low + self._high) / 2) % 1

    def skew_s(self) -> float:
        """By how many seconds this machine's clock differs from S3's; positive if it is fast."""
        return time.time() - time.monotonic() - (self._low + self._high) / 2
