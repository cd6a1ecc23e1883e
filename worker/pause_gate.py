"""Whether work may go on: not while an operator has paused the fleet, nor while S3 is unavailable."""

import threading
import time

from worker.core.base.events import LogEvent
from worker.core.base.logs import emit


class PauseGate:
    """Holds work back for named reasons: paused by an operator, S3 unavailable."""

    def __init__(self) -> None:
        self._reasons: dict[str, str] = {}
        self._changed = threading.Condition()

    @property
    def reasons(self) -> dict[str, str]:
        """Why it is shut: name → sentence; empty while it is open."""
        return dict(self._reasons)

    @property
    def is_open(self) -> bool:
        """Whether work may go on."""
        return not self._reasons

    def shut(self, name: str, reason: str) -> None:
        """Add a reason to hold work back."""
        with self._changed:
            known = name in self._reasons
            self._reasons[name] = reason
        if not known:
            emit(LogEvent.GATE_SHUT, "warning", name=name, reason=reason)

    def clear(self, name: str) -> None:
        """Remove one reason."""
        with self._changed:
            known = self._reasons.pop(name, None)
            self._changed.notify_all()
        if known is not None:
            emit(LogEvent.GATE_CLEARED, "info", name=name)

    def wait_open(self, until: float, stop: threading.Event) -> bool:
        """Wait for it to open, until that monotonic second or `stop` at most; True if it is open."""
        if not self._reasons:
            return True
        with self._changed:
            while self._reasons and not stop.is_set() and time.monotonic() < until:
                self._changed.wait(timeout=min(0.5, max(0.0, until - time.monotonic())))
            return not self._reasons
