"""How a run of `recover` is shown, by `recover_dlq` and by `dlq recover`."""

from recovery.cli.batch_command import BatchCommand
from recovery.cli.view.report import Wording
from recovery.operations.engine import Disposition
from recovery.operations.progress import Progress
from recovery.operations.recovering.request import (
    DUPLICATES,
    IN_FLIGHT_ELSEWHERE,
    NOT_DELETED,
    NOT_FOUND,
    NOT_SELECTED,
)
from worker.core.base.events import LogEvent
from worker.core.base.logs import emit

MAX_BATCH_SIZE = 1_000
WORDING = Wording(
    noun="messages",
    dry_run="nothing was written, deleted or left hidden",
    results={
        Disposition.RECOVERED: "read, indexed and confirmed",
        Disposition.ALREADY_INDEXED: "were already in the index",
        Disposition.GONE: "the object no longer exists",
        Disposition.SKIPPED: "nothing to index: in dlq-archive/",
        Disposition.STORED_FOR_RETRY: "the index rejects the document: in retry-index/",
        Disposition.ARCHIVED: "message or file at fault, or given up as asked: in dlq-archive/",
        Disposition.KEPT: "undecided, or not at fault themselves: correct the cause, then run again",
    },
    also={
        NOT_DELETED: ("settled_not_deleted", "of these, could not be deleted: the next run finds them done"),
        DUPLICATES: ("duplicates", "copies of messages handled in this run"),
        NOT_SELECTED: ("not selected", "left in the DLQ, because of the options"),
        NOT_FOUND: ("not found", "of the given ids: not in the DLQ, or in flight elsewhere"),
        IN_FLIGHT_ELSEWHERE: ("in flight", "in the DLQ, held by another command"),
    },
)


def _log(now: Progress, per_second: float) -> None:
    emit(LogEvent.RECOVER_PROGRESS, done=now.done, per_second=per_second, counts=dict(now.counts))


RECOVER = BatchCommand(WORDING, _log, {"Archived": Disposition.ARCHIVED})
