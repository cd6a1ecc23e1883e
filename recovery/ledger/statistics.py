"""Statistics of the whole ledger, and counts of a selection. Most of it is read from the cells."""

from dataclasses import dataclass, replace

from sqlalchemy import Connection, text

from recovery.ledger.intake import HOUR_MS
from recovery.ledger.rows import WAITING, State
from recovery.ledger.schema import CELL_SUMS
from recovery.ledger.search import cell_condition, is_counted, is_of_a_time, parameters_of, plan, seen, state_is, union
from recovery.ledger.selection import Selection

COUNTED_TO = 10_000
HOURS = 14 * 24
"""Two weeks of arrivals, as long as SQS keeps a message."""


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over the waiting dead letters of a selection."""

    count: int
    attempts: int
    redrives: int
    retries: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Stats:
    """What a dashboard shows. All but the first two is about waiting dead letters: open and scheduled."""

    by_state: dict[State, int]
    by_outcome: dict[str, int]
    """Of what was sent, and is not confirmed."""
    by_kind: dict[str, int]
    by_error_type: dict[str, int]
    by_service: dict[str, int]
    by_queue: dict[str, int]
    oldest_sent_ms: int | None
    newest_sent_ms: int | None
    hourly: tuple[int, ...]
    """Arrivals in each of the last HOURS hours; the last is the present one."""
    totals: Totals
    groups: int
    """Groups of them: how many causes there are."""

    @property
    def waiting(self) -> int:
        """How many are open or scheduled."""
        return self.totals.count

    @property
    def last_24_h(self) -> int:
        """Arrivals in the present hour and the 23 before."""
        return sum(self.hourly[-24:])

    @property
    def average_retries(self) -> float:
        """How often a waiting dead letter was sent again, by operators or by its schedule."""
        sent = self.totals.redrives + self.totals.retries
        return sent / self.totals.count if self.totals.count else 0.0


_WAITING = ", ".join(f"'{state}'" for state in WAITING)


def stats(connection: Connection, now_ms: int) -> Stats:
    """The statistics of all dead letters."""
    oldest, newest = _sent(connection)
    return Stats(
        by_state=_by_state(connection),
        by_outcome=_by_outcome(connection),
        by_kind=_by(connection, "kind"),
        by_error_type=_by(connection, "error_type"),
        by_service=_by(connection, "source_service"),
        by_queue=_by(connection, "source_queue"),
        oldest_sent_ms=oldest,
        newest_sent_ms=newest,
        hourly=_hourly(connection, now_ms // HOUR_MS),
        totals=_totals(connection),
        groups=_groups(connection),
    )


def _by_state(connection: Connection) -> dict[State, int]:
    found = connection.execute(text("SELECT state, sum(count) FROM cells GROUP BY state"))
    counts = {State(state): int(total) for state, total in found}
    return {state: counts.get(state, 0) for state in State}


def _by_outcome(connection: Connection) -> dict[str, int]:
    found = connection.execute(
        text(
            f"SELECT outcome, count(*) FROM dead_letters WHERE outcome IS NOT NULL AND state = '{State.SENT}' "  # noqa: S608
            "GROUP BY outcome"
        )
    )
    return {outcome: int(total) for outcome, total in found}


def _by(connection: Connection, name: str) -> dict[str, int]:
    """The number for each value, the largest first."""
    query = (
        f"SELECT c.{name}, sum(cells.count) FROM cells JOIN classes c ON c.id = cells.class_id "  # noqa: S608
        f"WHERE cells.count > 0 AND cells.state IN ({_WAITING}) GROUP BY c.{name} ORDER BY 2 DESC, 1"
    )
    return {value: int(total) for value, total in connection.execute(text(query))}


def _totals(connection: Connection) -> Totals:
    sums = ", ".join(f"coalesce(sum({name}), 0)" for name in ("count", *CELL_SUMS))
    found = connection.execute(text(f"SELECT {sums} FROM cells WHERE state IN ({_WAITING})")).one()  # noqa: S608
    return Totals(*map(int, found))


def _groups(connection: Connection) -> int:
    query = (
        "SELECT count(*) FROM (SELECT DISTINCT c.fingerprint, c.error_type, c.kind FROM cells "  # noqa: S608
        f"JOIN classes c ON c.id = cells.class_id WHERE cells.count > 0 AND cells.state IN ({_WAITING})) every"
    )
    return int(connection.execute(text(query)).scalar_one())


def _sent(connection: Connection) -> tuple[int | None, int | None]:
    """The ends of the index, of each state. A dead letter of which SQS said nothing was sent at 0, and has no age."""
    found = []
    for state in WAITING:
        for end in ("min", "max"):
            query = f"SELECT {end}(d.sent_ms) FROM dead_letters d WHERE {state_is(state)} AND d.sent_ms > 0"  # noqa: S608
            found.append(connection.execute(text(query)).scalar_one())
    known = [int(one) for one in found if one is not None]
    return min(known, default=None), max(known, default=None)


def _hourly(connection: Connection, hour: int) -> tuple[int, ...]:
    query = text("SELECT hour, sum(count) FROM hourly WHERE hour > :since GROUP BY hour")
    counts = {int(at): int(total) for at, total in connection.execute(query, {"since": hour - HOURS})}
    return tuple(counts.get(at, 0) for at in range(hour - HOURS + 1, hour + 1))


def count(connection: Connection, selection: Selection, *, at_most: int) -> int:
    """The exact number, up to `at_most`; one more than that says that there are more."""
    if is_counted(selection):
        return min(_counted(connection, selection), at_most + 1)
    if is_of_a_time(selection):
        return _counted_in_time(connection, selection, at_most)
    way = plan(connection, selection)
    total, parameters = 0, dict(way.parameters, count=at_most + 1)
    for query in union([f"{query} LIMIT :count" for query in way.select("1 AS one")]):
        counting = f"SELECT count(*) FROM ({query} LIMIT :count) every"  # noqa: S608
        total += int(connection.execute(text(counting), parameters).scalar_one())
        if total > at_most:
            return at_most + 1
    return total


def _counted_in_time(connection: Connection, selection: Selection, at_most: int) -> int:
    """Rows are counted only in cells whose last dead letter came too late, in their index's order; others count as a whole.

    What came too late is counted first, and taken away, where that is little: a page is of a moment ago.
    """
    if selection.seen_after_ms is not None:
        return _rows_seen(connection, selection, at_most + 1)
    late = replace(selection, seen_until_ms=None, seen_after_ms=selection.seen_until_ms)
    if (too_late := _rows_seen(connection, late, COUNTED_TO + 1)) <= COUNTED_TO:
        return min(_counted(connection, selection) - too_late, at_most + 1)
    total = _counted(connection, selection, "cells.last_seen_ms <= :seen_until_ms")
    return min(total + _rows_seen(connection, selection, at_most + 1), at_most + 1)


def _rows_seen(connection: Connection, selection: Selection, count: int) -> int:
    """How many rows were seen in time, up to so many, in the cells whose last one was seen later than the earlier bound."""
    bound = "seen_until_ms" if selection.seen_after_ms is None else "seen_after_ms"
    index = "INDEXED BY by_class_last_seen" if connection.dialect.name == "sqlite" else ""
    rows = (
        f"SELECT 1 FROM cells CROSS JOIN classes c CROSS JOIN dead_letters d {index} WHERE c.id = cells.class_id "  # noqa: S608
        f"AND cells.count > 0 AND cells.last_seen_ms > :{bound} AND {cell_condition(selection)} "
        f"AND d.class_id = cells.class_id AND d.state = cells.state AND {' AND '.join(seen(selection))} LIMIT :count"
    )
    query = text(f"SELECT count(*) FROM ({rows}) every")  # noqa: S608
    return int(connection.execute(query, dict(parameters_of(selection), count=count)).scalar_one())


def _counted(connection: Connection, selection: Selection, *more: str) -> int:
    where = " AND ".join(("cells.count > 0", cell_condition(selection), *more))
    query = f"SELECT coalesce(sum(cells.count), 0) FROM cells JOIN classes c ON c.id = cells.class_id WHERE {where}"  # noqa: S608
    return int(connection.execute(text(query), parameters_of(selection)).scalar_one())
