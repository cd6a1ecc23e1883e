"""How an operation reports its progress."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Progress:
    """The progress of an operation."""

    done: int
    total: int | None = None
    """Approximate, as the counts of SQS are; None if unknown."""
    counts: Mapping[str, int] = field(default_factory=dict)
    """The number of messages or records for each result."""
    note: str = ""
    """A sentence for the operator about a phase that begins or ends; usually empty."""


OnProgress = Callable[[Progress], None]
"""Receives the progress. It is called on any thread, but never by two at once."""


def ignore_progress(_: Progress) -> None:
    """The progress callback that does nothing."""
