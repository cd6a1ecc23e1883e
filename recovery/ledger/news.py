"""News: what nobody has been notified of yet. They are written with the arrivals and changes, so that none is forgotten.

What will be sent again by itself is no news, whatever its kind: everything else waits for people, who have to hear of it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Connection, bindparam, delete, text

from recovery.ledger.bulk import insert_many
from recovery.ledger.codec import COLUMNS, JOINED, row_of
from recovery.ledger.rows import USED_UP, Arrival, Row, State
from recovery.ledger.schema import news


class Reason(StrEnum):
    """Why somebody is to hear of a dead letter."""

    FAILED = "failed"
    """It arrived, new or once more; or it is not retried any more."""
    RETRIES_USED_UP = "retries_used_up"
    """Its scheduled retries did not help."""


@dataclass(frozen=True, slots=True)
class News:
    """That something has happened to a dead letter."""

    id: int
    at_ms: int
    reason: Reason
    row: Row
    """The dead letter as it is now."""


def write_arrived(connection: Connection, arrived: Iterable[tuple[int, Arrival]]) -> None:
    """Note arrivals that are news, each with its dead letter's number."""
    _write(
        connection,
        (
            (number, one.at_ms, Reason.RETRIES_USED_UP if USED_UP in one.also else Reason.FAILED, one.row)
            for number, one in arrived
            if one.is_news
        ),
    )


def write_changed(connection: Connection, changed: Iterable[Row]) -> None:
    """Note dead letters whose change is news, as they are now."""
    _write(connection, ((row.id, row.changed_ms, Reason.FAILED, row) for row in changed))


def _write(connection: Connection, found: Iterable[tuple[int, int, Reason, Row]]) -> None:
    noted = [(number, at_ms, reason.value) for number, at_ms, reason, row in found if row.state is not State.SCHEDULED]
    insert_many(connection, news, ("dead_letter", "at_ms", "reason"), noted)


def oldest(connection: Connection, limit: int, after: int) -> list[News]:
    """The oldest news with a greater number than `after`."""
    query = text(
        f"SELECT n.id, n.at_ms, n.reason, {COLUMNS} FROM news n "  # noqa: S608 (of fixed parts)
        f"JOIN ({JOINED}) ON d.id = n.dead_letter WHERE n.id > :after ORDER BY n.id LIMIT :count"
    )
    found = connection.execute(query, {"count": limit, "after": after})
    return [News(number, at_ms, Reason(reason), row_of(rest)) for number, at_ms, reason, *rest in found]


def forget(connection: Connection, numbers: Sequence[int]) -> set[int]:
    """Delete these news: they are counted in their topics now. Those that were there; another manager may have counted some."""
    gone = delete(news).where(news.c.id.in_(bindparam("ids", expanding=True))).returning(news.c.id)
    return set(connection.execute(gone, {"ids": list(numbers)}).scalars())
