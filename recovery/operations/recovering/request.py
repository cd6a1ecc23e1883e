"""What a run over the DLQ is asked to do, and what it reports."""

import time
from dataclasses import dataclass

from recovery.operations.engine import Disposition
from recovery.operations.report import ReportKind
from recovery.operations.run import Run
from worker.core.base.classify import FailureKind
from worker.core.sqs.dead_letter import DeadLetter

NOT_DELETED, DUPLICATES, NOT_SELECTED, IN_FLIGHT_ELSEWHERE = (
    "settled_not_deleted", "duplicates", "not_selected", "in_flight_elsewhere"
)  # fmt: skip
RECOVERY = ReportKind(
    results=tuple(Disposition),
    explained=frozenset({Disposition.ARCHIVED, Disposition.STORED_FOR_RETRY, Disposition.KEPT}),
    unfinished=frozenset({Disposition.KEPT.value, IN_FLIGHT_ELSEWHERE, NOT_DELETED}),
    also=(NOT_DELETED, DUPLICATES, NOT_SELECTED, IN_FLIGHT_ELSEWHERE),
)


@dataclass(frozen=True, slots=True)
class RecoverRequest:
    """What an operator may choose."""

    run: Run
    batch_size: int = 10
    max_batches: int | None = None
    dry_run: bool = False
    rate: float | None = None
    """Messages a second at most."""
    kind: FailureKind | None = None
    older_than_s: int | None = None
    ids: frozenset[str] | None = None
    """Only these messages, by the id that they have in the DLQ."""
    while_paused: bool = False

    def selects(self, dead_letter: DeadLetter) -> bool:
        """Whether this one is meant."""
        if self.ids is not None and dead_letter.id not in self.ids:
            return False
        if self.kind is not None and dead_letter.kind != self.kind:
            return False
        return self.older_than_s is None or time.time() - dead_letter.sent_ms / 1000 >= self.older_than_s
