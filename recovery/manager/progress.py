"""How far an operation is, how fast it is, and when it will have ended, as well as that can be known beforehand."""

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from recovery.ledger.operations import Operation, OperationState
from recovery.ledger.refusals import Verb
from recovery.manager.ramp import STEP_S, STEPS

WINDOW_S = 30.0
"""A rate is that of so many seconds: shorter ones jump, and longer ones still show a pause that is over."""
LEAST_S = 1.0
"""Two readings that are closer together say nothing about a rate."""
MAX_WATCHED = 200
"""Operations whose readings are kept in this process: those that somebody looks at."""
FASTEST = max(step for step in STEPS if step is not None)
"""Messages per second in the last step that has a bound; what comes after it is at least as fast."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an operation is."""

    settled: int
    """Dead letters that are done with, in whatever way."""
    share: float
    """Of all; 0 to 1."""
    rate: float | None
    """Dead letters per second now; None if it is not known, or nothing is being done."""
    left_s: float | None
    """Seconds until it ends, if it goes on as it does; None if that is not known."""


class Meter:
    """Remembers for a short time how far operations were, to know how fast they are. Threads may share it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._seen: OrderedDict[str, deque[tuple[float, int]]] = OrderedDict()

    def progress(self, operation: Operation, now_ms: int) -> Progress:
        """How far an operation is. `now_ms`: on the ledger's clock, or near it."""
        settled = operation.total - operation.left
        share = settled / operation.total if operation.total else 1.0
        measured = self._measure(operation.id, settled)
        if operation.state is not OperationState.RUNNING or not operation.left:
            return Progress(settled, share, None, None)
        rate = _average(operation, settled, now_ms) if measured is None else measured
        return Progress(settled, share, rate, left_s(operation, rate))

    def _measure(self, name: str, settled: int) -> float | None:
        now = self._clock()
        with self._lock:
            seen = self._seen.setdefault(name, deque())
            self._seen.move_to_end(name)
            if len(self._seen) > MAX_WATCHED:
                self._seen.popitem(last=False)
            while seen and now - seen[0][0] > WINDOW_S:
                seen.popleft()
            if not seen or now - seen[-1][0] >= LEAST_S:
                seen.append((now, settled))
            at, before = seen[0]
        return (settled - before) / (now - at) if now - at >= LEAST_S else None


def left_s(operation: Operation, rate: float | None) -> float | None:
    """Seconds for what is left, at this rate; an operation that ramps up goes through its next steps first."""
    if is_ramping(operation):
        return _ramp_s(operation.left, operation.step, max(rate or 0.0, FASTEST))
    wanted = operation.options.get("rate")
    rate = rate or (float(wanted) if wanted else None)
    return operation.left / rate if rate else None


def expected_s(verb: Verb, options: Mapping[str, Any], count: int) -> float | None:
    """Seconds that a redrive of so many takes at its pace, if the queue keeps up; None where no pace is set."""
    if verb is not Verb.REDRIVE:
        return None
    if (rate := options.get("rate")) is not None:
        return count / float(rate)
    return _ramp_s(count, 0, FASTEST) if options.get("ramp") is not False else None


def is_ramping(operation: Operation) -> bool:
    """Whether it becomes faster step by step."""
    options = operation.options
    return operation.verb is Verb.REDRIVE and options.get("rate") is None and options.get("ramp") is not False


def _ramp_s(left: float, step: int, fastest: float) -> float:
    spent = 0.0
    for one in STEPS[step:]:
        here = left / (one or fastest)
        if one is None or here <= STEP_S:
            return spent + here
        spent, left = spent + STEP_S, left - one * STEP_S
    return spent + left / fastest


def _average(operation: Operation, settled: int, now_ms: int) -> float | None:
    """Of the time since it began, which is too slow where it was paused; it is used until there are two readings."""
    if operation.started_ms is None or now_ms <= operation.started_ms:
        return None
    return settled * 1000 / (now_ms - operation.started_ms) or None
