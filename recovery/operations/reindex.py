"""`reindex`: make a new index beside the old one, fill it, compare it, and let searches read it; with a way back.

Meanwhile, every process writes to both (worker/core/index/paired.py). What an operator sees of it at any moment is one record
in the state bucket; a run that was interrupted goes on from there.
"""

import threading
import time
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

from recovery.operations.backfill import backfill
from recovery.operations.backfilling.request import BackfillRequest, BackfillResult
from recovery.operations.backfilling.sources import Listing
from recovery.operations.progress import OnProgress, Progress
from recovery.operations.recovering.preconditions import check_all, check_listable
from recovery.operations.reindexing.comparing import Comparison
from recovery.operations.reindexing.ending import resolved, settle
from recovery.operations.reindexing.request import DEFAULT_GRACE_S, Reindexed, ReindexRequest
from recovery.operations.reindexing.steps import Steps, after_switch, alone, begun, phase_in_truth, under_way
from recovery.operations.transfer.targets import refuse_while_paused
from worker.core.audit import AuditEvent, record
from worker.core.base.errors import DependencyError
from worker.core.base.settings import Settings
from worker.core.clients import Clients
from worker.core.index import Index
from worker.core.index.exchange import Exchange
from worker.core.index.open import name_of, open_named
from worker.core.indexing.fresh_writer import MAX_WRITE_AGE_MS
from worker.core.s3.reindexing import MAX_AGE_S, Phase, Reindex, Source

LATE_S = MAX_AGE_S + MAX_WRITE_AGE_MS / 1000
"""How long after both began to be written to a write to the old index alone may still arrive: by a process that did not know."""
MAX_PASSES = 5
"""How often the old index is copied, at most, until a pass changes nothing."""
MAX_ROUNDS = 5
"""How often the new index is compared and repaired, at most, until nothing is wrong with it."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a reindex would do."""

    reindex: Reindex
    documents: int
    """Of the old index."""
    uncovered: frozenset[str]
    """Other buckets whose documents the old index holds: a copy brings them over, but nothing compares them."""
    nameless: int
    """Documents of the old index that name no bucket or key: only a copy brings them into the new one."""
    is_begun: bool
    """Whether it was begun before, and this goes on with it."""


def plan(settings: Settings, clients: Clients, exchange: Exchange, request: ReindexRequest) -> Plan:
    """What `reindex` would do now; changes nothing.

    Raises ConfigError or DependencyError where it must not begin, and StoreError or IndexUnavailableError.
    """
    check_all(settings, clients)
    for place in request.buckets:
        check_listable(clients.objects, place.bucket)
    clients.state.calibrate_clock()
    return _planned(settings, clients, exchange, request)


def _planned(settings: Settings, clients: Clients, exchange: Exchange, request: ReindexRequest) -> Plan:
    steps = under_way(clients.state, clients.objects.clock)
    current = exchange.current()
    uncovered = frozenset(exchange.buckets()) - {place.bucket for place in request.buckets}
    nameless = clients.index.nameless() if request.source is Source.S3 else 0
    if steps is None:
        found = Reindex(
            request.run.name, request.run.by, name_of(settings), current.name, exchange.next_name(current), request.source,
            current.plain_key, current.is_alias, grace_s=DEFAULT_GRACE_S if request.grace_s is None else request.grace_s,
        )  # fmt: skip
    else:
        found = replace(steps.reindex, phase=phase_in_truth(steps.reindex, exchange))
        _require_continuable(found, settings, request.source)
    return Plan(found, current.documents, uncovered, nameless, is_begun=steps is not None)


def reindex(
    settings: Settings, clients: Clients, exchange: Exchange, request: ReindexRequest, planned: Plan, folder: Path, *,
    stop: threading.Event, on_progress: OnProgress,
) -> Reindexed:  # fmt: skip
    """Do what was planned. `stop` ends it between two steps, and the next run goes on; so it does after an error.

    Raises PausedError if the fleet is paused, DependencyError where somebody has to look, and StoreError, QueueError or
    IndexUnavailableError where a service fails.
    """
    refuse_while_paused(clients.state, while_paused=request.while_paused)
    run = _Run(settings, clients, exchange, request, folder, stop, on_progress)
    began = time.monotonic()
    result = Reindexed(planned.reindex.old, planned.reindex.new)
    try:
        with alone(clients.state, clients.objects.clock, request.run, stop):
            run.run(planned, result)
    finally:
        result.stopped, result.seconds = stop.is_set(), time.monotonic() - began
        details = {"index": clients.index.description, "source": request.source.value}
        result.recorded = record(clients.state, AuditEvent.of(request.run, (), result.as_json(), details))
    return result


class _Run:
    """One run."""

    def __init__(
        self, settings: Settings, clients: Clients, exchange: Exchange, request: ReindexRequest, folder: Path,
        stop: threading.Event, on_progress: OnProgress,
    ) -> None:  # fmt: skip
        self._settings = settings
        self._clients = clients
        self._exchange = exchange
        self._request = request
        self._folder = folder
        self._stop = stop
        self._on_progress = on_progress

    def run(self, planned: Plan, result: Reindexed) -> None:
        steps = self._begin(planned)
        steps.wait_until_followed(stop=self._stop, say=self._say)
        reindex = steps.reindex
        aws = self._clients.aws
        new = open_named(
            self._settings, reindex.new, plain_key=reindex.plain_key, credentials=aws.credentials, throttle=aws.throttles.index
        )  # fmt: skip
        with closing(new):
            self._fill(steps, new, result, is_begun=planned.is_begun)
            self._compare(steps, new, result)
        if not self._stop.is_set() and (not result.lacking or self._request.force):
            self._switch(steps, result)

    # -- the steps ---------------------------------------------------------------------------------------------------

    def _begin(self, planned: Plan) -> Steps:
        """The record, and the new index. Raises DependencyError where what was planned is not what would be done by now."""
        now = _planned(self._settings, self._clients, self._exchange, self._request)
        names = (now.is_begun, now.reindex.old, now.reindex.new)
        if names != (planned.is_begun, planned.reindex.old, planned.reindex.new):
            raise DependencyError(
                "the index was replaced, or a reindex began or ended, since this was planned: run it again"
            )
        steps = resolved(self._settings, self._clients, self._exchange)
        if steps is None:
            steps = begun(self._clients.state, self._clients.objects.clock, now.reindex)
        if self._request.grace_s is not None:
            steps.keep_for(self._request.grace_s)
        if steps.reindex.phase is Phase.PREPARING:
            self._exchange.create(steps.reindex.old, steps.reindex.new)
            steps.move(Phase.FILLING)
        return steps

    def _fill(self, steps: Steps, new: Index, result: Reindexed, *, is_begun: bool) -> None:
        if self._stop.is_set():
            return
        if steps.reindex.source is Source.S3:
            self._fill_from_s3(new, result, restart=not is_begun)
        else:
            self._copy(steps, result)

    def _fill_from_s3(self, new: Index, result: Reindexed, *, restart: bool) -> None:
        """Index every object that the new index does not hold. What fails is left to the comparison.

        `restart`: not from where an earlier reindex stopped, which made an index of the same name and was aborted.
        """
        self._say(f"filling {new.description} from S3")
        clients = replace(self._clients, index=new)
        request = BackfillRequest(
            self._request.run, direct=True, rate=self._request.rate, restart=restart,
            while_paused=self._request.while_paused,
        )  # fmt: skip
        source = Listing(clients.objects, clients.state, self._request.buckets)
        report = backfill(self._settings, clients, request, source, stop=self._stop, on_progress=self._on_progress)
        result.filled = report.counts[BackfillResult.INDEXED]
        if report.failure is not None:
            raise report.failure

    def _copy(self, steps: Steps, result: Reindexed) -> None:
        """Copy the old index again and again, until there is nothing new in it, and nothing can come to it alone any more."""
        reindex = steps.reindex

        def on_copied(compared: int, total: int) -> None:
            self._on_progress(Progress(compared, total, {"compared": compared}))

        late = 0
        for number in count(1):
            late += steps.age_s > LATE_S
            self._say(f"copying {reindex.old} to {reindex.new}, pass {number}")
            copied = self._exchange.copy(reindex.old, reindex.new, stop=self._stop, on_copied=on_copied)
            result.filled += copied.changed
            if not copied.is_complete or (late and not copied.changed) or late >= MAX_PASSES:
                return
            if not late:
                self._say("waiting until the last writes to the old index alone have arrived")
                self._stop.wait(max(0.0, LATE_S - steps.age_s))

    def _compare(self, steps: Steps, new: Index, result: Reindexed) -> None:
        """Compare and repair, until the new index is no worse than the old one."""
        comparison = Comparison(
            self._settings, self._clients, new, self._request, self._folder, stop=self._stop, on_progress=self._on_progress
        )  # fmt: skip
        for number in range(1, MAX_ROUNDS + 1):
            if self._stop.is_set():
                return
            steps.require_followed()
            self._say(f"comparing {new.description} with the buckets, round {number}")
            found = comparison.run()
            result.rounds, result.lacking, result.examples = number, found.worse, found.examples
            result.repaired += found.repaired
            if found.is_clean or not found.repaired:
                return

    def _switch(self, steps: Steps, result: Reindexed) -> None:
        reindex = steps.reindex
        steps.require_followed()
        self._exchange.switch(reindex.new, reindex.old)
        result.is_switched, result.can_go_back = True, reindex.is_alias
        steps.move(after_switch(reindex))
        if not reindex.is_alias:
            result.must_finish = True
            result.must_finish = not settle(self._exchange, steps, stop=self._stop, say=self._say)

    def _say(self, note: str) -> None:
        self._on_progress(Progress(0, note=note))


def _require_continuable(reindex: Reindex, settings: Settings, source: Source) -> None:
    """Raises DependencyError where another reindex is under way, or this one has come further."""
    begun_by = f"the reindex that {reindex.by} began ({reindex.run})"
    if reindex.index != name_of(settings):
        raise DependencyError(f"{begun_by} is about {reindex.index}, not {name_of(settings)}: end it there first")
    if reindex.phase is Phase.SWITCHED:
        raise DependencyError(
            f"{begun_by} is done; use --finish to delete {reindex.old}, or --rollback to go back to it"
        )
    if reindex.phase is Phase.ENDING:
        raise DependencyError(f"{begun_by} is being ended; use --finish to complete that")
    if reindex.source is not source:
        raise DependencyError(
            f"{begun_by} fills {reindex.new} --from-{reindex.source}: go on with that, or use --abort"
        )
