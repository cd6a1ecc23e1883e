"""One run over the DLQ: batches are taken, judged and settled side by side, until nothing more comes."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass

from recovery.operations.abort_policy import AbortPolicy
from recovery.operations.archive import Archive
from recovery.operations.audit import new_run, who
from recovery.operations.dead_letters import DeadLetter, receive, spilled
from recovery.operations.disposer import Disposer
from recovery.operations.duplicates import DuplicateTracker
from recovery.operations.engine import Disposition, RecoveryEngine, Verdict
from recovery.operations.summary import Summary
from worker.core.base.classify import FailureKind, is_transient
from worker.core.base.errors import (
    QueueError,
    WorkerError,
)
from worker.core.base.events import LogEvent
from worker.core.base.logs import emit
from worker.core.base.retry import retry_transient
from worker.core.base.settings import Settings
from worker.core.clients import Clients, make_extractor
from worker.core.indexing.pipeline import Pipeline
from worker.core.indexing.retry_store import RetryStore
from worker.core.s3.state import DEAD_LETTERS_PREFIX
from worker.core.sqs.visibility import VisibilityExtender

MAX_LANES = 16
"""Batches worked on at once: while one waits for the index, others read."""
DEAD_LETTERS_IN_FLIGHT = 800
"""In all lanes together, about: larger batches have fewer lanes."""
OBSERVERS = 32
"""Objects looked at at once: S3 is far away, and no live message waits."""
HIDDEN_S = 120
"""A letter in hand is hidden so long (SQS_VISIBILITY_TIMEOUT, if that is less), and kept so; after a kill -9 it is back
that soon."""
TURN_S = 0.1
EMPTY_POLLS = 2
"""So many polls of one second without a message end a run."""
RETENTION_S = 345_600
"""SQS's default, where a queue does not say."""

Told = Callable[[Summary], None]


@dataclass(frozen=True, slots=True)
class Options:
    """What an operator may choose."""

    batch_size: int = 10
    max_batches: int | None = None
    dry_run: bool = False
    rate: float | None = None
    """Messages a second at most."""
    kind: FailureKind | None = None
    older_than_s: int | None = None
    ids: frozenset[str] | None = None
    """Only these messages, by the id that they have in the DLQ."""


class RecoveryRun:
    """One run. `go` is called once."""

    def __init__(
        self,
        settings: Settings,
        clients: Clients,
        options: Options,
        *,
        stop: threading.Event,
        told: Told = lambda _: None,
    ) -> None:
        """`stop` ends the run between two batches; `told` hears of every batch."""
        self._settings = settings
        self._clients = clients
        self._options = options
        self._hidden_s = min(HIDDEN_S, settings.sqs_visibility_timeout)
        self._stop = stop
        self._told = told
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._trusted = threading.Event()
        self._failure: WorkerError | None = None
        self._abort_policy = AbortPolicy()
        self._batches_left = options.max_batches
        self._empty_polls = 0
        self._next_at = 0.0
        self._duplicates = DuplicateTracker()
        self._later: list[DeadLetter] = []
        """Copies of what was taken already: settled when that is."""
        self.summary = Summary(run=new_run("recover_dlq"), dry_run=options.dry_run)

    def go(self) -> Summary:
        """Work until nothing more comes. Raises IndexUnavailableError, ConfigError or DependencyError where the run was broken off.

        However it ends, what is not settled is given back at once, and the summary says what was done.
        """
        began = time.monotonic()
        with self._components() as (engine, disposer, extender):
            count = max(1, min(MAX_LANES, DEAD_LETTERS_IN_FLIGHT // self._options.batch_size))
            with ThreadPoolExecutor(count, thread_name_prefix="lane") as lanes:
                for lane in [lanes.submit(self._lane, number, engine, disposer, extender) for number in range(count)]:
                    lane.result()
            self._take_in_spill(engine, disposer)
            self._settle_copies(disposer)
            self._count_in_flight_elsewhere(extender)
        self.summary.seconds = time.monotonic() - began
        if self._failure is not None:
            self.summary.stopped_by = str(self._failure)
            raise self._failure
        return self.summary

    @contextmanager
    def _components(self) -> Iterator[tuple[RecoveryEngine, Disposer, VisibilityExtender]]:
        settings, clients, options = self._settings, self._clients, self._options
        with ExitStack() as stack:
            attributes = clients.dlq.attributes()
            extender = stack.enter_context(VisibilityExtender(clients.dlq, visibility_s=self._hidden_s).running())
            extractor = stack.enter_context(closing(make_extractor(settings)))
            retry = stack.enter_context(closing(RetryStore(clients.state)))
            pool = stack.enter_context(ThreadPoolExecutor(OBSERVERS, thread_name_prefix="look"))
            pipeline = Pipeline(settings, clients.objects, extractor=extractor)
            engine = RecoveryEngine(
                settings, clients, pipeline=pipeline, retry=retry, pool=pool, stopping=self._stop, dry_run=options.dry_run
            )  # fmt: skip
            archive = Archive(clients.state, clients.dlq.url, who(), self.summary.run)
            retention_s = int(attributes.get("MessageRetentionPeriod", RETENTION_S))
            yield engine, Disposer(clients, extender, archive, pool, retention_s=retention_s), extender

    # -- lanes ---------------------------------------------------------------------------------------------------

    def _lane(self, number: int, engine: RecoveryEngine, disposer: Disposer, extender: VisibilityExtender) -> None:
        """One batch after another. All lanes but the first wait until the judge has heard enough to trust the run."""
        while not self._is_over():
            if number and not self._trusted.wait(TURN_S):
                continue
            try:
                batch = self._take(extender)
                if batch:
                    self._work(batch, engine, disposer)
            except WorkerError as error:
                self._break_off(error)

    def _is_over(self) -> bool:
        return self._stop.is_set() or self._over.is_set() or self._empty_polls >= EMPTY_POLLS

    def _break_off(self, error: WorkerError) -> None:
        """The first error that concerns the run as a whole ends it."""
        with self._lock:
            if self._failure is None:
                self._failure = error
        self._over.set()

    def _take(self, extender: VisibilityExtender) -> list[DeadLetter]:
        """A batch to work on; what is not to be worked on stays held, so that it does not come round again."""
        if not self._has_batch():
            return []
        self._wait_for_turn()
        found = retry_transient(
            lambda: receive(self._clients.dlq, self._options.batch_size, visibility_s=self._hidden_s),
            transient=is_transient, stop=self._stop,
        )  # fmt: skip
        extender.keep(found)
        with self._lock:
            self._empty_polls = 0 if found else self._empty_polls + 1
            if not found and self._batches_left is not None:
                self._batches_left += 1
            batch = [dead_letter for dead_letter in found if self._is_wanted(dead_letter)]
            wanted = self._options.ids
            if wanted is not None and self._duplicates.has_all(wanted):
                self._over.set()
        return batch

    def _has_batch(self) -> bool:
        """Whether --max-batches allows one more; counts it."""
        with self._lock:
            if self._batches_left == 0:
                self._over.set()
                return False
            if self._batches_left is not None:
                self._batches_left -= 1
            return True

    def _wait_for_turn(self) -> None:
        """Hold to --rate."""
        if self._options.rate is None:
            return
        with self._lock:
            turn = max(self._next_at, time.monotonic())
            self._next_at = turn + self._options.batch_size / self._options.rate
        self._stop.wait(max(0.0, turn - time.monotonic()))

    def _is_wanted(self, dead_letter: DeadLetter) -> bool:
        if not self._is_selected(dead_letter):
            self.summary.not_selected += 1
            return False
        if self._duplicates.is_copy(dead_letter):
            self.summary.duplicates += 1
            self._later.append(dead_letter)
            return False
        return True

    def _is_selected(self, dead_letter: DeadLetter) -> bool:
        options = self._options
        if options.ids is not None and dead_letter.id not in options.ids:
            return False
        if options.kind is not None and dead_letter.kind != options.kind:
            return False
        return options.older_than_s is None or time.time() - dead_letter.sent_ms / 1000 >= options.older_than_s

    def _work(self, batch: list[DeadLetter], engine: RecoveryEngine, disposer: Disposer) -> None:
        verdicts, not_deleted = engine.examine(batch), 0
        with self._lock:
            self._abort_policy.hear(verdicts)  # before anything is archived or deleted
            if self._abort_policy.has_heard_enough:
                self._trusted.set()
        if not self._options.dry_run:
            verdicts, not_deleted = disposer.settle(verdicts)
        self.summary.add(verdicts, not_deleted=not_deleted)
        with self._lock:
            for verdict in verdicts:
                self._duplicates.note(verdict.dead_letter, verdict.disposition)
                _say(verdict, self._options)
            self._told(self.summary)

    # -- after the lanes -----------------------------------------------------------------------------------------

    def _take_in_spill(self, engine: RecoveryEngine, disposer: Disposer) -> None:
        """Work through `dead-letters/` as well."""
        try:
            batch: list[DeadLetter] = []
            for key in self._clients.state.keys(DEAD_LETTERS_PREFIX):
                if self._stop.is_set() or self._over.is_set():
                    return
                if (dead_letter := _spilled(self._clients, key)) is not None and self._is_wanted(dead_letter):
                    batch.append(dead_letter)
                if len(batch) == self._options.batch_size:
                    self._wait_for_turn()
                    self._work(batch, engine, disposer)
                    batch = []
                    if not self._has_batch():
                        return
            if batch:
                self._work(batch, engine, disposer)
        except WorkerError as error:
            self._break_off(error)

    def _settle_copies(self, disposer: Disposer) -> None:
        """Copies of what was settled are deleted; the others are given back."""
        if self._options.dry_run:
            return
        done = [dead_letter for dead_letter in self._later if self._duplicates.is_settled(dead_letter)]
        self.summary.settled_not_deleted += disposer.delete(done)

    def _count_in_flight_elsewhere(self, extender: VisibilityExtender) -> None:
        """How much others hold just now."""
        try:
            in_flight = int(self._clients.dlq.attributes().get("ApproximateNumberOfMessagesNotVisible", 0))
            self.summary.in_flight_elsewhere = max(0, in_flight - len(extender))
        except QueueError as error:
            emit(LogEvent.HEARTBEAT_FAILED, "warning", count=0, seconds=0, code=error.code, error=str(error))


def _spilled(clients: Clients, key: str) -> DeadLetter | None:
    try:
        return spilled(clients.state, key)
    except ValueError as error:
        emit(LogEvent.RECOVER_NOT_A_DEAD_LETTER, "warning", name=key, error=str(error))
        return None


def _say(verdict: Verdict, options: Options) -> None:
    unusual = verdict.disposition in {Disposition.ARCHIVED, Disposition.KEPT, Disposition.STORED_FOR_RETRY}
    emit(
        LogEvent.RECOVER_SETTLED, "warning" if unusual else "debug", message_id=verdict.dead_letter.id,
        result=verdict.disposition, key=verdict.about, error_type=verdict.error_type, reason=verdict.reason,
        dry_run=options.dry_run,
    )  # fmt: skip
