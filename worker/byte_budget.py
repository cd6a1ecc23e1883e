"""Bounds the memory that objects and documents may take at once."""

import threading
import time

from worker.core.base.errors import OutageError


class ByteBudget:
    """Bounds the bytes in memory at once: reserved before a body is read, released when its effect is durable."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self._used = 0
        self._changed = threading.Condition()

    @property
    def used(self) -> int:
        """Bytes reserved now."""
        return self._used

    def take(self, size: int, *, until: float, stop: threading.Event) -> int:
        """Wait until `size` bytes fit (more than the whole budget counts as the whole); the bytes taken.

        Raises InterruptedError when `stop` is set while it waits, and OutageError at `until` (monotonic seconds).
        """
        size = min(size, self._limit)
        with self._changed:
            while self._used + size > self._limit:
                if stop.is_set():
                    raise InterruptedError("stopping, while a body waited for memory")
                left_s = until - time.monotonic()
                if left_s <= 0:
                    raise OutageError("its body had to wait too long for memory: see MAX_BYTES_IN_FLIGHT")
                self._changed.wait(timeout=min(0.5, left_s))
            self._used += size
        return size

    def give_back(self, size: int) -> None:
        """Return what was taken."""
        if size:
            with self._changed:
                self._used -= size
                self._changed.notify_all()


class MemoryBudget:
    """A budget for messages and bodies, and one for the documents that are made of them; each is half of the whole."""

    def __init__(self, limit_bytes: int) -> None:
        self.bodies, self.documents = ByteBudget(limit_bytes // 2), ByteBudget(limit_bytes // 2)

    @property
    def used(self) -> int:
        """Bytes reserved now."""
        return self.bodies.used + self.documents.used


class Reservation:
    """The bytes that one record has taken of a budget. Not for several threads at once."""

    def __init__(self, budget: ByteBudget) -> None:
        self._budget = budget
        self._taken = 0

    def at_least(self, size: int, *, until: float, stop: threading.Event) -> None:
        """Wait until `size` bytes are reserved. A body that is read again reserves nothing twice. Raises as `take` does."""
        if size > self._taken:
            self.release()
            self._taken = self._budget.take(size, until=until, stop=stop)

    def release(self) -> None:
        """Return everything."""
        self._budget.give_back(self._taken)
        self._taken = 0
