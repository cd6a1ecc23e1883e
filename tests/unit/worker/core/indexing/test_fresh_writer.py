"""The age rule: what is sent, what is trusted, and how a repeated attempt treats observations that have aged meanwhile."""

import threading

import pytest

from worker.core.base.clock import S3Clock
from worker.core.base.errors import IndexUnavailableError
from worker.core.base.throttle import Throttle
from worker.core.index import WriteResult, WriteStatus
from worker.core.index.document import Write
from worker.core.indexing.fresh_writer import (
    MAX_OBSERVATION_AGE_MS,
    MAX_WRITE_AGE_MS,
    UNAVAILABLE_TOGETHER,
    FreshWriter,
    is_fresh,
)

NOW_MS = 1_795_000_000_000
WRITTEN, SUPERSEDED, REJECTED, UNAVAILABLE, STALE = (
    WriteStatus.WRITTEN, WriteStatus.SUPERSEDED, WriteStatus.REJECTED, WriteStatus.UNAVAILABLE, WriteStatus.STALE,
)  # fmt: skip
DOWN = IndexUnavailableError("down")


class Clock(S3Clock):
    """Shows the same time until a test changes it."""

    ms = NOW_MS

    def now_ms(self):
        return self.ms


class SlowIndex:
    """Answers each request with a status for each key, or an error, after some time on its clock."""

    def __init__(self, *answers, took_ms=0, **statuses):
        self.clock, self.took_ms = Clock(), took_ms
        self.answers, self.statuses = list(answers), statuses
        self.sent = []
        self.writer = FreshWriter(self.clock, self.send, Throttle("index"))

    def send(self, writes):
        self.sent.append([write.key for write in writes])
        self.clock.ms += self.took_ms
        answer = self.answers.pop(0) if self.answers else None
        if isinstance(answer, Exception):
            raise answer
        return [WriteResult(answer or self.statuses.get(write.key, WRITTEN), "429") for write in writes]

    def write(self, **ages_ms):
        return [result.status for result in self.writer.write(writes(**ages_ms))]

    def write_or_fail(self, **ages_ms):
        found = self.writer.write_or_fail(writes(**ages_ms), stop=threading.Event())
        return [result.status for result in found]


def writes(**ages_ms):
    return [Write("b", key, NOW_MS - age_ms, "e", b"{}") for key, age_ms in ages_ms.items()]


# -- one attempt -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("age_ms", "fresh"),
    [(-5_000, True), (0, True), (MAX_OBSERVATION_AGE_MS, True), (MAX_OBSERVATION_AGE_MS + 1, False)],
)
def test_an_observation_is_written_up_to_30_seconds_after_it_and_no_later(age_ms, fresh):
    index = SlowIndex()
    assert index.write(a=age_ms) == [WRITTEN if fresh else STALE]
    assert index.sent == ([["a"]] if fresh else [])
    assert is_fresh(NOW_MS - age_ms, now_ms=NOW_MS) is fresh


def test_what_is_stale_is_left_out_of_the_request_and_each_write_keeps_its_place():
    index = SlowIndex(c=REJECTED, e=UNAVAILABLE)
    old_ms = MAX_OBSERVATION_AGE_MS + 1
    assert index.write(a=old_ms, b=0, c=0, d=old_ms, e=0) == [STALE, WRITTEN, REJECTED, STALE, UNAVAILABLE]
    assert index.sent == [["b", "c", "e"]]


def test_the_reason_says_whether_it_was_sent():
    old, late = SlowIndex(), SlowIndex(took_ms=MAX_WRITE_AGE_MS + 1)
    [not_sent] = old.writer.write(writes(a=MAX_OBSERVATION_AGE_MS + 1))
    [too_late] = late.writer.write(writes(a=0))
    assert "too old to be written" in not_sent.reason
    assert "confirmed too late" in too_late.reason


@pytest.mark.parametrize(("took_ms", "status"), [(MAX_WRITE_AGE_MS, WRITTEN), (MAX_WRITE_AGE_MS + 1, STALE)])
def test_a_write_is_trusted_if_it_is_confirmed_55_seconds_after_its_observation_and_no_later(took_ms, status):
    assert SlowIndex(took_ms=took_ms).write(a=0) == [status]


def test_a_process_frozen_between_observation_and_answer_distrusts_only_what_became_too_old():
    """After 26 s of standing still, the older observation is past 55 s and the newer one is not."""
    index = SlowIndex(took_ms=26_000)
    assert index.write(old=29_500, new=1_000) == [STALE, WRITTEN]


def test_only_what_was_written_can_be_too_late_to_be_trusted():
    """A later observation in the index is a success however late the answer; what was not taken was not written."""
    index = SlowIndex(took_ms=MAX_WRITE_AGE_MS + 1, a=SUPERSEDED, b=REJECTED, c=UNAVAILABLE)
    assert index.write(a=0, b=0, c=0) == [SUPERSEDED, REJECTED, UNAVAILABLE]


def test_a_failed_request_is_raised_as_it_is():
    with pytest.raises(IndexUnavailableError, match="down"):
        SlowIndex(DOWN).write(a=0)


def test_an_answer_of_another_length_is_an_error():
    writer = FreshWriter(Clock(), lambda sent: [WriteResult(WRITTEN)] * (len(sent) - 1), Throttle("index"))
    with pytest.raises(ValueError, match="shorter"):
        writer.write(writes(a=0, b=0))


# -- bounded runs ------------------------------------------------------------------------------------------------


def test_an_attempt_made_again_leaves_out_what_became_stale_meanwhile():
    index = SlowIndex(DOWN, took_ms=20_000)
    assert index.write_or_fail(old=15_000, new=0) == [STALE, WRITTEN]
    assert index.sent == [["old", "new"], ["new"]]


def test_an_index_that_answers_only_when_nothing_is_fresh_any_more_is_unavailable_and_not_asked_again():
    index = SlowIndex(DOWN, took_ms=MAX_OBSERVATION_AGE_MS + 1)
    with pytest.raises(IndexUnavailableError, match="too long to answer"):
        index.write_or_fail(a=0, b=0)
    assert index.sent == [["a", "b"]]


def test_what_is_stale_from_the_start_is_no_fault_of_the_index():
    index = SlowIndex()
    assert index.write_or_fail(a=MAX_OBSERVATION_AGE_MS + 1) == [STALE]
    assert index.sent == []


def test_three_failed_attempts_are_an_unavailable_index():
    index = SlowIndex(DOWN, DOWN, DOWN)
    with pytest.raises(IndexUnavailableError, match="down"):
        index.write_or_fail(a=0)
    assert len(index.sent) == 3


def test_an_index_that_takes_none_of_many_is_unavailable_and_asked_three_times():
    many = {f"k{number}": 0 for number in range(UNAVAILABLE_TOGETHER)}
    index = SlowIndex(*[UNAVAILABLE] * 3)
    with pytest.raises(IndexUnavailableError, match="429"):
        index.write_or_fail(**many, stale=MAX_OBSERVATION_AGE_MS + 1)
    assert len(index.sent) == 3


def test_a_few_that_are_not_taken_do_not_make_the_index_unavailable():
    few = {f"k{number}": 0 for number in range(UNAVAILABLE_TOGETHER - 1)}
    assert set(SlowIndex(UNAVAILABLE).write_or_fail(**few)) == {UNAVAILABLE}


def test_one_that_is_taken_shows_that_the_index_is_available():
    many = {f"k{number}": 0 for number in range(UNAVAILABLE_TOGETHER)}
    index = SlowIndex(**dict.fromkeys(many, UNAVAILABLE))
    assert index.write_or_fail(**many, taken=0)[-1] is WRITTEN
    assert len(index.sent) == 1


def test_a_stopped_run_makes_no_second_attempt():
    index, stop = SlowIndex(DOWN), threading.Event()
    stop.set()
    with pytest.raises(IndexUnavailableError):
        index.writer.write_or_fail(writes(a=0), stop=stop)
    assert len(index.sent) == 1
