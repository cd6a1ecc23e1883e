"""Retries with jittered waits, and how long to release a message during an outage."""

import random
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

ATTEMPTS = 3
"""Attempts in all, before a transient error is raised."""
FIRST_WAIT_S = 0.2
"""Before the second attempt, at most; before the third, twice that."""
LONGEST_WAIT_S = 3.0

SHORTEST_RELEASE_S = 60
LONGEST_RELEASE_S = 900


def retry_transient(call: Callable[[], T], *, transient: Callable[[BaseException], bool], stop: threading.Event) -> T:
    """Return the result of `call`; after a transient error, that of another attempt after a jittered wait.

    Raises the last error after three attempts, or at once where it is not transient or `stop` is set. The first attempt
    is made without tenacity, which has the others: every message makes several calls, nearly all succeed at once, and its
    bookkeeping would take 15 µs of each instead of 0.2 (measured).
    """
    try:
        return call()
    except Exception as error:
        if stop.is_set() or not transient(error):
            raise
    stop.wait(random.uniform(0, FIRST_WAIT_S))  # noqa: S311 (jitter, not a secret)
    import tenacity  # brings asyncio along, for which a command would wait that repeats nothing

    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception(transient),
        wait=tenacity.wait_random_exponential(multiplier=2 * FIRST_WAIT_S, max=LONGEST_WAIT_S),
        stop=tenacity.stop_any(tenacity.stop_after_attempt(ATTEMPTS - 1), tenacity.stop_when_event_set(stop)),
        sleep=tenacity.sleep_using_event(stop),
        reraise=True,
    )
    return retrying(call)


def prepare_retries() -> None:
    """Load what a second attempt needs: a process that waits with it until it has no descriptor left could not."""
    import tenacity  # noqa: F401


def release_delay_s(receives: int) -> int:
    """Seconds after which a message that waits for the end of an outage becomes visible again: 60 to 900, growing, jittered.

    So an outage of hours does not use up maxReceiveCount, and a fleet does not come back in one wave.
    """
    longest = min(LONGEST_RELEASE_S, 2 * SHORTEST_RELEASE_S * 2 ** max(0, receives - 1))
    return random.randint(SHORTEST_RELEASE_S, longest)  # noqa: S311 (jitter, not a secret)
