"""The files that an operator names on the command line; `-` is stdin or stdout."""

import fcntl
import os
import select
import stat
import sys
import tempfile
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import BinaryIO

import typer

from recovery.cli.caller import STREAM, caller_file
from recovery.operations.records.export_file import ExportFileError
from recovery.operations.records.operator_file import NO_DESCRIPTOR, OperatorFile
from worker.core.base.text import one_line

TAKEN_S = 60.0
"""Seconds within which the reader of a pipe must take what was written."""
_LOOK_S = 0.01


class _StandardOutput(OperatorFile):
    """Stdout, as a file that is written once."""

    def __init__(self) -> None:
        super().__init__("stdout", lambda _action: NO_DESCRIPTOR)
        self._handle = sys.stdout.fileno()
        about = os.fstat(self._handle)
        self._is_file, self._is_pipe = stat.S_ISREG(about.st_mode), stat.S_ISFIFO(about.st_mode)
        self._start = self._position(about.st_size) if self._is_file else 0

    @contextmanager
    def new(self) -> Iterator[BinaryIO]:
        """Write to stdout. A regular file is durable when the context ends."""
        with os.fdopen(self._handle, "wb", closefd=False) as stream:
            yield stream
            stream.flush()
        if self._is_file:
            os.fsync(self._handle)

    def open(self) -> BinaryIO | None:
        """Open the file to which stdout was redirected. For a pipe, return None once its reader has taken everything."""
        if self._is_file:
            stream = self._opened_again()
            stream.seek(self._start)
            return stream
        deadline = time.monotonic() + TAKEN_S
        while self._is_pipe and self._waiting_bytes():
            if time.monotonic() > deadline:
                raise TimeoutError(f"the reader of the pipe has not taken it within {TAKEN_S:.0f} s")
            time.sleep(_LOOK_S)
        return None

    def _opened_again(self) -> BinaryIO:
        try:
            return Path(f"/proc/self/fd/{self._handle}").open("rb")
        except PermissionError:  # on an installed host, the file is one that only its owner, the caller, may read
            by_caller = caller_file(STREAM)
            stream = None if by_caller is None else by_caller.open()
            if stream is None:
                raise
            return stream

    def _position(self, size: int) -> int:
        appends = fcntl.fcntl(self._handle, fcntl.F_GETFL) & os.O_APPEND
        return size if appends else os.lseek(self._handle, 0, os.SEEK_CUR)

    def _waiting_bytes(self) -> int:
        """How much is in the pipe. Raises BrokenPipeError if its reader has gone without it."""
        waiting = int.from_bytes(fcntl.ioctl(self._handle, termios.FIONREAD, bytes(4)), sys.byteorder)
        poll = select.poll()
        poll.register(self._handle, 0)
        if waiting and poll.poll(0):
            raise BrokenPipeError("the reader of the pipe ended before it had taken everything")
        return waiting


class _StandardInput(OperatorFile):
    """Stdin, which is read to its end first, because an export is verified as a whole before its first message is sent."""

    def __init__(self) -> None:
        super().__init__("stdin", lambda _action: NO_DESCRIPTOR)

    def open(self) -> BinaryIO:
        """Read stdin to its end into a temporary file, and return that."""
        spool = tempfile.TemporaryFile()  # noqa: SIM115 (the caller closes it)
        while part := sys.stdin.buffer.read(1 << 20):
            spool.write(part)
        spool.seek(0)
        return spool


def require_kept_stdout() -> None:
    """Raise a usage error if stdout keeps nothing of what is written to it: a terminal, or /dev/null."""
    mode = os.fstat(sys.stdout.fileno()).st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISFIFO(mode)):
        raise typer.BadParameter("stdout keeps nothing: redirect it to a file, or pipe it", param_hint="--backup")


@contextmanager
def file_to_write(given: str, hint: str) -> Iterator[OperatorFile]:
    """The new file that was given for the option or argument `hint`.

    With `-`, stdout carries the export alone: within this context, results are printed on stderr.
    """
    with _usage_errors(hint):
        if given != STREAM:
            yield _file(given)
            return
        output = _StandardOutput()
        with redirect_stdout(sys.stderr):
            yield output


@contextmanager
def file_to_read(given: str, hint: str) -> Iterator[OperatorFile]:
    """The existing file that was given for the option or argument `hint`."""
    with _usage_errors(hint):
        yield _StandardInput() if given == STREAM else _file(given)


def _file(given: str) -> OperatorFile:
    try:
        return caller_file(given) or OperatorFile.at(Path(given))
    except OSError as error:
        raise ExportFileError(f"{given}: {error.strerror or error}") from None


@contextmanager
def _usage_errors(hint: str) -> Iterator[None]:
    try:
        yield
    except ExportFileError as error:
        raise typer.BadParameter(one_line(str(error)), param_hint=hint) from None
