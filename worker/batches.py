"""Collecting a batch from a queue between threads."""

import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import TypeVar

from worker.supervisor import IDLE_TURN_S

T = TypeVar("T")


def collect_batch(
    queue: "SimpleQueue[T]", *, count: int, size: int, wait_s: float, size_of: Callable[[T], int]
) -> list[T]:
    """A batch: what comes within `wait_s` of the first item, up to `count` items and (if more than one) `size` bytes.

    Empty when nothing comes for a moment, so that the caller's loop can turn. Only one thread at a time may collect from a
    SimpleQueue: with several, its get(timeout=…) may wait for ever (seen with Python 3.11). An item that would make the batch too
    large goes back to the end of the queue; batches have no order.
    """
    try:
        batch = [queue.get(timeout=IDLE_TURN_S)]
    except Empty:
        return []
    total, until = size_of(batch[0]), time.monotonic() + wait_s
    while len(batch) < count:
        try:
            item = queue.get(timeout=max(0.0, until - time.monotonic()))
        except Empty:
            break
        total += size_of(item)
        if total > size:
            queue.put(item)
            break
        batch.append(item)
    return batch
