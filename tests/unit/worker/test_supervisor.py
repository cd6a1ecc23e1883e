"""Threads that die or go silent are noticed."""

import threading
import time

import pytest

from worker.core.base.events import LogEvent
from worker.core.base.logs import observe
from worker.supervisor import Supervisor, join_all


@pytest.fixture
def supervisor():
    return Supervisor()


@pytest.fixture
def end():
    """Set when the test is over, so that no loop outlives it."""
    event = threading.Event()
    yield event
    event.set()


def wait_until(holds):
    until = time.monotonic() + 5
    while not holds() and time.monotonic() < until:
        time.sleep(0.01)
    assert holds()


def test_loops_that_turn_are_healthy(supervisor, end):
    def loop(liveness):
        while not end.wait(0.01):
            liveness.beat()

    supervisor.start("receive", loop, max_silence_s=5)
    time.sleep(0.1)
    assert (supervisor.unhealthy(), supervisor.has_dead) == ([], False)


def test_a_loop_that_makes_no_turn_for_too_long_is_unhealthy_and_recovers_with_its_next_turn(supervisor, end):
    turn = threading.Event()

    def loop(liveness):
        turn.wait(5)
        liveness.beat()
        end.wait(5)

    supervisor.start("bulk-0", loop, max_silence_s=0.5)
    wait_until(lambda: supervisor.unhealthy() == ["bulk-0"])
    assert not supervisor.has_dead
    turn.set()
    wait_until(lambda: supervisor.unhealthy() == [])


@pytest.mark.parametrize("error", [ValueError("bug"), SystemExit(3), KeyboardInterrupt()])
def test_a_thread_that_ends_with_an_error_of_whatever_kind_is_dead_and_logged(supervisor, error):
    heard = []
    stop = observe(lambda event, fields: heard.append((event, fields["thread"])))

    def loop(_liveness):
        raise error

    try:
        supervisor.start("settle-dlq", loop, max_silence_s=60).join(5)
    finally:
        stop()
    assert supervisor.has_dead
    assert supervisor.unhealthy() == ["settle-dlq"]
    assert heard == [(LogEvent.THREAD_DIED, "settle-dlq")]


def test_a_loop_that_ends_by_itself_is_neither_dead_nor_silent(supervisor):
    supervisor.start("control", lambda _: None, max_silence_s=0.01).join(5)
    time.sleep(0.05)
    assert (supervisor.unhealthy(), supervisor.has_dead) == ([], False)


def test_joining_waits_for_every_loop_until_the_moment_given(supervisor, end):
    supervisor.start("quick", lambda _: None, max_silence_s=60)
    slow = supervisor.start("slow", lambda _: end.wait(5) and None, max_silence_s=60)
    assert not supervisor.join(time.monotonic() + 0.05)
    end.set()
    assert supervisor.join(time.monotonic() + 5)
    assert join_all([slow], time.monotonic())
