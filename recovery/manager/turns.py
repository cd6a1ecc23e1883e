"""Does one thing again and again, in one manager of several: in the one that holds the lease."""

import threading
import time
from collections.abc import Callable

from recovery.ledger.ledger import Ledger
from worker.core.base.errors import ConfigError, WorkerError
from worker.core.base.events import LogEvent
from worker.core.base.liveness import Liveness
from worker.core.base.logs import emit
from worker.supervisor import IDLE_TURN_S

LEASE_S = 120.0
"""A manager that is killed keeps another from its work for so long at most. A step between two beats that takes longer may be
repeated by another manager, so every step has to bear that."""
MAX_SILENCE_S = 300.0
"""A step asks S3, the index and queues, each up to three times with their full timeouts."""
LONGEST_REST_S = 60.0
"""The longest rest after a turn that took long."""

Beat = Callable[[], bool]
"""To be called between two steps of a turn; False: the turn has to end, because the manager stops or has lost the lease."""


class Turns:
    """The turns of one manager; `run` is a thread of its own."""

    def __init__(
        self, name: str, turn: Callable[[Beat], None], ledger: Ledger, *, holder: str, every_s: float, stop: threading.Event,
        rest_share: float = 0.0, max_silence_s: float = MAX_SILENCE_S,
    ) -> None:  # fmt: skip
        """`name` is the lease's, `holder` names this process among the managers of one ledger.

        A turn is followed by a rest of `rest_share` times its length, where it looks at much that has not changed.
        """
        self.max_silence_s = max_silence_s
        """The longest time between two beats, after which the watchdog may end the process."""
        self._name = name
        self._turn = turn
        self._ledger = ledger
        self._holder = holder
        self._every_s = every_s
        self._stop = stop
        self._rest_share = rest_share
        self._epoch: int | None = None
        self._held_at = 0.0
        self.problem = ""
        """Why the last turn failed; empty if it succeeded."""

    def run(self, liveness: Liveness) -> None:
        """Take turns until stopped; then let the lease go."""
        due_at = time.monotonic()
        while not self._stop.wait(IDLE_TURN_S):
            liveness.beat()
            if time.monotonic() >= due_at:
                began = time.monotonic()
                self.once(liveness)
                rest_s = min(LONGEST_REST_S, self._rest_share * (time.monotonic() - began))
                due_at = time.monotonic() + max(self._every_s, rest_s)
        self._let_go()

    def once(self, liveness: Liveness) -> None:
        """Take one turn, if no other manager does. Never raises WorkerError: it is logged, and tried again the next time."""

        def beat() -> bool:
            liveness.beat()
            return not self._stop.is_set() and self._holds()

        try:
            if self._holds():
                self._turn(beat)
            self.problem = ""
        except WorkerError as error:
            if str(error) != self.problem:
                is_wrong = isinstance(error, ConfigError)
                emit(LogEvent.AUTOMATION_FAILED, "critical" if is_wrong else "error", what=self._name, error=str(error))
            self.problem = str(error)

    def _holds(self) -> bool:
        """Whether this manager holds the lease; it is taken or renewed as needed. Raises LedgerError."""
        now = time.monotonic()
        if self._epoch is not None and now - self._held_at < LEASE_S / 3:
            return True
        if self._epoch is not None and self._ledger.renew(self._name, self._holder, self._epoch, LEASE_S):
            self._held_at = now
            return True
        self._epoch = self._ledger.claim(self._name, self._holder, LEASE_S)
        self._held_at = now
        return self._epoch is not None

    def _let_go(self) -> None:
        if self._epoch is None:
            return
        try:
            self._ledger.release(self._name, self._holder, self._epoch)
        except WorkerError as error:  # it ends by itself
            self.problem = self.problem or str(error)
