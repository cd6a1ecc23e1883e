"""Messages in flight: from their receive to their settlement.

A message may have several records, and the effect of each is acknowledged later, on another thread. So a message is
counted like a shared resource: the work on each part retains it, releases it in a `finally` with an outcome, and
the last release settles it.
"""

import math
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

from worker.core.base.events import LogEvent
from worker.core.base.liveness import Liveness
from worker.core.base.logs import emit
from worker.core.s3.events import Item, ObjectRef
from worker.core.sqs.outcome import Outcome, worst
from worker.core.sqs.queue import Message
from worker.core.sqs.visibility import VisibilityExtender

MAX_SILENCE_S = 120
"""The slowest step of `InFlightMessages.run`: one batch, with the full timeout of its call."""


class InFlightMessage:
    """One message in flight. Its receiver is the first to hold it."""

    __slots__ = (
        "_holders", "_lock", "_settle", "_working_since", "deadline", "message", "outcome", "record_count", "started", "subject"
    )  # fmt: skip

    def __init__(self, message: Message, *, deadline_s: float, settle: Callable[["InFlightMessage"], None]) -> None:
        """`settle` is called once, by the last release."""
        self.message = message
        self.deadline = message.received_at + deadline_s
        """Monotonic seconds: when every wait ends, and no step of its work begins any more."""
        self.started = False
        """Whether a handler works on it; until then it may be released at once."""
        self.outcome: Outcome | None = None
        """The worst so far; None until the first release."""
        self.record_count = 0
        self.subject: dict[str, str | int] = {}
        """What it is about, for the log: bucket and key, or the number of records."""
        self._lock = threading.Lock()
        self._holders = 1
        self._settle = settle
        self._working_since: dict[int, float] = {}
        """By thread: when the present step of the work began, or made progress; monotonic seconds."""

    @property
    def id(self) -> str:
        """The message's id."""
        return self.message.id

    @property
    def receipt(self) -> str:
        """The message's receipt handle."""
        return self.message.receipt

    @property
    def is_overdue(self) -> bool:
        """Whether its deadline has come."""
        return time.monotonic() >= self.deadline

    @contextmanager
    def working(self) -> Iterator[None]:
        """While this thread works on it: a step without progress for too long is stuck."""
        me = threading.get_ident()
        before = self._working_since.get(me)
        self._working_since[me] = time.monotonic()
        try:
            yield
        finally:
            if before is None:
                del self._working_since[me]
            else:
                self._working_since[me] = time.monotonic()

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Within `working`, while this thread waits for what may take until the deadline: an outage, or memory."""
        me = threading.get_ident()
        worked = self._working_since.pop(me, None)
        try:
            yield
        finally:
            if worked is not None:
                self._working_since[me] = time.monotonic()

    def is_stuck(self, after_s: float) -> bool:
        """Whether a step of its work has made no progress for so long."""
        return min(list(self._working_since.values()), default=math.inf) < time.monotonic() - after_s

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
        """Hold it once more: one more part of it is being worked on."""
        with self._lock:
            self._holders += 1

    def release(self, outcome: Outcome) -> None:
        """Let go of it. The worst of all outcomes counts, and the last release settles the message."""
        with self._lock:
            self._holders -= 1
            self.outcome = outcome if self.outcome is None else worst(self.outcome, outcome)
            last = self._holders == 0
        if last:
            self._settle(self)


class InFlightMessages:
    """Every message in flight: kept invisible, counted, and not for ever. May be used from any thread."""

    def __init__(
        self,
        extender: VisibilityExtender,
        *,
        stuck_after_s: float,
        give_up: Callable[[InFlightMessage], None],
        stuck: Callable[[InFlightMessage], None],
    ) -> None:
        """`give_up` hears of a message whose deadline came before its work began; `stuck`, of one whose work hangs."""
        self._extender = extender
        self._stuck_after_s = stuck_after_s
        self._give_up = give_up
        self._stuck = stuck
        self._changed = threading.Condition()
        self._messages: dict[str, InFlightMessage] = {}
        """By receipt handle."""
        self._body_bytes = 0
        self._stop = threading.Event()

    def __len__(self) -> int:
        return len(self._messages)

    def add(self, items: Sequence[InFlightMessage]) -> None:
        """Take in the messages of one receive."""
        if not items:
            return
        self._extender.keep(items, received_at=items[0].message.received_at)
        with self._changed:
            for item in items:
                self._messages[item.receipt] = item
                self._body_bytes += len(item.message.body)

    def forget(self, items: Iterable[InFlightMessage]) -> None:
        """Their settlement is done, or they may reappear."""
        items = list(items)
        self._extender.forget(items)
        self._remove(item.receipt for item in items)

    def release(self, releases: Sequence[tuple[InFlightMessage, int]], *, stop: threading.Event) -> None:
        """Make each visible on the queue again, after a delay in seconds. `stop` ends waits between attempts."""
        self._remove(item.receipt for item, _ in releases)
        self._extender.release_after(releases, stop=stop)

    def wait_for_room(self, messages: int, body_bytes: int, timeout_s: float) -> bool:
        """Wait until fewer messages are in flight, with fewer bytes in their bodies; False after `timeout_s`."""
        with self._changed:
            return self._changed.wait_for(
                lambda: len(self._messages) < messages and self._body_bytes < body_bytes, timeout_s
            )

    def wait_empty(self, until: float) -> bool:
        """Wait until none is in flight; False at that monotonic second."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._messages, max(0.0, until - time.monotonic()))

    def unstarted(self) -> list[InFlightMessage]:
        """Those on which no handler has begun to work."""
        with self._changed:
            return [item for item in self._messages.values() if not item.started]

    def run(self, liveness: Liveness) -> None:
        """Extend visibilities and enforce deadlines until stopped."""
        while not self._stop.wait(self._extender.tick_s):
            liveness.beat()
            self._end_overdue()
            self._remove(self._extender.extend_due(liveness.beat))

    def stop(self) -> None:
        """End `run`; what is still in flight reappears by itself."""
        self._stop.set()

    def _remove(self, receipts: Iterable[str]) -> None:
        with self._changed:
            for receipt in receipts:
                if item := self._messages.pop(receipt, None):
                    self._body_bytes -= len(item.message.body)
            self._changed.notify_all()

    def _end_overdue(self) -> None:
        with self._changed:
            items = list(self._messages.values())
        for item in items:
            if item.is_stuck(self._stuck_after_s):
                self.forget([item])
                emit(LogEvent.MESSAGE_STUCK, "critical", message_id=item.id, receives=item.message.receives)
                self._stuck(item)
            elif item.is_overdue and item.start():
                self._give_up(item)
