"""S3's clock, from Date headers of one second's resolution."""

import time
from datetime import UTC, datetime, timedelta, timezone
from email.utils import formatdate

import pytest

from worker.core.base.clock import JUMP_ANSWERS, MAX_AHEAD_S, S3Clock, iso_moment
from worker.core.base.events import LogEvent
from worker.core.base.logs import observe

ROUND_TRIP_S = 0.004


def answers(clock, *, offset_s, moments):
    """What an S3 whose clock is `offset_s` ahead of this machine's would answer at these monotonic moments."""
    base = time.time() - time.monotonic()
    for at in moments:
        true = at + base + offset_s
        clock.observe(at - ROUND_TRIP_S / 2, formatdate(int(true), usegmt=True), at + ROUND_TRIP_S / 2)


def error_s(clock, offset_s):
    return clock.now_ms() / 1000 - (time.time() + offset_s)


def test_one_answer_bounds_the_clock_to_a_second():
    clock = S3Clock()
    answers(clock, offset_s=0.5, moments=[time.monotonic()])
    assert abs(error_s(clock, 0.5)) < 0.6
    assert clock.uncertainty_s < 0.51


@pytest.mark.parametrize("offset_s", [600, -600, -86_400])
def test_a_machine_whose_clock_is_wrong_learns_the_time_from_a_few_answers(offset_s):
    clock, now = S3Clock(), time.monotonic()
    answers(clock, offset_s=offset_s, moments=[now + i * 0.01 for i in range(JUMP_ANSWERS)])
    assert abs(error_s(clock, offset_s)) < 0.6
    assert clock.uncertainty_s < 0.51


def test_many_answers_bound_it_to_milliseconds():
    clock = S3Clock()
    now = time.monotonic()
    answers(clock, offset_s=-7.3, moments=[now + i * 0.0101 for i in range(200)])  # a jump at first
    assert abs(error_s(clock, -7.3)) < 0.02
    assert clock.uncertainty_s < 0.02


def test_answers_at_the_best_moments_halve_the_bounds():
    clock = S3Clock()
    at = time.monotonic()
    answers(clock, offset_s=3.21, moments=[at] * JUMP_ANSWERS)
    for _ in range(6):
        at += 1 + (time.monotonic() + clock.best_moment_s() - at) % 1
        answers(clock, offset_s=3.21, moments=[at])
    assert clock.uncertainty_s < 0.02


def test_a_clock_that_was_set_is_found_again():
    clock = S3Clock()
    now = time.monotonic()
    answers(clock, offset_s=0, moments=[now + i * 0.01 for i in range(120)])
    events = []
    end = observe(lambda event, fields: events.append((event, fields)))
    answers(clock, offset_s=700, moments=[now + 2 + i * 0.01 for i in range(JUMP_ANSWERS)])
    end()
    assert abs(error_s(clock, 700)) < 0.6
    [(event, fields)] = events
    assert event == LogEvent.CLOCK_JUMPED
    assert fields["seconds"] == pytest.approx(700, abs=1)


def test_answers_that_disagree_with_one_another_set_no_clock():
    clock, now = S3Clock(), time.monotonic()
    answers(clock, offset_s=0, moments=[now + i * 0.01 for i in range(120)])
    for number in range(9):
        answers(clock, offset_s=3600 * (1 + number % 3), moments=[now + 2 + number / 100])
    assert abs(error_s(clock, 0)) < 0.1


def test_one_good_answer_in_between_ends_a_jump_that_was_not_yet_believed():
    clock, now = S3Clock(), time.monotonic()
    answers(clock, offset_s=0, moments=[now])
    for number in range(4):
        answers(clock, offset_s=600, moments=[now + number / 10] * (JUMP_ANSWERS - 1))
        answers(clock, offset_s=0, moments=[now + number / 10 + 0.05])
    assert abs(error_s(clock, 0)) < 0.6


def test_no_time_is_far_ahead_of_this_machine_s_own():
    clock, now = S3Clock(), time.monotonic()
    answers(clock, offset_s=86_400, moments=[now + i * 0.01 for i in range(9)])
    assert error_s(clock, MAX_AHEAD_S) == pytest.approx(0, abs=0.5)


def test_a_date_that_is_none_is_ignored():
    clock = S3Clock()
    clock.observe(1.0, "yesterday", 2.0)
    assert clock.uncertainty_s == float("inf")


@pytest.mark.parametrize(
    ("said", "moment"),
    [
        ("2026-11-29T17:43:00.123Z", datetime(2026, 11, 29, 17, 43, 0, 123_000, tzinfo=UTC)),
        ("2026-11-29T17:43:00Z", datetime(2026, 11, 29, 17, 43, tzinfo=UTC)),
        ("2026-11-29T17:43:00+09:00", datetime(2026, 11, 29, 17, 43, tzinfo=timezone(timedelta(hours=9)))),
        ("2026-11-29T17:43:00", None),
        ("Sun, 29 Nov 2026 17:43:00 GMT", None),
        ("20261129", None),
        ("1795974180", None),
        (1_795_974_180.5, None),
        ("", None),
        (None, None),
    ],
)
def test_a_time_without_its_offset_or_in_another_format_is_no_iso_moment(said, moment):
    assert iso_moment(said) == moment
