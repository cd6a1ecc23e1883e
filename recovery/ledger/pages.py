"""Pages of dead letters in an order, each after a cursor; and all of them, one after another.

A cursor holds the place of the last row, not its number: what arrives or goes in between neither repeats nor hides a row.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from heapq import merge
from itertools import islice
from typing import Any

from sqlalchemy import Connection, text

from recovery.ledger.codec import COLUMNS, JOINED, row_of
from recovery.ledger.cursors import Place, cursor_of, place_of
from recovery.ledger.errors import AskedWronglyError
from recovery.ledger.rows import Row, State
from recovery.ledger.search import (
    Plan,
    cell_condition,
    cells_of,
    has_rare_classes,
    looks_at_texts,
    parameters_of,
    plan,
    text_conditions,
    union,
)
from recovery.ledger.selection import Selection, without_texts

MAX_LIMIT = 1_000
MAX_OFFSET = 100_000
"""An offset reads everything before it; a cursor does not."""
ROWS_AT_ONCE = 2_000
WALKED = 3_000
"""Rows whose texts are looked at before their index: about 20 ms on PostgreSQL."""
MAX_CELLS = 100_000
"""Of one error type: far more than there are buckets and queues."""


class Sort(StrEnum):
    """Orders of a page; equal ones are in the order of their numbers."""

    LAST_SEEN = "last_seen"
    FIRST_SEEN = "first_seen"
    SENT = "sent"
    """Its age: when SQS received it, the last time."""
    KEY = "key"
    """The object's key, by code point."""
    ERROR = "error"
    """The error type, then as LAST_SEEN."""
    RETRY_AT = "retry_at"
    """When it will be sent again by itself; only those that are scheduled have a place in this order."""


_COLUMN = {
    Sort.LAST_SEEN: "last_seen_ms",
    Sort.FIRST_SEEN: "first_seen_ms",
    Sort.SENT: "sent_ms",
    Sort.KEY: "object_key",
    Sort.ERROR: "last_seen_ms",
    Sort.RETRY_AT: "retry_at_ms",
}


@dataclass(frozen=True, slots=True)
class Order:
    """An order, and whether it is reversed."""

    sort: Sort = Sort.LAST_SEEN
    descending: bool = True

    @property
    def column(self) -> str:
        """What is compared within an error type, or in all."""
        return _COLUMN[self.sort]

    @property
    def name(self) -> tuple[str, bool]:
        """What a cursor says of it."""
        return self.sort.value, self.descending

    @property
    def has_classes(self) -> bool:
        """Whether there is an index of classes in this order: that of keys would be long, and few are scheduled."""
        return self.sort not in {Sort.KEY, Sort.RETRY_AT}

    @property
    def direction(self) -> str:
        """In SQL."""
        return "DESC" if self.descending else "ASC"

    @property
    def beyond(self) -> str:
        """How what follows compares with a place, in SQL."""
        return "<" if self.descending else ">"


@dataclass(frozen=True, slots=True)
class Page:
    """Some rows, and the cursor after the last of them; None if there are no more."""

    rows: list[Row]
    next: str | None


def page(
    connection: Connection, selection: Selection, order: Order, *, after: str | None, offset: int, limit: int
) -> Page:
    """One page. Raises AskedWronglyError for a limit, an offset or a cursor that cannot be."""
    _check("limit", limit, 1, MAX_LIMIT)
    _check("offset", offset, 0, MAX_OFFSET)
    place = None if after is None else place_of(after, order.name)
    count = offset + limit + 1
    selection = in_order(selection, order.sort)
    found = _walked(connection, selection, order, place, count)
    if found is None:
        way = plan(connection, selection, in_order=True, by_cell=order.has_classes)
        found = list(_places(connection, way, selection, order, place, count))
    found = found[offset:]
    cursor = cursor_of(found[limit - 1], order.name) if len(found) > limit else None
    return Page(_rows(connection, [number for *_, number in found[:limit]]), cursor)


def in_order(selection: Selection, sort: Sort) -> Selection:
    """What of a selection has a place in an order."""
    if sort is not Sort.RETRY_AT:
        return selection
    return replace(selection, states=tuple(state for state in selection.states if state is State.SCHEDULED))


def rows(connection: Connection, selection: Selection) -> Iterator[Row]:
    """Every row of the selection, in no particular order, as of the moment of the first; few are in memory at a time."""
    way = plan(connection, selection)
    for query in way.select(COLUMNS, join="JOIN classes c ON c.id = d.class_id"):
        options = {"yield_per": ROWS_AT_ONCE}
        with connection.execute(text(query), way.parameters, execution_options=options) as result:
            yield from map(row_of, result)


# -- places ------------------------------------------------------------------------------------------------------


def _places(
    connection: Connection, way: Plan, selection: Selection, order: Order, after: Place | None, count: int
) -> Iterator[Place]:
    """The places of up to `count` rows after one, in order."""
    if order.sort is not Sort.ERROR:
        yield from (("", value, number) for value, number, _ in _merged(connection, way, order, after, count))
    elif way.is_rare:
        yield from _few_by_error(connection, way, order, after, count)
    else:
        yield from _by_error(connection, way, selection, order, after, count)


def _walked(
    connection: Connection, selection: Selection, order: Order, after: Place | None, count: int
) -> list[Place] | None:
    """The places, if they are among the next WALKED rows in order; else None. Only for substrings on PostgreSQL.

    There, an index of arrays gives nothing before it has everything, which is slow for a frequent word; but a page of it is near.
    """
    if connection.dialect.name == "sqlite" or order.sort is Sort.ERROR or not looks_at_texts(selection):
        return None
    if has_rare_classes(connection, selection):  # their next rows are far
        return None
    way = plan(connection, without_texts(selection), in_order=True, by_cell=order.has_classes)
    parameters = dict(parameters_of(selection), **way.parameters)
    queries = list(union(_ordered(way, order, after, parameters)))
    if len(queries) != 1:  # nothing, or so many branches that their rows are not near
        return None
    near = f"{queries[0]} ORDER BY v {order.direction}, id {order.direction} LIMIT :count"
    wanted = " AND ".join(text_conditions(selection, is_sqlite=False))
    found = connection.execute(
        text(
            f"SELECT n.v, n.id FROM ({near}) n JOIN texts t ON t.id = n.id WHERE {wanted} "  # noqa: S608
            f"ORDER BY n.v {order.direction}, n.id {order.direction} LIMIT :wanted"
        ),
        dict(parameters, count=WALKED, wanted=count),
    )
    places: list[Place] = [("", value, number) for value, number in found]
    return places if len(places) == count else None


def _merged(
    connection: Connection, way: Plan, order: Order, after: Place | None, count: int
) -> Iterator[tuple[int | str, int, int]]:
    """(value, number, class) of the branches, each in its index's order, merged."""
    parameters = dict(way.parameters, count=count)
    queries = _ordered(way, order, after, parameters)
    chunks: list[list[Any]] = []
    for query in union(queries):
        ordered = f"{query} ORDER BY v {order.direction}, id {order.direction} LIMIT :count"
        chunks.append([tuple(found) for found in connection.execute(text(ordered), parameters)])
    return islice(merge(*chunks, key=lambda found: found[:2], reverse=order.descending), count)


def _ordered(way: Plan, order: Order, after: Place | None, parameters: dict[str, Any]) -> list[str]:
    """A query for each branch: value, number and class of up to :count rows after a place, in order."""
    beyond = ["d.retry_at_ms IS NOT NULL"] if order.sort is Sort.RETRY_AT else []  # as in its index
    if after is not None:
        parameters.update(after_value=after[1], after_id=after[2])
        beyond += [f"(d.{order.column}, d.id) {order.beyond} (:after_value, :after_id)"]
    return [
        f"SELECT d.{order.column} AS v, d.id AS id, d.class_id AS class_id FROM {way.tables} "  # noqa: S608
        f"WHERE {way.where(branch, *beyond)} "
        f"ORDER BY d.{order.column} {order.direction}, d.id {order.direction} LIMIT :count"
        for branch in way.branches
    ]


def _few_by_error(connection: Connection, way: Plan, order: Order, after: Place | None, count: int) -> Iterator[Place]:
    parameters = dict(way.parameters, count=count)
    beyond = []
    if after is not None:
        parameters.update(after_error=after[0], after_value=after[1], after_id=after[2])
        beyond = [f"(c.error_type, d.last_seen_ms, d.id) {order.beyond} (:after_error, :after_value, :after_id)"]
    ordered = ", ".join(f"{name} {order.direction}" for name in ("c.error_type", "d.last_seen_ms", "d.id"))
    query = (
        f"SELECT c.error_type, d.last_seen_ms, d.id FROM {way.tables} JOIN classes c ON c.id = d.class_id "  # noqa: S608
        f"WHERE {way.where(way.branches[0], *beyond)} ORDER BY {ordered} LIMIT :count"
    )
    return (tuple(found) for found in connection.execute(text(query), parameters))


def _by_error(
    connection: Connection, way: Plan, selection: Selection, order: Order, after: Place | None, count: int
) -> Iterator[Place]:
    """Error types are few, so their order is that of the cells; those that are wholly on the page are asked for together."""
    for error_types in _error_types(connection, selection, order, after, count):
        cells = cells_of(connection, selection, at_most=MAX_CELLS, error_types=error_types)
        error_type_of = {cell.class_id: cell.error_type for cell in cells}
        part = replace(way, branches=tuple(cell.branch for cell in cells))
        within = after if after is not None and error_types == [after[0]] else None
        found = [
            (error_type_of[one], int(value), number)
            for value, number, one in _merged(connection, part, order, within, count)
        ]
        yield from sorted(found, reverse=order.descending)
        count -= len(found)
        if count <= 0:
            return


def _error_types(
    connection: Connection, selection: Selection, order: Order, after: Place | None, count: int
) -> Iterator[list[str]]:
    """One error type after another, from that of a place; several at once, where all of them are among the next `count`."""
    query = (
        "SELECT c.error_type, sum(cells.count) FROM cells JOIN classes c ON c.id = cells.class_id "  # noqa: S608
        f"WHERE cells.count > 0 AND {cell_condition(selection)} GROUP BY c.error_type ORDER BY c.error_type {order.direction}"
    )
    together: list[str] = []
    total, left = 0, count
    for error_type, more in connection.execute(text(query), parameters_of(selection)).all():
        if after is not None and (error_type > after[0] if order.descending else error_type < after[0]):
            continue
        begun = after is not None and error_type == after[0]
        if together and (begun or total + more > left):
            yield together
            together, total, left = [], 0, left - total
        together.append(error_type)
        total += more
        if begun:
            yield together
            together, total, left = [], 0, left - total
    if together:
        yield together


# -- rows --------------------------------------------------------------------------------------------------------


def _rows(connection: Connection, numbers: Sequence[int]) -> list[Row]:
    if not numbers:
        return []
    query = f"SELECT {COLUMNS} FROM {JOINED} WHERE d.id IN ({', '.join(map(str, numbers))})"  # noqa: S608
    found = {row.id: row for row in map(row_of, connection.exec_driver_sql(query))}
    return [found[number] for number in numbers]


def _check(name: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        raise AskedWronglyError(name, str(value), f"{least} to {most:,}")
