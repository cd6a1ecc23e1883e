"""Bounds the memory that objects and documents may take at once."""

import threading


class ByteBudget:
    """Bounds the bytes in memory at once: taken before a body is read, given back when its effect is durable."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self._used = 0
        self._changed = threading.Condition()

    @property
    def used(self) -> int:
        """Bytes taken now."""
        return self._used

    def take(self, size: int, stop: threading.Event) -> int:
        """Wait until `size` bytes fit (one over the whole budget counts as the whole); returns what was taken.

        Raises InterruptedError when `stop` is set while it waits.
        """
        size = min(size, self._limit)
        with self._changed:
            while self._used + size > self._limit:
                if stop.is_set():
                    raise InterruptedError("stopping, while a body waited for memory")
                self._changed.wait(timeout=0.5)
            self._used += size
        return size

    def give_back(self, size: int) -> None:
        """Return what was taken."""
        if size:
            with self._changed:
                self._used -= size
                self._changed.notify_all()
