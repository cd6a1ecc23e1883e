"""Wait for a condition; if it does not become true, the error says which."""

import time
from collections.abc import Callable
from typing import TypeVar

POLL_INTERVAL_S = 0.05

T = TypeVar("T")


def wait_until(predicate: Callable[[], T], timeout_s: float, what: str) -> T:
    """Return the predicate's first true answer. Raises AssertionError, with `what` and the last answer, at the timeout."""
    deadline = time.monotonic() + timeout_s
    while True:
        answer = predicate()
        if answer:
            return answer
        if time.monotonic() >= deadline:
            raise AssertionError(f"after {timeout_s:g} s still waiting for: {what} (last answer: {answer!r})")
        time.sleep(POLL_INTERVAL_S)
