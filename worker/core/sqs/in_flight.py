"""Messages in hand: from their receive to their settlement.

A message may have several records, and each record's effect is acknowledged on another thread and at another time.
So a message is counted like a shared resource: everyone who still owes it something holds a share, gives it back in a
`finally` with an outcome, and the last one out settles it.
"""

import threading
from collections.abc import Callable, Sequence
from typing import Any

from worker.core.s3.events import Item, ObjectRef
from worker.core.sqs.outcome import Outcome, worst
from worker.core.sqs.queue import Message


class InFlightMessage:
    """One message in hand. Whoever received it holds the first share."""

    __slots__ = (
        "_holders",
        "_lock",
        "_settle",
        "deadline",
        "hidden_until",
        "message",
        "outcome",
        "record_count",
        "started",
        "subject"
    )  # fmt: skip

    def __init__(
        self, message: Message, *, deadline_s: float, visibility_s: float, settle: Callable[["InFlightMessage"], None]
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
        self._holders = 1
        self._settle = settle

    @property
    def is_settling(self) -> bool:
        """Whether all work on it is over; its settlement takes bounded time."""
        return self._holders == 0

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

    def retain(self) -> None:
        """One more owes it something."""
        with self._lock:
            self._holders += 1

    def release(self, outcome: Outcome) -> None:
        """Give a share back; of all outcomes the worst counts, and the last share settles the message."""
        with self._lock:
            self._holders -= 1
            self.outcome = outcome if self.outcome is None else worst(self.outcome, outcome)
            last = self._holders == 0
        if last:
            self._settle(self)
