"""Trying again in place, long releases, and the breaker."""

import threading

import pytest

from worker.core.base.breaker import Breaker
from worker.core.base.errors import StoreError
from worker.core.base.retry import ATTEMPTS, LONGEST_RELEASE_S, SHORTEST_RELEASE_S, release_delay_s, retry_transient

UNAVAILABLE = StoreError("unavailable", code="SlowDown")


def failing(times):
    calls = []

    def call():
        calls.append(1)
        if len(calls) <= times:
            raise UNAVAILABLE
        return len(calls)

    return call, calls


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr("worker.core.base.retry.FIRST_WAIT_S", 0.001)


def test_a_transient_failure_is_tried_again():
    assert retry_transient(failing(ATTEMPTS - 1)[0], transient=lambda _: True, stop=threading.Event()) == ATTEMPTS


def test_after_three_attempts_the_last_error_is_raised():
    call, calls = failing(99)
    with pytest.raises(StoreError, match="unavailable"):
        retry_transient(call, transient=lambda _: True, stop=threading.Event())
    assert len(calls) == ATTEMPTS


@pytest.mark.parametrize(("transient", "stopped"), [(False, False), (True, True)])
def test_what_is_not_transient_is_raised_at_once_and_so_is_everything_at_shutdown(transient, stopped):
    stop, (call, calls) = threading.Event(), failing(99)
    if stopped:
        stop.set()
    with pytest.raises(StoreError):
        retry_transient(call, transient=lambda _: transient, stop=stop)
    assert len(calls) == 1


def test_a_release_is_long_grows_and_stays_in_its_bounds():
    first, later = [release_delay_s(1) for _ in range(200)], [release_delay_s(9) for _ in range(200)]
    assert min(first + later) >= SHORTEST_RELEASE_S
    assert max(first) <= 2 * SHORTEST_RELEASE_S
    assert SHORTEST_RELEASE_S * 4 < max(later) <= LONGEST_RELEASE_S


def test_a_breaker_opens_at_its_limit_and_only_its_probe_closes_it():
    well, changes = threading.Event(), []
    closed = threading.Event()

    def probe():
        if not well.is_set():
            raise UNAVAILABLE

    def changed(error):
        changes.append(error)
        if error is None:
            closed.set()

    breaker = Breaker("s3", failures=2, probe=probe, interval_s=0.01)
    breaker.on_change(changed)
    breaker.failed(UNAVAILABLE)
    breaker.succeeded()
    breaker.failed(UNAVAILABLE)
    assert changes == []
    breaker.failed(UNAVAILABLE)
    assert (breaker.is_open, changes) == (True, [UNAVAILABLE])
    breaker.succeeded()
    assert (breaker.is_open, changes) == (True, [UNAVAILABLE])
    well.set()
    assert closed.wait(5)
    assert (breaker.is_open, changes) == (False, [UNAVAILABLE, None])


def test_a_breaker_opened_twice_probes_once():
    breaker = Breaker("index", failures=2, probe=lambda: None, interval_s=60)
    before = threading.active_count()
    breaker.open(UNAVAILABLE)
    breaker.open(UNAVAILABLE)
    assert breaker.is_open
    assert threading.active_count() == before + 1
    breaker.stop()
