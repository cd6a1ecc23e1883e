"""Work on many items with a few threads and in bounded memory."""

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

TICK_S = 0.5
"""After this many seconds without a result, control returns to the caller."""


def as_done(pool: Executor, work: Callable[[T], R], items: Iterable[T], *, window: int) -> Iterator[R | None]:
    """Yield the result of `work` for each item as soon as it is done, with at most `window` items in progress.

    Yields None after a moment without a result, so that the caller can pass on what it has collected. Leaving the loop
    early cancels the items that have not started, and waits for those that have.
    """
    source, under_way = iter(items), set[Future[R]]()
    more = True
    try:
        while more or under_way:
            while more and len(under_way) < window:
                try:
                    under_way.add(pool.submit(work, next(source)))
                except StopIteration:
                    more = False
            done, under_way = wait(under_way, TICK_S, FIRST_COMPLETED)
            if not done and under_way:
                yield None
            for future in done:
                yield future.result()
    finally:
        for future in under_way:
            future.cancel()
        wait(under_way)


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
