"""The outbox: what is to be said to whom, until it is sent. News are counted in topics; what is to be said is made of these.

Each step is one transaction: news become counts and are deleted, counts become notifications and are zero again. So a kill
repeats a step or does not begin it; only a notification may be sent twice, by a kill between its sending and `sent`.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Connection, bindparam, select, text

from recovery.ledger import news as news_
from recovery.ledger.codec import storable
from recovery.ledger.database import Database
from recovery.ledger.news import News, Reason
from recovery.ledger.schema import notifications, topics
from worker.core.base.classify import FailureKind

MAX_NAME_CHARS = 200
"""Of a topic's name and an example: they are keys, and stand in a mail."""
_COUNT = text(
    "INSERT INTO topics (recipient, reason, kind, name, fingerprint, error_type, waiting, first_ms, last_ms, example, total, "
    "told_ms) VALUES (:recipient, :reason, :kind, :name, :fingerprint, :error_type, 1, :at_ms, :at_ms, :example, 1, 0) "
    "ON CONFLICT (recipient, reason, kind, name) DO UPDATE SET waiting = topics.waiting + 1, total = topics.total + 1, "
    "first_ms = CASE WHEN topics.waiting = 0 THEN excluded.first_ms ELSE topics.first_ms END, "
    "last_ms = excluded.last_ms, example = excluded.example"
)
_TOLD = text(
    "UPDATE topics SET waiting = waiting - :waiting, told_ms = :now_ms "
    "WHERE recipient = :recipient AND reason = :reason AND kind = :kind AND name = :name"
)
_SAY = text(
    "INSERT INTO notifications (created_ms, about, recipient, subject, text, state, attempts, error, next_ms) "
    "VALUES (:now_ms, :about, :recipient, :subject, :text, 'waiting', 0, '', :now_ms)"
)


class Sending(StrEnum):
    """Where a notification is in its life."""

    WAITING = "waiting"
    """To be sent at its next time."""
    SENT = "sent"
    FAILED = "failed"
    """It was tried as often as it is tried."""


class About(StrEnum):
    """What a notification is about."""

    GROUP = "group"
    """A group of failures that is new."""
    RETRIES = "retries"
    """A group whose scheduled retries are used up."""
    DIGEST = "digest"
    """What was added to groups since they were last spoken of, and what waits for review."""


@dataclass(frozen=True, slots=True)
class Topic:
    """What one recipient hears of: dead letters of one cause."""

    recipient: str
    reason: Reason
    kind: FailureKind
    name: str
    """The fingerprint, else the error type."""
    fingerprint: str
    error_type: str
    waiting: int = 1
    """Of which nothing was said yet; the first and the last time are of these."""
    first_ms: int = 0
    last_ms: int = 0
    example: str = ""
    """What the latest is about."""
    total: int = 1
    told_ms: int = 0
    """When it was last spoken of; 0: never."""


@dataclass(frozen=True, slots=True)
class ToSay:
    """A notification to be sent."""

    about: About
    recipient: str
    subject: str
    text: str


@dataclass(frozen=True, slots=True)
class Notification:
    """A notification, and what became of it."""

    id: int
    created_ms: int
    about: About
    recipient: str
    subject: str
    text: str
    state: Sending
    attempts: int
    error: str
    """Why the last attempt failed, without secrets."""
    next_ms: int
    sent_ms: int | None


class Outbox:
    """The outbox of one ledger; threads may share it. Every method raises LedgerError where the database fails."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # -- news --------------------------------------------------------------------------------------------------------

    def news(self, *, limit: int, after: int = 0) -> list[News]:
        """The oldest news that are not counted yet, of those with a greater number than `after`."""
        with self._database.reading() as connection:
            return news_.oldest(connection, limit, after)

    def count_news(self, routed: Sequence[tuple[News, str]]) -> None:
        """Count news in the topics of their recipients, and forget them; those that are not there any more are left out."""
        if not routed:
            return
        with self._database.writing() as connection:
            there = news_.forget(connection, [one.id for one, _ in routed])
            counted = [_counted(one, recipient) for one, recipient in routed if one.id in there]
            if counted:
                connection.execute(_COUNT, counted)

    # -- topics ------------------------------------------------------------------------------------------------------

    def topics(self) -> list[Topic]:
        """All topics, those with the most that is unsaid first."""
        query = select(*topics.c).order_by(topics.c.waiting.desc(), topics.c.name)
        with self._database.reading() as connection:
            return [_topic(found) for found in connection.execute(query)]

    def say(self, messages: Sequence[ToSay], told: Sequence[Topic], *, now_ms: int) -> None:
        """Put notifications into the outbox; with them, what they tell of these topics is said."""
        with self._database.writing() as connection:
            for one in messages:
                connection.execute(_SAY, {**_stored(one), "now_ms": now_ms})
            for topic in told:
                connection.execute(_TOLD, {**_key(topic), "waiting": topic.waiting, "now_ms": now_ms})

    def made_since(self, at_ms: int, recipients: Sequence[str]) -> int:
        """How many notifications of single groups were made since then for each of these recipients, who are told the same."""
        if not recipients:
            return 0
        query = text(
            "SELECT count(*) FROM notifications WHERE about <> 'digest' AND created_ms > :at_ms AND recipient IN :recipients"
        ).bindparams(bindparam("recipients", list(recipients), expanding=True))
        with self._database.reading() as connection:
            return int(connection.execute(query, {"at_ms": at_ms}).scalar_one()) // len(recipients)

    # -- notifications -----------------------------------------------------------------------------------------------

    def due(self, now_ms: int, *, limit: int, but: Collection[str] = ()) -> list[Notification]:
        """Notifications that are to be sent now, the longest overdue first; those to recipients `but` are left out."""
        query = (
            select(*notifications.c)
            .where(notifications.c.state == Sending.WAITING.value, notifications.c.next_ms <= now_ms)
            .where(notifications.c.recipient.not_in(but))
            .order_by(notifications.c.next_ms, notifications.c.id)
            .limit(limit)
        )
        with self._database.reading() as connection:
            return [_notification(found) for found in connection.execute(query)]

    def sent(self, number: int, *, at_ms: int) -> None:
        """Note that a notification was sent."""
        changed = "state = 'sent', attempts = attempts + 1, error = '', sent_ms = :at_ms"
        self._mark(changed, {"id": number, "at_ms": at_ms})

    def not_sent(self, number: int, error: str, *, next_ms: int | None) -> None:
        """Note that sending failed, and when it is tried again; None: no more."""
        state = Sending.FAILED if next_ms is None else Sending.WAITING
        changed = (
            f"state = '{state.value}', attempts = attempts + 1, error = :error, next_ms = coalesce(:next_ms, next_ms)"
        )
        self._mark(changed, {"id": number, "error": storable(error), "next_ms": next_ms})

    def page(self, *, state: Sending | None = None, before: int | None = None, limit: int) -> list[Notification]:
        """Notifications, the newest first; those before a number, where one is given."""
        query = select(*notifications.c).order_by(notifications.c.id.desc()).limit(limit)
        if state is not None:
            query = query.where(notifications.c.state == state.value)
        if before is not None:
            query = query.where(notifications.c.id < before)
        with self._database.reading() as connection:
            return [_notification(found) for found in connection.execute(query)]

    def failed_since(self, at_ms: int) -> tuple[int, str]:
        """How many notifications made since then were given up, and why the latest was."""
        where = "FROM notifications WHERE state = 'failed' AND created_ms >= :at_ms"
        with self._database.reading() as connection:
            count = connection.execute(text(f"SELECT count(*) {where}"), {"at_ms": at_ms}).scalar_one()
            latest = text(f"SELECT error {where} ORDER BY id DESC LIMIT 1")
            return int(count), str(connection.execute(latest, {"at_ms": at_ms}).scalar_one_or_none() or "")

    def prune(self, *, quiet_before_ms: int, made_before_ms: int) -> None:
        """Forget topics of which nothing is unsaid and was heard since; and notifications that have ended and are older."""
        with self._database.writing() as connection:
            connection.execute(
                text("DELETE FROM topics WHERE waiting = 0 AND last_ms < :quiet AND told_ms < :quiet"),
                {"quiet": quiet_before_ms},
            )
            connection.execute(
                text("DELETE FROM notifications WHERE state <> 'waiting' AND created_ms < :made"),
                {"made": made_before_ms},
            )

    def _mark(self, changed: str, values: dict[str, object]) -> None:
        """Only what waits is changed: another manager may have taken over, and sent it."""
        with self._database.writing() as connection:
            _execute(connection, f"UPDATE notifications SET {changed} WHERE id = :id AND state = 'waiting'", values)  # noqa: S608


def _execute(connection: Connection, statement: str, values: dict[str, object]) -> None:
    connection.execute(text(statement), values)


def _counted(one: News, recipient: str) -> dict[str, object]:
    row = one.row
    name = storable(row.fingerprint or row.error_type)[:MAX_NAME_CHARS]
    return {
        "recipient": recipient, "reason": one.reason.value, "kind": row.kind.value, "name": name,
        "fingerprint": storable(row.fingerprint), "error_type": storable(row.error_type)[:MAX_NAME_CHARS],
        "at_ms": one.at_ms, "example": storable(row.about),
    }  # fmt: skip


def _key(topic: Topic) -> dict[str, object]:
    return {
        "recipient": topic.recipient, "reason": topic.reason.value, "kind": topic.kind.value, "name": topic.name
    }  # fmt: skip


def _stored(one: ToSay) -> dict[str, object]:
    return {
        "about": one.about.value, "recipient": storable(one.recipient), "subject": storable(one.subject),
        "text": storable(one.text),
    }  # fmt: skip


def _topic(found: Iterable[object]) -> Topic:
    recipient, reason, kind, *rest = found
    return Topic(recipient, Reason(reason), FailureKind(kind), *rest)  # type: ignore[arg-type]


def _notification(found: Iterable[object]) -> Notification:
    number, created_ms, about, recipient, subject, said, state, *rest = found
    return Notification(number, created_ms, About(about), recipient, subject, said, Sending(state), *rest)  # type: ignore[arg-type]
