"""What a page of groups says of each beside its count: when they came, what its last redrive did, who owns and holds them.

All of it is counted as the rows change, so that it costs the same for a hundred dead letters and for a million.
"""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, TextClause, text

from recovery.ledger.database import Database
from recovery.ledger.group_counters import TREND_PERIODS, Name, Redrive, of_groups, redrives
from recovery.ledger.outcomes import PERIOD_MS
from recovery.ledger.rows import WAITING, State

NO_TREND = (0,) * TREND_PERIODS


@dataclass(frozen=True, slots=True)
class Annotation:
    """What is said of dead letters of a group: their owners, holds, or notes, which people wrote; or their buckets."""

    count: int
    """Of how many dead letters something is said."""
    different: int
    """How many different texts that are."""
    text: str
    """The most frequent of them; of a long one, its beginning."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a group."""

    trend: tuple[int, ...] = NO_TREND
    """Arrivals in each quarter of a day of two weeks, in UTC; the last is the present one."""
    redrive: Redrive | None = None
    """None: it was not redriven in 30 days."""
    owner: Annotation | None = None
    hold: Annotation | None = None
    note: Annotation | None = None
    bucket: Annotation | None = None


class GroupFacts:
    """The facts of one ledger's groups; threads may share it. Every method raises LedgerError where the database fails."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, names: Iterable[Name], states: Iterable[State] = WAITING) -> dict[Name, Facts]:
        """What is known of each of these groups; the rest but trend and redrive is of dead letters in some states."""
        wanted = set(names)
        if not wanted:
            return {}
        with self._database.reading() as connection:
            trends = _trends(connection, wanted, time.time_ns() // 1_000_000 // PERIOD_MS)
            sent = redrives(connection, wanted)
            listed = ", ".join(f"'{state}'" for state in states) or "NULL"
            said = _annotations(connection, wanted, listed) | _buckets(connection, wanted, listed)
        return {
            name: Facts(
                trends.get(name, NO_TREND), sent.get(name),
                *(said.get((name, field)) for field in ("owner", "hold", "note", "bucket")),
            )
            for name in wanted
        }  # fmt: skip


def _trends(connection: Connection, names: Iterable[Name], last: int) -> dict[Name, tuple[int, ...]]:
    where, parameters = of_groups(names)
    query = text(
        f"SELECT g.fingerprint, g.error_type, g.kind, g.period, g.count FROM group_arrivals g "  # noqa: S608
        f"WHERE {where} AND g.period > :since AND g.period <= :last"
    )
    counts: dict[Name, list[int]] = {}
    for fingerprint, error_type, kind, period, count in connection.execute(
        query, {**parameters, "since": last - TREND_PERIODS, "last": last}
    ):
        trend = counts.setdefault((fingerprint, error_type, kind), [0] * TREND_PERIODS)
        trend[period - last - 1] = int(count)
    return {name: tuple(trend) for name, trend in counts.items()}


def _annotations(connection: Connection, names: Iterable[Name], listed: str) -> dict[tuple[Name, str], Annotation]:
    """What people say. `listed`: the states that count, as SQL lists them."""
    where, parameters = of_groups(names)
    query = text(
        "SELECT g.fingerprint, g.error_type, g.kind, g.field, max(g.value), sum(g.count) FROM annotations g "  # noqa: S608
        f"WHERE {where} AND g.state IN ({listed}) "
        "GROUP BY g.fingerprint, g.error_type, g.kind, g.field, g.digest ORDER BY 6 DESC, 5"
    )
    return _most_frequent(connection, query, parameters)


def _buckets(connection: Connection, names: Iterable[Name], listed: str) -> dict[tuple[Name, str], Annotation]:
    where, parameters = of_groups(names, table="c")
    query = text(
        "SELECT c.fingerprint, c.error_type, c.kind, 'bucket', c.bucket, sum(cells.count) FROM cells "  # noqa: S608
        f"JOIN classes c ON c.id = cells.class_id WHERE {where} AND cells.state IN ({listed}) AND cells.count > 0 "
        "AND c.bucket <> '' GROUP BY c.fingerprint, c.error_type, c.kind, c.bucket ORDER BY 6 DESC, 5"
    )
    return _most_frequent(connection, query, parameters)


def _most_frequent(
    connection: Connection, query: TextClause, parameters: Mapping[str, Any]
) -> dict[tuple[Name, str], Annotation]:
    """By group and field, from a query that has each text with its number, the most frequent first."""
    found: dict[tuple[Name, str], Annotation] = {}
    for fingerprint, error_type, kind, field, value, count in connection.execute(query, parameters):
        place = ((fingerprint, error_type, kind), field)
        one = found.get(place, Annotation(0, 0, value))
        found[place] = Annotation(one.count + int(count), one.different + 1, one.text)
    return found
