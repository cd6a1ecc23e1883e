"""Keeps received messages invisible until they are settled or released: one way, for the worker and for every command."""

import math
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol, Self

from worker.core.base.errors import QueueError
from worker.core.base.events import LogEvent
from worker.core.base.logs import emit
from worker.core.sqs.queue import MAX_BATCH, Queue, in_batch

LONGEST_TICK_S = 5.0
LOST_CODES = frozenset({"ReceiptHandleIsInvalid", "InvalidParameterValue", "MessageNotInflight"})
"""With these SQS says that a receipt handle no longer holds its message: extending it again cannot succeed."""


class Received(Protocol):
    """A message that was received: what the extender needs to know of it."""

    @property
    def id(self) -> str:
        """Its id, for the log."""

    @property
    def receipt(self) -> str:
        """Its receipt handle; empty for what did not come from a queue, which is then ignored."""


@dataclass(slots=True)
class _Hidden:
    """A message that is invisible because we keep it so. Its body is not kept: a command may pass over 100,000."""

    id: str
    until: float
    """Monotonic seconds: when SQS makes it visible again."""


class VisibilityExtender:
    """Extends the visibility timeout of each message when a third of it is used up. May be used from any thread."""

    def __init__(self, queue: Queue, *, visibility_s: float) -> None:
        self.visibility_s = visibility_s
        self._queue = queue
        self._changed = threading.Condition()
        self._hidden: dict[str, _Hidden] = {}
        """By receipt handle."""
        self._extending: frozenset[str] = frozenset()
        """Receipt handles in the call under way."""
        self._stop = threading.Event()

    def __len__(self) -> int:
        return len(self._hidden)

    @property
    def tick_s(self) -> float:
        """How often `extend_due` has to be called, seconds."""
        return min(LONGEST_TICK_S, self.visibility_s / 6)

    def keep(self, messages: Iterable[Received], *, received_at: float | None = None) -> None:
        """Keep these invisible from now on. `received_at`: when they were received (monotonic seconds), if not just now."""
        until = (time.monotonic() if received_at is None else received_at) + self.visibility_s
        with self._changed:
            for message in messages:
                if message.receipt:
                    self._hidden[message.receipt] = _Hidden(message.id, until)

    def forget(self, messages: Iterable[Received]) -> None:
        """Stop extending these: they are settled, or may reappear."""
        with self._changed:
            for message in messages:
                self._hidden.pop(message.receipt, None)

    def release(self, messages: Iterable[Received]) -> None:
        """Make these visible at once. One that SQS refuses reappears when its visibility timeout ends."""
        self.release_after([(message, 0) for message in messages], stop=threading.Event())

    def release_all_but(self, messages: Iterable[Received]) -> None:
        """Make everything else visible at once."""
        kept = {message.receipt for message in messages}
        with self._changed:
            others = [(receipt, hidden.id, 0) for receipt, hidden in self._hidden.items() if receipt not in kept]
        self._release(others, stop=threading.Event())

    def release_after(self, messages: Sequence[tuple[Received, int]], *, stop: threading.Event) -> None:
        """Make each visible after a delay in seconds. `stop` ends waits between attempts."""
        releases = [(message.receipt, message.id, delay_s) for message, delay_s in messages if message.receipt]
        self._release(releases, stop=stop)

    @contextmanager
    def running(self) -> Iterator[Self]:
        """Extend what is kept on a thread of its own; at the end, however it comes, everything still kept is released."""
        thread = threading.Thread(target=self._run, name="visibility", daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            thread.join()
            self.release_all_but(())

    def extend_due(self, on_batch: Callable[[], None] = lambda: None) -> list[str]:
        """Extend what is due; the receipt handles that SQS no longer knows, which are forgotten. `on_batch`: after each call."""
        soon = time.monotonic() + self.visibility_s * 2 / 3
        with self._changed:
            due = [receipt for receipt, hidden in self._hidden.items() if hidden.until < soon]
        lost: list[str] = []
        for start in range(0, len(due), MAX_BATCH):
            lost += self._extend(due[start : start + MAX_BATCH])
            on_batch()
        return lost

    def _run(self) -> None:
        while not self._stop.wait(self.tick_s):
            self.extend_due()

    def _extend(self, receipts: list[str]) -> list[str]:
        with self._changed:
            batch = [(receipt, self._hidden[receipt]) for receipt in receipts if receipt in self._hidden]
            self._extending = frozenset(receipt for receipt, _ in batch)
        lost: list[str] = []
        try:
            began = time.monotonic()
            entries = [(receipt, math.ceil(self.visibility_s)) for receipt, _ in batch]
            refused = self._queue.change_visibility(entries) if entries else {}
            for position, (receipt, hidden) in enumerate(batch):
                refusal = refused.get(position)
                if refusal is None:
                    hidden.until = began + self.visibility_s
                elif refusal.code in LOST_CODES:
                    lost.append(receipt)
                    emit(LogEvent.HEARTBEAT_ENDED, "warning", message_id=hidden.id, code=refusal.code)
                else:
                    emit(LogEvent.HEARTBEAT_FAILED, "warning", message_id=hidden.id, code=refusal.code)
        except QueueError as error:
            emit(LogEvent.HEARTBEAT_FAILED, "warning", count=len(batch), code=error.code, error=str(error))
        finally:
            with self._changed:
                for receipt in lost:
                    self._hidden.pop(receipt, None)
                self._extending = frozenset()
                self._changed.notify_all()
        return lost

    def _release(self, releases: list[tuple[str, str, int]], *, stop: threading.Event) -> None:
        """(receipt handle, message id, delay in seconds) of each.

        Once SQS answers no call any more, the rest is not tried: a command would wait for each ten of 100,000.
        """
        answers = True
        for start in range(0, len(releases), MAX_BATCH):
            batch = releases[start : start + MAX_BATCH]
            self._forget_and_wait({receipt for receipt, _, _ in batch})
            if not answers:
                continue
            entries = [(receipt, delay_s) for receipt, _, delay_s in batch]
            refused = in_batch(self._queue.change_visibility, entries, stop=stop)
            for position, refusal in refused.items():
                emit(LogEvent.MESSAGE_RELEASE_FAILED, "warning", message_id=batch[position][1], code=refusal.code)
            answers = len(refused) < len(batch) or any(refusal.senders_fault for refusal in refused.values())

    def _forget_and_wait(self, receipts: set[str]) -> None:
        """Forget these, and wait for an extension under way: arriving after the release, it would overwrite it."""
        with self._changed:
            for receipt in receipts:
                self._hidden.pop(receipt, None)
            self._changed.wait_for(lambda: receipts.isdisjoint(self._extending))
