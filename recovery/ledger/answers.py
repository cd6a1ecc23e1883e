"""What was answered to requests that have an Idempotency-Key, for a day: the same request gets the same answer.

A key belongs to the one who asks. A request is in progress from `begin` to `finish`; `finish` is part of the transaction that
makes what was asked for, so that neither is there without the other.
"""

from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Connection, text

from recovery.ledger.database import Database

KEPT_MS = 24 * 3_600_000
ABANDONED_MS = 300_000
"""A request that has made no answer for so long was killed: whoever repeats it begins anew."""
_BEGIN = """
INSERT INTO answers (key, "by", digest, created_ms) VALUES (:key, :by, :digest, {now}) ON CONFLICT (key, "by") DO NOTHING
"""
_FINISH = 'UPDATE answers SET status = :status, body = :body, location = :location WHERE key = :key AND "by" = :by'
_OLD = (
    "DELETE FROM answers WHERE created_ms < {now} - :kept_ms OR status IS NULL AND created_ms < {now} - :abandoned_ms"
)


class Repeat(StrEnum):
    """Why a request with a known key is not carried out."""

    OTHER_BODY = "other body"
    IN_PROGRESS = "in progress"


@dataclass(frozen=True, slots=True)
class Asked:
    """One request with a key."""

    key: str
    by: str
    digest: str
    """Of method, path and body."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered."""

    status: int
    body: str
    location: str = ""


class Answers:
    """The answers of one ledger. Every method raises LedgerError where the database fails."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(self, asked: Asked) -> Answer | Repeat | None:
        """Begin to carry out a request: None. Where it was carried out before, its answer; else why it must not be now."""
        now = self._database.now_sql
        values = {"key": asked.key, "by": asked.by, "digest": asked.digest}
        with self._database.writing() as connection:
            connection.execute(text(_OLD.format(now=now)), {"kept_ms": KEPT_MS, "abandoned_ms": ABANDONED_MS})
            if connection.execute(text(_BEGIN.format(now=now)), values).rowcount:
                return None
            query = 'SELECT digest, status, body, location FROM answers WHERE key = :key AND "by" = :by'
            digest, status, body, location = connection.execute(text(query), values).one()
        if digest != asked.digest:
            return Repeat.OTHER_BODY
        return Repeat.IN_PROGRESS if status is None else Answer(status, body, location)

    def finish(self, asked: Asked, answer: Answer) -> None:
        """Keep the answer to a request that needed no transaction of the ledger's."""
        with self._database.writing() as connection:
            finish(connection, asked, answer)

    def forget(self, asked: Asked) -> None:
        """It was refused, and nothing was done: the same key may be used for what is right."""
        with self._database.writing() as connection:
            query = 'DELETE FROM answers WHERE key = :key AND "by" = :by AND status IS NULL'
            connection.execute(text(query), {"key": asked.key, "by": asked.by})


def finish(connection: Connection, asked: Asked, answer: Answer) -> None:
    """Keep the answer to a request, in the transaction that makes what was asked for."""
    values = {"key": asked.key, "by": asked.by, "status": answer.status, "body": answer.body}
    connection.execute(text(_FINISH), {**values, "location": answer.location})
