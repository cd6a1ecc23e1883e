"""What all operations share: the identity of a run, and how an operation reports its progress."""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Self


@dataclass(frozen=True, slots=True)
class Run:
    """One run of one operation, and who started it."""

    name: str
    """Unique, and sortable by time within one command: `dlq-redrive-20260401T093000Z-5b1f2c`."""
    command: str
    """The command that the operator entered: `dlq redrive`."""
    action: str
    """The name of the action in the audit: `redrive`."""
    by: str
    """The operator: user@host."""

    @classmethod
    def new(cls, command: str, *, action: str, by: str) -> Self:
        """Create a run that begins now."""
        began = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
        return cls(f"{command.replace(' ', '-')}-{began}-{secrets.token_hex(3)}", command, action, by)


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
