"""The sign of life of one thread."""

import time


class Liveness:
    """Reported by a loop at each of its turns; silent when the last turn is too long ago."""

    def __init__(self, max_silence_s: float) -> None:
        self._max_silence_s = max_silence_s
        self._last = time.monotonic()

    def beat(self) -> None:
        """Note that the loop has made a turn."""
        self._last = time.monotonic()

    @property
    def is_silent(self) -> bool:
        """Whether the last turn is too long ago."""
        return time.monotonic() - self._last > self._max_silence_s
