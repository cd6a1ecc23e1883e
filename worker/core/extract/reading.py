"""What has been read of a file so far: readers add to it, so that a fault in one part does not lose the others."""

from collections.abc import Iterator
from contextlib import contextmanager

from worker.core.base.reasons import Reason
from worker.core.extract.faults import EncryptedError, MachineError
from worker.core.extract.result import Properties

MAX_MISSED = 20
"""Further parts that could not be read are not named."""


class EnoughError(Exception):
    """Raised when there is more text than is kept: the rest of the file need not be read."""


class Reading:
    """The text of a file, what it says about itself, and what could not be read."""

    def __init__(self, max_chars: int) -> None:
        """Keep up to `max_chars` characters."""
        self._max_chars = max_chars
        self._blocks: list[str] = []
        self._chars = 0
        self.said = Properties()
        """What the file says about itself."""
        self.missed: list[str] = []
        """A sentence for each part that could not be read."""
        self.reason: Reason | None = None
        """The code of the first of them that has one."""
        self.depth = 0
        """How many files the one that is being read is inside of."""
        self.inside_files = self.inside_bytes = 0
        """Number and size of the files inside of the first one, so far."""

    def add(self, text: str) -> None:
        """Add a block of text: a paragraph, a row, or many of them. Raises EnoughError if there is more than is kept."""
        text = text.strip("\n")
        if not text or text.isspace():
            return
        self._blocks.append(text)
        self._chars += len(text) + 1
        if self._chars > self._max_chars + 1:
            raise EnoughError

    def miss(self, what: str, reason: Reason | None = None) -> None:
        """Note that a part could not be read."""
        self.reason = self.reason or reason
        if len(self.missed) < MAX_MISSED and what not in self.missed:
            self.missed.append(what)

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Read one part of the file; if it is broken, note this and go on with the next one."""
        try:
            yield
        except (EnoughError, EncryptedError, MachineError, MemoryError):
            raise
        except Exception as error:  # noqa: BLE001 (a hostile part may make a parser fail in any way)
            self.miss(f"{name}: {str(error) or type(error).__name__}", getattr(error, "reason", None))

    @property
    def text(self) -> str:
        """All that was added, each block on lines of its own."""
        return "\n".join(self._blocks)
