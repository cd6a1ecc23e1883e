"""`find`: the first half of every operation, which dead letters are meant, and how much of the queue was seen."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from recovery.operations.clients import DlqClients
from recovery.operations.dead_letters.facts import Facts, Filter, Ids, facts_of
from recovery.operations.dead_letters.scan import INVISIBLE_S, MAX_SEEN, Scan, scan
from recovery.operations.records.archive import ArchivedDeadLetter, read_all
from recovery.operations.records.holders import holding
from recovery.operations.run import Progress, Run, Tell, tell_nobody
from worker.core.s3.state import ARCHIVE_PREFIX, State
from worker.core.sqs.dead_letter import DeadLetter
from worker.core.sqs.visibility import VisibilityExtender


@dataclass(frozen=True, slots=True)
class FindRequest:
    """Which dead letters are meant, and how many at most."""

    which: Ids | Filter
    at_most: int | None = None

    def as_json(self) -> dict[str, object]:
        """What was asked for, as the audit keeps it."""
        asked = self.which.as_json()
        return asked if isinstance(self.which, Ids) else {**asked, "max_messages": self.at_most}


@dataclass(frozen=True, slots=True)
class Found:
    """The dead letters that are meant, and what was seen of the queue."""

    facts: tuple[Facts, ...]
    scan: Scan
    missing: tuple[str, ...] = ()
    """Ids asked for and not seen."""

    @property
    def dead_letters(self) -> list[DeadLetter]:
        """The messages alone."""
        return [one.dead_letter for one in self.facts]


@contextmanager
def keep_invisible(clients: DlqClients, run: Run) -> Iterator[VisibilityExtender]:
    """Keep dead letters invisible while this lasts; they are released at its end, however it comes."""
    extender = VisibilityExtender(clients.dlq, visibility_s=INVISIBLE_S)
    with holding(clients.state, run), extender.running():
        yield extender


def find(
    clients: DlqClients, extender: VisibilityExtender, request: FindRequest, *, stop: threading.Event, tell: Tell = tell_nobody
) -> Found:  # fmt: skip
    """Read through the DLQ; what is meant stays invisible, the rest is released. `tell` hears how many were seen.

    Once `stop` is set, it ends with what it has. Raises QueueError.
    """
    which = request.which
    found: dict[str, Facts] = {}

    def wanted(dead_letter: DeadLetter) -> bool:
        facts = facts_of(dead_letter, clients.types, default_bucket=clients.default_bucket)
        meant = which.wants(facts)
        if meant:
            found[dead_letter.id] = facts
        return meant

    at_most = len(which.names) if isinstance(which, Ids) else request.at_most or MAX_SEEN
    seen = scan(
        clients.dlq, extender, stop=stop, wanted=wanted, at_most=at_most, told=lambda count: tell(Progress(count))
    )  # fmt: skip
    extender.release_all_but(seen.dead_letters)
    facts = tuple(found[dead_letter.id].of(dead_letter) for dead_letter in seen.dead_letters)
    missing = tuple(sorted(which.names - found.keys())) if isinstance(which, Ids) else ()
    return Found(facts, seen, missing)


@dataclass(frozen=True, slots=True)
class FoundArchived:
    """Archived dead letters that are meant."""

    entries: tuple[tuple[ArchivedDeadLetter, Facts], ...]
    is_all: bool
    """Whether the archive was read to its end."""


def find_archived(
    clients: DlqClients, state: State, which: Filter, *, at_most: int, stop: threading.Event
) -> FoundArchived:
    """Read through `dlq-archive/`. Raises StoreError."""
    found: list[tuple[ArchivedDeadLetter, Facts]] = []
    for entry in read_all(state, state.keys(ARCHIVE_PREFIX)):
        if stop.is_set() or len(found) == at_most:
            return FoundArchived(tuple(found), is_all=False)
        facts = facts_of(entry.dead_letter, clients.types, default_bucket=clients.default_bucket)
        if which.wants(facts):
            found.append((entry, facts))
    return FoundArchived(tuple(found), is_all=True)
