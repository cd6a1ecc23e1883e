"""Adaptive limits on what this process sends to S3, SQS and the index: a service that refuses for the rate gets fewer requests.

Nothing is limited until a service refuses (429, SlowDown). Then the rate at which it was asked is halved; each further refusal
lowers it by a tenth, at most every half second, as those that come together have one cause. It is raised by 1% a second, and
faster the longer there is no refusal, so it stays just below what the service allows. An outage, in which everything is refused,
is forgotten within a quarter of a minute.
"""

import threading
import time
from typing import Any

from worker.core.base.events import LogEvent
from worker.core.base.logs import emit

FIRST_CUT, CUT = 0.5, 0.9
CUT_EVERY_S = 0.5
GROWTH = 0.01
"""The part by which the rate is raised per second, at first."""
QUICK_GROWTH = 0.2
"""The same at most, and while the rate is far below what was refused last."""
FAR_BELOW = 0.85
AS_GOOD_AS_ALL = 2.0
"""A service that refused so many times the lowest rate refused everything: that was an outage, of which nothing is learnt."""
DOUBLING_S = 15.0
"""Seconds without a refusal after which it is raised twice as fast."""
LOWEST = 5.0
"""Tokens a second: however much a service refuses, the calls that keep messages hidden go on."""
FORGOTTEN = 10.0
"""The limit ends once it is so many times what was refused last."""
WINDOW_S = 1.0
LONGEST_WAIT_S = 10.0
"""How long one call waits at most, whatever it is about to use: no thread may seem to hang, and a worker can stop."""

THROTTLED = frozenset({
    "SlowDown", "429", "Throttling", "ThrottlingException", "ThrottledException", "RequestThrottled", "TooManyRequests",
    "RequestThrottledException", "RequestLimitExceeded", "BandwidthLimitExceeded", "TooManyRequestsException",
})  # fmt: skip
"""Error codes with which AWS's services refuse for the rate."""
_SIGNS = ("SlowDown", "429 Too Many Requests")
"""The same in the messages of obstore, which tells no codes."""


class Throttle:
    """The limit on one service. May be used from any thread."""

    def __init__(self, service: str) -> None:
        self._service = service
        self._lock = threading.Lock()
        self._rate: float | None = None
        self._next_at = 0.0
        self._raised_at = self._cut_at = self._refused_at = 0.0
        self._refused_rate = 0.0
        self._window_at, self._count, self._measured = 0.0, 0, 0.0

    @property
    def rate(self) -> float | None:
        """Tokens a second; None while nothing is limited."""
        return self._rate

    def wait(self, count: int = 1) -> None:
        """Wait until `count` tokens may be used: requests to S3 and SQS, documents for the index."""
        now = time.monotonic()
        delay_s = self.turn(now, count) - now
        if delay_s > 0:
            time.sleep(min(delay_s, LONGEST_WAIT_S))

    def turn(self, now: float, count: int = 1) -> float:
        """Use tokens; returns when, in monotonic seconds."""
        with self._lock:
            self._measure(now, count)
            lifted = self._raise(now)
            if self._rate is None:
                turn = now
            else:
                turn = max(self._next_at, now)
                self._next_at = turn + count / self._rate
        if lifted:
            emit(LogEvent.THROTTLE_LIFTED, service=self._service)
        return turn

    def refused(self, now: float | None = None) -> None:
        """Take into account that the service has refused a request because there are too many."""
        now = time.monotonic() if now is None else now
        with self._lock:
            is_first = self._rate is None
            before = self._measured_now(now) if self._rate is None else self._rate
            if is_first or now - self._cut_at >= CUT_EVERY_S:
                self._rate = max(LOWEST, before * (FIRST_CUT if is_first else CUT))
                self._cut_at, self._refused_rate = now, max(LOWEST, before)
            self._refused_at = self._raised_at = now
            rate = self._rate
        if is_first:
            emit(LogEvent.THROTTLE_LIMITED, "warning", service=self._service, per_second=round(rate or 0.0, 1))

    def _raise(self, now: float) -> bool:
        """Raise the rate for the time that has passed; whether the limit has ended by that."""
        if self._rate is None:
            return False
        growth = min(QUICK_GROWTH, GROWTH * 2 ** ((now - self._refused_at) / DOUBLING_S))
        if self._rate < FAR_BELOW * self._refused_rate or self._refused_rate <= AS_GOOD_AS_ALL * LOWEST:
            growth = QUICK_GROWTH
        self._rate *= (1 + growth) ** (now - self._raised_at)
        self._raised_at = now
        if self._rate > FORGOTTEN * self._refused_rate:
            self._rate = None
        return self._rate is None

    def _measure(self, now: float, count: int) -> None:
        """Count what is sent, to know the rate that was too much."""
        if now - self._window_at >= WINDOW_S:
            self._measured = self._count / (now - self._window_at)
            self._window_at, self._count = now, 0
        self._count += count

    def _measured_now(self, now: float) -> float:
        """Tokens a second, in this second or in the last."""
        return max(self._measured, self._count / max(now - self._window_at, WINDOW_S / 10))


def says_too_many(message: str) -> bool:
    """Whether an error of obstore is a refusal because of the rate."""
    return any(sign in message for sign in _SIGNS)


def watch(client: Any, throttle: Throttle) -> None:
    """Have every attempt of a boto3 client wait for the throttle, and every refusal for the rate lower it."""

    def before(**_: Any) -> None:
        throttle.wait()

    def after(parsed_response: Any = None, **_: Any) -> None:
        if isinstance(parsed_response, dict) and parsed_response.get("Error", {}).get("Code") in THROTTLED:
            throttle.refused()

    service = client.meta.service_model.service_id.hyphenize()
    client.meta.events.register(f"before-send.{service}", before)
    client.meta.events.register(f"response-received.{service}", after)


class Throttles:
    """The limits of one process."""

    def __init__(self) -> None:
        self.s3, self.sqs, self.index = Throttle("s3"), Throttle("sqs"), Throttle("index")

    def limited(self) -> dict[str, float]:
        """The rate of each service that is limited now."""
        by_name = {"s3": self.s3.rate, "sqs": self.sqs.rate, "index": self.index.rate}
        return {name: rate for name, rate in by_name.items() if rate is not None}
