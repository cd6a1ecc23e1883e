"""News: the arrivals about which nobody has been notified yet. They are written with the arrivals, so that none is forgotten."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Connection, bindparam, delete, text

from recovery.ledger.bulk import insert_many
from recovery.ledger.codec import COLUMNS, JOINED, row_of
from recovery.ledger.rows import Arrival, Row
from recovery.ledger.schema import news
from worker.core.base.classify import FailureKind


class Reason(StrEnum):
    """Why somebody is to hear of a dead letter."""

    FAILED = "failed"
    """It arrived, new or once more."""
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


def write_news(connection: Connection, arrived: Iterable[tuple[int, Arrival]]) -> None:
    """Note arrivals, each with its dead letter's number. Those of kind RECOVERABLE are none: they are retried."""
    noted = [
        (number, one.at_ms, Reason.FAILED.value)
        for number, one in arrived
        if one.is_news and one.row.kind is not FailureKind.RECOVERABLE
    ]
    insert_many(connection, news, ("dead_letter", "at_ms", "reason"), noted)


def note(connection: Connection, identity: str, reason: Reason, at_ms: int) -> None:
    """Note that something has happened to a dead letter; nothing if it has no row."""
    query = (
        "INSERT INTO news (dead_letter, at_ms, reason) "
        "SELECT id, :at_ms, :reason FROM dead_letters WHERE identity = :identity"
    )
    connection.execute(text(query), {"identity": identity, "at_ms": at_ms, "reason": reason.value})


def oldest(connection: Connection, limit: int) -> list[News]:
    """The oldest news."""
    query = text(
        f"SELECT n.id, n.at_ms, n.reason, {COLUMNS} FROM news n "  # noqa: S608 (of fixed parts)
        f"JOIN ({JOINED}) ON d.id = n.dead_letter ORDER BY n.id LIMIT :count"
    )
    found = connection.execute(query, {"count": limit})
    return [News(number, at_ms, Reason(reason), row_of(rest)) for number, at_ms, reason, *rest in found]


def forget(connection: Connection, numbers: Sequence[int]) -> None:
    """Delete these news: they are counted in their topics now."""
    connection.execute(delete(news).where(news.c.id.in_(bindparam("ids", expanding=True))), {"ids": list(numbers)})
