"""What is asked where a file is now: S3, the index, the state bucket and the queues. Nothing is changed."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field

from recovery.manager.bounded import Bounded
from recovery.manager.records import RowMaker
from recovery.operations.clients import DlqClients
from recovery.operations.recovering.outlook import Examiner
from worker.core.base.settings import Settings
from worker.core.index import Index
from worker.core.s3.state import State
from worker.core.sqs.queue import Queue

ASKED_AT_ONCE = 32
EXAMINED_AT_ONCE = 2
"""Dead letters of which recovery's verdict is found out: each may be a large file that is read, and its text extracted."""
NO_INDEX = "not asked: INDEX_URL is not set for the manager"


@dataclass(frozen=True, slots=True)
class Sources:
    """All that is asked. May be used from any thread."""

    settings: Settings
    clients: DlqClients
    """Their `objects` need not read any content."""
    state: State
    rows: RowMaker
    source: Queue
    index: Index | None
    """None if none is set."""
    engine: Callable[[ExitStack], Examiner] | None
    """Makes the engine of a dry run; None without an index."""
    asked: Bounded = field(default_factory=lambda: Bounded(ASKED_AT_ONCE, "ask"))
    examined: Bounded = field(default_factory=lambda: Bounded(EXAMINED_AT_ONCE, "examine"))

    @property
    def why_no_index(self) -> str:
        """Why the index is not asked; empty if it is."""
        return "" if self.index else NO_INDEX
