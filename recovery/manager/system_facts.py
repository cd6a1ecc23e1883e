"""What is known of the whole system at one moment: ledger, DLQ, fleet, `retry-index/`. Shared by everybody who looks."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from recovery.ledger.groups import Group
from recovery.ledger.intake import HOUR_MS
from recovery.ledger.ledger import Ledger
from recovery.ledger.operations import Operation, OperationState
from recovery.ledger.selection import Selection
from recovery.ledger.statistics import HOURS, Stats
from recovery.manager.depth_history import Depths, depths
from recovery.manager.figures import Figures, IntakeFigures
from recovery.manager.figures_source import DlqReading, FiguresSource
from recovery.manager.fleet_health import why_unhealthy
from recovery.manager.watched import Fact, Watched
from worker.core.base.jsontypes import JsonObject
from worker.core.s3.state import State
from worker.core.s3.waiting import Tally, tally_retry_index
from worker.core.s3.workers import WorkerRecord, read_recent_workers

LEDGER_FRESH_S = 4.0
"""For how many seconds the counts of the ledger are shared: people look at them after each action."""
FIGURES_FRESH_S = 15.0
FIGURES_STALE_S = 600.0
FIGURES_PATIENCE_S = 0.05
"""Ages and the like look at every row (0.5 s for 100,000 on a busy PostgreSQL): they come a little later than the counts."""
MAX_GROUPS = 5
MAX_OPERATIONS = 20
UNDER_WAY = (OperationState.RUNNING, OperationState.WAITING, OperationState.PAUSED)


@dataclass(frozen=True, slots=True)
class Waiting:
    """The dead letters, as the ledger and the DLQ have them."""

    stats: Stats
    dlq: DlqReading
    intake: IntakeFigures
    soonest_expiry_s: float | None
    """Seconds until SQS drops the first of what could not be taken in; None if there is nothing."""
    largest: tuple[Group, ...]
    """The largest groups, at most MAX_GROUPS."""
    operations: tuple[Operation, ...]
    """Those under way, at most MAX_OPERATIONS of each state."""
    depths: Depths
    """How many there were, by the hour."""

    @property
    def depth(self) -> int:
        """How many there are: in the DLQ as far as it says, open and scheduled."""
        return self.stats.waiting + (self.dlq.depth or 0)

    def depths_until(self, at_ms: int) -> list[int | None]:
        """How many there were at the end of each of the last HOURS hours, and now; None where it is not known."""
        hour = at_ms // HOUR_MS
        now = None if self.dlq.depth is None else self.depth
        return [*(self.depths.get(at) for at in range(hour - HOURS + 1, hour)), now]


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that is known at one moment, and what is not."""

    at_ms: int
    """The manager's clock, ms since the epoch."""
    waiting: Fact[Waiting]
    figures: Fact[Figures]
    """Ages, and other figures of alerts; a DLQ that does not answer adds nothing to them."""
    workers: Fact[list[WorkerRecord]]
    """The records to be shown: of those that are alive, were lost lately, or cannot be read."""
    pause: Fact[JsonObject | None]
    """The record of the pause in force; None if there is none."""
    retry_index: Fact[Mapping[str, Tally]]
    """By prefix: what waits for the index, what is parked, and what is held for a budget."""
    pause_changed_ms: int = 0
    """When the manager last learned that the fleet was paused or resumed, ms since the epoch; 0: not since it started."""

    @property
    def unknown(self) -> dict[str, Fact[Any]]:
        """The facts that are not known now, by name; figures that are still being counted are not among them."""
        found = {name: getattr(self, name) for name in ("waiting", "workers", "pause", "retry_index")}
        return {name: fact for name, fact in found.items() if not fact.is_known}


class SystemFacts:
    """Reads them. May be used from any thread."""

    def __init__(self, ledger: Ledger, state: State, source: FiguresSource, *, now_ms: Callable[[], int]) -> None:
        """`now_ms` is S3's clock, by which workers are alive."""

        def read_waiting() -> Waiting:
            return _waiting(ledger, source)

        self._waiting = Watched("waiting", read_waiting, fresh_s=LEDGER_FRESH_S)
        self._figures = Watched(
            "figures", lambda: source.of_ledger(ledger.stats(), source.dlq()),
            fresh_s=FIGURES_FRESH_S, stale_s=FIGURES_STALE_S, patience_s=FIGURES_PATIENCE_S,
        )  # fmt: skip
        self._pause_changed_ms = 0
        self._workers = Watched("workers", lambda: read_recent_workers(state, now_ms()))
        self._pause: Watched[JsonObject | None] = Watched("pause", state.pause_record)
        self._obstacle = Watched("retries", lambda: why_unhealthy(state, now_ms()))
        self._retry_index: Watched[Mapping[str, Tally]] = Watched("retry-index", lambda: tally_retry_index(state))

    def read(self) -> Facts:
        """What is known; it takes no longer than one fact that does not come. Never raises."""
        for one in (self._waiting, self._figures, self._workers, self._pause, self._retry_index):
            one.begin()
        return Facts(
            waiting=self._waiting.get(), workers=self._workers.get(), pause=self._pause.get(),
            retry_index=self._retry_index.get(), figures=self._figures.get(), at_ms=_now_ms(),
            pause_changed_ms=self._pause_changed_ms,
        )  # fmt: skip

    def pause(self) -> Fact[JsonObject | None]:
        """The record of the pause in force; None if there is none. Never raises."""
        return self._pause.get()

    def obstacle(self) -> Fact[str]:
        """Why nothing is sent again by itself now; empty if it may be. Never raises."""
        self._obstacle.begin()
        return self._obstacle.get()

    def forget_pause(self) -> None:
        """The fleet was paused or resumed: whoever asks next hears of it."""
        self._pause_changed_ms = _now_ms()
        self._pause.forget()
        self._obstacle.forget()

    def forget_waiting(self) -> None:
        """Dead letters or operations have changed: whoever asks next hears of it."""
        self._waiting.forget()


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _waiting(ledger: Ledger, source: FiguresSource) -> Waiting:
    """Raises LedgerError."""
    stats, reading = ledger.stats(), source.dlq()
    counted = ledger.operations.counts()
    under_way = [
        one
        for state in UNDER_WAY
        if counted.get(state.value)
        for one in ledger.operations.page(state=state, limit=MAX_OPERATIONS)
    ]
    largest = ledger.groups(Selection(), limit=MAX_GROUPS) if stats.groups else []
    expiry_s = source.soonest_expiry_s(reading)
    return Waiting(stats, reading, source.intake(), expiry_s, tuple(largest), tuple(under_way), depths(ledger))
