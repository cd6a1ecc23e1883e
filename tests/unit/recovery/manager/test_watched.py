"""Facts: shared, bounded in time, and unknown instead of an error."""

import threading
import time

import pytest

from recovery.manager import watched
from recovery.manager.watched import Fact, Watched
from worker.core.base.errors import StoreError


class Source:
    """Returns 1, 2, 3, …; or waits for `release`, or fails."""

    def __init__(self):
        self.calls = 0
        self.error = None
        self.release = threading.Event()
        self.release.set()

    def __call__(self):
        self.calls += 1
        mine = self.calls
        self.release.wait(10)
        if self.error is not None:
            raise self.error
        return mine


@pytest.fixture
def source():
    made = Source()
    yield made
    made.release.set()


def test_a_fresh_fact_is_read_once_for_everybody(source):
    fact = Watched("x", source)
    found = [fact.get() for _ in range(20)]
    assert source.calls == 1
    assert {one.value for one in found} == {1}
    assert all(one.is_known and one.now == 1 for one in found)


def test_a_fact_that_is_a_little_old_is_shown_while_it_is_read_again(source):
    fact = Watched("x", source, fresh_s=0)
    assert fact.get().value == 1
    source.release.clear()
    assert fact.get().value == 1
    source.release.set()
    _until(lambda: fact.get().value != 1)


def test_an_old_fact_is_waited_for(source, monkeypatch):
    fact = Watched("x", source, fresh_s=0)
    fact.get()
    monkeypatch.setattr(watched, "STALE_S", -1.0)
    assert fact.get().value == 2


def test_what_does_not_answer_is_unknown_after_the_patience_and_nobody_waits_again(source, monkeypatch):
    monkeypatch.setattr(watched, "PATIENCE_S", 0.1)
    source.release.clear()
    fact = Watched("x", source)
    first = fact.get()
    assert (first.is_known, first.now, first.why) == (False, None, "no answer within 0.1 s")
    began = time.monotonic()
    assert fact.get() == first
    assert time.monotonic() - began < 0.05
    assert source.calls == 1
    source.release.set()
    _until(lambda: fact.get() == Fact(1, fact.get().at_ms))


def test_a_failure_says_why_since_when_and_what_it_was_last(source):
    fact = Watched("x", source, fresh_s=0)
    before = fact.get()
    source.error = StoreError("denied", code="AccessDenied")
    _until(lambda: not fact.get().is_known)
    found = fact.get()
    assert (found.why, found.value, found.at_ms, found.now) == ("denied", 1, before.at_ms, None)
    assert found.unknown_since_ms >= before.at_ms
    source.error = None
    _until(lambda: fact.get().is_known)


def test_a_bug_in_a_reading_is_reported_and_is_no_error_of_whoever_looks(source, capsys):
    source.error = KeyError("oops")
    assert Watched("x", source).get().why == "KeyError: 'oops'"


def test_what_was_changed_is_read_again_although_a_reading_was_under_way(source):
    source.release.clear()
    fact = Watched("x", source)
    fact.begin()
    _until(lambda: source.calls == 1)
    fact.forget()
    source.release.set()
    assert fact.get().value == 2
    fact.forget()
    assert fact.get().value == 3


def _until(holds):
    end = time.monotonic() + 5
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.005)
