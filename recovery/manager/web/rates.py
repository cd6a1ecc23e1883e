"""How often somebody may ask, and how often they may fail to say who they are."""

import math
import time

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter

FAILURES_PER_MINUTE = 10
"""Of sign-ins that fail, or are begun, from one address. Nobody guesses 256 bits; this keeps the log and the provider quiet."""


class Rates:
    """Counts in this process, by principal or by address; threads may share it."""

    def __init__(self, per_minute: int) -> None:
        """`per_minute`: requests of one principal, or of one address where nobody is asked who they are."""
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._requests = RateLimitItemPerMinute(per_minute)
        self._failures = RateLimitItemPerMinute(FAILURES_PER_MINUTE)

    def request(self, who: str) -> int | None:
        """Count a request. None if it may be answered, else the seconds after which the next one may be."""
        return self._count(self._requests, "request", who)

    def failure(self, peer: str) -> int | None:
        """Count a sign-in that failed, or began, in the same way."""
        return self._count(self._failures, "failure", peer)

    def _count(self, item: RateLimitItemPerMinute, what: str, who: str) -> int | None:
        if self._limiter.hit(item, what, who):
            return None
        reset = self._limiter.get_window_stats(item, what, who).reset_time
        return max(1, math.ceil(reset - time.time()))
