"""The worker's own replay: a healed outage needs no human.

After the index is back, at start, when single documents were stored for retry, and every hour, `retry-index/` is brought
in: a few records at a time, behind the live messages, and by one process of the fleet at once (a lease in the state
bucket).
"""

import threading
import time
from typing import Any, Self

import orjson

from worker.core.base.breaker import Breaker
from worker.core.base.classify import is_transient
from worker.core.base.errors import DependencyError, IndexUnavailableError, WorkerError
from worker.core.base.events import LogEvent
from worker.core.base.liveness import Liveness
from worker.core.base.logs import emit
from worker.core.base.settings import Settings
from worker.core.clients import Clients
from worker.core.indexing.pipeline import Pipeline
from worker.core.indexing.replay import Replay, Result
from worker.core.indexing.retry_store import RetryStore
from worker.core.s3.state import CONTROL_PREFIX, PARKED_PREFIX, RETRY_PREFIX
from worker.pause_gate import PauseGate
from worker.supervisor import IDLE_TURN_S

LEASE_KEY = CONTROL_PREFIX + "replay-lease.json"
LEASE_S = 60
"""A process that dies while it replays keeps the others off so long at most."""
THREADS = 8
"""A record asks S3 twice; at the 25 ms that S3 takes, these look at 160 records a second."""
AGAIN_S = 30.0
"""After a run that could not finish, or while another process has the lease."""
RARELY_S = 600.0
"""After what does not pass by itself: no permission, or an S3 without conditional writes."""
ANYHOW_S = 3600.0
"""Without any occasion: what another worker has stored, which was then taken out of the fleet."""
STORED_S = 10.0
"""Single documents stored for retry wait so long at most while the index is in reach."""
MAX_SILENCE_S = 300
"""The slowest step: a bulk request, then one deletion, each tried three times to its timeout."""


class SelfHeal:
    """Runs on a thread of the crew."""

    def __init__(
        self,
        settings: Settings,
        clients: Clients,
        pipeline: Pipeline,
        retry: RetryStore,
        breaker: Breaker,
        gate: PauseGate,
    ) -> None:
        self._settings = settings
        self._clients = clients
        self._pipeline = pipeline
        self._retry = retry
        self._breaker = breaker
        self._gate = gate
        self._stopping = threading.Event()
        self._due_at = time.monotonic()
        self._last_stored = retry.last_stored
        breaker.on_change(self._index_changed)

    def run(self, liveness: Liveness) -> None:
        """Replay when there is occasion, until stopped."""
        while not self._stopping.wait(IDLE_TURN_S):
            liveness.beat()
            if self._retry.last_stored != self._last_stored:
                self._last_stored = self._retry.last_stored
                self._due_at = min(self._due_at, time.monotonic() + STORED_S)
            if time.monotonic() >= self._due_at and self._may():
                self._due_at = time.monotonic() + ANYHOW_S
                self._heal(liveness)

    def stop(self) -> None:
        """End the run under way after the records in hand, and begin none."""
        self._stopping.set()

    def _index_changed(self, is_open: bool) -> None:
        if not is_open:
            self._due_at = time.monotonic()

    def _may(self) -> bool:
        return not self._breaker.is_open and self._gate.is_open and not self._stopping.is_set()

    def _heal(self, liveness: Liveness) -> None:
        try:
            if not self._some_wait():
                return
            with _Lease(self._clients, self._settings.worker_name) as lease:
                if not lease.is_held or not self._replay(liveness, lease):
                    self._again(AGAIN_S)
        except WorkerError as error:
            if isinstance(error, IndexUnavailableError):
                self._breaker.failed(error)
            transient = is_transient(error) or isinstance(error, DependencyError)
            self._failed(error, AGAIN_S if transient else RARELY_S)
        except Exception as error:  # noqa: BLE001 (no memory, or a bug of ours: neither must end the live work)
            if is_transient(error):
                self._failed(error, AGAIN_S)
            else:
                self._failed(error, RARELY_S, exc_info=error)

    def _failed(self, error: Exception, retry_s: float, **more: Any) -> None:
        emit(LogEvent.REPLAY_FAILED, "warning", error=str(error) or repr(error), retry_s=retry_s, **more)
        self._again(retry_s)

    def _again(self, after_s: float) -> None:
        self._due_at = min(self._due_at, time.monotonic() + after_s)

    def _some_wait(self) -> bool:
        """Whether there are records that are not parked; the days come before `parked/`."""
        first = next(self._clients.state.keys(RETRY_PREFIX), None)
        return first is not None and not first.startswith(PARKED_PREFIX)

    def _replay(self, liveness: Liveness, lease: "_Lease") -> bool:
        """One run; whether everything that waited was looked at and decided."""
        stop = threading.Event()

        def tick() -> None:
            liveness.beat()
            if not self._may() or not lease.renew():
                stop.set()

        replay = Replay(self._settings, self._clients, pipeline=self._pipeline, retry=self._retry, threads=THREADS)
        try:
            replay.run(stop=stop, rejected_too=False, tick=tick)
        finally:
            counts = {result.value: count for result, count in replay.counts.items()}
            if counts:
                emit(LogEvent.REPLAY_FINISHED, counts=counts, complete=not stop.is_set())
        return not stop.is_set() and not replay.counts[Result.KEPT]


class _Lease:
    """A record in the state bucket that only one process can have, by conditional writes; on S3's clock."""

    def __init__(self, clients: Clients, holder: str) -> None:
        self._state = clients.state
        self._clock = clients.objects.clock
        self._holder = holder
        self._etag: str | None = None
        self._until_ms = 0

    @property
    def is_held(self) -> bool:
        """Whether it is ours."""
        return self._etag is not None

    def __enter__(self) -> Self:
        found = self._state.get_with_etag(LEASE_KEY)
        if found is None or self._is_free(found[0]):
            self._claim(instead_of=None if found is None else found[1])
        return self

    def __exit__(self, *_: object) -> None:
        """Give it back, if it is still ours: an expired one may have been taken over."""
        if self.is_held and self._clock.now_ms() < self._until_ms:
            self._state.delete(LEASE_KEY)

    def renew(self) -> bool:
        """Keep it, when a third of its time is used up; False where another has it now."""
        if self.is_held and self._until_ms - self._clock.now_ms() < LEASE_S * 1000 * 2 / 3:
            self._claim(instead_of=self._etag)
        return self.is_held

    def _claim(self, *, instead_of: str | None) -> None:
        until_ms = self._clock.now_ms() + LEASE_S * 1000
        record = orjson.dumps({"holder": self._holder, "until_ms": until_ms})
        self._etag = self._state.claim(LEASE_KEY, record, instead_of=instead_of)
        self._until_ms = until_ms

    def _is_free(self, record: bytes) -> bool:
        """Whether a lease has ended: expired, unreadable, or our own that we could not give back."""
        try:
            found = orjson.loads(record)
            return bool(found["until_ms"] <= self._clock.now_ms() or found["holder"] == self._holder)
        except (ValueError, TypeError, KeyError):
            return True
