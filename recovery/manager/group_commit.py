"""Writes what several threads want to write to the ledger in common transactions: each costs the disk one flush."""

import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import suppress
from queue import Empty, SimpleQueue

from recovery.ledger.ledger import Ledger
from recovery.ledger.rows import Arrival, Taken
from worker.core.base.liveness import Liveness
from worker.supervisor import IDLE_TURN_S

MAX_ROWS = 500
"""Of one transaction."""
GATHER_S = 0.02
"""How long a transaction waits for what other threads want: each has a cost of its own, whatever it writes."""
MAX_SILENCE_S = 120
"""A transaction waits for other writers, at most as long as the database's own limit allows."""

_Wanted = tuple[Sequence[Arrival], "Future[dict[str, Taken]]"]


class GroupCommit:
    """Takes arrivals in for the intake's threads; `run` is a thread of its own."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._queue: SimpleQueue[_Wanted] = SimpleQueue()
        self._stopping = threading.Event()

    def take_in(self, arrivals: Sequence[Arrival]) -> dict[str, Taken]:
        """Write these, and wait until they are durable. Raises LedgerError."""
        future: Future[dict[str, Taken]] = Future()
        self._queue.put((arrivals, future))
        return future.result()

    def stop(self) -> None:
        """End once nothing is left to write."""
        self._stopping.set()
        self._queue.put(((), Future()))  # `run` waits for something to write

    def run(self, liveness: Liveness) -> None:
        """Write until stopped."""
        while not (self._stopping.is_set() and self._queue.empty()):
            liveness.beat()
            if wanted := self._collect():
                self._write(wanted)

    def _collect(self) -> list[_Wanted]:
        """What is wanted now: everything that came while the last transaction was written, or comes within GATHER_S."""
        wanted: list[_Wanted] = []
        with suppress(Empty):
            wanted.append(self._queue.get(timeout=IDLE_TURN_S))
            until = time.monotonic() + GATHER_S
            while sum(len(arrivals) for arrivals, _ in wanted) < MAX_ROWS:
                wanted.append(self._queue.get(timeout=max(0.0, until - time.monotonic())))
        return wanted

    def _write(self, wanted: Sequence[_Wanted]) -> None:
        try:
            taken = self._ledger.take_in([one for arrivals, _ in wanted for one in arrivals])
        except Exception as error:  # noqa: BLE001 (it is raised where it was wanted)
            for _, future in wanted:
                future.set_exception(error)
            return
        for arrivals, future in wanted:
            future.set_result({one.message_id: taken[one.message_id] for one in arrivals})
