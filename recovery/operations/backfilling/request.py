"""What a backfill is asked, and what becomes of each object."""

from dataclasses import dataclass
from enum import StrEnum

from recovery.operations.report import ReportKind
from recovery.operations.transfer.jobs import DEFAULT_RATE
from worker.core.audit import Run
from worker.core.base.errors import WorkerError

DEFAULT_MAX_DEPTH_S = 60
"""By default, as many messages may wait in the queue as the rate allows in so many seconds: fewer would limit the rate, because
all that was sent in the last minute counts. The next live event waits so long behind them, at most, if workers keep to the rate."""
DEFAULT_MAX_DEPTH = round(DEFAULT_RATE * DEFAULT_MAX_DEPTH_S)


class BackfillResult(StrEnum):
    """What became of an object."""

    SENT = "sent"
    """A job for it is in the queue."""
    INDEXED = "indexed"
    """It was indexed here, or is gone, and so is its document."""
    STORED_FOR_RETRY = "stored_for_retry"
    """The index rejects its document, which is in `retry-index/`."""
    CURRENT = "current"
    """The index holds a document with its etag."""
    SKIPPED = "skipped"
    """It is not to be in the index: by INCLUDE_KEYS or EXCLUDE_KEYS, as one of our own records, or as a folder."""
    FAILED = "failed"
    """It could not be sent or indexed."""


BEFORE = "before"
"""The count of objects that an interrupted run had done, which this one continues."""
ELSEWHERE = "elsewhere"
"""The count of objects that an inventory lists and that are not in the place which was given."""
BACKFILL = ReportKind(
    results=tuple(BackfillResult),
    explained=frozenset({BackfillResult.FAILED, BackfillResult.STORED_FOR_RETRY}),
    unfinished=frozenset({BackfillResult.FAILED.value}),
    also=(BEFORE, ELSEWHERE),
    samples="keys",
)


class SourceError(WorkerError):
    """Raised when an inventory or a file of keys cannot be used; the message says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class BackfillRequest:
    """How to fill the index."""

    run: Run
    direct: bool = False
    """Index the objects here and now, instead of sending them to the queue."""
    rate: float | None = None
    """Maximum number of objects per second that are sent or indexed; None for no limit."""
    max_depth: int = DEFAULT_MAX_DEPTH
    """Nothing is sent while more messages than these may wait in the queue."""
    restart: bool = False
    """Begin anew, where a run was interrupted."""
    while_paused: bool = False
