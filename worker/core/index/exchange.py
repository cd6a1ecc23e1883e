"""Replaces the index behind a name by another: one protocol, for OpenSearch and for SQLite. `reindex_index` uses it."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

FIRST = 1
"""The number of the first index that takes the place of one without a number."""


@dataclass(frozen=True, slots=True)
class Current:
    """The index that searches read at present."""

    name: str
    """Its own name, or the path of its file."""
    is_alias: bool
    """Whether searches reach it by another name: then it can be kept, and searches can be moved back to it."""
    plain_key: bool
    """Whether ids of its documents are plain keys."""
    documents: int


@dataclass(frozen=True, slots=True)
class Copied:
    """One pass of a copy."""

    changed: int
    """The number of documents that the new index did not have, or had in an older version."""
    is_complete: bool
    """False if it was stopped."""


OnCopied = Callable[[int, int], None]
"""Called with the number of documents that were compared so far, and of all."""


class Exchange(Protocol):
    """Replaces one index by another. Every method raises IndexUnavailableError, and can be called again after a failure."""

    def current(self) -> Current:
        """The index that searches read. Raises ConfigError where it cannot be replaced."""

    def next_name(self, current: Current) -> str:
        """A name for the index that is to take its place, which nothing has yet."""

    def buckets(self) -> set[str]:
        """The buckets whose documents the index holds that searches read."""

    def create(self, old: str, new: str) -> None:
        """Create the new index, empty, and let both be written to by their own names, if they have any.

        One that was created before by an attempt that was interrupted is used.
        """

    def copy(self, old: str, new: str, *, stop: threading.Event, on_copied: OnCopied) -> Copied:
        """Copy what the new index does not hold, or holds in an older version; `stop` ends it early.

        Documents that are removed from the old index meanwhile may come to the new one.
        """

    def switch(self, to: str, instead_of: str) -> None:
        """Let searches, and whoever uses another alias of the index, read `to`, from one moment to the next.

        Where the name was the index itself, `instead_of` is deleted by that. Raises IndexUnavailableError also where searches
        do not read `to` then.
        """

    def remove(self, name: str) -> None:
        """Delete an index that searches do not read. It is no error if it does not exist."""

    def settle(self, name: str) -> None:
        """Make the index that remains like any other."""
