"""S3's clock, from Date headers of one second's resolution."""

import time
from email.utils import formatdate

from worker.core.base.clock import S3Clock

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
    answers(clock, offset_s=600, moments=[time.monotonic()])
    assert abs(error_s(clock, 600)) < 0.6
    assert clock.uncertainty_s < 0.51


def test_many_answers_bound_it_to_milliseconds():
    clock = S3Clock()
    now = time.monotonic()
    answers(clock, offset_s=-7.3, moments=[now + i * 0.0101 for i in range(200)])
    assert abs(error_s(clock, -7.3)) < 0.02
    assert clock.uncertainty_s < 0.02


def test_answers_at_the_best_moments_halve_the_bounds():
    clock = S3Clock()
    at = time.monotonic()
    answers(clock, offset_s=3.21, moments=[at])
    for _ in range(6):
        at += 1 + (time.monotonic() + clock.best_moment_s() - at) % 1
        answers(clock, offset_s=3.21, moments=[at])
    assert clock.uncertainty_s < 0.02


def test_a_clock_that_was_set_is_found_again():
    clock = S3Clock()
    now = time.monotonic()
    answers(clock, offset_s=0, moments=[now + i * 0.01 for i in range(120)])
    answers(clock, offset_s=3600, moments=[now + 2])
    assert abs(error_s(clock, 3600)) < 0.6


def test_a_date_that_is_none_is_ignored():
    clock = S3Clock()
    clock.observe(1.0, "yesterday", 2.0)
    assert clock.uncertainty_s == float("inf")
