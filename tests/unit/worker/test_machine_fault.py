"""Lack of memory or threads is the machine's fault: no message is dead-lettered for it, and nothing is left half done."""

import threading
from types import SimpleNamespace
from typing import Any

import pytest

from worker import handler as handler_module
from worker.byte_budget import MemoryBudget
from worker.core.base.breaker import Breaker
from worker.core.base.classify import is_transient
from worker.core.base.concurrency import full_pool
from worker.core.sqs.in_flight import InFlightMessage
from worker.core.sqs.outcome import Failed, Release
from worker.handler import Handler
from worker.pause_gate import PauseGate
from worker.s3_health import S3Health

BODY = '{"Records":[{"eventName":"ObjectCreated:Put","s3":{"bucket":{"name":"files"},"object":{"key":"k"}}}]}'
NO_THREAD = RuntimeError("can't start new thread")


def outcome_of(error: BaseException) -> Any:
    """The outcome of a message while whose object is handled `error` is raised."""

    def read(*_: Any, **__: Any) -> Any:
        raise error

    pipeline: Any = SimpleNamespace(skip_reason=lambda _: None, read=read)
    unused: Any = SimpleNamespace()
    gate = PauseGate()
    made = Handler(
        pipeline=pipeline, batcher=unused, s3_health=S3Health(unused, gate, ask_state=lambda: None), gate=gate,
        budget=MemoryBudget(2), hold=unused,
        default_bucket=None, spool_bytes=1, slow_threads=1,
    )  # fmt: skip
    made.stop()  # no waits between the attempts
    settled: list[InFlightMessage] = []
    item = InFlightMessage(_message(), deadline_s=1e9, settle=settled.append)
    made.handle(item)
    assert settled == [item]
    return item.outcome


def _message() -> Any:
    return SimpleNamespace(id="m", receipt="r", body=BODY, attributes={}, receives=1, received_at=0.0, sent_ms=None)


@pytest.mark.parametrize("error", [MemoryError(), NO_THREAD, OSError(28, "No space left on device")])
def test_what_the_machine_lacks_releases_the_message_for_a_while_and_says_why(error):
    outcome = outcome_of(error)
    assert isinstance(outcome, Release)
    assert outcome.delay_s >= 60
    assert outcome.reason


def test_memory_that_ends_while_an_event_is_parsed_is_not_the_event_s_fault(monkeypatch):
    def parse(*_: Any, **__: Any) -> Any:
        raise MemoryError

    monkeypatch.setattr(handler_module, "parse", parse)
    assert isinstance(outcome_of(AssertionError("not reached")), Release)


def test_any_other_runtime_error_is_a_bug_and_goes_to_the_dlq():
    assert not is_transient(RuntimeError("dictionary changed size during iteration"))
    assert isinstance(outcome_of(RuntimeError("dictionary changed size during iteration")), Failed)


def test_a_breaker_that_cannot_start_its_probe_stays_closed_and_opens_at_the_next_failure(monkeypatch):
    changes: list[BaseException | None] = []
    breaker = Breaker("index", failures=1, probe=lambda: None, interval_s=60)
    breaker.on_change(changes.append)
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", lambda _: (_ for _ in ()).throw(NO_THREAD))
        breaker.failed(ConnectionError())
    assert (breaker.is_open, changes) == (False, [])
    breaker.failed(ConnectionError())
    assert (breaker.is_open, len(changes)) == (True, 1)
    breaker.stop()


def test_a_full_pool_starts_no_thread_later_on(monkeypatch):
    pool = full_pool(3, "full")
    try:
        monkeypatch.setattr(threading.Thread, "start", lambda _: pytest.fail("a thread was started"))
        together = threading.Barrier(3)
        assert sorted(pool.map(lambda _: together.wait(10), range(3))) == [0, 1, 2]
    finally:
        pool.shutdown()


def test_a_pool_that_cannot_be_filled_reports_it_and_leaves_no_thread_waiting(monkeypatch):
    start = threading.Thread.start
    started: list[threading.Thread] = []

    def only_two(thread: threading.Thread) -> None:
        if len(started) == 2:
            raise NO_THREAD
        started.append(thread)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", only_two)
    with pytest.raises(RuntimeError, match="can't start new thread"):
        full_pool(3, "full")
    for thread in started:
        thread.join(10)
        assert not thread.is_alive()
