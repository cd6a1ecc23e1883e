"""Keeps what is known of each group as a whole: how many came when, and what has come of its last redrive.

The counters change in the same transaction as the rows. A redrive is a run of people, an operation or a command, however long it
takes; what its schedule sends is none. What a run sent counts in the group that a dead letter was in then.
"""

import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, text

from recovery.ledger.bulk import insert_many
from recovery.ledger.codec import storable
from recovery.ledger.outcomes import HAS_LEFT, KEPT_DAYS, PERIOD_MS
from recovery.ledger.rows import WAITING, Arrival, Row
from recovery.ledger.schema_groups import NAME, group_arrivals, group_redrives

TREND_PERIODS = 56
"""Two weeks of quarters of days, as long as SQS keeps a message."""
Name = tuple[str, str, str]
"""Fingerprint, error type, kind."""
Changes = Sequence[tuple[Row, Row]]
"""Rows before and after."""
_FIELDS = ("run", "by", "began_ms", "sent_ms", "sent", "returned", "arrived")
_ADD_ARRIVALS = f"ON CONFLICT ({', '.join(NAME)}, period) DO UPDATE SET count = group_arrivals.count + excluded.count"
_SET_REDRIVE = (
    f"ON CONFLICT ({', '.join(NAME)}) DO UPDATE SET " + ", ".join(f'"{name}" = excluded."{name}"' for name in _FIELDS)
)  # fmt: skip


@dataclass(slots=True)
class Redrive:
    """The last time that people sent dead letters of a group again."""

    run: str
    by: str
    began_ms: int
    sent_ms: int
    """The last sending of this run."""
    sent: int = 0
    returned: int = 0
    """Of those that it sent."""
    arrived: int = 0
    """In the group since it began, new ones and returned ones."""


def count_arrivals(connection: Connection, batch: Iterable[Arrival], returned: Changes) -> None:
    """Count what came, and which of it came back from the last redrive; `returned`: the rows of known dead letters."""
    came = [(name_of(one.row), one.at_ms) for one in batch]
    counts = Counter((*name, at_ms // PERIOD_MS) for name, at_ms in came)
    rows = ((*place, count) for place, count in sorted(counts.items()))
    insert_many(connection, group_arrivals, (*NAME, "period", "count"), rows, suffix=_ADD_ARRIVALS)
    known = redrives(connection, {name for name, _ in came} | {name_of(before) for before, _ in returned})
    if not known:
        return
    for name, at_ms in came:
        if name in known and at_ms > known[name].began_ms:
            known[name].arrived += 1
    for before, _ in returned:
        redrive = known.get(name_of(before))
        if redrive is not None and before.state in HAS_LEFT and redrive.run == _run(before):
            redrive.returned += 1
    _write(connection, known)


def count_sendings(connection: Connection, changes: Changes) -> None:
    """Count what people have sent again."""
    sent = [(before, after) for before, after in changes if _is_redriven(before, after)]
    if not sent:
        return
    known = redrives(connection, {name_of(before) for before, _ in sent})
    for before, after in sorted(sent, key=lambda pair: pair[1].sent_at_ms or 0):
        _count_sending(known, name_of(before), after)
    _write(connection, known)


def redrives(connection: Connection, names: Iterable[Name]) -> dict[Name, Redrive]:
    """The last redrive of each of these groups; those that have none are left out."""
    where, parameters = of_groups(names)
    if not parameters:
        return {}
    columns = ", ".join(f'"{name}"' for name in (*NAME, *_FIELDS))
    query = text(f"SELECT {columns} FROM group_redrives g WHERE {where}")  # noqa: S608 (of fixed parts)
    found = connection.execute(query, parameters)
    return {(fingerprint, error_type, kind): Redrive(*rest) for fingerprint, error_type, kind, *rest in found}


def of_groups(names: Iterable[Name], *, table: str = "g") -> tuple[str, dict[str, Any]]:
    """The condition for these groups in a table, and its parameters; none without groups."""
    parameters: dict[str, Any] = {}
    listed = []
    for place, name in enumerate(sorted(names)):
        marks = [f"{column[0]}{place}" for column in NAME]
        parameters.update(zip(marks, name, strict=True))
        listed.append(f"({', '.join(f':{mark}' for mark in marks)})")
    columns = ", ".join(f"{table}.{column}" for column in NAME)
    return f"({columns}) IN (VALUES {', '.join(listed)})", parameters


def name_of(row: Row) -> Name:
    """The group of a dead letter, as the tables have it."""
    return storable(row.fingerprint), storable(row.error_type), row.kind.value


def forget(connection: Connection) -> None:
    """Delete what no page shows any more."""
    now_ms = time.time_ns() // 1_000_000
    connection.execute(
        text("DELETE FROM group_arrivals WHERE period <= :last"), {"last": now_ms // PERIOD_MS - TREND_PERIODS}
    )
    before_ms = now_ms - KEPT_DAYS * 86_400_000
    connection.execute(text("DELETE FROM group_redrives WHERE sent_ms < :before_ms"), {"before_ms": before_ms})


def _is_redriven(before: Row, after: Row) -> bool:
    return after.sent_at_ms is not None and after.sent_at_ms != before.sent_at_ms and after.retries == before.retries


def _count_sending(known: dict[Name, Redrive], name: Name, row: Row) -> None:
    redrive, run, at_ms = known.get(name), _run(row), row.sent_at_ms or 0
    if redrive is not None and redrive.run != run and at_ms < redrive.sent_ms:
        return  # of an earlier run, of which the ledger hears only now
    if redrive is None or redrive.run != run:
        redrive = known[name] = Redrive(run, storable(row.sent_by or ""), at_ms, at_ms)
    redrive.began_ms, redrive.sent_ms = min(redrive.began_ms, at_ms), max(redrive.sent_ms, at_ms)
    redrive.sent += 1
    if row.state in WAITING:  # a command sent it, and it was back before the ledger heard of that
        redrive.returned += 1
        redrive.arrived += 1


def _run(row: Row) -> str:
    return storable(row.sent_run or "")


def _write(connection: Connection, known: dict[Name, Redrive]) -> None:
    rows = ((*name, *(getattr(one, field) for field in _FIELDS)) for name, one in sorted(known.items()))
    insert_many(connection, group_redrives, (*NAME, *_FIELDS), rows, suffix=_SET_REDRIVE)
