"""A circuit breaker that probes by itself, without using messages."""

import threading
from collections.abc import Callable

from worker.core.base.events import LogEvent
from worker.core.base.logs import emit

INDEX_BREAKER = "index"
"""The name of the breaker in front of the index."""


class Breaker:
    """Counts failures in a row; at the limit it opens, and stays open until its own probe succeeds.

    Our own and not pybreaker: that one holds its lock throughout every guarded call, so that sixteen reads would go
    one after another, and it tries the next real message as its probe.
    """

    def __init__(self, name: str, *, failures: int, probe: Callable[[], None], interval_s: float) -> None:
        """`probe` returns if the guarded service works and raises otherwise; it is called every `interval_s` seconds."""
        self.name = name
        self._limit = failures
        self._probe = probe
        self._interval_s = interval_s
        self._lock = threading.Lock()
        self._failures = 0
        self._open = False
        self._last_error = ""
        self._stop = threading.Event()
        self._on_change: list[Callable[[BaseException | None], None]] = []

    @property
    def is_open(self) -> bool:
        """Whether calls should be skipped."""
        return self._open

    @property
    def reason(self) -> str:
        """The last error while it is open; otherwise empty."""
        return self._last_error if self._open else ""

    def on_change(self, callback: Callable[[BaseException | None], None]) -> None:
        """Call `callback` with the last error when the breaker opens, and with None when it closes."""
        self._on_change.append(callback)

    def succeeded(self) -> None:
        """Note that a call succeeded: the count starts again. Only its probe closes an open breaker."""
        if self._failures:
            with self._lock:
                self._failures = 0

    def failed(self, error: BaseException) -> None:
        """Note that a call failed with a transient error."""
        with self._lock:
            self._failures += 1
            self._last_error = str(error) or repr(error)
            if self._open or self._failures < self._limit:
                return
            self._open = True
        announced = threading.Event()
        prober = threading.Thread(
            target=self._probe_until_well, args=(announced,), name=f"probe-{self.name}", daemon=True
        )
        try:
            prober.start()
        except (RuntimeError, MemoryError) as no_thread:
            self._open = False  # without a probe it would stay open for ever; the next failure tries again
            emit(LogEvent.BREAKER_PROBE_FAILED, "warning", breaker=self.name, error=str(no_thread) or repr(no_thread))
            return
        try:
            self._announce(error)
        finally:
            announced.set()

    def open(self, error: BaseException) -> None:
        """Open at once, because the guarded service is known to be unavailable."""
        with self._lock:
            self._failures = max(self._failures, self._limit - 1)
        self.failed(error)

    def stop(self) -> None:
        """End probing; for shutdown."""
        self._stop.set()

    def _announce(self, error: BaseException | None) -> None:
        if error is not None:
            emit(LogEvent.BREAKER_OPENED, "error", breaker=self.name, error=str(error))
        else:
            emit(LogEvent.BREAKER_CLOSED, "info", breaker=self.name)
        for callback in self._on_change:
            callback(error)

    def _probe_until_well(self, announced: threading.Event) -> None:
        announced.wait()
        while not self._stop.wait(self._interval_s):
            try:
                self._probe()
            except BaseException as error:  # noqa: BLE001 (however a probe fails, it has not succeeded)
                emit(LogEvent.BREAKER_PROBE_FAILED, "warning", breaker=self.name, error=str(error))
                continue
            with self._lock:
                self._open, self._failures = False, 0
            self._announce(None)
            return
