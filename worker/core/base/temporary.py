"""Temporary files and folders: each name holds the id of its process, so that what a killed one left is found."""

import errno
import os
import secrets
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

LEFT_BEHIND = "s3iw-*-*"
"""A pattern for all of them; the part between the hyphens is the id of the process."""


def prefix() -> str:
    """How the name of each of this process's begins."""
    return f"s3iw-{os.getpid()}-"


def remove_folder(folder: Path) -> None:
    """Remove a folder with all that is in it, as far as possible, however deep a hostile file has nested it.

    No path is longer and no call deeper for it: what is in a folder below is first moved up to the top.
    """
    with suppress(OSError):
        top = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            while _emptied(top):
                pass
        finally:
            os.close(top)
        folder.rmdir()


def _emptied(top: int) -> bool:
    """Remove the files in the folder, and the folders whose content can be moved up; whether there was any such folder."""
    below = [entry.name for entry in os.scandir(top) if not _removed(entry, top)]
    for name in below:
        os.chmod(name, 0o700, dir_fd=top)
        folder = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=top)
        try:
            for entry in list(os.scandir(folder)):
                if not _removed(entry, folder):
                    os.chmod(entry.name, 0o700, dir_fd=folder)  # one may only move a folder that one may change
                    os.rename(entry.name, secrets.token_hex(8), src_dir_fd=folder, dst_dir_fd=top)
        finally:
            os.close(folder)
        os.rmdir(name, dir_fd=top)
    return bool(below)


def _removed(entry: "os.DirEntry[str]", folder: int) -> bool:
    """Remove what is no folder; False if it is one."""
    if entry.is_dir(follow_symlinks=False):
        return False
    os.unlink(entry.name, dir_fd=folder)
    return True


def spool(chunks: Iterable[Any], folder: Path) -> Path:
    """Write chunks of bytes to a new temporary file. Raises OSError (EIO) that names TEMP_DIR if it cannot be made there.

    The kind of the error must not be taken for what obstore or the SDK raise where an object or a token is missing.
    """
    try:
        handle, name = tempfile.mkstemp(prefix=prefix(), dir=folder)
    except OSError as error:
        raise OSError(errno.EIO, f"TEMP_DIR={folder}: {error.strerror}") from error
    try:
        with os.fdopen(handle, "wb") as file:
            for chunk in chunks:
                file.write(chunk)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return Path(name)
