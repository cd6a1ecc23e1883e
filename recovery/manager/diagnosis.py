"""Finds out what recovery would do with dead letters of which nothing is known: SQS's redrive policy gives no reason.

Each is looked at once after every arrival, as `recover_dlq --dry-run` does it, and its row says the result. Nothing else changes.
"""

import threading
from collections.abc import Callable
from contextlib import ExitStack

from recovery.ledger.ledger import Ledger
from recovery.ledger.pages import Sort
from recovery.ledger.rows import Change, Row
from recovery.ledger.rows import State as RowState
from recovery.ledger.selection import Selection
from recovery.manager.records import RowMaker
from recovery.manager.turns import Beat
from recovery.operations.recovering.outlook import Examiner, sentence
from worker.core.base.classify import FailureKind
from worker.core.base.concurrency import Pace
from worker.core.s3.state import State
from worker.core.sqs import dead_letter_store
from worker.core.sqs.stored_dead_letter import StoredState

TURN_S = 5.0
LEASE = "diagnosis"
RATE = 1.0
"""Dead letters that are looked at in a second: each may be a large file that has to be read, beside the manager's other work."""
AT_ONCE = 20
MAX_SILENCE_S = 1_800.0
"""The longest time between two beats, in seconds: a large file is read from S3, and its text with it."""
SETTLED_MS = 30_000
"""Rows are looked at in the order in which they were last seen. Of the latest, one may still be written before another."""
MARK = "diagnosed"
"""How far the rows were looked at, in the order in which they were last seen; empty: they are all looked through again."""
NO_INDEX = "dead letters of an unknown kind are not diagnosed, because INDEX_URL is not set for the manager"


class Diagnosis:
    """The diagnosis of one manager. For one thread."""

    def __init__(
        self, ledger: Ledger, state: State, rows: RowMaker, engine: Callable[[ExitStack], Examiner] | None, *,
        now_ms: Callable[[], int], by: str, stop: threading.Event,
    ) -> None:  # fmt: skip
        """`engine` makes the one of a dry run for a turn in which it is needed; None if there is no index to ask."""
        self._ledger = ledger
        self._state = state
        self._rows = rows
        self._engine = engine
        self._now_ms = now_ms
        self._by = by
        self._stop = stop
        self._pace = Pace(RATE)

    @property
    def missing(self) -> str:
        """What keeps it from its work; empty if nothing does."""
        return "" if self._engine else NO_INDEX

    def turn(self, beat: Beat) -> None:
        """Look at those that have come since. Raises LedgerError, StoreError or IndexUnavailableError."""
        if self._engine is None:
            return
        with ExitStack() as stack:
            engine: Examiner | None = None
            before_ms, after = self._now_ms() - SETTLED_MS, self._ledger.get_mark(MARK) or None
            while beat():
                rows = self._ledger.page(
                    Selection(states=(RowState.OPEN,), kind=FailureKind.UNKNOWN),
                    sort=Sort.LAST_SEEN, descending=False, after=after, limit=AT_ONCE,
                )  # fmt: skip
                settled = [row for row in rows.rows if row.last_seen_ms <= before_ms]
                for row in settled:
                    if row.finding is None and beat():
                        engine = engine or self._engine(stack)
                        self._look_at(row, engine)
                if rows.next is None or len(settled) < len(rows.rows) or self._stop.is_set():
                    return
                after = rows.next
                self._ledger.set_mark(MARK, after)

    def _look_at(self, row: Row, engine: Examiner) -> None:
        self._pace.wait(self._stop)
        try:
            stored = dead_letter_store.read(self._state, row.key)
        except ValueError:
            return  # the follower says that it is no record
        if self._stop.is_set() or stored is None or stored.state is not StoredState.OPEN:
            return
        [verdict] = engine.examine([stored.dead_letter])
        finding = self._rows.text(stored.dead_letter, sentence(verdict))
        change = Change(row.identity, "diagnosed", self._by, {"finding": finding}, {}, row.version)
        self._ledger.change_many([change])
