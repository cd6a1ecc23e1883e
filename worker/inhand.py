"""Messages in hand: from their receive to their settlement.

A message may have several records, and each record's effect is acknowledged on another thread and at another time.
So a message is counted like a shared resource: everyone who still owes it something holds a share, gives it back in a
`finally` with an outcome, and the last one out settles it.
"""

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from worker.core.logs import emit
from worker.core.queue import Message
from worker.core.s3event import Item, ObjectRef
from worker.outcome import Outcome, worst


class InHand:
    """One message in hand. Whoever received it holds the first share."""

    __slots__ = (
        "_lock", "_settle", "_shares", "deadline", "hidden_until", "message", "outcome", "record_count", "started", "subject"
    )  # fmt: skip

    def __init__(
        self, message: Message, *, deadline_s: float, visibility_s: float, settle: Callable[["InHand"], None]
    ) -> None:
        self.message = message
        self.deadline = message.received_at + deadline_s
        """Monotonic seconds: when waiting ends, and working counts as stuck."""
        self.hidden_until = message.received_at + visibility_s
        """Monotonic seconds: until when SQS hides it; the heartbeat's own."""
        self.started = False
        """Whether a handler works on it; before, it may be given back at once."""
        self.outcome: Outcome | None = None
        """The worst so far; None until a share was given back."""
        self.record_count = 0
        self.subject: dict[str, Any] = {}
        """What it is about, for the log: bucket and key, or how many records."""
        self._lock = threading.Lock()
        self._shares = 1
        self._settle = settle

    @property
    def is_settling(self) -> bool:
        """Whether all work on it is over; its settlement takes bounded time."""
        return self._shares == 0

    def start(self) -> bool:
        """Claim it for work; False where another (the deadline, the shutdown) was first."""
        with self._lock:
            claimed, self.started = not self.started, True
        return claimed

    def describe(self, records: Sequence[Item]) -> None:
        """Note what it is about."""
        self.record_count = len(records)
        first = records[0]
        if len(records) > 1:
            self.subject = {"records": len(records)}
        elif isinstance(first, ObjectRef):
            self.subject = {"bucket": first.bucket, "key": first.key}

    def share(self) -> None:
        """One more owes it something."""
        with self._lock:
            self._shares += 1

    def finish(self, outcome: Outcome) -> None:
        """Give a share back; of all outcomes the worst counts, and the last share settles the message."""
        with self._lock:
            self._shares -= 1
            self.outcome = outcome if self.outcome is None else worst(self.outcome, outcome)
            last = self._shares == 0
        if last:
            self._settle(self)


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


class Gate:
    """Holds work back for named reasons: paused by an operator, S3 away."""

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
        """Hold work back for one more reason."""
        with self._changed:
            known = name in self._reasons
            self._reasons[name] = reason
        if not known:
            emit("gate.shut", "warning", name=name, reason=reason)

    def clear(self, name: str) -> None:
        """One reason is gone."""
        with self._changed:
            known = self._reasons.pop(name, None)
            self._changed.notify_all()
        if known is not None:
            emit("gate.cleared", "info", name=name)

    def wait_open(self, until: float, stop: threading.Event) -> bool:
        """Wait for it to open, at most until that monotonic second or `stop`; whether it is open."""
        if not self._reasons:
            return True
        with self._changed:
            while self._reasons and not stop.is_set() and time.monotonic() < until:
                self._changed.wait(timeout=min(0.5, max(0.0, until - time.monotonic())))
            return not self._reasons
