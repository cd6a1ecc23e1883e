"""Groups of dead letters with one cause: how many, since when, and some of them."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from sqlalchemy import Connection, text

from recovery.ledger.group_counters import Name
from recovery.ledger.search import Plan, cell_condition, is_counted, looks_at_texts, parameters_of, plan, union
from recovery.ledger.selection import Selection
from worker.core.base.classify import FailureKind

MAX_GROUPS = 1_000
SAMPLES = 3


class GroupSort(StrEnum):
    """Orders of groups; equal ones are in the order of their names."""

    COUNT = "count"
    FIRST_SEEN = "first"
    LAST_SEEN = "last"


@dataclass(frozen=True, slots=True)
class GroupOrder:
    """An order, and whether it is reversed: the largest or the latest first."""

    sort: GroupSort = GroupSort.COUNT
    descending: bool = True

    @property
    def sql(self) -> str:
        """Of a query that has the name in three columns, then the count, the first and the last time."""
        return f"{_PLACE[self.sort]}{' DESC' if self.descending else ''}, 1, 2, 3"

    def key(self, one: "_Found") -> int:
        """What is compared."""
        found = {GroupSort.COUNT: one.count, GroupSort.FIRST_SEEN: one.first_ms, GroupSort.LAST_SEEN: one.last_ms}
        return -found[self.sort] if self.descending else found[self.sort]


_PLACE = {GroupSort.COUNT: 4, GroupSort.FIRST_SEEN: 5, GroupSort.LAST_SEEN: 6}
LARGEST = GroupOrder()


@dataclass(frozen=True, slots=True)
class Group:
    """The dead letters of one cause."""

    fingerprint: str
    error_type: str
    kind: FailureKind
    count: int
    first_seen_ms: int
    last_seen_ms: int
    message: str
    """Of one of them."""
    samples: tuple[str, ...]
    """The identities of up to SAMPLES of them."""

    @property
    def name(self) -> Name:
        """What tells it from every other group."""
        return self.fingerprint, self.error_type, self.kind.value


@dataclass(slots=True)
class _Found:
    """A group as it is found."""

    count: int = 0
    first_ms: int = 0
    last_ms: int = 0
    ids: list[int] = field(default_factory=list)
    cell: tuple[int, str] | None = None
    """Class and state of its latest dead letter."""

    def add(self, count: int, first_ms: int, last_ms: int) -> None:
        self.count += count
        self.first_ms = min(self.first_ms or first_ms, first_ms)
        self.last_ms = max(self.last_ms, last_ms)


def groups(connection: Connection, selection: Selection, *, limit: int, order: GroupOrder) -> list[Group]:
    """The first groups of a selection in an order."""
    count = _by_cells if is_counted(selection) else _by_rows
    found = count(connection, selection, limit, order)
    samples = _samples(connection, [number for one in found.values() for number in one.ids])
    return [_group(name, one, samples) for name, one in found.items()]


def _group(name: Name, found: _Found, samples: dict[int, tuple[str, str]]) -> Group:
    fingerprint, error_type, kind = name
    identities = tuple(samples[number][0] for number in found.ids)
    message = samples[found.ids[0]][1] if found.ids else ""
    return Group(
        fingerprint, error_type, FailureKind(kind), found.count, found.first_ms, found.last_ms, message, identities
    )


def _samples(connection: Connection, numbers: Iterable[int]) -> dict[int, tuple[str, str]]:
    """Identity and message of these dead letters."""
    wanted = ", ".join(map(str, numbers))
    if not wanted:
        return {}
    found = connection.exec_driver_sql(f"SELECT id, identity, message FROM dead_letters WHERE id IN ({wanted})")  # noqa: S608
    return {number: (identity, message) for number, identity, message in found}


# -- where the cells say how many --------------------------------------------------------------------------------


def _by_cells(connection: Connection, selection: Selection, limit: int, order: GroupOrder) -> dict[Name, _Found]:
    """The first groups; the samples are the latest of the cell in which the latest is."""
    where = f"cells.count > 0 AND {cell_condition(selection)}"
    parameters = dict(parameters_of(selection), count=limit)
    of_cells = "FROM cells JOIN classes c ON c.id = cells.class_id"
    first = (
        "SELECT c.fingerprint, c.error_type, c.kind, sum(cells.count), min(cells.first_seen_ms), max(cells.last_seen_ms) "
        f"{of_cells} WHERE {where} GROUP BY c.fingerprint, c.error_type, c.kind ORDER BY {order.sql} LIMIT :count"
    )
    found: dict[Name, _Found] = {}
    for fingerprint, error_type, kind, count, first_ms, last_ms in connection.execute(text(first), parameters):
        place = len(found)
        found[fingerprint, error_type, kind] = _Found(int(count), first_ms, last_ms)
        parameters |= {f"f{place}": fingerprint, f"e{place}": error_type, f"k{place}": kind, f"l{place}": last_ms}
    if not found:
        return {}
    latest = ", ".join(f"(:f{place}, :e{place}, :k{place}, :l{place})" for place in range(len(found)))
    cells = (
        f"SELECT c.fingerprint, c.error_type, c.kind, cells.class_id, cells.state {of_cells} WHERE {where} "
        f"AND (c.fingerprint, c.error_type, c.kind, cells.last_seen_ms) IN (VALUES {latest})"
    )
    for fingerprint, error_type, kind, class_id, state in connection.execute(text(cells), parameters):
        found[fingerprint, error_type, kind].cell = (class_id, state)
    _add_latest(connection, list(found.values()))
    return found


def _add_latest(connection: Connection, found: list[_Found]) -> None:
    """Give each group the numbers of the latest dead letters of its cell."""
    queries = [
        f"SELECT {place} AS place, d.last_seen_ms AS last_ms, d.id AS id FROM dead_letters d "  # noqa: S608
        f"WHERE d.class_id = {one.cell[0]} AND d.state = '{one.cell[1]}' "
        f"ORDER BY d.last_seen_ms DESC, d.id DESC LIMIT {SAMPLES}"
        for place, one in enumerate(found)
        if one.cell is not None
    ]
    numbers: list[list[tuple[int, int]]] = [[] for _ in found]
    for query in union(queries):
        for place, last_ms, number in connection.exec_driver_sql(query):
            numbers[place].append((last_ms, number))
    for one, latest in zip(found, numbers, strict=True):
        one.ids = [number for _, number in sorted(latest, reverse=True)]


# -- where rows have to be counted -------------------------------------------------------------------------------


def _by_rows(connection: Connection, selection: Selection, limit: int, order: GroupOrder) -> dict[Name, _Found]:
    """The first groups of what fulfils the conditions; the samples are those that came first and last."""
    way = plan(connection, selection)
    by_class: dict[int, _Found] = {}
    for query in _counts(way, selection, is_sqlite=connection.dialect.name == "sqlite"):
        for class_id, count, first_ms, last_ms, first_id, last_id in connection.execute(text(query), way.parameters):
            one = by_class.setdefault(class_id, _Found())
            one.add(int(count), first_ms, last_ms)
            one.ids += [first_id, last_id]
    found: dict[Name, _Found] = {}
    for class_id, name in _names(connection, by_class):
        one, group = by_class[class_id], found.setdefault(name, _Found())
        group.add(one.count, one.first_ms, one.last_ms)
        group.ids = sorted({*group.ids, *one.ids}, reverse=True)[:SAMPLES]
    return dict(sorted(found.items(), key=lambda item: (order.key(item[1]), item[0]))[:limit])


def _counts(way: Plan, selection: Selection, *, is_sqlite: bool) -> Iterable[str]:
    """Queries for the counts, times and samples of classes.

    SQLite sorts what it groups, unless it comes in order: in that of the cells, from an index that has all that an age needs,
    850,000 rows took 0.3 s instead of 2.1 (benchmarks/ledger.py).
    """
    columns = (
        "d.class_id AS class_id, count(*) AS count, min(d.first_seen_ms) AS first_ms, max(d.last_seen_ms) AS last_ms, "
        "min(d.id) AS first_id, max(d.id) AS last_id"
    )
    if way.is_rare or not is_sqlite:
        return union([f"{query} GROUP BY d.class_id" for query in way.select(columns)])
    tables = "cells CROSS JOIN classes c CROSS JOIN dead_letters d INDEXED BY by_class_last_seen"
    tables += " CROSS JOIN texts t" if looks_at_texts(selection) else ""
    of_cells = f"c.id = cells.class_id AND cells.count > 0 AND {cell_condition(selection)}"
    where = " AND ".join((of_cells, "d.class_id = cells.class_id", "d.state = cells.state", *way.conditions))
    return [f"SELECT {columns} FROM {tables} WHERE {where} GROUP BY cells.class_id, cells.state"]  # noqa: S608


def _names(connection: Connection, class_ids: Iterable[int]) -> list[tuple[int, Name]]:
    wanted = ", ".join(map(str, class_ids))
    if not wanted:
        return []
    query = text(f"SELECT id, fingerprint, error_type, kind FROM classes WHERE id IN ({wanted})")  # noqa: S608
    return [
        (number, (fingerprint, error_type, kind)) for number, fingerprint, error_type, kind in connection.execute(query)
    ]
