"""Keeps `annotations`: of how many dead letters of each class and state people say the same, as owner, hold or note.

A count changes in the same transaction as its dead letters. What nobody says any more is deleted at once, with its text.
"""

import hashlib
from collections import Counter

from sqlalchemy import Connection

from recovery.ledger.bulk import insert_many
from recovery.ledger.codec import storable
from recovery.ledger.rows import Row
from recovery.ledger.schema_groups import annotations

FIELDS = ("owner", "hold", "note")
MAX_VALUE_CHARS = 500
"""Kept of a text, for display: as long as a hold's reason may be."""
_COLUMNS = ("class_id", "state", "field", "digest", "value", "count")
_SUFFIX = "ON CONFLICT (class_id, state, field, digest) DO UPDATE SET count = annotations.count + excluded.count"

Said = Counter[tuple[int, str, str, str]]
"""By how much the counts change: class, state, field, text."""


def add(said: Said, class_id: int, row: Row, amount: int) -> None:
    """Count what is said of one dead letter."""
    for name in FIELDS:
        value = getattr(row, name)
        if value is not None:
            said[class_id, row.state.value, name, storable(value)] += amount


def apply(connection: Connection, said: Said) -> None:
    """Write the changes."""
    changed = [(*place, count) for place, count in sorted(said.items()) if count]
    rows = (
        (class_id, state, name, hashlib.sha256(value.encode()).hexdigest(), value[:MAX_VALUE_CHARS], count)
        for class_id, state, name, value, count in changed
    )
    insert_many(connection, annotations, _COLUMNS, rows, suffix=_SUFFIX)
    fewer = sorted({class_id for class_id, *_, count in changed if count < 0})
    if fewer:
        listed = ", ".join(map(str, fewer))
        connection.exec_driver_sql(f"DELETE FROM annotations WHERE count = 0 AND class_id IN ({listed})")  # noqa: S608
