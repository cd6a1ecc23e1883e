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
from recovery.manager.figures import Figures
from recovery.manager.figures_source import DlqReading, FiguresSource
from recovery.manager.watched import Fact, Watched
from worker.core.base.jsontypes import JsonObject
from worker.core.s3.state import State
from worker.core.s3.waiting import Tally, tally_retry_index
from worker.core.s3.workers import WorkerRecord, read_recent_workers

LEDGER_FRESH_S = 4.0
"""For how many seconds figures of the ledger are shared: people look at them after each action."""
MAX_GROUPS = 5
MAX_OPERATIONS = 20
UNDER_WAY = (OperationState.RUNNING, OperationState.WAITING, OperationState.PAUSED)


@dataclass(frozen=True, slots=True)
class Waiting:
    """The dead letters, as the ledger and the DLQ have them."""

    figures: Figures
    stats: Stats
    dlq: DlqReading
    largest: tuple[Group, ...]
    """The largest groups, at most MAX_GROUPS."""
    operations: tuple[Operation, ...]
    """Those under way, at most MAX_OPERATIONS of each state."""
    depths: Depths
    """How many there were, by the hour."""

    @property
    def depth(self) -> int:
        """How many there are: in the DLQ, open and scheduled."""
        return self.figures.depth.total

    def depths_until(self, at_ms: int) -> list[int | None]:
        """How many there were at the end of each of the last HOURS hours, and now; None where nobody noted it."""
        hour = at_ms // HOUR_MS
        return [*(self.depths.get(at) for at in range(hour - HOURS + 1, hour)), self.depth]


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that is known at one moment, and what is not."""

    at_ms: int
    """The manager's clock, ms since the epoch."""
    waiting: Fact[Waiting]
    workers: Fact[list[WorkerRecord]]
    """The records to be shown: of those that are alive, were lost lately, or cannot be read."""
    pause: Fact[JsonObject | None]
    """The record of the pause in force; None if there is none."""
    retry_index: Fact[Mapping[str, Tally]]
    """By prefix: what waits for the index, what is parked, and what is held for a budget."""

    @property
    def unknown(self) -> dict[str, Fact[Any]]:
        """The facts that are not known now, by name."""
        found = {name: getattr(self, name) for name in ("waiting", "workers", "pause", "retry_index")}
        return {name: fact for name, fact in found.items() if not fact.is_known}


class SystemFacts:
    """Reads them. May be used from any thread."""

    def __init__(self, ledger: Ledger, state: State, source: FiguresSource, *, now_ms: Callable[[], int]) -> None:
        """`now_ms` is S3's clock, by which workers are alive."""

        def read_waiting() -> Waiting:
            return _waiting(ledger, source)

        self._waiting = Watched("waiting", read_waiting, fresh_s=LEDGER_FRESH_S)
        self._workers = Watched("workers", lambda: read_recent_workers(state, now_ms()))
        self._pause: Watched[JsonObject | None] = Watched("pause", state.pause_record)
        self._retry_index: Watched[Mapping[str, Tally]] = Watched("retry-index", lambda: tally_retry_index(state))

    def read(self) -> Facts:
        """What is known; it takes no longer than one fact that does not come. Never raises."""
        every = (self._waiting, self._workers, self._pause, self._retry_index)
        for one in every:
            one.begin()
        found = (self._waiting.get(), self._workers.get(), self._pause.get(), self._retry_index.get())
        return Facts(time.time_ns() // 1_000_000, *found)

    def forget_pause(self) -> None:
        """The fleet was paused or resumed: whoever asks next hears of it."""
        self._pause.forget()

    def forget_waiting(self) -> None:
        """Dead letters or operations have changed: whoever asks next hears of it."""
        self._waiting.forget()


def _waiting(ledger: Ledger, source: FiguresSource) -> Waiting:
    """Raises LedgerError."""
    stats, reading = ledger.stats(), source.dlq()
    figures = source.of_ledger(stats, reading)
    counted = figures.operations
    under_way = [
        one
        for state in UNDER_WAY
        if counted.get(state.value)
        for one in ledger.operations.page(state=state, limit=MAX_OPERATIONS)
    ]
    largest = ledger.groups(Selection(), limit=MAX_GROUPS) if stats.groups else []
    return Waiting(figures, stats, reading, tuple(largest), tuple(under_way), depths(ledger))
