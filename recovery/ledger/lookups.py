"""Single rows, events and marks."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, select, text

from recovery.ledger.bulk import select_in
from recovery.ledger.codec import COLUMNS, JOINED, row_of, rows_by_identity
from recovery.ledger.intake import known_messages
from recovery.ledger.rows import Event, Row, State
from recovery.ledger.schema import dead_letters, events, ledger_info, marks

_SET_MARK = text(
    "INSERT INTO marks (name, value) VALUES (:name, :value) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
)


@dataclass(frozen=True, slots=True)
class LedgerInfo:
    """Which ledger this is. The state bucket names it, so that no second one is used with the same bucket."""

    id: str
    name: str
    created_ms: int


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of messages that were received from the DLQ."""

    taken_in: frozenset[str]
    """The DLQ ids that were taken in before. A dead letter whose record is missing does not count."""
    keys: Mapping[str, str]
    """The keys of records, by identity."""


def info(connection: Connection) -> LedgerInfo:
    """Which ledger this is."""
    query = select(ledger_info.c.id, ledger_info.c.name, ledger_info.c.created_ms)
    return LedgerInfo(*connection.execute(query).one())


def known(connection: Connection, message_ids: Iterable[str], identities: Iterable[str]) -> Known:
    """What is known of these DLQ ids, and of the dead letters that their messages may be."""
    arrived = (
        "SELECT a.message_id FROM arrivals a JOIN dead_letters d ON d.id = a.dead_letter "  # noqa: S608 (of fixed parts)
        f"WHERE d.state <> '{State.MISSING}' AND a.message_id"
    )
    taken_in = frozenset(message_id for (message_id,) in select_in(connection, arrived, message_ids))
    found = select_in(connection, "SELECT identity, key FROM dead_letters WHERE identity", identities)
    return Known(taken_in, dict(map(tuple, found)))


def get(connection: Connection, any_id: str) -> Row | None:
    """The row of a dead letter, by its identity or by any DLQ id that it has had."""
    identities = [any_id, *known_messages(connection, [any_id]).values()]
    found = rows_by_identity(connection, identities)
    return next((found[one] for one in identities if one in found), None)


def due(connection: Connection, now_ms: int, *, limit: int) -> list[Row]:
    """Scheduled dead letters whose time has come, the longest overdue first; those that are held are left out."""
    query = text(
        f"SELECT {COLUMNS} FROM {JOINED} WHERE d.retry_at_ms IS NOT NULL AND d.retry_at_ms <= :now_ms "  # noqa: S608
        f"AND d.state = '{State.SCHEDULED}' AND d.hold IS NULL ORDER BY d.retry_at_ms, d.id LIMIT :count"
    )
    return [row_of(found) for found in connection.execute(query, {"now_ms": now_ms, "count": limit})]


def events_of(connection: Connection, identity: str, *, after: int, limit: int) -> list[Event]:
    """The events of a dead letter, the oldest first, beginning after the one with the number `after`."""
    query = (
        select(dead_letters.c.identity, events.c.at_ms, events.c.by, events.c.action, events.c.details, events.c.id)
        .join(dead_letters, dead_letters.c.id == events.c.dead_letter)
        .where(dead_letters.c.identity == identity, events.c.id > after)
        .order_by(events.c.id)
        .limit(limit)
    )
    return [Event(*found) for found in connection.execute(query)]


def messages_of(connection: Connection, identity: str) -> Sequence[tuple[str, int]]:
    """Every DLQ id that a dead letter has had, and when it arrived with it, the oldest first."""
    query = text(
        "SELECT a.message_id, a.at_ms FROM arrivals a JOIN dead_letters d ON d.id = a.dead_letter "
        "WHERE d.identity = :identity ORDER BY a.at_ms, a.message_id"
    )
    return [(message_id, at_ms) for message_id, at_ms in connection.execute(query, {"identity": identity})]


def get_mark(connection: Connection, name: str) -> str | None:
    """What was last set under a name."""
    return connection.execute(select(marks.c.value).where(marks.c.name == name)).scalar_one_or_none()


def set_mark(connection: Connection, name: str, value: str) -> None:
    """Remember a small text under a name."""
    connection.execute(_SET_MARK, {"name": name, "value": value})
