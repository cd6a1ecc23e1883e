"""The tables of the work file: how they are made, joined and opened."""

import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

from recovery.operations.reconciling.request import LOST, STATES, ReconcileState

BUSY_S = 60.0
"""How long one of the two threads that write waits for the other."""
POSITION = {state: place for place, state in enumerate(STATES)}
"""How the tables name a state."""
ORPHAN = len(STATES)
"""In place of a state: a document without an object."""
RESOLVED = -1
"""In place of a state: an orphan that is none any more."""
IS_LOST = f"state >= {min(POSITION[state] for state in LOST)}"
"""The condition for what is looked at again: objects that are lost, and documents without an object."""
_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS objects (
    key TEXT PRIMARY KEY, etag TEXT NOT NULL, size INTEGER NOT NULL, modified_ms INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS documents (key TEXT PRIMARY KEY, etag TEXT, version INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS held (key TEXT NOT NULL, state INTEGER NOT NULL, etag TEXT, failed_ms INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS held_by_key ON held (key);
CREATE TABLE IF NOT EXISTS accounted (
    key TEXT PRIMARY KEY, state INTEGER NOT NULL, size INTEGER NOT NULL, version INTEGER
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS lost ON accounted (key) WHERE {IS_LOST};
"""
IS_ABOUT = f"""
(h.state = {POSITION[ReconcileState.WAITING]} OR h.etag = o.etag OR (h.etag IS NULL AND h.failed_ms >= o.modified_ms))
"""
"""A replay observes the object, whatever its record says. What else is held counts only if it is about the present state."""
_VIEW = f"""
CREATE TEMP VIEW entries AS
SELECT o.key AS key, o.etag AS etag, o.size AS size, o.modified_ms AS modified_ms, d.version AS version,
  CASE
    WHEN is_skipped(o.key, o.size) THEN {POSITION[ReconcileState.SKIPPED]}
    WHEN o.modified_ms > (SELECT value FROM facts WHERE name = 'young_from_ms') THEN {POSITION[ReconcileState.YOUNG]}
    WHEN d.etag = o.etag THEN {POSITION[ReconcileState.CURRENT]}
    ELSE coalesce(
      (SELECT min(h.state) FROM held h WHERE h.key = o.key AND {IS_ABOUT}),
      CASE WHEN d.key IS NULL THEN {POSITION[ReconcileState.MISSING]} ELSE {POSITION[ReconcileState.STALE]} END)
  END AS state
FROM objects o LEFT JOIN documents d ON d.key = o.key
"""  # noqa: S608 (of constants)


def opened(path: Path, is_skipped: Callable[[str, int], bool], continued_for_s: float) -> sqlite3.Connection:
    """The connection to the work file as it is; to an empty one where it is finished, damaged, or was left too long ago."""
    if not _is_usable(path, continued_for_s):
        remove(path)
    db = connected(path)
    db.create_function("is_skipped", 2, is_skipped, deterministic=True)
    db.execute(_VIEW)
    return db


def connected(path: Path) -> sqlite3.Connection:
    """A kill loses nothing that was committed; a power failure may, which the file then shows by being damaged.

    SQLite's own cache stays as small as it is (2 MB): the operating system keeps the file's pages anyway, so one of 64 MB made no
    run faster, in whatever order the objects came, and doubled its memory.
    """
    db = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None)
    try:
        db.executescript(f"PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF; {_SCHEMA}")
    except BaseException:
        db.close()
        raise
    return db


def remove(path: Path) -> None:
    """Remove the work file, if there is one."""
    for one in _files(path):
        one.unlink(missing_ok=True)


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """What is written within this context is written as a whole, or not at all."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        db.execute("ROLLBACK")
        raise


def note(db: sqlite3.Connection, facts: Mapping[str, object]) -> None:
    """Store facts, within a transaction."""
    db.executemany("INSERT OR REPLACE INTO facts VALUES (?,?)", facts.items())


def _is_usable(path: Path, continued_for_s: float) -> bool:
    written_s = max((one.stat().st_mtime for one in _files(path) if one.exists()), default=0.0)
    if time.time() - written_s >= continued_for_s:
        return False
    try:
        with closing(connected(path)) as db:
            return db.execute("SELECT value FROM facts WHERE name='finished'").fetchone() is None
    except sqlite3.DatabaseError:
        return False


def _files(path: Path) -> list[Path]:
    return [path.with_name(path.name + end) for end in ("", "-wal", "-shm")]
