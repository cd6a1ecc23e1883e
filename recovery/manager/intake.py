"""Takes dead letters in: from the DLQ into `dead-letters/`, then into the ledger; only then they are deleted from the DLQ.

A kill at any point causes a second delivery, which finds its own record and its own row: never a loss, never two rows.
"""

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from recovery.ledger.errors import LedgerError
from recovery.ledger.ledger import Ledger
from recovery.ledger.rows import Arrival, Taken
from recovery.ledger.rows import State as RowState
from recovery.manager.arrivals import Arrivals
from recovery.manager.group_commit import GroupCommit
from recovery.manager.metrics import IntakeResult
from recovery.manager.rest import Rest
from recovery.operations.dead_letters.scan import INVISIBLE_S
from worker.core.base.classify import is_transient
from worker.core.base.clock import S3Clock
from worker.core.base.errors import QueueError, StoreError
from worker.core.base.events import LogEvent
from worker.core.base.liveness import Liveness
from worker.core.base.logs import emit
from worker.core.base.retry import retry_transient
from worker.core.s3.state import State
from worker.core.sqs import dead_letter_store
from worker.core.sqs.dead_letter import DeadLetter
from worker.core.sqs.queue import MAX_BATCH, Message, Queue, in_batch

LANES = 8
"""Number of receives at once. Each lane stores and deletes what it has received before it receives again."""
AT_ONCE = 20
"""Messages of one lane: more than one receive gives, as a transaction and a look at the ledger cost nearly the same for each
number. Few, as they are stored one after another, well within INVISIBLE_S."""
WAIT_S = 10
"""Wait time of one receive in seconds."""
BACK_S = 30
"""After how many seconds a message that could not be taken in is visible again."""
QUICK_LANES = 1
"""Lanes that wait for messages while the DLQ is quiet; the others help once one receive was full."""
MAX_SILENCE_S = 180
"""The slowest step: three attempts of a call, each with its full timeout."""
_COUNTED = {
    Taken.NEW: IntakeResult.TAKEN_IN,
    Taken.RETURNED: IntakeResult.RETURNED,
    Taken.REPEATED: IntakeResult.REPEATED,
}


@dataclass(slots=True)
class Seen:
    """What the intake has seen, for `/health` and `/metrics`."""

    last_receive_s: float = 0.0
    """When the DLQ last answered, seconds since the epoch; 0 if it never did."""
    lag_s: float = 0.0
    """From the sending of the latest dead letter until it was taken in."""
    oldest_waiting_ms: int | None = None
    """When the oldest of the dead letters that could not be taken in was first sent."""


class Intake:
    """The intake of one DLQ. `lane` runs on several threads."""

    def __init__(
        self, dlq: Queue, state: State, clock: S3Clock, ledger: Ledger, commit: GroupCommit, arrivals: Arrivals
    ) -> None:
        self.rest = Rest()
        self.seen = Seen()
        self._dlq = dlq
        self._state = state
        self._clock = clock
        self._ledger = ledger
        self._commit = commit
        self._arrivals = arrivals
        self._stop = threading.Event()
        self._busy = threading.Event()
        """Set while the DLQ returns full batches: then every lane receives."""

    def stop(self) -> None:
        """Receive no more; what was received is still taken in."""
        self._stop.set()
        self._busy.set()

    def lane(self, number: int, liveness: Liveness) -> None:
        """Take in until stopped."""
        while not self._stop.is_set():
            liveness.beat()
            if number >= QUICK_LANES and not self._busy.wait(1.0):
                continue
            if not self.rest.wait(self._stop, at_most_s=1.0):
                continue
            try:
                self.once()
            except (QueueError, StoreError, LedgerError) as error:
                self.rest.begin(error)

    def once(self, *, wait_s: int = WAIT_S) -> int:
        """Receive, and take in what came; its number. Raises QueueError, StoreError or LedgerError."""
        messages = self._receive(wait_s)
        if messages:
            self._busy.set()
            self._take_in([DeadLetter.received(message) for message in messages])
        else:
            self._busy.clear()
        self.rest.end()
        return len(messages)

    def _receive(self, wait_s: int) -> list[Message]:
        """What one receive returns; while each returns as much as it can, up to AT_ONCE."""
        messages = self._dlq.receive(wait_s=0 if self._stop.is_set() else wait_s, visibility_s=INVISIBLE_S)
        self.seen.last_receive_s = time.time()
        received = len(messages)
        while received == MAX_BATCH and len(messages) < AT_ONCE and not self._stop.is_set():
            try:
                more = self._dlq.receive(wait_s=0, visibility_s=INVISIBLE_S)
            except QueueError:
                break  # what came is taken in first; the next receive fails, too, or all is well
            messages, received = [*messages, *more], len(more)
        return messages

    def _take_in(self, dead_letters: Sequence[DeadLetter]) -> None:
        try:
            claimed = {name for one in dead_letters for name in one.possible_ids[:-1]}
            known = self._ledger.known([one.id for one in dead_letters], claimed)
            arrivals, problem = self._store([one for one in dead_letters if one.id not in known.taken_in], known.keys)
            taken = dict.fromkeys(known.taken_in, Taken.REPEATED) | (self._commit.take_in(arrivals) if arrivals else {})
            self._reopen([one for one in arrivals if taken[one.message_id] is Taken.REPEATED])
        except (StoreError, LedgerError):
            self._give_back(dead_letters)
            raise
        self._delete([one for one in dead_letters if one.id in taken])
        self._note(dead_letters, taken)
        self._arrivals.tell(arrivals, taken)
        if problem is not None:
            self._give_back([one for one in dead_letters if one.id not in taken])
            raise problem

    def _reopen(self, repeated: Sequence[Arrival]) -> None:
        """Open, or schedule, dead letters whose records were missing, and that the DLQ has just delivered once more."""
        rows = self._ledger.by_identity(one.row.identity for one in repeated) if repeated else {}
        for one in repeated:
            row = rows.get(one.row.identity)
            if row is not None and row.state is RowState.MISSING:
                self._ledger.change(
                    row.identity, version=None, by="intake", action="found again", state=one.row.state,
                    retry_at_ms=one.row.retry_at_ms, retry_by=one.row.retry_by,
                )  # fmt: skip

    def _store(
        self, dead_letters: Sequence[DeadLetter], keys: Mapping[str, str]
    ) -> tuple[list[Arrival], StoreError | None]:
        """Store dead letters in S3: those that are durable there, with their rows, and why the others are not.

        `keys`: of the records that they may have already, by identity.
        """
        prepare = self._arrivals.scheduler.scheduled

        def store(dead_letter: DeadLetter) -> Arrival | StoreError:
            at_ms = self._clock.now_ms()
            try:
                record, _ = retry_transient(
                    lambda: dead_letter_store.take_in(self._state, dead_letter, at_ms=at_ms, keys=keys, prepare=prepare),
                    transient=is_transient, stop=self._stop,
                )  # fmt: skip
            except StoreError as error:
                return error
            return self._arrivals.of(dead_letter.id, record, at_ms)

        results = [store(one) for one in dead_letters]
        problem = next((one for one in results if isinstance(one, StoreError)), None)
        return [one for one in results if isinstance(one, Arrival)], problem

    def _delete(self, dead_letters: Sequence[DeadLetter]) -> None:
        for part in _batches(dead_letters):
            refused = in_batch(self._dlq.delete, [one.receipt for one in part], stop=self._stop)
            for place, refusal in refused.items():  # it comes again, and is known then
                emit(LogEvent.INTAKE_DELETE_FAILED, "warning", message_id=part[place].id, code=refusal.code)

    def _give_back(self, dead_letters: Sequence[DeadLetter]) -> None:
        """Let the DLQ show what could not be taken in again before long."""
        waiting = [one.sent_ms for one in dead_letters if one.sent_ms]
        self.seen.oldest_waiting_ms = min([*waiting, *filter(None, [self.seen.oldest_waiting_ms])], default=None)
        for part in _batches(dead_letters):
            in_batch(self._dlq.change_visibility, [(one.receipt, BACK_S) for one in part], stop=self._stop)

    def _note(self, dead_letters: Sequence[DeadLetter], taken: dict[str, Taken]) -> None:
        for what, counted in _COUNTED.items():
            count = sum(1 for one in taken.values() if one is what)
            if count:
                self._arrivals.metrics.count(counted, count)
        done = [one for one in dead_letters if one.id in taken]
        if len(done) == len(dead_letters):
            self.seen.oldest_waiting_ms = None
        sent = [one.sent_ms for one in done if one.sent_ms]
        if sent:
            self.seen.lag_s = max(0.0, time.time() - max(sent) / 1000)
        for one in done:
            emit(LogEvent.INTAKE_TAKEN_IN, "debug", message_id=one.id, result=taken[one.id].value)


def _batches(dead_letters: Sequence[DeadLetter]) -> Iterator[Sequence[DeadLetter]]:
    """As many as one call takes."""
    return (dead_letters[at : at + MAX_BATCH] for at in range(0, len(dead_letters), MAX_BATCH))
