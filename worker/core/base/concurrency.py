"""Work on many things, a few at once, in bounded memory."""

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

TICK_S = 0.5
"""After so long without a result, the caller gets its turn."""


def as_done(pool: Executor, work: Callable[[T], R], items: Iterable[T], *, window: int) -> Iterator[R | None]:
    """What `work` gives for each item, in the order it comes, with at most `window` of them under way.

    None when nothing came for a moment, so that the caller can pass on what it has gathered. Leaving the loop early
    cancels what has not begun, and waits for what has.
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
    """A pool whose threads are all there from the start: work that comes when memory is short needs no new one.

    Raises RuntimeError or MemoryError where they cannot be started.
    """
    pool = ThreadPoolExecutor(threads, thread_name_prefix=name)
    together = threading.Barrier(threads)  # a thread that is done would be given the next task, and none be started
    try:
        started = [pool.submit(together.wait) for _ in range(threads)]
    except (RuntimeError, MemoryError):
        together.abort()
        pool.shutdown(wait=False, cancel_futures=True)
        raise
    for one in started:
        one.result()
    return pool
