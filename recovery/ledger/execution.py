"""How operations are executed: item by item, each operation by one executor at a time.

An executor takes an operation by a lease, which expires on the database's clock and can then be taken over. Before it acts on
items it marks them as `sending`; afterwards it writes their results and their dead letters' rows in one transaction, if the
lease is still its own. So after a kill, what was `sending` is in doubt, and nothing else.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, select, text, update

from recovery.ledger import changes, operation_items
from recovery.ledger.changes import Changed
from recovery.ledger.database import Database
from recovery.ledger.operation_items import CANCELLED, STOPPED, Item, ItemResult, Settled
from recovery.ledger.operations import ENDED, WAITING, Operation, OperationState, one
from recovery.ledger.plans import CHUNK
from recovery.ledger.rows import Change
from recovery.ledger.schema_operations import operations


class LeaseLostError(Exception):
    """Raised when another executor has taken the operation over: nothing more may be done with it here."""


@dataclass(frozen=True, slots=True)
class Taken:
    """An operation that this executor holds."""

    operation: Operation
    number: int
    """Of its plan."""
    holder: str
    epoch: int


class Execution:
    """What executors do with one ledger. Every method raises LedgerError where the database fails."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._now = database.now_sql

    def take(self, holder: str, ttl_s: float) -> Taken | None:
        """Take the operation that has waited longest and that nobody holds; None if there is none."""
        first = (
            select(operations.c.id)
            .where(
                operations.c.ended_ms.is_(None),
                operations.c.state != OperationState.PAUSED.value,
                operations.c.until_ms <= text(self._now),
            )
            .order_by(operations.c.until_ms, operations.c.created_ms, operations.c.id)
            .limit(1)
        )
        with self._database.writing() as connection:
            found = connection.execute(first).scalar_one_or_none()
            if found is None:
                return None
            values = {"holder": holder, "ttl_ms": round(ttl_s * 1000), "id": found}
            connection.execute(
                text(
                    f"UPDATE operations SET holder = :holder, until_ms = {self._now} + :ttl_ms, epoch = epoch + 1, "  # noqa: S608
                    f"changed_ms = {self._now}, started_ms = coalesce(started_ms, {self._now}), "
                    "state = CASE state WHEN 'waiting' THEN 'running' ELSE state END WHERE id = :id"
                ),
                values,
            )
            query = select(operations.c.plan, operations.c.epoch).where(operations.c.id == found)
            number, epoch = connection.execute(query).one()
            return Taken(one(connection, found), number, holder, epoch)

    def enlist(self, taken: Taken, ttl_s: float) -> bool:
        """Make the next CHUNK of the plan's items the operation's own, but those that are another's. False: all are."""
        with self._database.writing() as connection:
            self._hold(connection, taken, ttl_s)
            enlisted, total = connection.execute(
                select(operations.c.enlisted, operations.c.total).where(operations.c.id == taken.operation.id)
            ).one()
            if enlisted >= total:
                return False
            skipped = operation_items.enlist(connection, taken.number, enlisted, enlisted + CHUNK)
            self._count(connection, taken, Settled(skips={operation_items.ELSEWHERE: skipped} if skipped else {}))
            connection.execute(
                update(operations).where(operations.c.id == taken.operation.id).values(enlisted=enlisted + CHUNK)
            )
            return bool(enlisted + CHUNK < total)

    def begin(self, taken: Taken, ttl_s: float, *, after: int, limit: int, ties: int = 0) -> list[Item]:
        """Mark the next items as `sending`: none if nothing is left, or if it must not go on. Raises LeaseLostError.

        `ties`: so many may be added that were sent in the same millisecond as the last of them: only together can they be put
        in order.
        """
        with self._database.writing() as connection:
            if self._hold(connection, taken, ttl_s) is not OperationState.RUNNING:
                return []
            items = operation_items.following(connection, taken.number, after, limit + ties)
            items = operation_items.with_ties(items, limit)
            operation_items.mark(connection, taken.number, items)
            return items

    def has_left_behind(self, taken: Taken) -> bool:
        """Whether the operation is to go on with items that it has passed over."""
        with self._database.reading() as connection:
            is_running = one(connection, taken.operation.id).state is OperationState.RUNNING
            return is_running and operation_items.has_unfinished(connection, taken.number)

    def in_doubt(self, taken: Taken) -> list[Item]:
        """The items that whoever was here before was acting on."""
        with self._database.reading() as connection:
            return operation_items.sending(connection, taken.number)

    def settle(self, taken: Taken, results: Sequence[ItemResult], made: Sequence[Change] = ()) -> Changed:
        """Write what has become of items, and of their dead letters, in one transaction. Raises LeaseLostError.

        Changes of rows that are of another version by now are not made, and returned as conflicts.
        """
        with self._database.writing() as connection:
            self._hold(connection, taken, None)
            settled = operation_items.settle(connection, taken.number, results)
            self._count(connection, taken, settled)
            if not made:
                return Changed()
            now_ms = int(connection.execute(text(f"SELECT {self._now}")).scalar_one())
            return changes.change_many(connection, made, now_ms=now_ms)

    def tell(self, taken: Taken, *, error: str | None = None, step: int | None = None) -> None:
        """Say what keeps the operation from its work, or how far its ramp-up is. Raises LeaseLostError."""
        values = {name: value for name, value in {"error": error, "step": step}.items() if value is not None}
        with self._database.writing() as connection:
            self._hold(connection, taken, None)
            connection.execute(update(operations).where(operations.c.id == taken.operation.id).values(**values))

    def renew(self, taken: Taken, ttl_s: float) -> None:
        """Hold it for `ttl_s` from now. Raises LeaseLostError."""
        with self._database.writing() as connection:
            self._hold(connection, taken, ttl_s)

    def stop(self, taken: Taken, state: OperationState, error: str = "") -> None:
        """Let a running operation stop by itself: FAILED, or PAUSED. Raises LeaseLostError."""
        with self._database.writing() as connection:
            self._hold(connection, taken, None)
            query = update(operations).where(
                operations.c.id == taken.operation.id, operations.c.state == OperationState.RUNNING.value
            )
            connection.execute(query.values(state=state.value, error=error))

    def wind_up(self, taken: Taken, ttl_s: float) -> bool:
        """End it, or let go of CHUNK of the items that nothing was done with. True once it is let go. Raises LeaseLostError.

        It does not end while it has items in doubt, nor if it is to go on with others after all: people may have paused it, or
        resumed it, just now. Somebody takes it again then.
        """
        with self._database.writing() as connection:
            state = self._hold(connection, taken, ttl_s)
            if state in ENDED:
                why = CANCELLED if state is OperationState.CANCELLED else STOPPED
                settled = operation_items.let_go(connection, taken.number, why)
                self._count(connection, taken, settled)
                if settled != Settled():
                    return False
            values: dict[str, object] = {"until_ms": 0}
            if not operation_items.has_unfinished(connection, taken.number) and state not in WAITING:
                ended = OperationState.DONE if state is OperationState.RUNNING else state
                values |= {"state": ended.value, "ended_ms": text(self._now)}
            connection.execute(update(operations).where(operations.c.id == taken.operation.id).values(**values))
            return True

    def release(self, taken: Taken, *, for_s: float = 0) -> None:
        """Let another executor have it, `for_s` seconds from now at the earliest. Nothing where it is another's already."""
        with self._database.writing() as connection:
            connection.execute(
                text(
                    f"UPDATE operations SET until_ms = {self._now} + :for_ms "  # noqa: S608
                    "WHERE id = :id AND holder = :holder AND epoch = :epoch AND ended_ms IS NULL"
                ),
                {"for_ms": round(for_s * 1000), **_lease(taken)},
            )

    def came_back(self, taken: Taken) -> int:
        """How many of the dead letters that it has sent have returned since."""
        with self._database.reading() as connection:
            return operation_items.came_back(connection, taken.number, taken.operation.run)

    # -- inside ------------------------------------------------------------------------------------------------------

    def _hold(self, connection: Connection, taken: Taken, ttl_s: float | None) -> OperationState:
        """Renew the lease (for `ttl_s`, if given); the operation's state. Raises LeaseLostError."""
        until = "until_ms" if ttl_s is None else f"{self._now} + {round(ttl_s * 1000)}"
        query = text(
            f"UPDATE operations SET until_ms = {until}, changed_ms = {self._now} "  # noqa: S608
            "WHERE id = :id AND holder = :holder AND epoch = :epoch AND ended_ms IS NULL RETURNING state"
        )
        state = connection.execute(query, _lease(taken)).scalar_one_or_none()
        if state is None:
            raise LeaseLostError(f"the operation {taken.operation.id} was taken over")
        return OperationState(state)

    def _count(self, connection: Connection, taken: Taken, settled: Settled) -> None:
        if settled == Settled():
            return
        this = operations.c.id == taken.operation.id
        skips = dict(connection.execute(select(operations.c.skips).where(this)).scalar_one())
        for why, count in settled.skips.items():
            skips[why] = skips.get(why, 0) + count
        connection.execute(
            update(operations)
            .where(this)
            .values(
                done=operations.c.done + settled.done, failed=operations.c.failed + settled.failed,
                skipped=operations.c.skipped + sum(settled.skips.values()), twice=operations.c.twice + settled.twice,
                skips=skips,
            )
        )  # fmt: skip


def _lease(taken: Taken) -> dict[str, object]:
    return {"id": taken.operation.id, "holder": taken.holder, "epoch": taken.epoch}
