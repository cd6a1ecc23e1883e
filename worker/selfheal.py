"""The worker's own replay: once an outage is over, no operator is needed.

`retry-index/` is replayed when the index is available again, at start, after single documents were stored for retry, when a
budget has room again for what is held, and every hour: a few records at a time, alongside the live messages, by one process
of the fleet at once (a lease in the state bucket).
"""

import threading
import time
from itertools import takewhile

from worker.budgets import Budgets
from worker.core.base.breaker import Breaker
from worker.core.base.classify import is_transient
from worker.core.base.errors import IndexUnavailableError, WorkerError
from worker.core.base.events import LogEvent
from worker.core.base.liveness import Liveness
from worker.core.base.logs import emit
from worker.core.base.settings import Settings
from worker.core.clients import Clients
from worker.core.indexing.pipeline import Pipeline
from worker.core.indexing.replay import Replay, Result, is_due
from worker.core.indexing.retry_store import RetryStore
from worker.core.s3.lease import Lease
from worker.core.s3.state import CONTROL_PREFIX, PARKED_PREFIX, RETRY_PREFIX
from worker.pause_gate import PauseGate
from worker.supervisor import IDLE_TURN_S

LEASE_KEY = CONTROL_PREFIX + "replay-lease.json"
THREADS = 8
"""Each record takes two requests to S3; at 25 ms each, so many threads observe 160 records a second."""
AGAIN_S = 30.0
"""The next try after a run that could not finish, or while another process holds the lease."""
RARELY_S = 600.0
"""The next try after a failure that needs an operator: no permission, for example."""
ANYHOW_S = 3600.0
"""A run without any occasion, for what a worker has stored that has left the fleet since."""
STORED_S = 10.0
"""How long single documents stored for retry wait while the index is available."""
MAX_SILENCE_S = 300
"""The slowest step: a bulk request, then one deletion, each tried three times to its timeout."""


class SelfHeal:
    """Replays when there is occasion; `run` is a thread's loop under the Supervisor."""

    def __init__(
        self,
        settings: Settings,
        clients: Clients,
        *,
        pipeline: Pipeline,
        retry: RetryStore,
        breaker: Breaker,
        gate: PauseGate,
        budgets: Budgets | None = None,
    ) -> None:
        """`breaker` is the index's: nothing is replayed while it is open, nor while `gate` is shut."""
        self._budgets = budgets
        self._reopened = 0
        self._settings = settings
        self._clients = clients
        self._pipeline = pipeline
        self._retry = retry
        self._breaker = breaker
        self._gate = gate
        self._stopping = threading.Event()
        self._due_at = time.monotonic()
        self._last_stored = retry.last_stored
        self._has_left = False
        """Whether the last run has left what it would only do again in vain: the records of a bucket that it skipped, or what the
        second index of a reindex does not take."""
        breaker.on_change(self._index_changed)

    def run(self, liveness: Liveness) -> None:
        """Replay when there is occasion, until stopped."""
        while not self._stopping.wait(IDLE_TURN_S):
            liveness.beat()
            if self._retry.last_stored != self._last_stored:
                self._last_stored = self._retry.last_stored
                self._try_again(RARELY_S if self._has_left else STORED_S)
            if self._budgets is not None and self._budgets.reopened != self._reopened:
                self._reopened = self._budgets.reopened
                self._due_at = time.monotonic()
            if time.monotonic() >= self._due_at and self._may_replay():
                self._due_at = time.monotonic() + ANYHOW_S
                self._heal(liveness)

    def stop(self) -> None:
        """Begin no run, and end the current one after the records that it has already observed."""
        self._stopping.set()

    def _index_changed(self, error: BaseException | None) -> None:
        if error is None:
            self._due_at = time.monotonic()

    def _may_replay(self) -> bool:
        return not self._breaker.is_open and self._gate.is_open and not self._stopping.is_set()

    def _heal(self, liveness: Liveness) -> None:
        try:
            if not self._has_records():
                return
            with self._lease() as lease:
                if not lease.is_held or not self._replay(liveness, lease):
                    self._try_again(RARELY_S if self._has_left else AGAIN_S)
        except WorkerError as error:
            if isinstance(error, IndexUnavailableError):
                self._breaker.failed(error)
            self._failed(error, AGAIN_S if is_transient(error) else RARELY_S)
        except BaseException as error:  # noqa: BLE001 (no memory, or a bug: neither must end the live work)
            if is_transient(error):
                self._failed(error, AGAIN_S)
            else:
                self._failed(error, RARELY_S, is_bug=True)

    def _lease(self) -> Lease:
        clients = self._clients
        return Lease(clients.state, LEASE_KEY, holder=self._settings.worker_name, clock=clients.objects.clock)

    def _failed(self, error: BaseException, retry_s: float, *, is_bug: bool = False) -> None:
        message, cause = str(error) or repr(error), error if is_bug else None
        emit(LogEvent.REPLAY_FAILED, "warning", error=message, retry_s=retry_s, exc_info=cause)
        self._try_again(retry_s)

    def _try_again(self, after_s: float) -> None:
        self._due_at = min(self._due_at, time.monotonic() + after_s)

    def _may_release(self, scope: str) -> bool:
        """Whether what is held for the cap of a scope may be tried: without caps, all of it."""
        return self._budgets is None or self._budgets.may_release(scope)

    def _has_records(self) -> bool:
        """Whether there are records to be replayed; the days come before `held/` and `parked/` in the listing."""
        names = takewhile(lambda name: not name.startswith(PARKED_PREFIX), self._clients.state.keys(RETRY_PREFIX))
        return any(is_due(name, self._may_release) for name in names)

    def _replay(self, liveness: Liveness, lease: Lease) -> bool:
        """One run; whether every record was examined and decided."""
        stop = threading.Event()

        def tick() -> None:
            liveness.beat()
            if not self._may_replay() or not lease.renew():
                stop.set()

        replay = Replay(
            self._settings, self._clients, pipeline=self._pipeline, retry=self._retry, threads=THREADS,
            may_release=self._may_release,
        )  # fmt: skip
        try:
            replay.run(stop=stop, rejected_too=False, tick=tick)
        finally:
            self._has_left = bool(replay.skipped) or replay.is_behind
            counts = {result.value: count for result, count in replay.counts.items()}
            if counts:
                emit(LogEvent.REPLAY_FINISHED, counts=counts, complete=not stop.is_set())
        return not stop.is_set() and not replay.counts[Result.KEPT]
