"""How fast an operation is, and when it will have ended."""

from dataclasses import replace

import pytest

from recovery.ledger.operations import Operation, OperationState
from recovery.ledger.refusals import Verb
from recovery.manager.progress import Meter, expected_s, left_s

RUNNING = Operation(
    "o", "p", Verb.ABANDON, {}, "ana", OperationState.RUNNING, created_ms=0, started_ms=1_000, changed_ms=0, ended_ms=None,
    total=1_000, done=80, failed=10, skipped=10, twice=0, skips={}, step=0, error="", query="",
)  # fmt: skip


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_the_rate_is_that_of_the_last_seconds_and_not_of_a_pause_before() -> None:
    clock = Clock()
    meter = Meter(clock)
    first = meter.progress(RUNNING, 11_000)
    assert (first.settled, first.share, first.rate, first.left_s) == (100, 0.1, 10.0, 90.0)
    clock.now += 3_600
    assert meter.progress(RUNNING, 3_611_000).rate == pytest.approx(100 / 3_610)
    clock.now += 10
    then = meter.progress(replace(RUNNING, done=480), 3_621_000)
    assert (then.rate, then.left_s) == (40.0, 12.5)
    clock.now += 0.1
    assert meter.progress(replace(RUNNING, done=480), 3_621_100).rate == pytest.approx(400 / 10.1)


@pytest.mark.parametrize("state", [one for one in OperationState if one is not OperationState.RUNNING])
def test_what_does_not_run_has_no_rate(state: OperationState) -> None:
    found = Meter().progress(replace(RUNNING, state=state), 11_000)
    assert (found.share, found.rate, found.left_s) == (0.1, None, None)


def test_an_empty_operation_is_complete() -> None:
    empty = replace(RUNNING, total=0, done=0, failed=0, skipped=0)
    assert Meter().progress(empty, 11_000).share == 1.0


def test_nothing_is_promised_of_what_has_not_begun() -> None:
    fresh = replace(RUNNING, done=0, failed=0, skipped=0)
    found = Meter().progress(fresh, 1_000)
    assert (found.rate, found.left_s) == (None, None)
    assert left_s(replace(fresh, options={"rate": 50}), None) == 20.0


@pytest.mark.parametrize(
    ("left", "step", "rate", "expected"),
    [(5, 0, 1.0, 5.0), (15, 0, 1.0, 10.0), (4_000, 0, 1.0, 50.3), (4_000, 8, 400.0, 10.0), (4_000, 8, 100.0, 40.0)],
)
def test_a_redrive_that_ramps_up_will_be_faster_than_it_is(left: int, step: int, rate: float, expected: float) -> None:
    ramping = replace(
        RUNNING, verb=Verb.REDRIVE, total=left, done=0, failed=0, skipped=0, step=step, options={"force": True}
    )
    assert left_s(ramping, rate) == pytest.approx(expected)
    fixed = replace(ramping, options={"ramp": False})
    assert left_s(fixed, rate) == pytest.approx(left / rate)


RAMPING = replace(RUNNING, verb=Verb.REDRIVE, done=0, failed=0, skipped=0, total=10_000)


def seen_at(step: int, settled: int) -> Operation:
    return replace(RAMPING, step=step, done=settled)


def test_a_step_that_reaches_its_bound_promises_the_next_ones() -> None:
    clock = Clock()
    meter = Meter(clock)
    meter.progress(seen_at(4, 100), 11_000)
    clock.now += 3
    found = meter.progress(seen_at(4, 160), 14_000)
    assert (found.rate, found.becomes_faster) == (20.0, True)
    assert found.left_s == pytest.approx(20 + (9_840 - 5 * 370) / 200)
    clock.now += 1
    first_of_next = meter.progress(seen_at(5, 200), 15_000)
    assert (first_of_next.rate, first_of_next.becomes_faster) == (20.0, True)
    clock.now += 3
    assert meter.progress(seen_at(5, 347), 18_000).rate == 49.0


def test_a_step_that_stays_below_its_bound_promises_no_more_than_it_does() -> None:
    clock = Clock()
    meter = Meter(clock)
    meter.progress(seen_at(6, 1_000), 11_000)
    clock.now += 4
    found = meter.progress(seen_at(6, 1_080), 15_000)
    assert (found.rate, found.left_s, found.becomes_faster) == (20.0, 8_920 / 20, False)
    clock.now += 4
    stands_still = meter.progress(seen_at(7, 1_080), 19_000)
    assert (stands_still.rate, stands_still.becomes_faster) == (20.0, False)
    clock.now += 4
    stands_still = meter.progress(seen_at(7, 1_080), 23_000)
    assert (stands_still.rate, stands_still.left_s) == (0.0, None)


def test_the_last_step_is_as_fast_as_it_was_measured() -> None:
    clock = Clock()
    meter = Meter(clock)
    meter.progress(seen_at(8, 1_000), 11_000)
    clock.now += 10
    found = meter.progress(seen_at(8, 1_400), 21_000)
    assert (found.rate, found.left_s, found.becomes_faster) == (40.0, 215.0, False)


def test_what_stands_still_is_given_no_end() -> None:
    clock = Clock()
    meter = Meter(clock)
    stuck = replace(RUNNING, options={"rate": 50})
    meter.progress(stuck, 11_000)
    clock.now += 10
    assert (meter.progress(stuck, 21_000).rate, meter.progress(stuck, 21_000).left_s) == (0.0, None)


def test_a_short_pause_does_not_slow_what_comes_after() -> None:
    clock = Clock()
    meter = Meter(clock)
    meter.progress(RUNNING, 11_000)
    clock.now += 10
    meter.progress(replace(RUNNING, state=OperationState.PAUSED), 21_000)
    meter.progress(RUNNING, 21_000)
    clock.now += 10
    assert meter.progress(replace(RUNNING, done=180), 31_000).rate == 10.0


def test_the_readings_of_few_operations_are_kept() -> None:
    meter = Meter()
    for number in range(1_000):
        meter.progress(replace(RUNNING, id=str(number)), 11_000)
    assert len(meter._seen) == 200


@pytest.mark.parametrize(
    ("verb", "options", "expected"),
    [
        (Verb.REDRIVE, {}, 50.3),
        (Verb.REDRIVE, {"rate": 8.0}, 500.0),
        (Verb.REDRIVE, {"ramp": False}, None),
        (Verb.REDRIVE, {"ramp": False, "rate": 8.0}, 500.0),
        (Verb.ABANDON, {}, None),
    ],
)
def test_how_long_a_plan_takes_follows_from_its_pace(
    verb: Verb, options: dict[str, object], expected: float | None
) -> None:
    assert expected_s(verb, options, 4_000) == (None if expected is None else pytest.approx(expected))
