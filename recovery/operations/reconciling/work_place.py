"""Where the work file of a run is: in a folder of this user's own, used by one run at a time."""

import fcntl
import os
import sqlite3
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import IO

from recovery.operations.reconciling.work_file import WorkFile
from recovery.operations.reconciling.work_tables import opened, remove
from worker.core.base.errors import DependencyError

LEFT_FOR_S = 86_400.0
"""After this time, nobody continues a run."""


@contextmanager
def work_file(path: Path, *, is_skipped: Callable[[str, int], bool], continued_for_s: float) -> Iterator[WorkFile]:
    """Within this context, the file is this run's alone. What was left longer ago than `continued_for_s` is begun anew.

    Unless the result is known by then, the file stays for the next run to continue, if that is to continue it. Its folder is
    nobody else's: it has every key. Raises DependencyError if another run has the file, or the disk fails.
    """
    try:
        _make_private(path.parent)
        _tidy(path.parent, but=path)
        lock = path.with_suffix(".lock").open("w")
    except OSError as error:
        raise DependencyError(f"the work file {path}: {error.strerror or error}") from error
    with lock:
        if not _locked(lock):
            raise DependencyError(f"another run for the same place is using {path} on this host")
        try:
            with closing(opened(path, is_skipped, continued_for_s)) as db:
                work = WorkFile(path, db)
                try:
                    yield work
                finally:
                    if work.fact("finished") or not continued_for_s:
                        remove(path)
        except sqlite3.Error as error:
            raise DependencyError(f"the work file {path}: {error}") from error


def _make_private(folder: Path) -> None:
    """Make a folder that only this user may enter. Raises OSError, also where there is one that others may."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise PermissionError(f"{folder} must be a folder of your own that nobody else may enter (chmod 700)")


def _tidy(folder: Path, *, but: Path) -> None:
    """Remove the files of runs that nobody has continued for a day."""
    for path in folder.glob("reconcile-*.sqlite"):
        if path == but or time.time() - path.stat().st_mtime < LEFT_FOR_S:
            continue
        with path.with_suffix(".lock").open("w") as lock:
            if _locked(lock):
                remove(path)


def _locked(lock: IO[str]) -> bool:
    """Whether nobody else has this lock file; it is ours then, until it is closed."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
