"""How a reindex ends: back to the old index, without the new one, or without the old one."""

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

from recovery.operations.reindexing.steps import Steps, alone, phase_in_truth, under_way
from worker.core.audit import AuditEvent, Recorded, Run, record
from worker.core.base.errors import ConfigError, DependencyError
from worker.core.base.settings import Settings
from worker.core.clients import Clients
from worker.core.index.exchange import Exchange
from worker.core.index.open import name_of
from worker.core.s3.reindexing import Phase, Reindex
from worker.core.s3.workers import read_workers

NONE = "no reindex is under way"
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Situation:
    """Where things stand."""

    reindex: Reindex | None
    now_ms: int = 0
    """On S3's clock."""
    following: int = 0
    """The number of workers that write to both indexes."""
    alive: int = 0
    """The number of workers that are alive."""

    @property
    def grace_left_s(self) -> int:
        """Seconds for which the old index is still to be kept; 0 before the switch, and once it may be deleted."""
        if self.reindex is None or self.reindex.phase is not Phase.SWITCHED:
            return 0
        return max(0, self.reindex.grace_s - (self.now_ms - self.reindex.written_ms) // 1000)

    def as_json(self) -> dict[str, object]:
        """Everything, by name."""
        found = self.reindex
        if found is None:
            return {"reindex": None}
        names = ("run", "by", "old", "new", "source", "phase", "searched", "begun_ms", "written_ms")
        return {
            "reindex": {name: getattr(found, name) for name in names},
            "grace_left_s": self.grace_left_s,
            "workers": {"alive": self.alive, "following": self.following},
        }


def situation(settings: Settings, clients: Clients, exchange: Exchange) -> Situation:
    """Where things stand; changes nothing. Raises StoreError, IndexUnavailableError or DependencyError."""
    clock = clients.objects.clock
    steps = under_way(clients.state, clock)
    if steps is None:
        return Situation(None)
    now_ms = clock.now_ms()
    alive = [one for one in read_workers(clients.state, now_ms) if one.is_alive]
    found = steps.reindex
    if found.index == name_of(settings):  # the phase of another's cannot be known from here
        found = replace(found, phase=phase_in_truth(found, exchange))
    return Situation(found, now_ms, sum(1 for one in alive if one.reindex == found.run), len(alive))


@dataclass(frozen=True, slots=True)
class Ended:
    """What ending or going back has done."""

    reindex: Reindex
    recorded: Recorded
    is_complete: bool = True
    """False if a signal ended it early."""


class Ending:
    """Ends a reindex, or goes back. Every method raises StoreError, IndexUnavailableError, and DependencyError if it must not."""

    def __init__(
        self, settings: Settings, clients: Clients, exchange: Exchange, run: Run, *, stop: threading.Event, say: Say
    ) -> None:
        """`say` hears what is being waited for."""
        self._settings = settings
        self._clients = clients
        self._exchange = exchange
        self._run = run
        self._stop = stop
        self._say = say

    def roll_back(self, *, force: bool) -> Ended:
        """Let searches read the old index again; everything is written to both as before.

        Without `force`, not while a worker does not write to both.
        """
        with self._alone():
            steps = self._steps()
            reindex = steps.reindex
            if reindex.phase is not Phase.SWITCHED:
                raise DependencyError(f"searches read {reindex.searched} at present: there is nothing to go back from")
            if not force:
                steps.require_followed()
            self._exchange.switch(reindex.old, reindex.new)
            steps.move(Phase.FILLING)
            return self._ended(steps)

    def abort(self) -> Ended:
        """End it before the switch, and delete the new index."""
        with self._alone():
            steps = self._steps()
            if steps.reindex.phase is Phase.SWITCHED:
                raise DependencyError(f"searches read {steps.reindex.new} by now: use --rollback first, or --finish")
            if steps.reindex.phase is not Phase.ENDING:
                steps.move(Phase.ENDING, left_over=steps.reindex.new)
            return self._settled(steps)

    def finish(self, *, force: bool) -> Ended:
        """End it after the switch, and delete the old index; without `force`, not within the time for which it is to be kept."""
        with self._alone():
            steps = self._steps()
            reindex, now = steps.reindex, Situation(steps.reindex, self._clients.objects.clock.now_ms())
            if reindex.phase in {Phase.PREPARING, Phase.FILLING}:
                raise DependencyError(f"searches still read {reindex.old}: run it to its end first, or use --abort")
            if now.grace_left_s and not force:
                hours = f"{now.grace_left_s / 3600:,.1f} hours"
                raise DependencyError(f"{reindex.old} is to be kept for another {hours}; to delete it now, use --force")
            if reindex.phase is not Phase.ENDING:
                steps.move(Phase.ENDING, left_over=reindex.old)
            return self._settled(steps)

    def _alone(self) -> AbstractContextManager[None]:
        return alone(self._clients.state, self._clients.objects.clock, self._run, self._stop)

    def _steps(self) -> Steps:
        steps = resolved(self._settings, self._clients, self._exchange)
        if steps is None:
            raise DependencyError(NONE)
        return steps

    def _settled(self, steps: Steps) -> Ended:
        is_complete = settle(self._exchange, steps, stop=self._stop, say=self._say)
        return self._ended(steps, is_complete=is_complete)

    def _ended(self, steps: Steps, *, is_complete: bool = True) -> Ended:
        reindex = steps.reindex
        details = {"reindex": reindex.run, "old": reindex.old, "new": reindex.new, "removed": reindex.left_over}
        recorded = record(self._clients.state, AuditEvent.of(self._run, (), {}, details))
        return Ended(reindex, recorded, is_complete)


def resolved(settings: Settings, clients: Clients, exchange: Exchange) -> Steps | None:
    """The reindex that is under way, its record brought to the truth; None if there is none. Only for who is alone.

    Raises StoreError, IndexUnavailableError, and DependencyError if the record cannot be understood or is about another index.
    """
    steps = under_way(clients.state, clients.objects.clock)
    if steps is not None:
        if steps.reindex.index != name_of(settings):
            raise DependencyError(f"the reindex under way is about {steps.reindex.index}, not {name_of(settings)}")
        steps.move(phase_in_truth(steps.reindex, exchange), left_over=steps.reindex.left_over)
    return steps


def settle(exchange: Exchange, steps: Steps, *, stop: threading.Event, say: Say) -> bool:
    """The last phase: remove the index that is not needed, once nobody writes to it, and forget the reindex.

    False if `stop` was set before: then it is left to the next command. Raises StoreError, IndexUnavailableError and
    DependencyError.
    """
    steps.wait_until_followed(stop=stop, say=say)
    if stop.is_set():
        return False
    reindex = steps.reindex
    left_over = "" if reindex.left_over == _searched(exchange) else reindex.left_over
    if reindex.left_over and not left_over:
        say(f"{reindex.left_over} is kept, because searches read it")
    if left_over:
        exchange.remove(left_over)
    for name in {reindex.old, reindex.new} - {left_over}:
        exchange.settle(name)
    steps.forget()
    return True


def _searched(exchange: Exchange) -> str:
    """The index that searches read; empty if there is none."""
    try:
        return exchange.current().name
    except ConfigError:
        return ""
