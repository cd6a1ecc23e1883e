"""Memory is bounded: a reservation beyond the budget waits."""

import threading
import time

import pytest

from worker.byte_budget import ByteBudget, Reservation
from worker.core.base.errors import OutageError

NEVER = float("inf")


def test_the_budget_waits_for_room_and_counts_the_oversize_as_the_whole():
    budget, stop = ByteBudget(100), threading.Event()
    assert budget.take(1_000, until=NEVER, stop=stop) == 100
    waited = []
    thread = threading.Thread(target=lambda: waited.append(budget.take(10, until=NEVER, stop=stop)))
    thread.start()
    time.sleep(0.05)
    assert waited == []
    budget.give_back(100)
    thread.join(2)
    assert waited == [10]


def test_a_wait_for_memory_ends_with_the_worker():
    budget, stop = ByteBudget(10), threading.Event()
    budget.take(10, until=NEVER, stop=stop)
    stop.set()
    with pytest.raises(InterruptedError):
        budget.take(1, until=NEVER, stop=stop)


def test_a_wait_for_memory_ends_at_its_deadline():
    budget, stop = ByteBudget(10), threading.Event()
    budget.take(10, until=NEVER, stop=stop)
    with pytest.raises(OutageError, match="memory"):
        budget.take(1, until=time.monotonic() + 0.05, stop=stop)
    assert budget.used == 10


def test_a_body_that_is_read_again_reserves_nothing_twice():
    budget, stop = ByteBudget(100), threading.Event()
    memory = Reservation(budget)
    for size in (30, 60, 40):
        memory.at_least(size, until=NEVER, stop=stop)
    assert budget.used == 60
    memory.release()
    memory.release()
    assert budget.used == 0
