"""Temporary files and folders: each name holds the id of its process, so that what a killed one left is found."""

import errno
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

LEFT_BEHIND = "s3iw-*-*"
"""A pattern for all of them; the part between the hyphens is the id of the process."""


def prefix() -> str:
    """How the name of each of this process's begins."""
    return f"s3iw-{os.getpid()}-"


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
