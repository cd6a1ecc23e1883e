"""A file that an operator named: to write an export to, or to read one from."""

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import BinaryIO, Self


class FileAction(StrEnum):
    """What is done to the file by its path, with the rights of the person who named it."""

    CHECK_NEW = "check_new"
    CREATE = "create"
    OPEN = "open"
    SYNC_FOLDER = "sync_folder"
    REMOVE = "remove"


NO_DESCRIPTOR = -1


def perform(action: FileAction, path: Path) -> int:
    """Perform an action on a file. CREATE and OPEN return an open descriptor. Raises OSError."""
    match action:
        case FileAction.CHECK_NEW:
            _check_new(path)
        case FileAction.CREATE:
            return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)  # only the owner may read the bodies
        case FileAction.OPEN:
            return os.open(path, os.O_RDONLY)
        case FileAction.SYNC_FOLDER:
            _sync_folder(path.parent)
        case FileAction.REMOVE:
            path.unlink()
    return NO_DESCRIPTOR


class OperatorFile:
    """One file. Its methods raise OSError."""

    def __init__(self, name: str, act: Callable[[FileAction], int]) -> None:
        """`name` is the absolute path as the operator sees it; `act` performs an action on that path."""
        self.name = name
        self._act = act

    @classmethod
    def at(cls, path: Path) -> Self:
        """A file that this process reaches by its path."""
        return cls(str(path.absolute()), partial(perform, path=path.absolute()))

    def check_new(self) -> None:
        """Check in advance that the file can be created; a file that exists is never replaced."""
        self._act(FileAction.CHECK_NEW)

    @contextmanager
    def new(self) -> Iterator[BinaryIO]:
        """Create the file. It is durable when the context ends; after an error, it is removed."""
        handle = self._act(FileAction.CREATE)
        try:
            with os.fdopen(handle, "wb") as stream:
                yield stream
                stream.flush()
                os.fsync(handle)
            self._act(FileAction.SYNC_FOLDER)
        except BaseException:
            with suppress(OSError):
                self._act(FileAction.REMOVE)
            raise

    def open(self) -> BinaryIO | None:
        """Open the file by its path, to read it. None if what was written cannot be read again, as with a pipe."""
        return os.fdopen(self._act(FileAction.OPEN), "rb")


def _check_new(path: Path) -> None:
    with suppress(FileNotFoundError, NotADirectoryError):
        path.lstat()
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
    if not path.parent.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, f"{path.parent} is not a folder")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, f"you may not write in {path.parent}")


def _sync_folder(folder: Path) -> None:
    """Flush the folder to disk as well: otherwise the file may be missing after a power failure."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except PermissionError:  # a folder in which one may write, but not look
        return
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
