"""Replaces the file of an SQLite index: the path of the settings becomes a symbolic link to the new file, in one step.

SQLite keeps a file's log beside the file that a link leads to, so whoever still has the old one open does no harm to the new.
"""

import glob
import os
import re
import sqlite3
import stat
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from worker.core.base.errors import ConfigError, IndexUnavailableError
from worker.core.base.settings import MIB
from worker.core.index.document import Write
from worker.core.index.exchange import FIRST, Copied, Current, OnCopied
from worker.core.index.sqlite import SqliteIndex
from worker.core.index.sqlite_tables import write_one

COPIED_AT_ONCE, COPIED_BYTES = 200, 4 * MIB
"""Number of documents that are compared at once, and the size of those that are copied in one transaction: workers wait for it."""


class SqliteExchange:
    """Replaces the file behind one path."""

    def __init__(self, path: Path, *, timeout_s: float) -> None:
        """`timeout_s`: how long to wait while another process writes."""
        self._path = path
        self._timeout_s = timeout_s

    def current(self) -> Current:
        """The file at the path."""
        if not self._path.exists():
            raise ConfigError(
                f"INDEX_URL=sqlite:///{self._path}: there is no such file, so there is nothing to replace: start a worker, which "
                "creates it, and run backfill_index"
            )
        with self._opened(self._path) as db:
            documents = db.execute("SELECT count(*) FROM documents WHERE source IS NOT NULL").fetchone()[0]
        return Current(str(self._path.resolve()), self._path.is_symlink(), plain_key=False, documents=documents)

    def next_name(self, current: Current) -> str:
        """`index.sqlite-000001` beside `index.sqlite`, and `index.sqlite-000002` beside that."""
        real = Path(current.name)
        stem = re.sub(r"-\d{6}$", "", real.name)
        used = [int(one.name[-6:]) for one in real.parent.glob(f"{glob.escape(stem)}-[0-9][0-9][0-9][0-9][0-9][0-9]")]
        return str(real.with_name(f"{stem}-{max(used, default=FIRST - 1) + 1:06}"))

    def buckets(self) -> set[str]:
        """The buckets of the documents."""
        with self._opened(self._path) as db:
            rows = db.execute("SELECT DISTINCT bucket FROM documents WHERE source IS NOT NULL").fetchall()
        return {bucket for (bucket,) in rows}

    def create(self, old: str, new: str) -> None:
        """Create the new file, with owner and mode of the old one: it is to be written to by the same user."""
        with closing(SqliteIndex(Path(new), timeout_s=self._timeout_s)) as index:
            index.ensure()
        with _unavailable_when_failing(Path(new)):
            was = Path(old).stat()
            os.chmod(new, stat.S_IMODE(was.st_mode))  # noqa: PTH101
            if (was.st_uid, was.st_gid) != (os.geteuid(), os.getegid()):
                os.chown(new, was.st_uid, was.st_gid)

    def copy(self, old: str, new: str, *, stop: threading.Event, on_copied: OnCopied) -> Copied:
        """Copy documents, and the versions of removed ones."""
        changed, compared, after = 0, 0, 0
        with self._opened(Path(new)) as db:
            db.execute("ATTACH ? AS old", (old,))
            total = db.execute("SELECT count(*) FROM old.documents").fetchone()[0]
            while not stop.is_set():
                rows = db.execute(_ROWS, (after, COPIED_AT_ONCE)).fetchall()
                if not rows:
                    return Copied(changed, is_complete=True)
                after = rows[-1][0]
                changed += _copy(db, rows)
                compared += len(rows)
                on_copied(compared, total)
        return Copied(changed, is_complete=False)

    def switch(self, to: str, instead_of: str) -> None:  # noqa: ARG002 (what stands at the path is replaced)
        """Put a link to the new file in the place of the path."""
        if not Path(to).exists():
            raise IndexUnavailableError(f"SQLite {to} does not exist")
        was_link, real = self._path.is_symlink(), self._path.resolve()
        if real == Path(to):
            return
        link = self._path.with_name(f"{self._path.name}.link")
        with _unavailable_when_failing(self._path):
            link.unlink(missing_ok=True)
            link.symlink_to(Path(to).name if Path(to).parent == self._path.parent.resolve() else to)
            link.replace(self._path)
            _sync(self._path.parent)
        if not was_link:
            _unlink(_logs(real))  # the file itself is gone

    def remove(self, name: str) -> None:
        """Delete a file, unless searches read it."""
        if self._path.resolve() == Path(name):
            raise IndexUnavailableError(f"{name} is not deleted, because {self._path} leads to it")
        _unlink([Path(name), *_logs(Path(name))])

    def settle(self, name: str) -> None:
        """Nothing to do."""

    @contextmanager
    def _opened(self, path: Path) -> Iterator[sqlite3.Connection]:
        with _unavailable_when_failing(path):
            uri = f"{path.absolute().as_uri()}?mode=rw"
            with closing(sqlite3.connect(uri, uri=True, timeout=self._timeout_s, isolation_level=None)) as db:
                db.execute("PRAGMA synchronous=FULL")
                yield db


_ROWS = """
SELECT o.rowid, o.bucket, o.key, o.version, n.version
FROM old.documents o LEFT JOIN main.documents n ON n.bucket = o.bucket AND n.key = o.key
WHERE o.rowid > ? ORDER BY o.rowid LIMIT ?
"""


def _copy(db: sqlite3.Connection, rows: list[tuple[int, str, str, int, int | None]]) -> int:
    """Write those that are newer than what is there; their number. What was written there meanwhile is left alone.

    One text is in memory at a time, and others who write wait for a few only.
    """
    newer = [row for row in rows if row[4] is None or row[4] < row[3]]
    left = deque(newer)
    while left:
        db.execute("BEGIN IMMEDIATE")
        try:
            size = 0
            while left and size < COPIED_BYTES:
                rowid, bucket, key, *_ = left.popleft()
                found = db.execute("SELECT version, source FROM old.documents WHERE rowid=?", (rowid,)).fetchone()
                if found is not None:
                    write = Write(bucket, key, found[0], None, found[1])
                    write_one(db, write)
                    size += write.size_bytes
            db.execute("COMMIT")
        except BaseException:
            db.execute("ROLLBACK")
            raise
    return len(newer)


@contextmanager
def _unavailable_when_failing(path: Path) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise IndexUnavailableError(f"SQLite {path}: {error}") from error


def _logs(path: Path) -> list[Path]:
    return [path.with_name(path.name + end) for end in ("-wal", "-shm")]


def _unlink(paths: list[Path]) -> None:
    for path in paths:
        with _unavailable_when_failing(path):
            path.unlink(missing_ok=True)


def _sync(folder: Path) -> None:
    """Make a change of names survive a power failure."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
