"""Turns a Selection into SQL, in the way that reads least, on both databases.

Four ways lead to the dead letters of a selection:

- a *rare* condition (a substring, an owner, a correlation id, an age) that so few fulfil that all of them are looked at;
- on SQLite, and in no order, a substring that is not rare: 23,000 of 100,000 are grouped in 35 ms, by the cells in 86;
- the cells: a branch for each class and state, in the order of an index;
- the states: a branch for each, in the order of an index, where too many classes are wanted for branches of their own.

The databases' planners choose between these by guesses, SQLite's without statistics even; here it is chosen by counting, which
costs a few ms, and the SQL leaves a planner no choice.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson
from sqlalchemy import Connection, Text, bindparam, text

from recovery.ledger.bigrams import fts_query, wanted
from recovery.ledger.selection import Selection

RARE = 5_000
"""Rows of which each may be looked at: about 30 ms (benchmarks/ledger.py)."""
RARE_IN_ARRAYS = 2_000
"""The same where PostgreSQL has to fetch one more row for each, with its arrays of grams."""
MAX_BRANCHES = 640
BRANCHES_AT_ONCE = 64
"""SQLite takes 500 parts of one UNION; more than this plans no faster."""
_FACETS = {
    "kind": "c.kind = :kind",
    "error_type": "lower(c.error_type) = lower(:error_type)",
    "type": "c.type = :type",
    "bucket": "c.bucket = :bucket",
    "group": "substr(c.fingerprint, 1, length(:group)) = :group",
    "source_service": "c.source_service = :source_service",
    "source_queue": "c.source_queue = :source_queue",
}
_EXACTLY = {"error_type": "c.error_type = :error_type", "group": "c.fingerprint = :group"}
"""For values behind `=`."""
_OWN = {
    "correlation_id": "d.correlation_id = :correlation_id AND d.correlation_id <> ''",
    "owner": "d.owner = :owner",
    "held": "d.hold IS NOT NULL",
    "outcome": "d.outcome = :outcome",
    "sent_before_ms": "d.sent_ms <= :sent_before_ms",
    "sent_after_ms": "d.sent_ms > :sent_after_ms",
    "seen_until_ms": "d.last_seen_ms <= :seen_until_ms",
    "seen_after_ms": "d.last_seen_ms > :seen_after_ms",
}
_SEEN = ("seen_until_ms", "seen_after_ms")
_TIMES = (("sent_before_ms", "sent_after_ms"), _SEEN)
"""Each is a range of one index."""


@dataclass(frozen=True, slots=True)
class Cell:
    """The dead letters of one class in one state."""

    class_id: int
    state: str
    error_type: str

    @property
    def branch(self) -> str:
        """The condition for its dead letters."""
        return f"d.class_id = {self.class_id} AND {state_is(self.state)}"


@dataclass(frozen=True, slots=True)
class Plan:
    """How to get at the dead letters of a selection."""

    tables: str
    """What follows FROM, with `d` for the dead letters."""
    branches: tuple[str, ...]
    """Conditions of which each dead letter fulfils at most one."""
    conditions: tuple[str, ...]
    """What must hold in every branch."""
    parameters: dict[str, Any]
    is_rare: bool = False
    """Whether all that fulfil one condition are looked at, in no order."""

    def where(self, branch: str, *more: str) -> str:
        """The condition of one branch."""
        return " AND ".join((branch, *self.conditions, *more))

    def select(self, columns: str, *, join: str = "") -> Iterator[str]:
        """A query for each branch."""
        tables = f"{self.tables} {join}"
        return (f"SELECT {columns} FROM {tables} WHERE {self.where(branch)}" for branch in self.branches)  # noqa: S608


def plan(connection: Connection, selection: Selection, *, in_order: bool = False, by_cell: bool = True) -> Plan:
    """Choose the way. `in_order`: whether the first of an order are wanted; `by_cell`: whether it has an index of classes."""
    is_sqlite = connection.dialect.name == "sqlite"
    parameters = parameters_of(selection)
    conditions = tuple(_own_conditions(selection, is_sqlite=is_sqlite))
    texts = " CROSS JOIN texts t" if looks_at_texts(selection) else ""
    candidates = list(_candidates(selection, parameters, is_sqlite=is_sqlite))
    if _has_facets(selection) and (candidates or not by_cell):
        candidates.insert(0, _of_classes(connection, selection))
    rare = next((few for one in candidates if (few := _few(connection, one, parameters)) is not None), None)
    tables = f"dead_letters d{texts}"
    if rare is not None:
        branch = " AND ".join(("d.id = g.id", _states(selection), *_class_condition(connection, selection)))
        ids = (
            "SELECT value AS id FROM json_each(:rare)" if is_sqlite else "SELECT unnest(CAST(:rare AS bigint[])) AS id"
        )
        parameters["rare"] = orjson.dumps(rare).decode() if is_sqlite else rare
        return Plan(f"({ids}) g CROSS JOIN {tables}", (branch,), conditions, parameters, is_rare=True)
    if texts and not in_order and not _has_facets(selection):
        if not is_sqlite:  # one join for all states takes half the time of one for each
            return Plan(tables, (_states(selection),), conditions, parameters)
        if _are_many(connection, selection):
            branch = f"g.grams MATCH :grams AND d.id = g.rowid AND {_states(selection)}"
            return Plan(f"grams g CROSS JOIN {tables}", (branch,), conditions, parameters, is_rare=True)
    if by_cell and _has_facets(selection):
        cells = cells_of(connection, selection, at_most=MAX_BRANCHES + 1)
        if len(cells) <= MAX_BRANCHES:
            return Plan(tables, tuple(cell.branch for cell in cells), conditions, parameters)
    conditions = (*conditions, *_class_condition(connection, selection))
    return Plan(tables, tuple(state_is(state) for state in selection.states), conditions, parameters)


def has_rare_classes(connection: Connection, selection: Selection) -> bool:
    """Whether so few dead letters are of the selection's classes and states that all may be looked at."""
    return _has_facets(selection) and _few(connection, _of_classes(connection, selection), {}) is not None


def is_counted(selection: Selection) -> bool:
    """Whether every dead letter of the selection's cells belongs to it, so that the cells' counts are right."""
    return not looks_at_texts(selection) and all(getattr(selection, name) is None for name in _OWN)


def seen(selection: Selection) -> list[str]:
    """The conditions for the time of the last arrival."""
    return [_OWN[name] for name in _SEEN if getattr(selection, name) is not None]


def is_of_a_time(selection: Selection) -> bool:
    """Whether, beside states and what classes have, nothing but the time of the last arrival is asked for."""
    return is_counted(replace(selection, seen_until_ms=None, seen_after_ms=None))


def cells_of(
    connection: Connection, selection: Selection, *, at_most: int, error_types: Sequence[str] = ()
) -> list[Cell]:
    """The cells that have dead letters of a selection's classes and states; those of some error types, if any are given."""
    where = f"cells.count > 0 AND {cell_condition(selection)}"
    parameters = dict(parameters_of(selection), at_most=at_most)
    wanted = [bindparam("error_types", list(error_types), type_=Text, expanding=True)] if error_types else []
    if error_types:
        where += " AND c.error_type IN :error_types"
    query = (
        "SELECT c.id, cells.state, c.error_type FROM cells JOIN classes c ON c.id = cells.class_id "  # noqa: S608
        f"WHERE {where} LIMIT :at_most"
    )
    return [Cell(*found) for found in connection.execute(text(query).bindparams(*wanted), parameters)]


def cell_condition(selection: Selection) -> str:
    """The condition for cells: states, and what classes have."""
    states = ", ".join(f"'{state}'" for state in selection.states)
    return " AND ".join((f"cells.state IN ({states})" if states else "1 = 0", *_facet_conditions(selection)))


def parameters_of(selection: Selection) -> dict[str, Any]:
    """The values of every condition."""
    names = (*_FACETS, *_OWN, "key_contains", "text_contains")
    found = {name: value for name in names if (value := getattr(selection, name)) is not None and name != "held"}
    if "group" in found:
        found["group"] = "" if found["group"] == "-" else found["group"].removeprefix("=")
    if "error_type" in found:
        found["error_type"] = found["error_type"].removeprefix("=")
    return found


def state_is(state: str) -> str:
    """The condition for one state. Written out: a planner must see it to use an index of one state."""
    return f"d.state = '{state}'"


def union(queries: Sequence[str]) -> Iterator[str]:
    """Queries that together do what these do, each of as many as a database plans well."""
    for at in range(0, len(queries), BRANCHES_AT_ONCE):
        some = queries[at : at + BRANCHES_AT_ONCE]
        yield " UNION ALL ".join(f"SELECT * FROM ({query}) u{place}" for place, query in enumerate(some))  # noqa: S608


# -- conditions --------------------------------------------------------------------------------------------------


def _facet_conditions(selection: Selection) -> Iterator[str]:
    for name, condition in _FACETS.items():
        value = getattr(selection, name)
        if name in _EXACTLY and value is not None and (value.startswith("=") or (name, value) == ("group", "-")):
            yield _EXACTLY[name]
        elif value is not None:
            yield condition


def _own_conditions(selection: Selection, *, is_sqlite: bool) -> Iterator[str]:
    for name, condition in _OWN.items():
        value = getattr(selection, name)
        if (name, value) == ("held", False):
            yield "d.hold IS NULL"
        elif (name, value) == ("owner", ""):
            yield "d.owner IS NULL"
        elif value is not None:
            yield condition
    if looks_at_texts(selection):
        yield from ("t.id = d.id", *text_conditions(selection, is_sqlite=is_sqlite))


def text_conditions(selection: Selection, *, is_sqlite: bool) -> Iterator[str]:
    """The exact tests of the substrings, in the texts `t`."""
    contains = "instr" if is_sqlite else "strpos"
    if selection.key_contains:
        yield f"{contains}(t.key, :key_contains) > 0"
    if selection.text_contains:
        yield f"{contains}(t.said, :text_contains) > 0"


def _class_condition(connection: Connection, selection: Selection) -> list[str]:
    """Which classes, as an expression that no index answers: the order of the page's index must not be given up for it."""
    if not _has_facets(selection):
        return []
    return [f"d.class_id + 0 IN ({', '.join(map(str, _class_ids(connection, selection))) or 'NULL'})"]


def _class_ids(connection: Connection, selection: Selection) -> Iterable[int]:
    query = text(f"SELECT c.id FROM classes c WHERE {' AND '.join(_facet_conditions(selection))}")  # noqa: S608
    return connection.execute(query, parameters_of(selection)).scalars()


def _states(selection: Selection) -> str:
    names = ", ".join(f"'{state}'" for state in selection.states)
    return f"d.state IN ({names or 'NULL'})"


def _are_many(connection: Connection, selection: Selection) -> bool:
    """Whether the selection's states have at least a quarter of all dead letters."""
    inside = f"sum(CASE WHEN {cell_condition(selection)} THEN count END)"
    return bool(connection.exec_driver_sql(f"SELECT 4 * {inside} >= sum(count) FROM cells").scalar())  # noqa: S608


def _has_facets(selection: Selection) -> bool:
    return any(getattr(selection, name) is not None for name in _FACETS)


def looks_at_texts(selection: Selection) -> bool:
    """Whether a substring is looked for."""
    return bool(selection.key_contains or selection.text_contains)


# -- rare conditions ---------------------------------------------------------------------------------------------


def _candidates(selection: Selection, parameters: dict[str, Any], *, is_sqlite: bool) -> Iterator[str]:
    if looks_at_texts(selection):
        yield _grams(selection, parameters, is_sqlite=is_sqlite)
    for name in ("correlation_id", "owner", "held", "outcome"):
        if getattr(selection, name):
            yield f"SELECT d.id FROM dead_letters d WHERE {_OWN[name]}"  # noqa: S608
    for times in _TIMES:
        if wanted_times := " AND ".join(_OWN[name] for name in times if getattr(selection, name) is not None):
            yield f"SELECT d.id FROM dead_letters d WHERE {_states(selection)} AND {wanted_times}"  # noqa: S608


def _of_classes(connection: Connection, selection: Selection) -> str:
    """The query for those of the selection's classes and states, which an index answers alone."""
    ids = ", ".join(map(str, _class_ids(connection, selection))) or "NULL"
    return f"SELECT d.id FROM dead_letters d WHERE d.class_id IN ({ids}) AND {_states(selection)}"  # noqa: S608


def _grams(selection: Selection, parameters: dict[str, Any], *, is_sqlite: bool) -> str:
    """The query for those that have all grams of the substrings; the exact test is another condition."""
    key, said = (wanted(one) if one else [] for one in (selection.key_contains, selection.text_contains))
    if is_sqlite:
        parts = [fts_query(key, column="key")] if key else []
        parts += [fts_query(said)] if said else []
        parameters["grams"] = " AND ".join(f"({part})" for part in parts)
        return "SELECT rowid AS id FROM grams WHERE grams MATCH :grams"
    parameters.update({f"grams_of_{name}": words for name, words in (("key", key), ("said", said)) if words})
    conditions = [
        f"{name} @> CAST(:grams_of_{name} AS text[])" for name, words in (("key", key), ("said", said)) if words
    ]
    return f"SELECT id FROM gram_arrays WHERE {' AND '.join(conditions)}"  # noqa: S608


def _few(connection: Connection, query: str, parameters: dict[str, Any]) -> list[int] | None:
    """What a query finds, if that is few."""
    most = RARE_IN_ARRAYS if "gram_arrays" in query else RARE
    found = list(connection.execute(text(f"{query} LIMIT {most + 1}"), parameters).scalars())
    return found if len(found) <= most else None
