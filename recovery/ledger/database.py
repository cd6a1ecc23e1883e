"""Connections and transactions, alike on SQLite and PostgreSQL; the one place where the errors of databases are wrapped.

One transaction writes at a time, on both: SQLite allows no more (BEGIN IMMEDIATE), and on PostgreSQL each takes the same
advisory lock first. Writes are short, and those of two managers would wait for each other anyway, at the counters in `cells`;
so nothing is lost, no two can deadlock, and whatever a transaction has read is still true when it writes.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import psycopg.errors
from sqlalchemy import URL, Connection, Engine, create_engine, event, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from recovery.ledger.address import SQLITE, file_of, shown
from recovery.ledger.errors import LedgerError

TIMEOUT_S = 10.0
"""How long a writer waits for another one, a connection for its server, and a caller for a connection."""
CONNECTIONS = 15
"""At most so many at once, in one process. The one that was used last is used next: it has pages and statements at hand."""
IDLE_IN_TRANSACTION_S = 60
"""A writer that hangs, or whose host is gone, loses its lock on PostgreSQL after this."""
_ALONE = 0x5E1D_1ED6  # the key of the advisory lock; any number that no other program uses in the same database
_WRITES = "ledger_writes"
_SQLITE_SAYS = {
    sqlite3.SQLITE_BUSY: "is locked: another process is writing to it",
    sqlite3.SQLITE_LOCKED: "is locked: another process is writing to it",
    sqlite3.SQLITE_READONLY: "is read-only",
    sqlite3.SQLITE_FULL: "is full: its disk has no room left",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened",
    sqlite3.SQLITE_NOTADB: "is not an SQLite database",
    sqlite3.SQLITE_CORRUPT: "is damaged",
    sqlite3.SQLITE_IOERR: "cannot be read or written",
}


class Database:
    """One database; threads may share it."""

    def __init__(self, url: URL, *, timeout_s: float = TIMEOUT_S) -> None:
        self.shown = shown(url)
        """Its address without the password."""
        self.is_sqlite = url.drivername == SQLITE
        self._path = file_of(url)
        self._timeout_s = timeout_s
        self._engine = self._sqlite(url) if self.is_sqlite else self._postgresql(url)

    @property
    def now_sql(self) -> str:
        """The time on the database's own clock in SQL, in ms since the epoch."""
        if self.is_sqlite:
            return "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)"
        return "CAST(extract(epoch FROM clock_timestamp()) * 1000 AS bigint)"

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that sees one state of the database from its first query to its last."""
        with self._wrapping(), self._engine.connect() as connection, connection.begin():
            if not self.is_sqlite:
                connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that writes, alone; it is rolled back where the block raises."""
        with self._wrapping(), self._engine.connect() as plain:
            connection = plain.execution_options(**{_WRITES: True})
            with connection.begin():
                if not self.is_sqlite:
                    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ALONE})
                yield connection

    def create_file(self) -> None:
        """Create SQLite's file for its owner alone, as it holds what failed; nothing where it exists, or on PostgreSQL."""
        if not self.is_sqlite:
            return
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(self._path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
        except OSError as error:
            raise LedgerError(f"the ledger {self.shown} cannot be opened for writing: {error.strerror}") from error

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    # -- connections ---------------------------------------------------------------------------------------------

    def _sqlite(self, url: URL) -> Engine:
        engine = create_engine(
            url, connect_args={"timeout": self._timeout_s}, pool_size=CONNECTIONS, max_overflow=0,
            pool_timeout=self._timeout_s, pool_use_lifo=True,
        )  # fmt: skip
        event.listen(engine, "connect", _prepare)
        event.listen(engine, "begin", _begin)
        return engine

    def _postgresql(self, url: URL) -> Engine:
        seconds = max(1, round(self._timeout_s))
        options = (
            f"-c lock_timeout={seconds}s -c idle_in_transaction_session_timeout={IDLE_IN_TRANSACTION_S}s -c jit=off"
        )
        return create_engine(
            url, connect_args={"connect_timeout": max(2, seconds), "options": options, "application_name": "dlq-manager"},
            pool_size=CONNECTIONS, max_overflow=0, pool_timeout=self._timeout_s, pool_use_lifo=True,
            pool_pre_ping=True,
        )  # fmt: skip

    # -- errors --------------------------------------------------------------------------------------------------

    @contextmanager
    def _wrapping(self) -> Iterator[None]:
        try:
            yield
        except PoolTimeoutError as error:
            raise LedgerError(f"the ledger {self.shown} is busy: all {CONNECTIONS} connections are in use") from error
        except SQLAlchemyError as error:
            raise LedgerError(f"the ledger {self.shown} {self._why(error)}") from error

    def _why(self, error: SQLAlchemyError) -> str:
        cause = error.orig if isinstance(error, DBAPIError) else None
        if isinstance(cause, sqlite3.Error):
            code = getattr(cause, "sqlite_errorcode", 0) & 0xFF  # the rest is the extended code
            return f"{_SQLITE_SAYS.get(code, 'cannot be used')} ({_line(cause)})"
        if isinstance(cause, psycopg.Error):
            return f"{_postgresql_says(cause)} ({_line(cause)})"
        return f"cannot be used ({_line(error)})"


def _line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).partition("\n")[0]


def _postgresql_says(error: psycopg.Error) -> str:
    match error:
        case psycopg.errors.ReadOnlySqlTransaction():
            return "is read-only"
        case psycopg.errors.LockNotAvailable():
            return "is locked: another process is writing to it"
        case psycopg.errors.DiskFull():
            return "is full: its disk has no room left"
        case psycopg.errors.InvalidPassword() | psycopg.errors.InsufficientPrivilege():
            return "refuses this user"
        case psycopg.OperationalError():
            return "is unreachable"
        case _:
            return "cannot be used"


def _prepare(connection: Any, _record: object) -> None:
    """Prepare a connection of SQLite. Transactions begin where SQLAlchemy says, not where Python's driver guesses."""
    connection.isolation_level = None
    # FULL: what a call has confirmed survives a power failure, and intake may delete its message.
    # 64 MB of cache: at a million rows, less doubles the time of a write.
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        "cache_size=-65536",
        "mmap_size=1073741824",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: Connection) -> None:
    """IMMEDIATE: a transaction that reads first and writes then would fail where another one wrote in between."""
    writes = connection.get_execution_options().get(_WRITES)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
