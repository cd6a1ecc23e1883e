"""Keeps the operations that this manager executes: their leases are renewed for as long as that takes."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from recovery.ledger.execution import LeaseLostError, Taken
from recovery.ledger.ledger import Ledger
from worker.core.base.errors import WorkerError
from worker.core.base.events import LogEvent
from worker.core.base.liveness import Liveness
from worker.core.base.logs import emit

LEASE_S = 12.0
"""An operation whose manager was killed is taken over after this; one whose ledger does not answer for so long, too."""
RENEWALS = 4
"""In this time."""
MAX_SILENCE_S = 120.0
"""A ledger may let a writer wait for ten seconds."""


class Leases:
    """The leases of one manager; `run` is a thread of its own."""

    def __init__(self, ledger: Ledger, stop: threading.Event) -> None:
        self.ttl_s = LEASE_S
        self._execution = ledger.execution
        self._stop = stop
        self._held: dict[str, Taken] = {}
        self._lock = threading.Lock()

    def run(self, liveness: Liveness) -> None:
        """Renew, until stopped and everything is let go."""
        while not self._stop.wait(self.ttl_s / RENEWALS) or self._held:
            liveness.beat()
            self.renew()
            if self._stop.is_set():
                threading.Event().wait(self.ttl_s / RENEWALS)

    def renew(self) -> None:
        """Renew every lease. What is lost is noticed by whoever executes the operation."""
        with self._lock:
            held = list(self._held.values())
        for taken in held:
            try:
                self._execution.renew(taken, self.ttl_s)
            except LeaseLostError:
                self._let_go(taken)
            except WorkerError as error:
                emit(LogEvent.OPERATION_INTERRUPTED, "warning", operation=taken.operation.id, error=str(error))

    @contextmanager
    def keeping(self, taken: Taken) -> Iterator[None]:
        """Within this context, the lease is renewed."""
        with self._lock:
            self._held[taken.operation.id] = taken
        try:
            yield
        finally:
            self._let_go(taken)

    def _let_go(self, taken: Taken) -> None:
        """Renew it no more. Another lane of this manager may hold the operation by now: that lease stays."""
        with self._lock:
            if self._held.get(taken.operation.id) is taken:
                del self._held[taken.operation.id]
