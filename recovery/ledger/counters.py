"""Keeps `cells`: how many dead letters of each class are in each state, the sums of what they count, and since when.

What people say of them is counted with it (annotations.py).

Measured at 1,000,000 rows on SQLite: groups read from a covering index took 360 ms, from the cells 10 ms; 100 ms are allowed
(benchmarks/ledger.py). A cell changes in the same transaction as its dead letters, so it cannot be wrong.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from sqlalchemy import Connection

from recovery.ledger import annotations
from recovery.ledger.bulk import insert_many
from recovery.ledger.rows import Row
from recovery.ledger.schema import CELL_SUMS, cells

NEVER_MS = 2**62
"""Later than any time: what is the first seen of nothing."""
_SUMS = ("count", *CELL_SUMS)
_COLUMNS = ("class_id", "state", *_SUMS, "first_seen_ms", "last_seen_ms")


@dataclass(slots=True)
class _Change:
    sums: list[int] = field(default_factory=lambda: [0] * len(_SUMS))
    first_ms: int = NEVER_MS
    last_ms: int = 0
    was_left: bool = False
    """Then the first or the last may have gone, and is looked up."""


class Tally:
    """By how much the cells change in one transaction."""

    def __init__(self) -> None:
        self._changes: dict[tuple[int, str], _Change] = {}
        self._said = annotations.Said()

    def enter(self, class_id: int, row: Row) -> None:
        """A dead letter is now in this class, with this state, these counts and times."""
        change = self._add(class_id, row, 1)
        change.first_ms = min(change.first_ms, row.first_seen_ms)
        change.last_ms = max(change.last_ms, row.last_seen_ms)

    def leave(self, class_id: int, row: Row) -> None:
        """It was so before."""
        self._add(class_id, row, -1).was_left = True

    def apply(self, connection: Connection) -> None:
        """Write the changes, after the rows."""
        least, greatest = ("min", "max") if connection.dialect.name == "sqlite" else ("least", "greatest")
        added = ", ".join(f"{name} = cells.{name} + excluded.{name}" for name in _SUMS)
        suffix = (
            f"ON CONFLICT (class_id, state) DO UPDATE SET {added}, "
            f"first_seen_ms = {least}(cells.first_seen_ms, excluded.first_seen_ms), "
            f"last_seen_ms = {greatest}(cells.last_seen_ms, excluded.last_seen_ms)"
        )
        changes = (
            (*cell, *one.sums, one.first_ms, one.last_ms) for cell, one in sorted(self._changes.items(), key=_cell)
        )
        insert_many(connection, cells, _COLUMNS, changes, suffix=suffix)
        _look_up_times(connection, [cell for cell, one in self._changes.items() if one.was_left])
        annotations.apply(connection, self._said)

    def _add(self, class_id: int, row: Row, sign: int) -> _Change:
        change = self._changes.setdefault((class_id, row.state.value), _Change())
        for place, amount in enumerate((1, row.attempts, row.redrives, row.retries, row.size_bytes)):
            change.sums[place] += sign * amount
        annotations.add(self._said, row, sign)
        return change


def _cell(change: tuple[tuple[int, str], _Change]) -> tuple[int, str]:
    return change[0]


def _look_up_times(connection: Connection, left: Iterable[tuple[int, str]]) -> None:
    """The first and last times of these cells, from the ends of their indexes."""
    listed = ", ".join(f"({class_id}, '{state}')" for class_id, state in left)
    if not listed:
        return
    of_cell = "FROM dead_letters d WHERE d.class_id = cells.class_id AND d.state = cells.state"
    connection.exec_driver_sql(
        f"UPDATE cells SET first_seen_ms = coalesce((SELECT min(d.first_seen_ms) {of_cell}), {NEVER_MS}), "  # noqa: S608
        f"last_seen_ms = coalesce((SELECT max(d.last_seen_ms) {of_cell}), 0) WHERE (class_id, state) IN (VALUES {listed})"
    )
