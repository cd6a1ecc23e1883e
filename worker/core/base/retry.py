"""Trying again, and knowing when not to."""

import random
import threading
from collections.abc import Callable
from typing import TypeVar

from tenacity import (
    Retrying,
    retry_if_exception,
    sleep_using_event,
    stop_after_attempt,
    stop_any,
    stop_when_event_set,
    wait_random_exponential,
)

T = TypeVar("T")

ATTEMPTS = 3
"""Calls in all, before what fails in passing is given back."""
FIRST_WAIT_S = 0.2
LONGEST_WAIT_S = 3.0

SHORTEST_RELEASE_S = 60
LONGEST_RELEASE_S = 900


def retry_transient(call: Callable[[], T], *, transient: Callable[[BaseException], bool], stop: threading.Event) -> T:
    """The call's result, trying again with jittered backoff while it fails in passing.

    Raises the last error after three attempts, or at once where it is not a passing one or `stop` is set. The first
    attempt is made bare: every message makes several, and tenacity's bookkeeping costs ten times the call around it.
    """
    try:
        return call()
    except Exception as error:
        if not transient(error):
            raise
        failed = [error]

    def again() -> T:
        if failed:
            raise failed.pop()  # what tenacity takes for the first attempt
        return call()

    retrying = Retrying(
        retry=retry_if_exception(transient),
        wait=wait_random_exponential(multiplier=FIRST_WAIT_S, max=LONGEST_WAIT_S),
        stop=stop_any(stop_after_attempt(ATTEMPTS), stop_when_event_set(stop)),
        sleep=sleep_using_event(stop),
        reraise=True,
    )
    return retrying(again)


def release_delay_s(receives: int) -> int:
    """Seconds to hide a message that waits for an outage to end: 60 to 900, longer each time, jittered.

    So an outage of hours does not use up maxReceiveCount, and a fleet does not come back in one wave.
    """
    longest = min(LONGEST_RELEASE_S, 2 * SHORTEST_RELEASE_S * 2 ** max(0, receives - 1))
    return random.randint(SHORTEST_RELEASE_S, longest)  # noqa: S311 (jitter, not a secret)
