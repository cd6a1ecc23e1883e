"""Brings the database to this version's schema, and says which it has. Alembic's migrations lie beside this module."""

import secrets
import time
import uuid
from enum import StrEnum
from pathlib import Path

from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, insert, select

from recovery.ledger.schema import VERSION_TABLE, ledger_info

FOLDER = Path(__file__).parent / "migrations"


class SchemaState(StrEnum):
    """How the database's schema compares with this version's."""

    CURRENT = "current"
    BEHIND = "behind"
    """A migration is due."""
    NEWER = "newer"
    """A newer version of this program has migrated it."""
    EMPTY = "empty"
    """There is no ledger yet."""


def schema_state(connection: Connection) -> SchemaState:
    """What the database's schema is."""
    scripts = ScriptDirectory(str(FOLDER))
    found = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE}).get_current_revision()
    if found is None:
        return SchemaState.EMPTY
    if found == scripts.get_current_head():
        return SchemaState.CURRENT
    known = {revision.revision for revision in scripts.walk_revisions()}
    return SchemaState.BEHIND if found in known else SchemaState.NEWER


def migrate(connection: Connection) -> None:
    """Run what is due, in the caller's transaction, and give a new ledger its id."""
    scripts = ScriptDirectory(str(FOLDER))
    context = MigrationContext.configure(
        connection,
        opts={
            "version_table": VERSION_TABLE,
            "fn": lambda revision, _context: scripts._upgrade_revs("head", revision),  # noqa: SLF001 (as in Alembic's cookbook)
        },
    )
    with Operations.context(context):
        context.run_migrations()
    if connection.execute(select(ledger_info.c.id)).first() is None:
        now_ms = time.time_ns() // 1_000_000
        name = f"ledger-{secrets.token_hex(3)}"
        connection.execute(insert(ledger_info), {"id": str(uuid.uuid4()), "name": name, "created_ms": now_ms})
