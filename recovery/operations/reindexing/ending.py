"""How a reindex ends: back to the old index, without the new one, or without the old one."""

from dataclasses import dataclass

from recovery.operations.reindexing.steps import Steps, under_way
from worker.core.audit import AuditEvent, Recorded, Run, record
from worker.core.base.errors import DependencyError
from worker.core.base.settings import Settings
from worker.core.clients import Clients
from worker.core.index.exchange import Exchange
from worker.core.index.open import name_of
from worker.core.s3.reindexing import Phase, Reindex
from worker.core.s3.workers import read_workers

NONE = "no reindex is under way"


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


def situation(clients: Clients, exchange: Exchange) -> Situation:
    """Where things stand. Raises StoreError, IndexUnavailableError or DependencyError."""
    clock = clients.objects.clock
    steps = under_way(clients.state, clock, exchange)
    if steps is None:
        return Situation(None)
    now_ms = clock.now_ms()
    alive = [one for one in read_workers(clients.state, now_ms) if one.is_alive]
    return Situation(steps.reindex, now_ms, sum(1 for one in alive if one.reindex == steps.reindex.run), len(alive))


def roll_back(settings: Settings, clients: Clients, exchange: Exchange, run: Run) -> tuple[Reindex, Recorded]:
    """Let searches read the old index again; everything is written to both as before. What was done, and its record.

    Raises DependencyError if that is not possible (any more), StoreError and IndexUnavailableError.
    """
    steps = _steps(settings, clients, exchange)
    if steps.reindex.phase is not Phase.SWITCHED:
        raise DependencyError(f"searches read {steps.reindex.searched} at present: there is nothing to go back from")
    exchange.switch(steps.reindex.old, steps.reindex.new)
    steps.move(Phase.FILLING)
    return steps.reindex, _record(clients, run, steps.reindex)


def abort(settings: Settings, clients: Clients, exchange: Exchange, run: Run) -> tuple[Reindex, Recorded]:
    """End it before the switch, and delete the new index. What was done, and its record.

    Raises DependencyError where searches read the new index, StoreError and IndexUnavailableError.
    """
    steps = _steps(settings, clients, exchange)
    if steps.reindex.phase is Phase.SWITCHED:
        raise DependencyError(f"searches read {steps.reindex.new} by now: use --rollback first, or --finish")
    if steps.reindex.phase is not Phase.ENDING:
        steps.move(Phase.ENDING, left_over=steps.reindex.new)
    settle(exchange, steps)
    return steps.reindex, _record(clients, run, steps.reindex)


def finish(
    settings: Settings, clients: Clients, exchange: Exchange, run: Run, *, force: bool
) -> tuple[Reindex, Recorded]:
    """End it after the switch, and delete the old index. What was done, and its record.

    Raises DependencyError before the switch, and, unless `force`, within the time for which the old index is to be kept; and
    StoreError and IndexUnavailableError.
    """
    steps = _steps(settings, clients, exchange)
    now = Situation(steps.reindex, clients.objects.clock.now_ms())
    if steps.reindex.phase in {Phase.PREPARING, Phase.FILLING}:
        raise DependencyError(f"searches still read {steps.reindex.old}: run it to its end first, or use --abort")
    if now.grace_left_s and not force:
        raise DependencyError(
            f"{steps.reindex.old} is to be kept for another {now.grace_left_s / 3600:,.1f} hours; to delete it now, use --force"
        )
    if steps.reindex.phase is not Phase.ENDING:
        steps.move(Phase.ENDING, left_over=steps.reindex.old)
    settle(exchange, steps)
    return steps.reindex, _record(clients, run, steps.reindex)


def settle(exchange: Exchange, steps: Steps) -> None:
    """The last phase: remove the index that is not needed, and forget the reindex. Raises StoreError, IndexUnavailableError."""
    reindex = steps.reindex
    if reindex.left_over:
        exchange.remove(reindex.left_over)
    for name in {reindex.old, reindex.new} - {reindex.left_over}:
        exchange.settle(name)
    steps.forget()


def _steps(settings: Settings, clients: Clients, exchange: Exchange) -> Steps:
    steps = under_way(clients.state, clients.objects.clock, exchange)
    if steps is None:
        raise DependencyError(NONE)
    if steps.reindex.index != name_of(settings):
        raise DependencyError(f"the reindex under way is about {steps.reindex.index}, not {name_of(settings)}")
    return steps


def _record(clients: Clients, run: Run, reindex: Reindex) -> Recorded:
    details = {"reindex": reindex.run, "old": reindex.old, "new": reindex.new, "removed": reindex.left_over}
    return record(clients.state, AuditEvent.of(run, (), {}, details))
