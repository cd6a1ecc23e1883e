"""The sessions of people who have signed out: their cookies are good for some hours more, and must not be believed.

And the key of the cookies of those who sign in by tokens, where there is no secret that all managers know already.
"""

import secrets
import time

from sqlalchemy import delete, select

from recovery.ledger.bulk import insert_many
from recovery.ledger.database import Database
from recovery.ledger.lookups import get_mark, set_mark
from recovery.ledger.schema import ended_sessions

KEY_MARK = "session-key"
KEPT_MS = 3_600_000
"""For how long one is remembered after it would have ended by itself: the clocks of managers differ."""


class EndedSessions:
    """The ended sessions of one ledger; threads may share it. Every method raises LedgerError where the database fails."""

    def __init__(self, database: Database) -> None:
        """`database` must be current when a method is called."""
        self._database = database

    def end(self, session: str, until_ms: int) -> None:
        """End a session that would end by itself at this time; nothing if it has ended already."""
        now_ms = time.time_ns() // 1_000_000
        with self._database.writing() as connection:
            connection.execute(delete(ended_sessions).where(ended_sessions.c.until_ms < now_ms - KEPT_MS))
            row = (session, until_ms)
            insert_many(connection, ended_sessions, ("id", "until_ms"), [row], suffix="ON CONFLICT DO NOTHING")

    def key(self) -> str:
        """The key of cookies, 256 random bits: the same for all managers of the ledger. Whoever needs it first makes it."""
        with self._database.reading() as connection:
            found = get_mark(connection, KEY_MARK)
        return found or self._new_key()

    def _new_key(self) -> str:
        with self._database.writing() as connection:
            if (found := get_mark(connection, KEY_MARK)) is None:
                found = secrets.token_urlsafe(32)
                set_mark(connection, KEY_MARK, found)
            return found

    def has(self, session: str) -> bool:
        """Whether a session has been ended."""
        with self._database.reading() as connection:
            query = select(ended_sessions.c.id).where(ended_sessions.c.id == session)
            return connection.execute(query).first() is not None
