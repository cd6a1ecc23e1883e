"""Tokens by which programs ask the manager: their names, roles and digests. Their secrets are nowhere."""

import time
from dataclasses import dataclass, field

from sqlalchemy import insert, select, update

from recovery.ledger.database import Database
from recovery.ledger.schema import tokens


@dataclass(frozen=True, slots=True)
class Token:
    """One token. It is never deleted: its name stands in the audit, and must not become another's."""

    name: str
    role: str
    digest: str = field(repr=False)
    """SHA-256 of its secret, in hexadecimal digits."""
    created_ms: int
    created_by: str
    expires_ms: int | None = None
    """None: never."""
    revoked_ms: int | None = None
    revoked_by: str | None = None
    used_ms: int | None = None
    """When it was used last, as far as somebody has noted it; None: never."""

    def is_valid(self, now_ms: int) -> bool:
        """Whether it may be used at this time."""
        return self.revoked_ms is None and (self.expires_ms is None or now_ms < self.expires_ms)


_COLUMNS = [tokens.c[name] for name in Token.__dataclass_fields__]


class Tokens:
    """The tokens of one ledger; threads may share it. Every method raises LedgerError where the database fails."""

    def __init__(self, database: Database) -> None:
        """`database` must be current when a method is called."""
        self._database = database

    def create(self, token: Token) -> bool:
        """Write a new token. False if there is, or was, one of this name."""
        with self._database.writing() as connection:
            if connection.execute(select(tokens.c.name).where(tokens.c.name == token.name)).first():
                return False
            connection.execute(insert(tokens).values({one.name: getattr(token, one.name) for one in _COLUMNS}))
            return True

    def revoke(self, name: str, *, by: str) -> Token | None:
        """Let a token be of no use any more; it as it is then. None if there is none; one that is revoked stays as it is."""
        is_it = tokens.c.name == name
        with self._database.writing() as connection:
            connection.execute(
                update(tokens).where(is_it, tokens.c.revoked_ms.is_(None)).values(revoked_ms=_now_ms(), revoked_by=by)
            )
            found = connection.execute(select(*_COLUMNS).where(is_it)).first()
            return None if found is None else Token(*found)

    def all(self) -> list[Token]:
        """Every token that there was, by name."""
        with self._database.reading() as connection:
            return [Token(*found) for found in connection.execute(select(*_COLUMNS).order_by(tokens.c.name))]

    def find(self, digest: str) -> Token | None:
        """The token whose secret has this digest. The look-up leaks nothing: who guesses cannot choose what is compared."""
        with self._database.reading() as connection:
            found = connection.execute(select(*_COLUMNS).where(tokens.c.digest == digest)).first()
            return None if found is None else Token(*found)

    def note_use(self, digest: str, at_ms: int) -> None:
        """Note that a token was used at this time."""
        with self._database.writing() as connection:
            connection.execute(update(tokens).where(tokens.c.digest == digest).values(used_ms=at_ms))


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
