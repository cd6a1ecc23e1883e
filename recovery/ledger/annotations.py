"""Keeps `annotations`: of how many dead letters of each group and state people say the same, as owner, hold or note.

A count changes in the same transaction as its dead letters. What nobody says any more is deleted at once, with its text.
"""

import hashlib
from collections import Counter

from sqlalchemy import Connection, text

from recovery.ledger.bulk import insert_many
from recovery.ledger.codec import storable
from recovery.ledger.group_counters import Name, name_of, of_groups
from recovery.ledger.rows import Row
from recovery.ledger.schema_groups import NAME, annotations

FIELDS = ("owner", "hold", "note")
MAX_VALUE_CHARS = 500
"""Kept of a text, for display: as long as a hold's reason may be."""
_KEY = (*NAME, "state", "field", "digest")
_SUFFIX = f"ON CONFLICT ({', '.join(_KEY)}) DO UPDATE SET count = annotations.count + excluded.count"

Said = Counter[tuple[Name, str, str, str]]
"""By how much the counts change: group, state, field, text."""


def add(said: Said, row: Row, amount: int) -> None:
    """Count what is said of one dead letter."""
    for field in FIELDS:
        value = getattr(row, field)
        if value is not None:
            said[name_of(row), row.state.value, field, storable(value)] += amount


def apply(connection: Connection, said: Said) -> None:
    """Write the changes."""
    changed = [(*place, count) for place, count in sorted(said.items()) if count]
    rows = (
        (*name, state, field, hashlib.sha256(value.encode()).hexdigest(), value[:MAX_VALUE_CHARS], count)
        for name, state, field, value, count in changed
    )
    insert_many(connection, annotations, (*_KEY, "value", "count"), rows, suffix=_SUFFIX)
    where, parameters = of_groups({name for name, *_, count in changed if count < 0}, table="annotations")
    if parameters:
        connection.execute(text(f"DELETE FROM annotations WHERE count = 0 AND {where}"), parameters)  # noqa: S608
