"""The items of operations: each is one dead letter of a plan, in the generation that it had then, and what has become of it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from sqlalchemy import BigInteger, Connection, bindparam, text

from recovery.ledger.codec import COLUMNS, JOINED, row_of, storable
from recovery.ledger.plans import CHUNK
from recovery.ledger.rows import Row, State

ELSEWHERE = "in another operation"
CHANGED = "changed"
GONE = "forgotten"
PERHAPS_SENT = "perhaps sent: no answer said so, and it was not sent again"
CANCELLED = "cancelled"
STOPPED = "the operation has stopped"
LEFT_BY = (STOPPED, CANCELLED)
"""Results of items whose turn did not come."""
MAX_RESULT_CHARS = 500


class Result(StrEnum):
    """The state of an item."""

    WAITING = "waiting"
    SENDING = "sending"
    """Somebody is acting on it; where that was ended by a kill, it is in doubt."""
    DONE = "done"
    FAILED = "failed"
    SKIPPED = "skipped"
    """Nothing was done; the result says why."""


class Part(StrEnum):
    """Items that are no state of their own."""

    RETURNED = "returned"
    """Sent, and open again since."""
    REFUSED = "refused"
    """Skipped, because of what they are."""
    LEFT = "left"
    """Skipped, because the operation was stopped or cancelled before their turn."""


_RETURNED = f"(i.state = 'done' AND d.state IN ('{State.OPEN}', '{State.SCHEDULED}') AND (d.sent_run = :run OR o.verb = 'restore'))"
"""What a restore has sent was in the archive: it is open only if it has come since."""
_IS_LEFT = f"i.result IN {LEFT_BY}"
_OF_PART = {
    Part.RETURNED: _RETURNED,
    Part.REFUSED: f"i.state = 'skipped' AND NOT {_IS_LEFT}",
    Part.LEFT: f"i.state = 'skipped' AND {_IS_LEFT}",
}


@dataclass(frozen=True, slots=True)
class Item:
    """An item on which the executor may act."""

    place: int
    generation: int
    twice: bool
    row: Row | None
    """As it is now; None if the ledger has forgotten it."""

    @property
    def why_not(self) -> str:
        """Why nothing may be done with it; empty if something may."""
        if self.row is None:
            return GONE
        return "" if self.row.generation == self.generation else CHANGED


@dataclass(frozen=True, slots=True)
class ItemResult:
    """What has become of an item; WAITING: it is to be tried again."""

    place: int
    state: Result
    result: str = ""
    twice: bool = False
    """Whether it may have been sent twice."""


@dataclass(frozen=True, slots=True)
class Settled:
    """How many items were settled, and how."""

    done: int = 0
    failed: int = 0
    twice: int = 0
    skips: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Shown:
    """An item as people see it."""

    place: int
    identity: str | None
    """None if the ledger has forgotten it."""
    about: str
    state: Result
    result: str
    twice: bool
    has_returned: bool = False
    """Whether it was sent, and is open again since."""

    @property
    def outcome(self) -> Result | Part:
        """Its state, or what says more than that."""
        if self.has_returned:
            return Part.RETURNED
        return Part.LEFT if self.state is Result.SKIPPED and self.result in LEFT_BY else self.state


def sample(connection: Connection, plan_id: str, limit: int) -> list[Item]:
    """Some items of a plan, spread evenly over it, from its first to its last; each with its row as it is now."""
    query = text("SELECT p.number, p.count FROM plans p WHERE p.id = :plan AND p.ready = 1")
    found = connection.execute(query, {"plan": plan_id}).one_or_none()
    number, count = found or (0, 0)
    if not count:
        return []
    steps = max(1, min(limit, count) - 1)
    listed = ", ".join(str(1 + step * (count - 1) // steps) for step in range(steps + 1))
    return _items(connection, number, f"i.place IN ({listed})", limit=limit)


def changed(connection: Connection, plan_id: str, of_first: int) -> int:
    """How many of a plan's first items are of dead letters that have changed since, or are forgotten."""
    query = text(
        "SELECT count(*) FROM plans p JOIN plan_items i ON i.plan = p.number AND i.place <= :most "
        "LEFT JOIN dead_letters d ON d.id = i.dead_letter WHERE p.id = :plan AND (d.id IS NULL OR d.generation <> i.generation)"
    )
    return int(connection.execute(query, {"plan": plan_id, "most": of_first}).scalar_one())


def identities(connection: Connection, plan_id: str, limit: int) -> list[str]:
    """The dead letters of a plan, in order; without those that are forgotten."""
    query = text(
        "SELECT d.identity FROM plans p JOIN plan_items i ON i.plan = p.number JOIN dead_letters d ON d.id = i.dead_letter "
        "WHERE p.id = :plan ORDER BY i.place LIMIT :limit"
    )
    return list(connection.execute(query, {"plan": plan_id, "limit": limit}).scalars())


def enlist(connection: Connection, plan: int, after: int, until: int) -> int:
    """Make planned items waiting; how many are skipped because another operation has them."""
    part = {"plan": plan, "after": after, "until": until}
    of_part = "plan = :plan AND place > :after AND place <= :until AND state = 'planned'"
    connection.execute(
        text(
            f"UPDATE plan_items SET state = 'waiting' WHERE {of_part} AND NOT EXISTS (SELECT 1 FROM plan_items o "  # noqa: S608
            "WHERE o.dead_letter = plan_items.dead_letter AND o.state IN ('waiting', 'sending'))"
        ),
        part,
    )
    rest = text(f"UPDATE plan_items SET state = 'skipped', result = '{ELSEWHERE}' WHERE {of_part}")  # noqa: S608
    return connection.execute(rest, part).rowcount


def following(connection: Connection, plan: int, after: int, limit: int) -> list[Item]:
    """The next items that wait, in order, after a place."""
    return _items(connection, plan, "i.state = 'waiting' AND i.place > :after", after=after, limit=limit)


def with_ties(items: Sequence[Item], limit: int) -> list[Item]:
    """The first of these, and those that were sent in the same millisecond as the last of them."""
    some = list(items[:limit])
    last = some[-1].row if some else None
    for one in items[limit:]:
        if last is None or one.row is None or one.row.sent_ms != last.sent_ms:
            break
        some.append(one)
    return some


def sending(connection: Connection, plan: int) -> list[Item]:
    """Every item that somebody has begun to act on."""
    return _items(connection, plan, "i.state = 'sending'", after=0, limit=CHUNK)


def mark(connection: Connection, plan: int, items: Sequence[Item]) -> None:
    """Mark items before they are acted upon."""
    _set(connection, plan, [ItemResult(one.place, Result.SENDING, twice=one.twice) for one in items])


def settle(connection: Connection, plan: int, results: Sequence[ItemResult]) -> Settled:
    """Write what has become of items."""
    _set(connection, plan, results)
    states = Counter(one.state for one in results)
    skips = Counter(one.result for one in results if one.state is Result.SKIPPED)
    twice = sum(1 for one in results if one.twice and one.state in {Result.DONE, Result.FAILED})
    return Settled(states[Result.DONE], states[Result.FAILED], twice, skips)


def let_go(connection: Connection, plan: int, why: str) -> Settled:
    """Skip up to CHUNK items with which nothing was done. What may have been sent has failed, for it is not as it was."""
    some = "plan = :plan AND place IN (SELECT place FROM plan_items WHERE plan = :plan AND twice = :twice AND state IN "
    some += "('planned', 'waiting') ORDER BY place LIMIT :some)"
    query = text(f"UPDATE plan_items SET state = :state, result = :why WHERE {some}")  # noqa: S608 (of fixed parts)
    known = {"plan": plan, "some": CHUNK}
    doubtful = {"twice": 1, "state": Result.FAILED.value, "why": PERHAPS_SENT}
    failed = connection.execute(query, {**known, **doubtful}).rowcount
    skips = {"twice": 0, "state": Result.SKIPPED.value, "why": why}
    skipped = connection.execute(query, {**known, **skips}).rowcount
    return Settled(failed=failed, twice=failed, skips={why: skipped} if skipped else {})


def has_unfinished(connection: Connection, plan: int) -> bool:
    """Whether there are items that wait, or that somebody has begun to act on."""
    query = text("SELECT 1 FROM plan_items WHERE plan = :plan AND state IN ('planned', 'waiting', 'sending') LIMIT 1")
    return connection.execute(query, {"plan": plan}).first() is not None


def came_back(connection: Connection, plan: int, run: str) -> int:
    """How many dead letters that this run has sent are open again."""
    query = text(
        "SELECT count(*) FROM plan_items i JOIN operations o ON o.plan = i.plan JOIN dead_letters d ON d.id = i.dead_letter "  # noqa: S608
        f"WHERE i.plan = :plan AND {_RETURNED}"
    )
    return int(connection.execute(query, {"plan": plan, "run": run}).scalar_one())


def shown(
    connection: Connection, operation: str, run: str, which: Result | Part | None, after: int, limit: int
) -> list[Shown]:
    """Items of an operation, in order, after a place."""
    wanted = (
        ""
        if which is None
        else f"AND {_OF_PART[which]}"
        if isinstance(which, Part)
        else f"AND i.state = '{which.value}'"
    )
    query = text(
        "SELECT i.place, d.identity, coalesce(d.about, ''), i.state, coalesce(i.result, ''), i.twice, "  # noqa: S608
        f"CASE WHEN {_RETURNED} THEN 1 ELSE 0 END FROM plan_items i "
        "JOIN operations o ON o.plan = i.plan LEFT JOIN dead_letters d ON d.id = i.dead_letter "
        f"WHERE o.id = :operation AND i.place > :after {wanted} ORDER BY i.place LIMIT :limit"
    )
    found = connection.execute(query, {"operation": operation, "run": run, "after": after, "limit": limit})
    return [
        Shown(
            place, name, about, Result.WAITING if named == "planned" else Result(named), result, bool(twice), bool(back)
        )
        for place, name, about, named, result, twice, back in found
    ]


def _items(connection: Connection, plan: int, condition: str, **values: int) -> list[Item]:
    query = text(
        f"SELECT i.place, i.generation, i.twice, i.dead_letter FROM plan_items i WHERE i.plan = :plan AND {condition} "  # noqa: S608
        "ORDER BY i.place LIMIT :limit"
    )
    values.setdefault("after", 0)
    used = {name: value for name, value in values.items() if f":{name}" in query.text}
    found = connection.execute(query, {"plan": plan, **used}).all()
    rows = _rows(connection, [number for *_, number in found])
    return [Item(place, generation, bool(twice), rows.get(number)) for place, generation, twice, number in found]


def _rows(connection: Connection, numbers: Sequence[int]) -> dict[int, Row]:
    query = text(f"SELECT {COLUMNS} FROM {JOINED} WHERE d.id IN :numbers")  # noqa: S608
    wanted = bindparam("numbers", list(numbers), type_=BigInteger, expanding=True)
    return {row.id: row for row in map(row_of, connection.execute(query.bindparams(wanted)))}


def _set(connection: Connection, plan: int, results: Sequence[ItemResult]) -> None:
    if not results:
        return
    query = text(
        "UPDATE plan_items SET state = :state, result = :result, twice = :twice WHERE plan = :plan AND place = :place"
    )
    connection.execute(
        query,
        [
            {
                "plan": plan, "place": one.place, "state": one.state.value, "twice": int(one.twice),
                "result": storable(one.result[:MAX_RESULT_CHARS]) or None,
            }
            for one in results
        ],
    )  # fmt: skip
