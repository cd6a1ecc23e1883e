"""What a worker knows of itself, collected in one place for `/healthz`, `systemctl status` and its record in the state bucket."""

import os
import platform
import time
from typing import Any

from worker import __version__
from worker.assembly import Components
from worker.core.base.jsontypes import JsonObject
from worker.core.base.settings import Settings
from worker.core.base.text import shortened
from worker.core.s3.workers import WorkerRecord, WorkerState
from worker.metrics import Metrics
from worker.supervisor import Supervisor


class Health:
    """The present state of one worker, from READY to its end. May be asked from any thread."""

    def __init__(self, settings: Settings, components: Components, supervisor: Supervisor, metrics: Metrics) -> None:
        self._settings = settings
        self._components = components
        self._supervisor = supervisor
        self._metrics = metrics
        self._started_at_ms = components.clients.objects.clock.now_ms()
        self._ending: WorkerState | None = None
        self._exit_code: int | None = None
        self._last: tuple[str, int] = ("", 0)
        """The last state that was recorded, and when it began."""
        self._open_since: dict[str, float] = {}

    def draining(self) -> None:
        """Note that the worker stops."""
        self._ending = WorkerState.DRAINING

    def stopped(self, exit_code: int) -> None:
        """Note that nothing is left to do."""
        self._ending, self._exit_code = WorkerState.STOPPED, exit_code

    # -- the facts -----------------------------------------------------------------------------------------------

    def record(self) -> WorkerRecord:
        """Everything that is known at this moment."""
        components, now_ms = self._components, self._components.clients.objects.clock.now_ms()
        breakers, held_back = self._open_breakers(), components.gate.reasons
        state = self._state(is_paused="paused" in held_back, is_resting=bool(breakers or held_back))
        if self._last[0] != state:
            self._last = state, now_ms
        self._open_since = {name: self._open_since.get(name, now_ms) for name in breakers}
        polled = self._metrics.last_poll
        return WorkerRecord(
            name=self._settings.worker_name,
            state=state,
            since_ms=self._last[1],
            written_at_ms=now_ms,
            started_at_ms=self._started_at_ms,
            last_poll_at_ms=0 if polled is None else now_ms - int((time.monotonic() - polled) * 1000),
            host=platform.node(),
            version=__version__,
            pid=os.getpid(),
            in_flight=len(components.in_flight),
            source_queue=components.clients.source.name,
            dlq=components.clients.dlq.name,
            reindex=components.clients.reindex.run,
            breakers=breakers,
            breakers_since=self._open_since,
            open_breakers=len(breakers),
            held_back=held_back,
            failing_calls=tuple(self.failing_calls()),
            unhealthy_threads=tuple(self._supervisor.unhealthy()),
            figures=self._metrics.figures(),
            exit_code=self._exit_code,
        )

    def failing_calls(self) -> list[str]:
        """Which calls to the queues keep failing, and why: all threads make progress, and no message does."""
        components = self._components
        return [fault for fault in (components.consumer.fault, *components.settlement.faults) if fault]

    def _open_breakers(self) -> dict[str, str]:
        index, buckets = self._components.index_breaker, self._components.s3_health.held_back
        found = {"index": index.reason} if index.is_open else {}
        return found | {f"s3://{bucket}": why for bucket, why in buckets.items()}

    def _state(self, *, is_paused: bool, is_resting: bool) -> WorkerState:
        if self._ending is not None:
            return self._ending
        if is_paused:
            return WorkerState.PAUSED
        return WorkerState.RESTING if is_resting else WorkerState.SERVING

    # -- who asks for them ---------------------------------------------------------------------------------------

    def answer(self) -> tuple[bool, JsonObject]:
        """What `/healthz` answers: whether the worker is well, and the facts."""
        record = self.record()
        is_well = not record.unhealthy_threads and not record.failing_calls
        buckets = self._components.s3_health.held_back
        facts: dict[str, Any] = {
            **record.as_json(),
            "status": "stopping" if self._ending else "serving" if is_well else "unhealthy",
            "buckets_held_back": buckets,
            "brake_on": self._components.brake.is_on,
            "index_breaker_open": self._components.index_breaker.is_open,
        }
        return is_well, facts

    def status_line(self) -> str:
        """One line for `systemctl status`."""
        record = self.record()
        buckets = {name: why for name, why in record.breakers.items() if name != "index"}
        held = "; ".join((*record.failing_calls, *record.held_back.values(), *_held_back(buckets)))
        index = "unavailable, documents go to retry-index/" if "index" in record.breakers else "available"
        settled = self._metrics.settled
        return (
            f"{held or 'serving'} | in flight {record.in_flight} | done {settled['done']}, failed {settled['failed']}, "
            f"released {settled['release']} | index {index}{self._limits()}"
        )

    def _limits(self) -> str:
        """What services refused so much that they get less, for `systemctl status`; empty if none has."""
        limited = self._components.clients.aws.throttles.limited()
        return (
            f" | limited: {', '.join(f'{name} to {rate:,.0f}/s' for name, rate in limited.items())}" if limited else ""
        )


def _held_back(buckets: dict[str, str]) -> list[str]:
    """What `systemctl status` says of buckets that cannot be read."""
    if not buckets:
        return []
    first, why = next(iter(buckets.items()))
    others = f" and {len(buckets) - 1} more" if len(buckets) > 1 else ""
    return [f"held back: {first}{others}: {shortened(why, 100)}"]
