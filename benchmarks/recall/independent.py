"""The independent tools: what each reads, whether it is here, and how what they read becomes the truth for a format.

A tool that is missing is named, with the way to get it; the others are used.
"""

import contextlib
import logging
import signal
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.recall.phrases import Block

READ_TIMEOUT_S = 60
FORMATS = {
    "htm": "html", "xhtml": "html", "log": "txt", "md": "txt", "text": "txt", "docm": "docx", "dotx": "docx",
    "xltx": "xlsx", "pptm": "pptx", "ppsx": "pptx", "ott": "odt", "ots": "ods", "otp": "odp", "mht": "eml",
}  # fmt: skip
"""Extensions that are reported as another format."""
TWO_MUST_AGREE = frozenset({"pdf", "txt", "html", "epub"})
"""Formats in which one tool alone is often wrong: the order of text in a PDF, the charset of a text, the readings in books."""
RUNS_ON = frozenset({"pdf", "txt"})
"""Formats in which a line end does not end a paragraph."""


@dataclass(frozen=True, slots=True)
class Tool:
    """An independent tool."""

    name: str
    formats: frozenset[str] | None
    """The formats that it reads; None for all."""
    read: Callable[[Path], list[Block]]
    """Read a file; it may raise any exception if it cannot."""
    missing: str | None = None
    """Why it cannot be used here, and how to get it."""

    def reads(self, form: str) -> bool:
        """Whether it is here and reads this format."""
        return self.missing is None and (self.formats is None or form in self.formats)


class TooLongError(Exception):
    """Raised when a tool takes too long for a file."""


class PanicError(Exception):
    """Raised when a library in Rust panics, which its own exception does not say to be an Exception."""


def format_of(path: Path) -> str:
    """The format under which a file is reported, by its extension."""
    extension = path.suffix.lower().lstrip(".")
    return FORMATS.get(extension, extension or "none")


def read_by(tool: Tool, path: Path) -> list[Block]:
    """What a tool reads, within a time limit and without the warnings of its library. Raises any exception."""
    with _limited(READ_TIMEOUT_S), warnings.catch_warnings(), _silent():
        warnings.simplefilter("ignore")
        try:
            return [block for block in tool.read(path) if block.text.strip()]
        except (Exception, KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:
            raise PanicError(str(error)) from error


@contextlib.contextmanager
def _limited(seconds: int) -> Iterator[None]:
    """Interrupt what runs in this (the main) thread after some seconds."""

    def stop(_number: int, _frame: object) -> None:
        raise TooLongError(f"took longer than {seconds} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)
