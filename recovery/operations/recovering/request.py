"""The request of `recover`, and what its report counts."""

import time
from dataclasses import dataclass

from recovery.operations.dead_letters.message_types import MessageTypes
from recovery.operations.engine import Disposition
from recovery.operations.report import ReportKind
from worker.core.audit import Run
from worker.core.base.classify import FailureKind
from worker.core.sqs.dead_letter import DeadLetter

NOT_DELETED, DUPLICATES, NOT_SELECTED, NOT_FOUND, IN_FLIGHT_ELSEWHERE = (
    "settled_not_deleted", "duplicates", "not_selected", "not_found", "in_flight_elsewhere"
)  # fmt: skip
RECOVERY = ReportKind(
    results=tuple(Disposition),
    explained=frozenset({Disposition.ARCHIVED, Disposition.STORED_FOR_RETRY, Disposition.KEPT}),
    unfinished=frozenset({Disposition.KEPT.value, IN_FLIGHT_ELSEWHERE, NOT_DELETED, NOT_FOUND}),
    also=(NOT_DELETED, DUPLICATES, NOT_SELECTED, NOT_FOUND, IN_FLIGHT_ELSEWHERE),
)


@dataclass(frozen=True, slots=True)
class RecoverRequest:
    """What to recover, and how."""

    run: Run
    types: MessageTypes
    """By which messages are recognized that are for other programs."""
    batch_size: int = 10
    max_batches: int | None = None
    dry_run: bool = False
    rate: float | None = None
    """Maximum number of messages per second."""
    kind: FailureKind | None = None
    older_than_s: int | None = None
    ids: frozenset[str] | None = None
    """Process only the dead letters that have one of these ids, or had it in a queue."""
    while_paused: bool = False
    accept_gone: bool = False
    """An operator has confirmed that most objects are gone."""
    accept_skipped: bool = False
    """An operator has confirmed that most messages have nothing to index."""
    archive_system_errors: bool = False
    """An operator gives up also what is not the message's or the file's own fault (giving_up.py)."""
    verbose: bool = False
    """Whether each dead letter that needs an explanation is logged, and not only counted in the report."""

    def selects(self, dead_letter: DeadLetter) -> bool:
        """Whether this dead letter is to be processed."""
        if self.ids is not None and self.ids.isdisjoint(dead_letter.names):
            return False
        if self.kind is not None and dead_letter.kind != self.kind:
            return False
        return self.older_than_s is None or time.time() - dead_letter.sent_ms / 1000 >= self.older_than_s
