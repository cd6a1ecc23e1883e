"""Keeps dead letters invisible while someone works on them or looks at them, and gives them back."""

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from recovery.letters import Letter
from worker.core.classify import is_passing
from worker.core.errors import QueueError
from worker.core.logs import emit
from worker.core.queue import MAX_BATCH, Queue
from worker.core.retry import in_place


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

    def keep(self, letters: Iterable[Letter]) -> None:
        """Keep these until they are forgotten or released."""
        with self._lock:
            self._held.update(dict.fromkeys(letter.receipt for letter in letters if letter.receipt))

    def forget(self, letters: Iterable[Letter]) -> None:
        """These are settled."""
        with self._lock:
            for letter in letters:
                self._held.pop(letter.receipt, None)

    def release(self, letters: Iterable[Letter]) -> None:
        """Give these back: visible at once. What SQS refuses reappears by itself, when its time is over."""
        self._release([letter.receipt for letter in letters if letter.receipt])

    def release_all_but(self, letters: Iterable[Letter]) -> None:
        """Give everything else back."""
        kept = {letter.receipt for letter in letters}
        self._release([receipt for receipt in list(self._held) if receipt not in kept])

    def _release(self, receipts: list[str]) -> None:
        for start in range(0, len(receipts), MAX_BATCH):
            batch = receipts[start : start + MAX_BATCH]
            with self._lock:
                for receipt in batch:
                    self._held.pop(receipt, None)
                self._hide(batch, 0)

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
                    self._hide(still, self.visibility_s)

    def _hide(self, receipts: list[str], seconds: int) -> None:
        if not receipts:
            return
        try:
            refused = in_place(
                lambda: self._queue.hide([(receipt, seconds) for receipt in receipts]),
                passing=is_passing, stop=threading.Event(),
            )  # fmt: skip
        except QueueError as error:
            emit("hold.failed", "warning", count=len(receipts), seconds=seconds, code=error.code, error=str(error))
            return
        if refused:
            first = next(iter(refused.values()))
            emit("hold.failed", "warning", count=len(refused), seconds=seconds, code=first.code, error=first.message)
