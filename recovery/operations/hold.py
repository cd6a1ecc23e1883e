"""Keeps dead letters invisible while someone works on them or looks at them, and gives them back."""

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from recovery.operations.dead_letters import DeadLetter
from worker.core.base.classify import is_transient
from worker.core.base.errors import QueueError
from worker.core.base.events import LogEvent
from worker.core.base.logs import emit
from worker.core.base.retry import retry_transient
from worker.core.sqs.queue import MAX_BATCH, Queue


class Hold:
    """Letters held by this process. A thread of its own extends them all when a third of their time is used up."""

    def __init__(self, queue: Queue, *, visibility_s: int) -> None:
        self._queue = queue
        self.visibility_s = visibility_s
        self._held: dict[str, None] = {}  # receipts alone: a hundred thousand letters may be passed over in one run
        self._lock = threading.Lock()  # held during calls: an extension must not overtake a release
        self._ended = threading.Event()

    def __len__(self) -> int:
        return len(self._held)

    def keep(self, dead_letters: Iterable[DeadLetter]) -> None:
        """Keep these until they are forgotten or released."""
        with self._lock:
            self._held.update(dict.fromkeys(dead_letter.receipt for dead_letter in dead_letters if dead_letter.receipt))

    def forget(self, dead_letters: Iterable[DeadLetter]) -> None:
        """These are settled."""
        with self._lock:
            for dead_letter in dead_letters:
                self._held.pop(dead_letter.receipt, None)

    def release(self, dead_letters: Iterable[DeadLetter]) -> None:
        """Give these back: visible at once. What SQS refuses reappears by itself, when its time is over."""
        self._release([dead_letter.receipt for dead_letter in dead_letters if dead_letter.receipt])

    def release_all_but(self, dead_letters: Iterable[DeadLetter]) -> None:
        """Give everything else back."""
        kept = {dead_letter.receipt for dead_letter in dead_letters}
        self._release([receipt for receipt in list(self._held) if receipt not in kept])

    def _release(self, receipts: list[str]) -> None:
        for start in range(0, len(receipts), MAX_BATCH):
            batch = receipts[start : start + MAX_BATCH]
            with self._lock:
                for receipt in batch:
                    self._held.pop(receipt, None)
                self._change_visibility(batch, 0)

    @contextmanager
    def running(self) -> "Iterator[Hold]":
        """Extend what is held while this lasts; at its end, however it comes, everything still held is released."""
        thread = threading.Thread(target=self._run, name="hold", daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._ended.set()
            thread.join()
            self._release(list(self._held))

    def _run(self) -> None:
        while not self._ended.wait(self.visibility_s / 3):
            receipts = list(self._held)
            for start in range(0, len(receipts), MAX_BATCH):
                with self._lock:
                    still = [receipt for receipt in receipts[start : start + MAX_BATCH] if receipt in self._held]
                    self._change_visibility(still, self.visibility_s)

    def _change_visibility(self, receipts: list[str], seconds: int) -> None:
        if not receipts:
            return
        try:
            refused = retry_transient(
                lambda: self._queue.change_visibility([(receipt, seconds) for receipt in receipts]),
                transient=is_transient, stop=threading.Event(),
            )  # fmt: skip
        except QueueError as error:
            emit(
                LogEvent.HOLD_FAILED, "warning", count=len(receipts), seconds=seconds, code=error.code, error=str(error)
            )
            return
        if refused:
            first = next(iter(refused.values()))
            emit(
                LogEvent.HOLD_FAILED,
                "warning",
                count=len(refused),
                seconds=seconds,
                code=first.code,
                error=first.message,
            )
