"""Work on many things, a few at once, in bounded memory and at a bounded rate."""

import threading
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

TICK_S = 0.5
"""After this many seconds without a result, control returns to the caller."""


def as_done(
    pool: Executor,
    work: Callable[[T], R],
    items: Iterable[T],
    *,
    window: int,
    ending: Callable[[], None] = lambda: None,
) -> Generator[R | None, None, None]:
    """The results of `work` for each item, in the order in which they are ready, with at most `window` items in flight.

    None when no result has come for a moment, so that the caller can pass on what it has gathered. Closing the generator
    cancels what has not begun, and waits for what has; `ending` is called before, so that nothing waits for its caller.
    """
    source, in_flight = iter(items), set[Future[R]]()
    more = True
    try:
        while more or in_flight:
            while more and len(in_flight) < window:
                try:
                    in_flight.add(pool.submit(work, next(source)))
                except StopIteration:
                    more = False
            done, in_flight = wait(in_flight, TICK_S, FIRST_COMPLETED)
            if not done and in_flight:
                yield None
            for future in done:
                yield future.result()
    finally:
        ending()
        for future in in_flight:
            future.cancel()
        wait(in_flight)


def at_once(act: Callable[[T], R], items: Sequence[T], *, threads: int, name: str) -> list[R]:
    """Do the same with each of a few things, several at a time; the results in order. Raises what `act` raises."""
    if len(items) < 2:
        return [act(one) for one in items]
    with ThreadPoolExecutor(min(threads, len(items)), thread_name_prefix=name) as pool:
        return list(pool.map(act, items))


class Pace:
    """Keeps any number of threads together to a number of items per second."""

    def __init__(self, per_second: float | None) -> None:
        """`per_second`: None for no limit."""
        self._interval_s = 0.0 if per_second is None else 1 / per_second
        self._next_at = 0.0
        self._lock = threading.Lock()

    def wait(self, stop: threading.Event, *, count: int = 1) -> None:
        """Wait until the next `count` items may begin, or until `stop` is set."""
        stop.wait(max(0.0, self.take(count) - time.monotonic()))

    def take(self, count: int = 1) -> float:
        """Return when the next `count` items may begin, on the monotonic clock. Their time is then used up."""
        with self._lock:
            turn = max(self._next_at, time.monotonic())
            self._next_at = turn + count * self._interval_s
        return turn


class Room:
    """Bounds what several threads hand over to one, by its size. That one must not wait for anything in particular of it."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._used = 0
        self._is_closed = False
        self._changed = threading.Condition()

    def wait(self) -> None:
        """Wait until there is any room."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_closed or self._used < self._limit)

    def take(self, size: int) -> None:
        """Wait until `size` fits, or (where it is more than the limit) until nothing else is there."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_closed or not self._used or self._used + size <= self._limit)
            self._used += size

    def give_back(self, size: int) -> None:
        """Return what was taken."""
        with self._changed:
            self._used -= size
            self._changed.notify_all()

    def close(self) -> None:
        """End every wait, now and later."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()


def full_pool(threads: int, name: str) -> ThreadPoolExecutor:
    """A pool whose threads are all started at once, so that no new thread is needed when memory is short.

    Raises RuntimeError or MemoryError if they cannot be started.
    """
    pool = ThreadPoolExecutor(threads, thread_name_prefix=name)
    together = threading.Barrier(threads)  # keeps each thread busy; an idle one would take the next task
    try:
        started = [pool.submit(together.wait) for _ in range(threads)]
    except (RuntimeError, MemoryError):
        together.abort()
        pool.shutdown(wait=False, cancel_futures=True)
        raise
    for one in started:
        one.result()
    return pool
