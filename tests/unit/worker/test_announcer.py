"""A worker's record is written at once, after changes and at the end; a state bucket that refuses disturbs nothing."""

import threading
import time
from collections.abc import Callable
from contextlib import contextmanager

import pytest

from testing.fakes import Fakes
from testing.memory import DOWN, NOW_MS
from worker import announcer
from worker.announcer import Announcer
from worker.core.base.errors import StoreError
from worker.core.base.events import LogEvent
from worker.core.base.logs import observe
from worker.core.s3.workers import FORGOTTEN_MS, WorkerRecord, WorkerState, read_workers, write_worker


@pytest.fixture
def hurried(monkeypatch):
    monkeypatch.setattr(announcer, "MIN_GAP_S", 0.02)
    monkeypatch.setattr(announcer, "INTERVAL_S", 0.05)


class Worker:
    """What the announcer asks: its state is the test's."""

    def __init__(self) -> None:
        self.state = WorkerState.SERVING
        self.asked = 0

    def record(self) -> WorkerRecord:
        self.asked += 1
        return WorkerRecord("w", self.state, written_at_ms=NOW_MS)


def eventually(holds: Callable[[], object]) -> None:
    end = time.monotonic() + 5
    while not holds() and time.monotonic() < end:
        time.sleep(0.01)
    assert holds()


def stored(fakes: Fakes) -> str:
    return next((one.state for one in read_workers(fakes.state, NOW_MS)), "")


@contextmanager
def events():
    seen: list[tuple[LogEvent, object]] = []
    end = observe(lambda event, fields: seen.append((event, fields.get("code"))))
    try:
        yield seen
    finally:
        end()


def test_the_record_is_written_at_start_after_a_change_and_at_the_end(fakes, monkeypatch):
    monkeypatch.setattr(announcer, "MIN_GAP_S", 0.02)
    worker = Worker()
    made = Announcer(fakes.state, worker.record)
    made.start()
    eventually(lambda: stored(fakes) == "serving")
    worker.state = WorkerState.PAUSED
    made.observe(LogEvent.MESSAGE_SETTLED, {})
    time.sleep(0.1)
    assert stored(fakes) == "serving", "its minute is not over, and nothing has said that it changed"
    made.observe(LogEvent.GATE_SHUT, {})
    eventually(lambda: stored(fakes) == "paused")
    worker.state = WorkerState.STOPPED
    made.close(5)
    assert stored(fakes) == "stopped"


def test_without_a_change_it_is_written_every_interval(fakes, hurried):
    worker = Worker()
    made = Announcer(fakes.state, worker.record)
    made.start()
    eventually(lambda: worker.asked > 6)
    made.close(5)
    assert fakes.faults.calls.count("state.put") > 5


def test_many_changes_are_written_once_per_gap(fakes, monkeypatch):
    monkeypatch.setattr(announcer, "MIN_GAP_S", 0.5)
    made = Announcer(fakes.state, Worker().record)
    made.start()
    eventually(lambda: stored(fakes))
    for _ in range(100):
        made.observe(LogEvent.BREAKER_OPENED, {})
        time.sleep(0.001)
    assert fakes.faults.calls.count("state.put") == 1
    made.close(5)


def test_a_bucket_that_refuses_is_logged_once_per_cause_and_written_again_when_it_can(fakes, hurried):
    worker = Worker()
    with events() as seen:
        fakes.faults.add("state.put", DOWN)
        made = Announcer(fakes.state, worker.record)
        made.start()
        eventually(lambda: worker.asked > 4)
        fakes.faults.add("state.put", StoreError("no", code="AccessDenied"))
        asked = worker.asked
        eventually(lambda: worker.asked > asked + 4)
        fakes.faults.plan.clear()
        eventually(lambda: stored(fakes))
        made.close(5)
    assert seen == [
        (LogEvent.WORKER_RECORD_FAILED, "SlowDown"),
        (LogEvent.WORKER_RECORD_FAILED, "AccessDenied"),
        (LogEvent.WORKER_RECORD_WRITTEN, None),
    ]


def test_a_bug_in_the_record_ends_nothing(fakes, hurried):
    def record() -> WorkerRecord:
        raise KeyError("a bug")

    with events() as seen:
        made = Announcer(fakes.state, record)
        made.start()
        time.sleep(0.2)
        made.close(5)
    assert seen == [(LogEvent.WORKER_RECORD_FAILED, "KeyError")]


def test_a_bucket_that_does_not_answer_delays_the_end_no_longer_than_it_may(fakes, monkeypatch):
    answered = threading.Event()
    monkeypatch.setattr(fakes.state, "put", lambda *_, **__: answered.wait(30))
    made = Announcer(fakes.state, Worker().record)
    made.start()
    began = time.monotonic()
    made.close(0.2)
    assert time.monotonic() - began < 2
    answered.set()


def test_closing_one_that_never_started_is_no_error(fakes):
    Announcer(fakes.state, Worker().record).close(1)
    assert fakes.faults.calls == []


def test_the_records_of_long_silent_workers_are_removed_once_and_a_refusal_is_tried_no_more(fakes, hurried):
    write_worker(fakes.state, WorkerRecord("old", "serving", written_at_ms=NOW_MS - FORGOTTEN_MS - 1))
    fakes.faults.calls.clear()
    worker = Worker()
    with events() as seen:
        made = Announcer(fakes.state, worker.record)
        made.start()
        eventually(lambda: worker.asked > 6)
        made.close(5)
    assert [one.name for one in read_workers(fakes.state, NOW_MS)] == ["w"]
    assert seen == [(LogEvent.WORKER_RECORDS_REMOVED, None)]
    assert fakes.faults.calls.count("state.delete") == 1
