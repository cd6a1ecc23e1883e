"""The worker's own replay: a healed outage needs no human.

After the index is back, at start, and when single documents were stored for retry, `retry-index/` is brought in: a few
records at a time, behind the live messages, and by one process of the fleet at once (a lease in the state bucket).
"""

import threading
import time
from typing import Self

import orjson

from worker.core.errors import WorkerError
from worker.core.logs import emit
from worker.core.outside import Outside
from worker.core.pipeline import Pipeline
from worker.core.replay import Replay, Result
from worker.core.retry import Breaker
from worker.core.retrystore import RetryStore
from worker.core.settings import Settings
from worker.core.state import CONTROL_PREFIX, RETRY_PREFIX
from worker.crew import IDLE_TURN_S, Pulse
from worker.inhand import Gate

LEASE_KEY = CONTROL_PREFIX + "replay-lease.json"
LEASE_S = 120
"""A process that dies while it replays keeps the others off so long at most."""
THREADS = 4
AGAIN_S = 60.0
"""After a run that could not finish, or while another process has the lease."""
STORED_S = 10.0
"""Single documents stored for retry wait so long at most while the index is in reach."""
MAX_SILENCE_S = 300
"""One record's slowest step, an S3 call at its timeout three times over."""


class SelfHeal:
    """Runs on a thread of the crew."""

    def __init__(
        self, settings: Settings, outside: Outside, pipeline: Pipeline, retry: RetryStore, breaker: Breaker, gate: Gate
    ) -> None:
        self._settings = settings
        self._outside = outside
        self._pipeline = pipeline
        self._retry = retry
        self._breaker = breaker
        self._gate = gate
        self._stopping = threading.Event()
        self._due_at = time.monotonic()
        self._stored = 0
        breaker.on_change(self._index_changed)

    def run(self, pulse: Pulse) -> None:
        """Replay when there is occasion, until stopped."""
        while not self._stopping.wait(IDLE_TURN_S):
            pulse.beat()
            if self._retry.stored != self._stored:
                self._stored = self._retry.stored
                self._due_at = min(self._due_at, time.monotonic() + STORED_S)
            if time.monotonic() >= self._due_at and self._may():
                self._due_at = float("inf")
                self._heal(pulse)

    def stop(self) -> None:
        """End the run under way after the records in hand, and begin none."""
        self._stopping.set()

    def _index_changed(self, is_open: bool) -> None:
        if not is_open:
            self._due_at = time.monotonic()

    def _may(self) -> bool:
        return not self._breaker.is_open and self._gate.is_open and not self._stopping.is_set()

    def _heal(self, pulse: Pulse) -> None:
        try:
            if not self._outside.state.count(RETRY_PREFIX, at_most=1):
                return
            with _Lease(self._outside, self._settings.worker_name) as lease:
                if lease.is_held:
                    self._replay(pulse, lease)
                else:
                    self._due_at = time.monotonic() + AGAIN_S
        except WorkerError as error:
            emit("replay.failed", "warning", error=str(error), retry_s=AGAIN_S)
            self._due_at = min(self._due_at, time.monotonic() + AGAIN_S)

    def _replay(self, pulse: Pulse, lease: "_Lease") -> None:
        stop = threading.Event()

        def tick() -> None:
            pulse.beat()
            if not self._may() or not lease.renew():
                stop.set()

        replay = Replay(self._settings, self._outside, self._pipeline, self._retry, threads=THREADS)
        try:
            replay.run(stop=stop, rejected_too=False, tick=tick)
        finally:
            counts = {result.value: count for result, count in replay.counts.items()}
            if counts:
                emit("replay.finished", counts=counts, complete=not stop.is_set())
        if stop.is_set() or replay.counts[Result.KEPT]:
            self._due_at = min(self._due_at, time.monotonic() + AGAIN_S)


class _Lease:
    """A record in the state bucket that only one process can have, by conditional writes; on S3's clock."""

    def __init__(self, outside: Outside, holder: str) -> None:
        self._state = outside.state
        self._clock = outside.objects.clock
        self._holder = holder
        self._etag: str | None = None
        self._until_ms = 0

    @property
    def is_held(self) -> bool:
        """Whether it is ours."""
        return self._etag is not None

    def __enter__(self) -> Self:
        found = self._state.get_with_etag(LEASE_KEY)
        if found is None or _until_ms(found[0]) <= self._clock.now_ms():
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


def _until_ms(record: bytes) -> int:
    """When a lease ends; one that cannot be read has ended."""
    try:
        return int(orjson.loads(record)["until_ms"])
    except (ValueError, TypeError, KeyError):
        return 0
