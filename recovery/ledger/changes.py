"""Changes rows: one for a person, many for an operation. A change applies to the version that was meant, or not at all."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from sqlalchemy import Connection, bindparam, delete, select, text

from recovery.ledger import group_counters, outcomes, texts
from recovery.ledger.codec import Class, class_ids, rows_by_identity
from recovery.ledger.counters import Tally
from recovery.ledger.intake import insert_rows, update_rows, write_arrivals, write_events
from recovery.ledger.news import write_changed
from recovery.ledger.rows import CHANGEABLE, ENDED, FOUND_OUT, ArrivalRow, Change, Event, Row
from recovery.ledger.schema import arrivals, dead_letters, events, news

MAX_CHANGES = 1_000
"""Of one `change_many`: longer transactions would let other writers wait."""


@dataclass(frozen=True, slots=True)
class Changed:
    """What became of many changes, by identity."""

    rows: dict[str, Row] = field(default_factory=dict)
    """As they are now."""
    conflicts: dict[str, int] = field(default_factory=dict)
    """Those that are of another version than was meant, and of which."""
    unknown: tuple[str, ...] = ()


def change_many(connection: Connection, changes: Sequence[Change], *, now_ms: int) -> Changed:
    """Apply up to MAX_CHANGES changes of different rows. Raises ValueError where one cannot be made at all."""
    _check(changes)
    tally = Tally()
    known = rows_by_identity(connection, [one.identity for one in changes])
    unknown = tuple(one.identity for one in changes if one.identity not in known)
    conflicts = {one.identity: known[one.identity].version for one in changes if _conflicts(one, known)}
    made = [one for one in changes if one.identity in known and one.identity not in conflicts]
    pairs = [(known[one.identity], _changed(known[one.identity], one, now_ms)) for one in made]
    update_rows(connection, pairs, tally)
    outcomes.count(connection, pairs, now_ms=now_ms)
    group_counters.count_sendings(connection, pairs)
    write_events(
        connection,
        [
            (after.id, Event(one.identity, now_ms, one.by, one.action, _details(before, after, one)))
            for (before, after), one in zip(pairs, made, strict=True)
        ],
    )
    write_changed(connection, (after for (_, after), one in zip(pairs, made, strict=True) if one.is_news))
    tally.apply(connection)
    return Changed({after.identity: after for _, after in pairs}, conflicts, unknown)


def restore_rows(
    connection: Connection, rows: Sequence[Row], arrived: Iterable[ArrivalRow], happened: Iterable[Event]
) -> None:
    """Write rows exactly as they are, with their arrivals and events; rows of the same identities are replaced.

    Raises ValueError where an arrival or event is of a dead letter that has no row, and no given one.
    """
    tally = Tally()
    old = rows_by_identity(connection, [row.identity for row in rows])
    delete_rows(connection, list(old.values()), tally)
    insert_rows(connection, rows, tally)
    arrived, happened = list(arrived), list(happened)
    numbers = _numbers(connection, {one.identity for one in arrived} | {one.identity for one in happened})
    write_arrivals(connection, [(numbers[one.identity], one.message_id, one.at_ms) for one in arrived])
    write_events(connection, [(numbers[one.identity], one) for one in happened])
    tally.apply(connection)


def delete_rows(connection: Connection, rows: Sequence[Row], tally: Tally) -> None:
    """Delete rows, with their texts, arrivals and events."""
    if not rows:
        return
    numbers = class_ids(connection, {Class.of(row) for row in rows})
    ids = [row.id for row in rows]
    texts.remove(connection, ids)
    for column in (arrivals.c.dead_letter, events.c.dead_letter, news.c.dead_letter, dead_letters.c.id):
        connection.execute(delete(column.table).where(column.in_(bindparam("ids", expanding=True))), {"ids": ids})
    for row in rows:
        tally.leave(numbers[Class.of(row)], row)


def prune(connection: Connection, before_ms: int, *, at_most: int) -> int:
    """Delete up to so many ended rows that were last changed before; how many they were. Classes without rows go, too."""
    query = (
        select(dead_letters.c.identity)
        .where(dead_letters.c.state.in_([state.value for state in ENDED]), dead_letters.c.changed_ms < before_ms)
        .limit(at_most)
    )
    rows = rows_by_identity(connection, connection.execute(query).scalars().all())
    tally = Tally()
    delete_rows(connection, list(rows.values()), tally)
    tally.apply(connection)
    outcomes.forget(connection)
    group_counters.forget(connection)
    connection.execute(text("DELETE FROM cells WHERE count = 0"))
    connection.execute(text("DELETE FROM classes WHERE NOT EXISTS (SELECT 1 FROM cells WHERE class_id = classes.id)"))
    return len(rows)


def _check(changes: Sequence[Change]) -> None:
    if len(changes) > MAX_CHANGES:
        raise ValueError(f"{len(changes):,} changes at once; at most {MAX_CHANGES:,} are allowed")
    if len({one.identity for one in changes}) < len(changes):
        raise ValueError("two of the changes are of the same dead letter")
    wrong = sorted({name for one in changes for name in one.fields} - CHANGEABLE)
    if wrong:
        raise ValueError(f"{', '.join(wrong)} cannot be changed; only {', '.join(sorted(CHANGEABLE))}")


def _conflicts(one: Change, known: dict[str, Row]) -> bool:
    row = known.get(one.identity)
    return row is not None and one.version is not None and row.version != one.version


def _changed(row: Row, change: Change, now_ms: int) -> Row:
    generation = row.generation + (not change.fields.keys() <= FOUND_OUT)
    return replace(row, **change.fields, version=row.version + 1, generation=generation, changed_ms=now_ms)  # type: ignore[arg-type]


def _details(before: Row, after: Row, change: Change) -> dict[str, object]:
    """What the caller says; and the states, where they differ."""
    moved = {"from": before.state.value, "to": after.state.value} if before.state != after.state else {}
    return {**moved, **change.details}


def _numbers(connection: Connection, identities: set[str]) -> dict[str, int]:
    query = select(dead_letters.c.identity, dead_letters.c.id).where(
        dead_letters.c.identity.in_(bindparam("identities", expanding=True))
    )
    found = connection.execute(query, {"identities": sorted(identities)})
    numbers: dict[str, int] = {one.identity: one.id for one in found}
    if missing := sorted(identities - numbers.keys()):
        raise ValueError(f"an arrival or event is of a dead letter without a row: {missing[0]}")
    return numbers
