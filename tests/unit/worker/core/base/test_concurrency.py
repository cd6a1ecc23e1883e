"""How fast things are let through, and what becomes of work that is left early."""

import itertools
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from worker.core.base import concurrency
from worker.core.base.concurrency import Pace, Room, as_done


def waited_s(pace, times, **options):
    began, stop = time.monotonic(), threading.Event()
    for _ in range(times):
        pace.wait(stop, **options)
    return time.monotonic() - began


def test_a_pace_without_a_bound_lets_everything_through_at_once():
    assert waited_s(Pace(None), 1_000) < 0.1


def test_the_first_is_let_through_at_once_and_the_others_at_the_rate():
    pace = Pace(100)
    assert waited_s(pace, 1) < 0.01
    assert 0.1 <= waited_s(pace, 11) < 1


def test_several_things_let_through_together_count_as_several():
    assert 0.2 <= waited_s(Pace(100), 3, count=10) < 1


def test_a_stop_ends_the_wait():
    pace, stop = Pace(0.01), threading.Event()
    pace.wait(stop)
    threading.Timer(0.05, stop.set).start()
    began = time.monotonic()
    pace.wait(stop)
    assert time.monotonic() - began < 5


def test_results_come_as_they_are_ready_and_none_while_nothing_comes(monkeypatch):
    monkeypatch.setattr(concurrency, "TICK_S", 0.02)
    slow = threading.Event()

    def work(number):
        if number == 0:
            slow.wait(5)
        return number

    with ThreadPoolExecutor(2) as pool, closing(as_done(pool, work, range(4), window=4)) as results:
        assert {next(results) for _ in range(3)} == {1, 2, 3}
        assert next(results) is None
        slow.set()
        assert [result for result in results if result is not None] == [0]


def test_an_error_of_the_work_is_raised_and_the_rest_cancelled():
    begun = itertools.count()

    def work(number):
        next(begun)
        if number == 3:
            raise ZeroDivisionError
        time.sleep(0.001)

    with ThreadPoolExecutor(1) as pool, pytest.raises(ZeroDivisionError):
        list(as_done(pool, work, range(1_000), window=10))
    assert next(begun) < 20


def test_work_that_waits_for_its_caller_ends_when_the_items_fail():
    room = Room(1)

    def items():
        yield from range(3)
        raise ZeroDivisionError

    with ThreadPoolExecutor(3) as pool, pytest.raises(ZeroDivisionError):
        list(as_done(pool, room.take, items(), window=9, ending=room.close))


def test_a_room_lets_in_what_fits_and_what_never_does_once_nothing_else_is_there():
    room, came = Room(10), []

    def take(size):
        room.take(size)
        came.append(size)

    room.take(4)
    threads = [threading.Thread(target=take, args=(size,)) for size in (6, 100)]
    for thread in threads:
        thread.start()
    threads[0].join(5)
    assert came == [6]
    room.give_back(4)
    room.give_back(6)
    threads[1].join(5)
    assert came == [6, 100]
    room.close()
    room.take(50)
