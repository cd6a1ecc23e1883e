"""Executes operations, one item after another, in a few threads; several managers share the operations of one ledger.

Each batch: check that the operation is still ours and is to go on, mark its items, act, write in the audit what was done, then
write results and rows. After a kill, what was marked is looked up in the records: what they do not say to be done is done
again, and marked "perhaps twice" if that sends a message.
"""

import threading
import uuid
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

from recovery.ledger.execution import LeaseLostError, Taken
from recovery.ledger.ledger import Ledger
from recovery.ledger.operation_items import PERHAPS_SENT, Item, ItemResult, Result
from recovery.ledger.operations import OperationState
from recovery.ledger.refusals import Verb
from recovery.ledger.rows import Row
from recovery.manager.acting.acts import Act, Acted, after_conflict
from recovery.manager.acting.verbs import Verbs
from recovery.manager.leases import Leases
from recovery.manager.metrics import ManagerMetrics, ReplayStatus
from recovery.manager.ramp import Ramp, why_stop
from recovery.operations.dead_letters.message_types import S3_EVENT, UNKNOWN
from worker.core.base.errors import ConfigError, PausedError, WorkerError
from worker.core.base.events import LogEvent
from worker.core.base.liveness import Liveness
from worker.core.base.logs import Level, emit
from worker.core.sqs.queue import MAX_BATCH
from worker.supervisor import IDLE_TURN_S

LANES = 3
"""Operations that one manager executes at a time: a long one must not keep a short one waiting."""
MAX_SILENCE_S = 1_800.0
"""A batch of files may take minutes to be read."""
OUTAGE_S = 10.0
"""After this an operation is tried again whose queue or bucket refuses; others are executed meanwhile."""
MAX_OUTAGES = 3
"""Times that a dead letter may be refused before it counts as failed: then it is at fault, not the service."""
FOREIGN_AT_ONCE = 5
"""Messages of other services' types that are sent at once: their consumers may be slow, and are not ours."""
TIES = 200
"""Items that are looked at for those that were sent in the same millisecond, where the order counts."""
_OURS = frozenset({S3_EVENT, UNKNOWN})


@dataclass(frozen=True, slots=True)
class Outage:
    """What keeps an operation from its work."""

    why: str = ""
    """Empty if it need not rest."""
    worn_out: Collection[str] = ()
    """The dead letters that were refused too often."""
    is_final: bool = False
    """Whether it has to stop."""


class Operations:
    """The executor of one manager; each lane is a thread."""

    def __init__(self, ledger: Ledger, verbs: Verbs, metrics: ManagerMetrics, *, stop: threading.Event) -> None:
        self._ledger = ledger
        self._execution = ledger.execution
        self._verbs = verbs
        self._metrics = metrics
        self._stop = stop
        self._name = uuid.uuid4().hex
        self._foreign = threading.Lock()
        self._refused: dict[str, Counter[str]] = {}
        """How often each dead letter of an operation was refused, by operation."""
        self.leases = Leases(ledger, stop)
        self.problem = ""
        """Why the ledger could not be asked for operations; empty if it could."""

    def lane(self, number: int, liveness: Liveness) -> None:
        """Execute one operation after another, until stopped."""
        while not self._stop.wait(IDLE_TURN_S):
            liveness.beat()
            try:
                while not self._stop.is_set() and self.once(f"{self._name}-{number}", liveness):
                    liveness.beat()
                self.problem = ""
            except WorkerError as error:
                self.problem = str(error)
                emit(LogEvent.OPERATION_INTERRUPTED, "warning", error=str(error))

    def once(self, holder: str, liveness: Liveness) -> bool:
        """Take one operation and execute it as far as possible; False if there is none. Raises LedgerError."""
        taken = self._execution.take(holder, self.leases.ttl_s)
        if taken is None:
            return False
        with self.leases.keeping(taken):
            try:
                self._execute(taken, liveness)
            except LeaseLostError:
                emit(LogEvent.OPERATION_INTERRUPTED, "warning", operation=taken.operation.id, error="it was taken over")
        return True

    def _execute(self, taken: Taken, liveness: Liveness) -> None:
        operation = taken.operation
        emit(LogEvent.OPERATION_TAKEN, "info", operation=operation.id, verb=operation.verb, by=operation.by)
        delay_s: float | None = None
        try:
            self._resolve(taken)
            if operation.state is OperationState.RUNNING:
                while self._execution.enlist(taken, self.leases.ttl_s):
                    liveness.beat()
                delay_s = self._run(taken, liveness)
        except PausedError as error:
            self._execution.stop(taken, OperationState.PAUSED, error.sentence)
        except ConfigError as error:
            self._execution.stop(taken, OperationState.FAILED, str(error))
        except WorkerError as error:
            self._execution.tell(taken, error=str(error))
            delay_s = OUTAGE_S
        self._end(taken, delay_s, liveness)

    def _end(self, taken: Taken, delay_s: float | None, liveness: Liveness) -> None:
        """Let the operation end if it is to; otherwise somebody goes on with it later."""
        if delay_s is not None or self._stop.is_set():
            self._execution.release(taken, for_s=delay_s or 0)
            return
        while not self._execution.wind_up(taken, self.leases.ttl_s):
            liveness.beat()
        ended = self._ledger.operations.get(taken.operation.id)
        if ended is None or ended.ended_ms is None:
            return
        self._refused.pop(ended.id, None)
        level: Level = "info" if ended.state is OperationState.DONE else "warning"
        emit(
            LogEvent.OPERATION_ENDED, level, operation=ended.id, verb=ended.verb, state=ended.state, done=ended.done,
            failed=ended.failed, skipped=ended.skipped, twice=ended.twice, error=ended.error,
        )  # fmt: skip

    def _run(self, taken: Taken, liveness: Liveness) -> float | None:
        """Execute batches; seconds after which it is to be tried again, None if it need not be."""
        operation, options = taken.operation, taken.operation.options
        run = self._verbs.run(operation.verb, name=operation.run, by=operation.by)
        ramps = operation.verb is Verb.REDRIVE and options.get("ramp", True)
        ramp = Ramp(rate=options.get("rate"), ramps=bool(ramps), step=operation.step)
        with self._verbs.doing(operation.verb, run, options) as act:
            is_ordered = self._verbs.is_ordered(operation.verb, options)
            after = 0
            while not self._stop.is_set():
                liveness.beat()
                count = ramp.next_count()
                ramp.wait(count, self._stop, liveness)
                if ramp.is_step_over and self._came_back(taken, ramp):
                    return None
                ties = TIES if is_ordered else 0
                items = self._execution.begin(taken, self.leases.ttl_s, after=after, limit=count, ties=ties)
                if not items:
                    return OUTAGE_S if self._execution.has_left_behind(taken) else None
                if not self._batch(taken, act, items, is_ordered=is_ordered):
                    return OUTAGE_S
                after = items[-1].place
                if len(items) > count:
                    ramp.wait(len(items) - count, self._stop, liveness)
        return None

    def _came_back(self, taken: Taken, ramp: Ramp) -> bool:
        """Whether so much has come back that the operation was stopped; otherwise it goes on faster."""
        found = self._ledger.operations.get(taken.operation.id)
        why = why_stop(found.done if found else 0, lambda: self._execution.came_back(taken))
        if why:
            self._execution.stop(taken, OperationState.FAILED, why)
            return True
        ramp.next_step()
        self._execution.tell(taken, step=ramp.step)
        return False

    # -- batches -----------------------------------------------------------------------------------------------------

    def _batch(self, taken: Taken, act: Act, items: Sequence[Item], *, is_ordered: bool) -> bool:
        """Act on items, and write what has become of them. False if something refuses that all of them need."""
        skipped = [_passed_over(one) for one in items if one.why_not]
        todo = {one.row.identity: one for one in items if one.row is not None and not one.why_not}
        verb = taken.operation.verb
        acted: list[Acted] = []
        failure: WorkerError | None = None
        try:
            for part in self._parts([one.row for one in todo.values() if one.row], act, is_ordered=is_ordered):
                acted += part
        except WorkerError as error:
            failure = error
        outage = Outage() if failure else self._outage(taken, acted, is_ordered=is_ordered)
        acted = [replace(one, state=Result.FAILED) if one.row.identity in outage.worn_out else one for one in acted]
        results = [_result(todo.pop(one.row.identity), one) for one in acted]
        untouched = [ItemResult(one.place, Result.WAITING, twice=one.twice) for one in todo.values()]
        self._settle(taken, [*skipped, *results, *untouched], acted)
        if failure is not None:
            raise failure
        if verb is Verb.REDRIVE:
            self._metrics.count(ReplayStatus.SUCCESS, sum(one.state is Result.DONE for one in acted))
            self._metrics.count(ReplayStatus.ERROR, sum(one.state is Result.FAILED for one in acted))
        if outage.is_final:
            self._execution.stop(taken, OperationState.FAILED, f"{outage.why}; what follows must not overtake it")
        elif acted and taken.operation.error != outage.why:
            self._execution.tell(taken, error=outage.why)
        return not outage.why

    def _parts(self, rows: Sequence[Row], act: Act, *, is_ordered: bool) -> Iterator[list[Acted]]:
        """Act on dead letters of our own types together, on those of others a few at a time; where the order counts, in it.

        Each part is yielded once it is done; a later one may raise WorkerError.
        """
        ours = [row for row in rows if row.type in _OURS]
        foreign = [row for row in rows if row.type not in _OURS]
        if is_ordered and foreign:
            with self._foreign:  # the queue takes one at a time anyway
                yield act(rows)
            return
        if ours:
            yield act(ours)
        for start in range(0, len(foreign), FOREIGN_AT_ONCE):
            with self._foreign:
                acted = act(foreign[start : start + FOREIGN_AT_ONCE])
            yield acted

    def _outage(self, taken: Taken, acted: Sequence[Acted], *, is_ordered: bool) -> Outage:
        """What the operation has to rest for, if anything, and who is at fault instead.

        A dead letter is at fault if it is refused again and again although queue and bucket answer; it is tried again once all
        others were. The operation rests if they do not answer, or if nothing of a batch could be done. Where the order counts,
        it rests if anything could not be done, for what follows must not overtake it, and it stops where that is at fault.
        """
        operation = taken.operation
        waiting = [one for one in acted if one.state is Result.WAITING]
        if not waiting:
            return Outage()
        refused = self._refused.setdefault(operation.id, Counter())
        refused.update(one.row.identity for one in waiting)
        answers = self._verbs.answers(operation.verb, operation.options)
        worn_out = {one.row.identity for one in waiting if answers and refused[one.row.identity] > MAX_OUTAGES}
        why = waiting[0].result
        if is_ordered:
            return Outage(why, is_final=bool(worn_out))
        rests = not answers or not any(one.state is Result.DONE for one in acted)
        return Outage(why if rests and len(worn_out) < len(waiting) else "", worn_out)

    def _settle(self, taken: Taken, results: Sequence[ItemResult], acted: Sequence[Acted]) -> None:
        operation = taken.operation
        run = self._verbs.run(operation.verb, name=operation.run, by=operation.by)
        made = {
            one.row.identity: (one, change) for one in acted if (change := one.change(operation.verb, run)) is not None
        }
        changed = self._execution.settle(taken, results, [change for _, change in made.values()])
        # What is changed once more meanwhile is brought up to date by the upkeep.
        again = (after_conflict(self._verbs.world, *made[name], version) for name, version in changed.conflicts.items())
        self._ledger.change_many([change for change in again if change is not None])

    # -- after a kill ------------------------------------------------------------------------------------------------

    def _resolve(self, taken: Taken) -> None:
        """Find out what has become of the items that whoever was here before was acting on. Raises StoreError."""
        operation = taken.operation
        while items := self._execution.in_doubt(taken)[:MAX_BATCH]:
            run = self._verbs.run(operation.verb, name=operation.run, by=operation.by)
            rows = {one.row.identity: one for one in items if one.row is not None}
            acted = self._verbs.what_became(
                operation.verb, [one.row for one in rows.values() if one.row], run, operation.options
            )
            results = [_result(rows[one.row.identity], one) for one in acted]
            results += [_passed_over(one) for one in items if one.row is None]
            self._settle(taken, results, acted)


def _passed_over(item: Item) -> ItemResult:
    """An item on which nothing may be done any more. What may have been sent is not as it was."""
    if item.twice:
        return ItemResult(item.place, Result.FAILED, PERHAPS_SENT, twice=True)
    return ItemResult(item.place, Result.SKIPPED, item.why_not)


def _result(item: Item, acted: Acted) -> ItemResult:
    return ItemResult(item.place, acted.state, acted.result, item.twice or acted.in_doubt)
