"""`find`: the first half of every operation. Selects dead letters, and reports how much of the queue was seen."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from recovery.operations.clients import DlqClients
from recovery.operations.dead_letters.facts import Facts, Filter, Ids, facts_of
from recovery.operations.dead_letters.scan import INVISIBLE_S, MAX_SEEN, Scan, scan
from recovery.operations.progress import OnProgress, Progress, ignore_progress
from recovery.operations.records.archive import ArchivedDeadLetter, read_all
from recovery.operations.records.holders import register_holder
from worker.core.audit import Run
from worker.core.s3.state import ARCHIVE_PREFIX, State
from worker.core.sqs.dead_letter import DeadLetter
from worker.core.sqs.visibility import VisibilityExtender


@dataclass(frozen=True, slots=True)
class FindRequest:
    """Which dead letters to select, and how many at most."""

    which: Ids | Filter
    at_most: int | None = None

    def as_json(self) -> dict[str, object]:
        """The request as stored in the audit."""
        asked = self.which.as_json()
        return asked if isinstance(self.which, Ids) else {**asked, "max_messages": self.at_most}


@dataclass(frozen=True, slots=True)
class Found:
    """The selected dead letters, and how much of the queue was seen."""

    facts: tuple[Facts, ...]
    scan: Scan
    missing: tuple[str, ...] = ()
    """Requested ids that were not seen."""

    @property
    def dead_letters(self) -> list[DeadLetter]:
        """The selected dead letters without their facts."""
        return [one.dead_letter for one in self.facts]


@contextmanager
def keep_invisible(clients: DlqClients, run: Run) -> Iterator[VisibilityExtender]:
    """Within this context, dead letters can be kept invisible; on exit, also after an error, all of them are released."""
    extender = VisibilityExtender(clients.dlq, visibility_s=INVISIBLE_S)
    with register_holder(clients.state, run), extender.running():
        yield extender


def find(
    clients: DlqClients,
    extender: VisibilityExtender,
    request: FindRequest,
    *,
    stop: threading.Event,
    on_progress: OnProgress = ignore_progress,
) -> Found:
    """Read the DLQ. Selected dead letters are kept invisible, the others are released.

    `on_progress` reports the number of messages seen. Once `stop` is set, returns what was found so far. Raises QueueError.
    """
    which = request.which
    found: dict[str, Facts] = {}

    def wanted(dead_letter: DeadLetter) -> bool:
        facts = facts_of(dead_letter, clients.types, default_bucket=clients.default_bucket)
        is_wanted = which.wants(facts)
        if is_wanted:
            found[dead_letter.id] = facts
        return is_wanted

    at_most = len(which.names) if isinstance(which, Ids) else request.at_most or MAX_SEEN
    seen = scan(
        clients.dlq, extender, stop=stop, wanted=wanted, at_most=at_most, on_seen=lambda count: on_progress(Progress(count))
    )  # fmt: skip
    extender.release_all_but(seen.dead_letters)
    facts = tuple(found[dead_letter.id].of(dead_letter) for dead_letter in seen.dead_letters)
    missing = tuple(sorted(which.names - found.keys())) if isinstance(which, Ids) else ()
    return Found(facts, seen, missing)


@dataclass(frozen=True, slots=True)
class FoundArchived:
    """The selected archived dead letters."""

    entries: tuple[tuple[ArchivedDeadLetter, Facts], ...]
    is_all: bool
    """Whether the whole archive was read."""


def find_archived(
    clients: DlqClients, state: State, which: Filter, *, at_most: int, stop: threading.Event
) -> FoundArchived:
    """Select dead letters in `dlq-archive/`. Raises StoreError."""
    found: list[tuple[ArchivedDeadLetter, Facts]] = []
    for entry in read_all(state, state.keys(ARCHIVE_PREFIX)):
        if stop.is_set() or len(found) == at_most:
            return FoundArchived(tuple(found), is_all=False)
        facts = facts_of(entry.dead_letter, clients.types, default_bucket=clients.default_bucket)
        if which.wants(facts):
            found.append((entry, facts))
    return FoundArchived(tuple(found), is_all=True)
