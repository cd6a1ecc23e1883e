"""A database that cannot be used is answered with one sentence, which says why, and nothing is lost."""

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from recovery.ledger import database
from recovery.ledger.address import ledger_url as parsed
from recovery.ledger.database import Database
from recovery.ledger.errors import LedgerError
from recovery.ledger.ledger import Ledger, open_ledger
from recovery.ledger.selection import Selection
from testing.ledgers import arrival, new_ledger
from testing.ports import free_ports
from testing.postgresql import PostgresServer
from worker.core.base.errors import ConfigError, DependencyError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "ledger.sqlite"


@pytest.fixture
def opened(path: Path) -> Iterator[Ledger]:
    with contextlib.closing(open_ledger(f"sqlite:///{path}", timeout_s=0.2)) as ledger:
        yield ledger


def refused(work: object, *arguments: object) -> str:
    assert callable(work)
    with pytest.raises(LedgerError) as raised:
        work(*arguments)
    assert isinstance(raised.value, DependencyError)
    assert raised.value.__cause__ is not None
    return str(raised.value)


def test_a_wrong_url_is_a_wrong_setting() -> None:
    with pytest.raises(ConfigError, match=r"LEDGER_URL=sqlite:///ledger\.sqlite"):
        open_ledger("sqlite:///ledger.sqlite")


# -- SQLite --------------------------------------------------------------------------------------------------------


def test_a_new_file_is_its_owners_alone_and_durable(opened: Ledger, path: Path) -> None:
    opened.take_in([arrival("a")])
    assert {file.name: file.stat().st_mode & 0o777 for file in path.parent.iterdir()} == dict.fromkeys(
        ["ledger.sqlite", "ledger.sqlite-wal", "ledger.sqlite-shm"], 0o600
    )
    with opened._database.reading() as connection:
        modes = [
            connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        ]
    assert modes == ["wal", 2, 1]


def test_it_opens_again_with_what_was_taken_in(opened: Ledger, path: Path) -> None:
    opened.take_in([arrival("a")])
    with contextlib.closing(open_ledger(f"sqlite:///{path}")) as again:
        assert again.count(Selection()) == 1
        assert again.info() == opened.info()


def test_a_locked_file_is_said_to_be_locked(opened: Ledger, path: Path) -> None:
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    said = refused(opened.take_in, [arrival("a")])
    assert said == f"the ledger sqlite:///{path} is locked: another process is writing to it (database is locked)"
    assert opened.count(Selection()) == 0  # readers do not wait
    other.close()
    opened.check()


def test_a_full_disk_is_said_to_be_full(opened: Ledger) -> None:
    with opened._database.reading() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
        batch = [arrival(f"{number:03d}") for number in range(500)]
    said = refused(opened.take_in, batch)
    assert "is full: its disk has no room left (database or disk is full)" in said
    assert opened.count(Selection()) == 0


def test_a_read_only_file_is_said_to_be_read_only(opened: Ledger, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened.take_in([arrival("a")])
    monkeypatch.setattr(database, "_prepare", _prepare_read_only)
    with contextlib.closing(Ledger(Database(parsed(f"sqlite:///{path}")))) as ledger:
        assert "is read-only (attempt to write a readonly database)" in refused(ledger.check)
        assert ledger.count(Selection()) == 1


def _prepare_read_only(connection: sqlite3.Connection, _record: object) -> None:
    """As root, a file's mode does not keep SQLite from writing."""
    connection.isolation_level = None
    connection.execute("PRAGMA query_only = ON")


def test_a_folder_in_which_nothing_can_be_created_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    said = refused(open_ledger, f"sqlite:///{tmp_path}/file/ledger.sqlite")
    assert said.startswith(f"the ledger sqlite:///{tmp_path}/file/ledger.sqlite cannot be opened for writing: ")


def test_a_file_of_something_else_is_not_touched(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"a letter to my aunt, which is no database at all " * 100)
    before = path.read_bytes()
    assert "is not an SQLite database (file is not a database)" in refused(open_ledger, f"sqlite:///{path}")
    assert path.read_bytes() == before


def test_a_ledger_of_a_newer_version_is_left_alone(opened: Ledger, path: Path) -> None:
    with opened._database.writing() as connection:
        connection.exec_driver_sql("UPDATE ledger_schema SET version_num = '9999'")
    with pytest.raises(LedgerError, match="was migrated by a newer version of this program: install that one"):
        open_ledger(f"sqlite:///{path}")
    with pytest.raises(LedgerError, match="newer version"):
        opened.migrate()


# -- PostgreSQL ----------------------------------------------------------------------------------------------------


def test_a_server_that_does_not_answer_is_unreachable_and_its_password_is_not_shown() -> None:
    [port] = free_ports(1)
    said = refused(open_ledger, f"postgresql+psycopg://dlq:secret@127.0.0.1:{port}/ledger")
    assert said.startswith(f"the ledger postgresql+psycopg://dlq:***@127.0.0.1:{port}/ledger is unreachable (")
    assert "secret" not in said
    assert "\n" not in said


def test_a_database_that_does_not_exist_is_unreachable(postgresql: PostgresServer) -> None:
    assert 'database "nowhere" does not exist' in refused(open_ledger, postgresql.url_of("nowhere"))


def test_an_empty_database_is_to_be_migrated_by_command(postgresql: PostgresServer) -> None:
    url = postgresql.new_database()
    with pytest.raises(LedgerError, match="is empty: run `dlq-manager migrate`"):
        open_ledger(url)
    new_ledger(url).close()
    open_ledger(url).close()


def test_a_read_only_database_is_said_to_be_read_only(postgresql: PostgresServer) -> None:
    url = postgresql.new_database()
    new_ledger(url).close()
    postgresql.psql(f"ALTER DATABASE {url.rpartition('/')[2]} SET default_transaction_read_only = on")
    with contextlib.closing(open_ledger(url)) as ledger:
        assert "is read-only (cannot execute INSERT in a read-only transaction)" in refused(ledger.check)


def test_a_writer_that_waits_too_long_says_that_the_ledger_is_locked(postgresql: PostgresServer) -> None:
    url = postgresql.new_database()
    with contextlib.closing(new_ledger(url, timeout_s=1)) as ledger:
        with psycopg.connect(url.replace("+psycopg", "")) as other:
            other.execute("SELECT pg_advisory_xact_lock(%s)", [database._ALONE])
            assert "is locked: another process is writing to it" in refused(ledger.take_in, [arrival("a")])
            assert ledger.count(Selection()) == 0
        ledger.check()


def test_a_server_that_dies_and_comes_back_is_used_again(postgresql: PostgresServer) -> None:
    with contextlib.closing(new_ledger(postgresql.new_database())) as ledger:
        ledger.take_in([arrival("a")])
        postgresql.kill()
        assert "is unreachable" in refused(ledger.check)
        postgresql.start()
        assert ledger.count(Selection()) == 1
        ledger.take_in([arrival("b")])
        assert ledger.count(Selection()) == 2


def test_a_user_without_rights_is_refused(postgresql: PostgresServer) -> None:
    url = postgresql.new_database()
    new_ledger(url).close()
    user = f"reader_{os.getpid()}"
    postgresql.psql(f"CREATE USER {user}")
    with pytest.raises(LedgerError, match="refuses this user"):
        open_ledger(url.replace("postgres@", f"{user}@"))
