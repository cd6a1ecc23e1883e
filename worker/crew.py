"""The worker's threads. One that dies, or makes no turn for too long, stops the worker loudly."""

import threading
import time
from collections.abc import Callable, Iterable
from queue import Empty, SimpleQueue
from typing import TypeVar

from worker.core.logs import emit

T = TypeVar("T")

IDLE_TURN_S = 0.5
"""How often a loop turns that has nothing to do, seconds: it looks whether to stop, and beats its pulse. Two dozen
threads turn so; at 0.25 s an idle worker took 0.48% of a core."""


class Pulse:
    """One thread's sign of life: beaten at each turn of its loop."""

    def __init__(self, max_silence_s: float) -> None:
        self._max_silence_s = max_silence_s
        self._last = time.monotonic()

    def beat(self) -> None:
        """The loop has made a turn."""
        self._last = time.monotonic()

    @property
    def is_silent(self) -> bool:
        """Whether the last turn is too long ago."""
        return time.monotonic() - self._last > self._max_silence_s


class Crew:
    """Starts the threads and watches over them."""

    def __init__(self) -> None:
        self._members: list[tuple[threading.Thread, Pulse]] = []
        self._dead: list[str] = []

    def start(self, name: str, loop: Callable[[Pulse], None], *, max_silence_s: float) -> threading.Thread:
        """Run `loop` on a thread of its own; it must beat the pulse it is given."""
        pulse = Pulse(max_silence_s)

        def run() -> None:
            try:
                loop(pulse)
            except BaseException as error:  # noqa: BLE001 (whatever it was, the worker must not go on without it)
                self._dead.append(name)
                emit("thread.died", "critical", thread=name, error=repr(error), exc_info=error)

        thread = threading.Thread(target=run, name=name, daemon=True)
        self._members.append((thread, pulse))
        thread.start()
        return thread

    def join(self, until: float) -> bool:
        """Wait for every loop to end, at most until that monotonic second; whether all have."""
        return join_all([thread for thread, _ in self._members], until)

    @property
    def has_dead(self) -> bool:
        """Whether a thread has died of an error."""
        return bool(self._dead)

    def ailing(self) -> list[str]:
        """Names of the threads that have died or gone silent; progress is that there is none."""
        silent = [thread.name for thread, pulse in self._members if thread.is_alive() and pulse.is_silent]
        return self._dead + silent


def gather(queue: "SimpleQueue[T]", *, count: int, size: int, wait_s: float, size_of: Callable[[T], int]) -> list[T]:
    """A batch: what comes within `wait_s` of the first item, up to `count` items and (if more than one) `size` bytes.

    Empty when nothing comes for a moment, so that the caller's loop turns. Only one thread at a time may gather from a
    SimpleQueue: with several, its get(timeout=…) may wait for ever (seen with 3.11). An item that would burst the batch goes
    back to the end of the queue, which nobody minds: batches have no order.
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


def join_all(threads: Iterable[threading.Thread], until: float) -> bool:
    """Wait for threads to end, at most until that monotonic second; whether all have."""
    ended = True
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))
        ended = ended and not thread.is_alive()
    return ended
