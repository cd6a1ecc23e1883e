"""What every operation is told besides its request: which run it is, where it reports its progress, when it must stop."""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Self


@dataclass(frozen=True, slots=True)
class Run:
    """One run of one operation, and who asked for it."""

    name: str
    """Unique, and sortable by time within one command: `dlq-redrive-20260401T093000Z-5b1f2c`."""
    command: str
    """As a person knows it: `dlq redrive`."""
    action: str
    """As the audit calls it: `redrive`."""
    by: str
    """The operator: user@host."""

    @classmethod
    def new(cls, command: str, *, action: str, by: str) -> Self:
        """A run that begins now."""
        began = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
        return cls(f"{command.replace(' ', '-')}-{began}-{secrets.token_hex(3)}", command, action, by)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an operation is."""

    done: int
    total: int | None = None
    """A guess, as SQS's counts are; None where nothing is known."""
    counts: Mapping[str, int] = field(default_factory=dict)
    """What those that are done came to."""
    note: str = ""
    """A sentence, where something else begins or ends than the next message."""


Tell = Callable[[Progress], None]
"""Is told of progress, on any thread, by one at a time."""


def tell_nobody(_: Progress) -> None:
    """For whoever does not want to know."""
