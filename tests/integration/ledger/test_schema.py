"""The migrations make what the metadata describes, once, whoever runs them; and they are shipped."""

import contextlib
import sqlite3
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from recovery.ledger.address import ledger_url as parsed
from recovery.ledger.bigrams import TOKENIZER
from recovery.ledger.database import Database
from recovery.ledger.ledger import Ledger
from recovery.ledger.migrating import SchemaState
from recovery.ledger.schema import GRAMS, VERSION_TABLE, metadata, postgresql
from tests.support.wheels import our_wheel


def _described(_object: object, name: str | None, _type: str, _reflected: bool, _other: object) -> bool:
    return not (name or "").startswith((GRAMS + "_", VERSION_TABLE)) and name != GRAMS


def test_the_migrations_make_what_the_metadata_describes(ledger: Ledger) -> None:
    wanted = metadata if ledger.is_sqlite else [metadata, postgresql]
    with ledger._database.reading() as connection:
        options = {"include_object": _described if ledger.is_sqlite else None, "version_table": VERSION_TABLE}
        context = MigrationContext.configure(connection, opts={name: value for name, value in options.items() if value})
        assert compare_metadata(context, wanted) == []  # type: ignore[arg-type]


def test_the_grams_of_sqlite_are_made_with_the_tokenizer_of_today(tmp_path: Path) -> None:
    with contextlib.closing(Ledger(Database(parsed(f"sqlite:///{tmp_path}/ledger.sqlite")))) as ledger:
        ledger.migrate()
    with contextlib.closing(sqlite3.connect(tmp_path / "ledger.sqlite")) as db:
        [[made]] = db.execute("SELECT sql FROM sqlite_master WHERE name = 'grams'")
    assert f'tokenize="{TOKENIZER}"' in made


def test_the_state_of_a_schema_is_known(ledger_url: str) -> None:
    with contextlib.closing(Ledger(Database(parsed(ledger_url)))) as ledger:
        assert ledger.schema_state() is SchemaState.EMPTY
        ledger.migrate()
        assert ledger.schema_state() is SchemaState.CURRENT
        info = ledger.info()
        ledger.migrate()
        assert ledger.info() == info
        assert ledger.ledger_id() == info.id


def test_two_that_migrate_at_once_make_one_ledger(ledger_url: str) -> None:
    with contextlib.ExitStack() as stack:
        ledgers = [stack.enter_context(contextlib.closing(Ledger(Database(parsed(ledger_url))))) for _ in range(4)]
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda one: one.migrate(), ledgers))
        assert len({one.ledger_id() for one in ledgers}) == 1


def test_the_wheel_has_the_migrations(tmp_path: Path) -> None:
    with zipfile.ZipFile(our_wheel(tmp_path)) as wheel:
        assert "recovery/ledger/migrations/versions/first.py" in wheel.namelist()
