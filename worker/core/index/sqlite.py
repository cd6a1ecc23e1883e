"""The index in one file: SQLite FTS5, for a single machine and the demo. Versions, removals and queries work the same.

Two tables are kept consistent in one transaction. `documents` holds what was written; a removal is a row without source,
so that its version stays known for ever. `text` holds the tokens (see text.py) under the same rowid.
"""

import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import orjson

from worker.core.base.errors import IndexUnavailableError
from worker.core.base.settings import MIB
from worker.core.index import (
    ENTRIES_AT_ONCE,
    MAX_HITS,
    Entry,
    Facets,
    Finding,
    Hit,
    IndexState,
    SearchResult,
    Stored,
    WriteResult,
)
from worker.core.index.document import Write, as_text
from worker.core.index.facets import FIELDS, facets_of
from worker.core.index.highlight import fragments, marked
from worker.core.index.query import Word, parse
from worker.core.index.sqlite_tables import (
    NEWEST_FIRST,
    SCHEMA,
    SCHEMA_VERSION,
    TOKENS_VERSION,
    counts,
    translated,
    write_one,
)

_SAFETY = "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
"""FULL: a document counts as written, and its message is deleted, only once it would survive a power failure."""

_ONE = "SELECT bucket, key, ?, source FROM documents WHERE rowid=?"

LARGE_BYTES = 4 * MIB
"""After a larger document is written, the memory that this took is given back at once."""
PRIMARY_CODE = 0xFF
"""The part of an extended result code that says what kind of error it is (https://sqlite.org/rescode.html)."""


class SqliteIndex:
    """An index in a file. Several processes may use it at once; one writes at a time while the others wait."""

    def __init__(self, path: Path, *, timeout_s: float, creates: bool = True) -> None:
        """`timeout_s`: how long to wait while another process writes. The file is created when it is first needed.

        Without `creates`, a file that does not exist is unavailable.
        """
        self._path = path
        self._creates = creates
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._writer: sqlite3.Connection | None = None
        self._inode = 0

    @property
    def description(self) -> str:
        """Where the index is, as shown to people."""
        return f"SQLite {self._path}"

    def ping(self) -> None:
        """Return if the file accepts writes now, does not exist yet, or is being written to: a long text takes seconds."""
        if not self._path.exists() or not self._lock.acquire(blocking=False):
            return
        try:
            with self._unavailable_when_failing():
                self._touch()
        finally:
            self._lock.release()

    def _touch(self) -> None:
        """Write the value that is there already: an empty transaction would not detect a full disk."""
        db = self._opened()
        db.execute("PRAGMA busy_timeout=0")
        try:
            db.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & PRIMARY_CODE != sqlite3.SQLITE_BUSY:  # another process writes
                raise
        finally:
            db.execute(f"PRAGMA busy_timeout={int(self._timeout_s * 1000)}")

    def ensure(self) -> IndexState:
        """Create the file and its tables if they are missing."""
        created = [] if self._path.exists() else [str(self._path)]
        with self._writing():
            pass
        return IndexState(created=created, findings=self._findings())

    def inspect(self) -> IndexState:
        """Report what exists, without creating anything."""
        if not self._path.exists():
            finding = Finding("ok", f"{self.description}: does not exist yet; it is created when a worker starts")
            return IndexState(findings=[finding], exists=False)
        return IndexState(findings=self._findings())

    def write(self, writes: Sequence[Write]) -> list[WriteResult]:
        """Write or remove documents in one transaction. Raises IndexUnavailableError if none of them was written."""
        if not writes:
            return []
        with self._writing() as db:
            results = [write_one(db, write) for write in writes]
        if max(write.size_bytes for write in writes) > LARGE_BYTES:
            self.close()  # a connection keeps the values of the last statements: several times what a text takes
        return results

    def stored(self, objects: Sequence[tuple[str, str]]) -> list[Stored | None]:
        """The stored version for each (bucket, key), in order."""
        ask = "SELECT source, version FROM documents WHERE bucket=? AND key=? AND source IS NOT NULL"
        with self._reading() as db:
            return [_stored(db.execute(ask, one).fetchone()) for one in objects]

    def entries(self, bucket: str, prefix: str, *, after: str = "") -> list[Entry]:
        """The next entries of a bucket's documents."""
        ask = (
            "SELECT key, json_extract(CAST(source AS TEXT), '$.etag'), version FROM documents "
            "WHERE bucket=? AND key>? AND key>=? AND substr(key, 1, length(?))=? AND source IS NOT NULL ORDER BY key LIMIT ?"
        )
        with self._reading() as db:
            rows = db.execute(ask, (bucket, after, prefix, prefix, prefix, ENTRIES_AT_ONCE)).fetchall()
        return [Entry(key, etag if isinstance(etag, str) else None, version) for key, etag, version in rows]

    def nameless(self) -> int:
        """None, because both are columns."""
        return 0

    def search(self, query: str, *, limit: int = 10, offset: int = 0) -> SearchResult:
        """The best matches; see query.py for the language."""
        asked = parse(query)
        if asked.impossible:
            return SearchResult(0, [])
        first = min(max(0, offset), MAX_HITS)
        with self._reading() as db:
            db.execute("BEGIN")  # all that follows sees the documents of this moment
            tables, parameters = translated(asked, _tokens_version(db))
            score, order = ("-rank", "rank") if tables.startswith("text") else ("0.0", NEWEST_FIRST)
            total = db.execute(f"SELECT count(*) FROM {tables}", parameters).fetchone()[0]  # noqa: S608 (of fixed parts)
            best = f"SELECT d.rowid, {score} FROM {tables} ORDER BY {order} LIMIT ? OFFSET ?"  # noqa: S608
            found = db.execute(best, (*parameters, min(max(0, limit), MAX_HITS - first), first)).fetchall()
            rows = (db.execute(_ONE, (score, rowid)).fetchone() for rowid, score in found)
            return SearchResult(total, [_hit(row, asked.words) for row in rows])  # one text in memory at a time

    def facets(self, query: str) -> Facets:
        """How all matches of a query are distributed."""
        asked = parse(query)
        if asked.impossible:
            return facets_of({})
        with self._reading() as db:
            tables, parameters = translated(asked, _tokens_version(db))
            counted = db.execute(counts(tables), parameters).fetchall()
        return facets_of({name: [row[1:] for row in counted if row[0] == name] for name in FIELDS})

    def refresh(self) -> None:
        """Nothing to do: everything written is searchable at once."""

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._forget()

    def _findings(self) -> list[Finding]:
        with self._reading() as db:
            count = db.execute("SELECT count(*) FROM documents WHERE source IS NOT NULL").fetchone()[0]
            tokens = _tokens_version(db)
        found = [Finding("ok", f"{self.description}: {count} documents")]
        if tokens < TOKENS_VERSION:
            what = f"{self.description} does not find Japanese words in which a line ends or spaces stand (東 京)"
            found.append(Finding("warning", what, "run reindex_index --from-s3, which puts a new file in its place"))
        return found

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """A write transaction, held by one thread of one process at a time."""
        with self._lock, self._unavailable_when_failing():
            db = self._opened()
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
                db.execute("COMMIT")
            except BaseException:
                if db.in_transaction:
                    db.execute("ROLLBACK")
                raise

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        """A separate connection for reading: readers never wait for writers, and create nothing."""
        if not self._path.exists():
            raise IndexUnavailableError(f"{self.description} does not exist; the worker creates it when it starts")
        with self._unavailable_when_failing():
            db = self._connect()
            try:
                yield db
            finally:
                db.close()

    @contextmanager
    def _unavailable_when_failing(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise IndexUnavailableError(f"{self.description}: {error}") from error

    def _opened(self) -> sqlite3.Connection:
        """The connection for writing; it is opened again if the file has been deleted or replaced."""
        if self._writer is not None and self._inode != _inode(self._path):
            self._forget()
        if self._writer is None:
            self._require_file()
            self._path.parent.mkdir(parents=True, exist_ok=True)
            db = self._connect()
            try:
                _prepare(db)
            except BaseException:
                db.close()
                raise
            self._writer, self._inode = db, _inode(self._path)
        return self._writer

    def _require_file(self) -> None:
        if not self._creates and not self._path.exists():
            raise IndexUnavailableError(f"{self.description} does not exist")

    def _forget(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(self._path, timeout=self._timeout_s, isolation_level=None, check_same_thread=False)


def _inode(path: Path) -> int:
    try:
        return os.stat(path).st_ino  # noqa: PTH116 (half the time of Path.stat, at every write)
    except FileNotFoundError:
        return 0


def _prepare(db: sqlite3.Connection) -> None:
    db.executescript(_SAFETY)
    found = db.execute("PRAGMA user_version").fetchone()[0]
    if found > SCHEMA_VERSION:
        raise IndexUnavailableError(
            f"the file was created by a newer version of this program (schema {found}; this version knows {SCHEMA_VERSION})"
        )
    if found < SCHEMA_VERSION:
        db.executescript(f"BEGIN IMMEDIATE; {SCHEMA} PRAGMA user_version={SCHEMA_VERSION}; COMMIT;")


def _stored(row: tuple[bytes, int] | None) -> Stored | None:
    return None if row is None else Stored.of(orjson.loads(row[0]), version=row[1])


def _hit(row: tuple[str, str, float, bytes], words: Sequence[Word]) -> Hit:
    bucket, key, score, source = row
    fields = orjson.loads(source)
    content = as_text(fields.pop("content", None))
    name = marked(as_text(fields.get("file_name")), words)
    return Hit(bucket, key, score, fields, [*([name] if name else []), *fragments(content, words)])


def _tokens_version(db: sqlite3.Connection) -> int:
    return int(db.execute("PRAGMA application_id").fetchone()[0])
