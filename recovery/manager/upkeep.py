"""What the manager does from time to time: follow the state bucket, check it, prune the ledger. One manager of several does it."""

import threading
import time
from collections.abc import Callable

from recovery.ledger.ledger import Ledger
from recovery.manager import diagnosis
from recovery.manager.depth_history import note_depth
from recovery.manager.follow import Follower
from worker.core.base.errors import ConfigError, WorkerError
from worker.core.base.events import LogEvent
from worker.core.base.liveness import Liveness
from worker.core.base.logs import emit
from worker.supervisor import IDLE_TURN_S

FOLLOW_S = 600.0
"""Seconds between two readings of what is new in the state bucket."""
DAY_S = 86_400.0
LEASE = "upkeep"
LEASE_S = 900.0
"""A manager that is killed keeps another from the upkeep for so long at most."""
MAX_SILENCE_S = float("inf")
"""A check lists every record, however long that takes."""
_CHECKED = "checked_at"


class Upkeep:
    """The upkeep of one manager; `run` is a thread of its own."""

    def __init__(
        self,
        ledger: Ledger,
        follower: Follower,
        *,
        holder: str,
        keep_days: int,
        stop: threading.Event,
        in_sqs: Callable[[], int | None] = lambda: None,
    ) -> None:
        """`holder` names this process among the managers of one ledger.

        `in_sqs`: how many dead letters the DLQ still has; None: not known.
        """
        self._in_sqs = in_sqs
        self._ledger = ledger
        self._follower = follower
        self._holder = holder
        self._keep_days = keep_days
        self._stop = stop
        self.problem = ""
        """Why the last turn failed; empty if it succeeded."""

    def run(self, liveness: Liveness) -> None:
        """Do what is due, until stopped."""
        due_at = time.monotonic()
        while not self._stop.wait(IDLE_TURN_S):
            liveness.beat()
            if time.monotonic() >= due_at:
                self.turn()
                due_at = time.monotonic() + FOLLOW_S

    def turn(self) -> None:
        """Do what is due, if no other manager does. Never raises WorkerError: it is logged, and tried again the next time."""
        epoch = None
        try:
            epoch = self._ledger.claim(LEASE, self._holder, LEASE_S)
            if epoch is None:
                return
            self._note_depth()
            self._follower.follow()
            self._ledger.plans.prune()
            if self._is_due(_CHECKED, DAY_S):
                self._check()
            self.problem = ""
        except WorkerError as error:
            if str(error) != self.problem:
                emit(
                    LogEvent.UPKEEP_FAILED, "critical" if isinstance(error, ConfigError) else "error", error=str(error)
                )
            self.problem = str(error)
        finally:
            if epoch is not None:
                self._try(lambda: self._ledger.release(LEASE, self._holder, epoch))

    def _note_depth(self) -> None:
        """While the DLQ does not say how many it has, nothing is noted: the charts have a gap, and no drop."""
        in_sqs = self._in_sqs()
        if in_sqs is not None:
            note_depth(self._ledger, self._ledger.stats().waiting + in_sqs, int(time.time() * 1000))

    def _check(self) -> None:
        """Once a day: look for records that are missing, and forget what has long ended.

        Records that are found late have come long ago, behind the place that the diagnosis has reached: it begins again.
        """
        missing = self._follower.check()
        self._ledger.set_mark(diagnosis.MARK, "")
        before_ms = int((time.time() - self._keep_days * DAY_S) * 1000)
        pruned = self._ledger.prune(before_ms)
        self._ledger.operations.prune(before_ms)
        if not self._stop.is_set():
            self._ledger.set_mark(_CHECKED, str(int(time.time())))
            emit(LogEvent.UPKEEP_CHECKED, "info", missing=missing, pruned=pruned)

    def _is_due(self, mark: str, every_s: float) -> bool:
        return time.time() - float(self._ledger.get_mark(mark) or 0) >= every_s

    def _try(self, call: Callable[[], object]) -> None:
        try:
            call()
        except WorkerError as error:  # the lease ends by itself
            self.problem = self.problem or str(error)
