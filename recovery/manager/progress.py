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
LEAST_S = 2.0
"""Two readings that are closer together say nothing about a rate: a slow step sends what is due once a second."""
KEEPS_UP = 0.5
"""A step that reaches less than this share of its bound is as fast as it goes: the next one is no faster."""
MAX_WATCHED = 200
"""Operations whose readings are kept in this process: those that somebody looks at."""
FASTEST = max(step for step in STEPS if step is not None)
"""Messages per second in the last step that has a bound; what comes after it is taken to be as fast until it is measured."""
LAST_STEP = len(STEPS) - 1


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
    """Seconds until it ends, if it goes on as it does; None if that is not known, or nothing moves."""
    becomes_faster: bool = False
    """Whether it will be faster than it is."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast an operation was found to be."""

    rate: float
    """Dead letters per second."""
    keeps_up: bool
    """Whether it is about as fast as its step allows."""


@dataclass(slots=True)
class _Readings:
    """Of one operation, in the step in which it is: those of a slower step say nothing about this one."""

    step: int
    taken: deque[tuple[float, int]]
    """When, and how many were settled; the oldest first."""
    pace: Pace | None = None
    """The last one that was found, which may be that of the step before."""


class Meter:
    """Remembers for a short time how far operations were, to know how fast they are. Threads may share it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._seen: OrderedDict[str, _Readings] = OrderedDict()

    def progress(self, operation: Operation, now_ms: int) -> Progress:
        """How far an operation is. `now_ms`: on the ledger's clock, or near it."""
        settled = operation.total - operation.left
        share = settled / operation.total if operation.total else 1.0
        if operation.state is not OperationState.RUNNING or not operation.left:
            self._forget(operation.id)
            return Progress(settled, share, None, None)
        pace = self._measure(operation, settled)
        rate = _average(operation, settled, now_ms) if pace is None else pace.rate
        keeps_up = pace is None or pace.keeps_up
        left = left_s(operation, rate, keeps_up=keeps_up)
        return Progress(settled, share, rate, left, becomes_faster=keeps_up and is_ramping(operation))

    def _forget(self, name: str) -> None:
        """A pause is no part of a rate."""
        with self._lock:
            self._seen.pop(name, None)

    def _measure(self, operation: Operation, settled: int) -> Pace | None:
        now, step = self._clock(), operation.step
        with self._lock:
            seen = self._seen.setdefault(operation.id, _Readings(step, deque()))
            self._seen.move_to_end(operation.id)
            if len(self._seen) > MAX_WATCHED:
                self._seen.popitem(last=False)
            if seen.step != step:
                seen.step = step
                seen.taken.clear()
            while seen.taken and now - seen.taken[0][0] > WINDOW_S:
                seen.taken.popleft()
            if not seen.taken or now - seen.taken[-1][0] >= LEAST_S:
                seen.taken.append((now, settled))
            at, before = seen.taken[0]
            if now - at >= LEAST_S:
                rate = (settled - before) / (now - at)
                seen.pace = Pace(rate, keeps_up=not is_ramping(operation) or rate >= KEEPS_UP * (STEPS[step] or 0))
            return seen.pace


def left_s(operation: Operation, rate: float | None, *, keeps_up: bool = True) -> float | None:
    """Seconds for what is left, at this rate; an operation that ramps up, and keeps up, goes through its next steps first."""
    if is_ramping(operation) and keeps_up:
        return _ramp_s(operation.left, operation.step)
    if rate is None and (wanted := operation.options.get("rate")):
        rate = float(wanted)
    return operation.left / rate if rate else None


def expected_s(verb: Verb, options: Mapping[str, Any], count: int) -> float | None:
    """Seconds that a redrive of so many takes at its pace, if the queue keeps up; None where no pace is set."""
    if verb is not Verb.REDRIVE:
        return None
    if (rate := options.get("rate")) is not None:
        return count / float(rate)
    return _ramp_s(count, 0) if options.get("ramp") is not False else None


def is_ramping(operation: Operation) -> bool:
    """Whether it becomes faster step by step, and has not come to the last one."""
    options = operation.options
    ramps = operation.verb is Verb.REDRIVE and options.get("rate") is None and options.get("ramp") is not False
    return ramps and operation.step < LAST_STEP


def _ramp_s(left: float, step: int) -> float:
    """Seconds for so many from a step on, if each reaches its bound."""
    spent = 0.0
    for one in STEPS[step:]:
        here = left / (one or FASTEST)
        if one is None or here <= STEP_S:
            return spent + here
        spent, left = spent + STEP_S, left - one * STEP_S
    return spent + left / FASTEST


def _average(operation: Operation, settled: int, now_ms: int) -> float | None:
    """Of the time since it began, which is too slow where it was paused; it is used until there are two readings."""
    if operation.started_ms is None or now_ms <= operation.started_ms:
        return None
    return settled * 1000 / (now_ms - operation.started_ms) or None
