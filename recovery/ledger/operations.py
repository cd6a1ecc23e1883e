"""Operations: what is done with the dead letters of a plan; how people start, follow, pause and cancel them.

How they are executed: execution.py.
"""

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, func, insert, select, text, update

from recovery.ledger import answers, operation_items
from recovery.ledger.answers import Answer, Asked
from recovery.ledger.database import Database
from recovery.ledger.operation_items import LEFT_BY, Part, Result
from recovery.ledger.plans import EXPIRES_MS, Plan, Plans
from recovery.ledger.refusals import Verb
from recovery.ledger.schema_operations import operations, plans


class OperationState(StrEnum):
    """Where an operation is."""

    WAITING = "waiting"
    RUNNING = "running"
    PAUSED = "paused"
    DONE = "done"
    FAILED = "failed"
    """It has stopped by itself; `error` says why. What it had not begun is as it was."""
    CANCELLED = "cancelled"


ENDED = frozenset({OperationState.DONE, OperationState.FAILED, OperationState.CANCELLED})
WAITING = frozenset({OperationState.WAITING, OperationState.PAUSED})
_MOVES = {
    OperationState.PAUSED: (OperationState.WAITING, OperationState.RUNNING),
    OperationState.WAITING: (OperationState.PAUSED,),
    OperationState.CANCELLED: (OperationState.WAITING, OperationState.RUNNING, OperationState.PAUSED),
}
"""What people may do, by what it becomes: pause, resume, cancel."""


def allowed_moves(state: OperationState) -> list[OperationState]:
    """What people may let an operation in this state become."""
    return [to for to, of in _MOVES.items() if state in of]


class PlanUsedError(ValueError):
    """Raised when a plan is used for a second operation; has the first one's id."""

    def __init__(self, operation: str) -> None:
        super().__init__(f"this plan is used by the operation {operation} already; make another")
        self.operation = operation


class PlanExpiredError(ValueError):
    """Raised when a plan is too old to be used."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation."""

    id: str
    plan: str
    verb: Verb
    options: Mapping[str, Any]
    by: str
    state: OperationState
    created_ms: int
    started_ms: int | None
    changed_ms: int
    ended_ms: int | None
    """When the last of its items was settled; an operation that stops has to let go of the others first."""
    total: int
    done: int
    failed: int
    skipped: int
    twice: int
    """Items that were perhaps sent twice, because whoever sent them was killed meanwhile."""
    skips: Mapping[str, int]
    """Why items were skipped, and how many."""
    step: int
    """How far its ramp-up is."""
    error: str
    """What keeps it from its work, or has stopped it."""
    query: str | None

    @property
    def run(self) -> str:
        """Its name in records and in the audit, the same whoever executes it."""
        return run_of(self.id)

    @property
    def left(self) -> int:
        """Items that nothing has been done with yet."""
        return self.total - self.done - self.failed - self.skipped

    @property
    def let_go(self) -> int:
        """Items that were skipped only because it was stopped or cancelled before their turn."""
        return sum(self.skips.get(why, 0) for why in LEFT_BY)


def run_of(operation_id: str) -> str:
    """The name of an operation in records and in the audit."""
    return f"operation-{operation_id}"


Answering = tuple[Asked, Callable[[Operation], Answer]]


class Operations:
    """The operations of one ledger. Every method raises LedgerError where the database fails."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._now = database.now_sql
        self._plans = Plans(database)

    # -- people ------------------------------------------------------------------------------------------------------

    def create(self, plan: Plan, *, by: str, answering: Answering | None = None) -> Operation:
        """An operation that waits for an executor. Raises PlanUsedError or PlanExpiredError."""
        made = str(uuid.uuid4())
        with self._database.writing() as connection:
            found = connection.execute(
                select(plans.c.number, text(self._now)).where(plans.c.id == plan.id)
            ).one_or_none()
            if found is None or found[1] >= plan.expires_ms:
                raise PlanExpiredError(f"this plan is older than {EXPIRES_MS // 60_000} minutes; make another")
            used = connection.execute(select(operations.c.id).where(operations.c.plan == found[0])).scalar_one_or_none()
            if used is not None:
                raise PlanUsedError(used)
            connection.execute(
                insert(operations).values(
                    id=made, plan=found[0], verb=plan.verb.value, options=dict(plan.options), by=by,
                    state=OperationState.WAITING.value, created_ms=found[1], changed_ms=found[1], total=plan.count, enlisted=0,
                    done=0, failed=0, skipped=0, twice=0, skips={}, step=0, error="", holder="", until_ms=0, epoch=0,
                )
            )  # fmt: skip
            operation = one(connection, made)
            if answering is not None:
                asked, answer_of = answering
                answers.finish(connection, asked, answer_of(operation))
        return operation

    def get(self, operation_id: str) -> Operation | None:
        """One operation."""
        with self._database.reading() as connection:
            found = connection.execute(queried().where(operations.c.id == operation_id)).one_or_none()
        return None if found is None else _operation(found)

    def page(
        self, *, state: OperationState | None = None, ended: bool | None = None, offset: int = 0, limit: int = 100
    ) -> list[Operation]:
        """Operations, the latest first. `ended`: only those of which nothing is left to be done, or only the others."""
        query = queried().order_by(operations.c.created_ms.desc(), operations.c.id.desc()).offset(offset).limit(limit)
        if ended is not None:
            query = query.where(operations.c.ended_ms.is_not(None) if ended else operations.c.ended_ms.is_(None))
        if state is not None:
            query = query.where(operations.c.state == state.value)
        with self._database.reading() as connection:
            return [_operation(found) for found in connection.execute(query)]

    def many(self, ids: Sequence[str]) -> list[Operation]:
        """These, those that are unknown left out."""
        with self._database.reading() as connection:
            return [_operation(found) for found in connection.execute(queried().where(operations.c.id.in_(ids)))]

    def counts(self) -> dict[str, int]:
        """How many operations are in each state."""
        query = select(operations.c.state, func.count()).group_by(operations.c.state)
        with self._database.reading() as connection:
            return {state: int(count) for state, count in connection.execute(query)}

    def move(self, operation_id: str, state: OperationState) -> Operation | None:
        """Pause (PAUSED), resume (WAITING) or cancel (CANCELLED) one; None where its state does not allow that."""
        allowed = [one.value for one in _MOVES[state]]
        error = {"error": ""} if state is OperationState.WAITING else {}
        # Whoever executes it notices before its next batch, and lets it go: its lease must not be taken away meanwhile.
        values = {"state": state.value, "changed_ms": text(self._now), **error}
        query = (
            update(operations).where(operations.c.id == operation_id, operations.c.state.in_(allowed)).values(**values)
        )
        with self._database.writing() as connection:
            return one(connection, operation_id) if connection.execute(query).rowcount else None

    def items(
        self, operation_id: str, *, state: Result | Part | None = None, after: int = 0, limit: int = 100
    ) -> list[operation_items.Shown]:
        """What has become of its items, in order, after a place."""
        with self._database.reading() as connection:
            return operation_items.shown(connection, operation_id, run_of(operation_id), state, after, limit)

    def sample(self, plan_id: str, *, limit: int = 10) -> list[operation_items.Item]:
        """Some of what a plan's operation would act upon, spread evenly over it; none if there is no such plan."""
        with self._database.reading() as connection:
            return operation_items.sample(connection, plan_id, limit)

    def changed(self, plan_id: str, *, of_first: int) -> int:
        """How many of a plan's first dead letters an operation would skip now: they have changed, or are forgotten."""
        with self._database.reading() as connection:
            return operation_items.changed(connection, plan_id, of_first)

    def identities(self, plan_id: str, *, limit: int) -> list[str]:
        """The dead letters of a plan, in order."""
        with self._database.reading() as connection:
            return operation_items.identities(connection, plan_id, limit)

    def came_back(self, operation_id: str) -> int:
        """How many dead letters that an operation has sent are open again."""
        with self._database.reading() as connection:
            query = select(operations.c.plan).where(operations.c.id == operation_id)
            plan = connection.execute(query).scalar_one_or_none()
            return 0 if plan is None else operation_items.came_back(connection, plan, run_of(operation_id))

    def prune(self, before_ms: int) -> int:
        """Delete operations that ended before, with their plans and items; how many they were."""
        query = select(operations.c.plan).where(operations.c.ended_ms < before_ms)
        with self._database.reading() as connection:
            numbers = list(connection.execute(query).scalars())
        for number in numbers:
            self._plans.delete(number)
        return len(numbers)


_OWN = ("id", "verb", "options", "by", "state", "created_ms", "started_ms", "changed_ms", "ended_ms", "total", "done", "failed",
        "skipped", "twice", "skips", "step", "error")  # fmt: skip


def queried() -> Any:
    """Operations with what is theirs of their plans."""
    own = [operations.c[name] for name in _OWN]
    return select(*own, plans.c.id.label("plan"), plans.c.query).join(plans, plans.c.number == operations.c.plan)


def one(connection: Connection, operation_id: str) -> Operation:
    """One that is known."""
    return _operation(connection.execute(queried().where(operations.c.id == operation_id)).one())


def _operation(found: Any) -> Operation:
    values = dict(found._asdict())
    return Operation(**{**values, "verb": Verb(values["verb"]), "state": OperationState(values["state"])})
