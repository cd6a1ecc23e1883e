"""One run of `recover`: receives, examines and settles batches in parallel until the DLQ returns nothing more."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from itertools import islice

from recovery.operations.abort_policy import AbortPolicy
from recovery.operations.clients import retention_of
from recovery.operations.dead_letters.scan import INVISIBLE_S, NOWHERE, receive
from recovery.operations.dead_letters.stored import stored_named, stored_open
from recovery.operations.engine import Disposition, RecoveryEngine, Verdict
from recovery.operations.progress import OnProgress, Progress, ignore_progress
from recovery.operations.records.archive import Archive
from recovery.operations.recovering.disposer import Disposer
from recovery.operations.recovering.duplicates import DuplicateTracker
from recovery.operations.recovering.request import (
    DUPLICATES,
    IN_FLIGHT_ELSEWHERE,
    NOT_DELETED,
    NOT_FOUND,
    NOT_SELECTED,
    RECOVERY,
    RecoverRequest,
)
from recovery.operations.report import Report
from recovery.operations.transfer.claims import Claims
from worker.core.base.classify import is_transient
from worker.core.base.concurrency import Pace
from worker.core.base.errors import WorkerError
from worker.core.base.events import LogEvent
from worker.core.base.logs import emit
from worker.core.base.retry import retry_transient
from worker.core.base.settings import Settings
from worker.core.clients import Clients, make_extractor
from worker.core.indexing.pipeline import Pipeline
from worker.core.indexing.retry_store import RetryStore
from worker.core.s3.state import State
from worker.core.sqs.dead_letter import DeadLetter
from worker.core.sqs.stored_dead_letter import StoredDeadLetter
from worker.core.sqs.visibility import VisibilityExtender

MAX_LANES = 16
"""Maximum number of batches processed at once: while one waits for the index, others read."""
DEAD_LETTERS_IN_FLIGHT = 800
"""Approximate maximum for all lanes together; with larger batches, there are fewer lanes."""
OBSERVERS = 32
"""Number of objects observed at once, because each takes network round trips."""
TURN_S = 0.1
CLAIMED = "Claimed"
"""The error type of a stored dead letter on which another run is acting."""
EMPTY_POLLS = 2
"""Number of one-second polls without a message after which a run ends."""


class RecoveryRun:
    """One run. `run` must be called only once."""

    def __init__(
        self, settings: Settings, clients: Clients, request: RecoverRequest, *, stop: threading.Event,
        on_progress: OnProgress = ignore_progress,
    ) -> None:  # fmt: skip
        """`stop` ends the run between two batches; `on_progress` is called after every batch."""
        self._settings = settings
        self._clients = clients
        self._request = request
        self._invisible_s = min(INVISIBLE_S, settings.sqs_visibility_timeout)  # never longer than the worker's own
        self._stop = stop
        self._on_progress = on_progress
        self._total: int | None = None
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._trusted = threading.Event()
        self._abort_policy = AbortPolicy(accept_gone=request.accept_gone, accept_skipped=request.accept_skipped)
        self._batches_left = request.max_batches
        self._empty_polls = 0
        self._pace = Pace(request.rate)
        self._duplicates = DuplicateTracker()
        self._missing = set(request.ids or ())
        """The given ids of which nothing was found yet."""
        self._awaited = set(request.ids or ())
        """The given ids that were not yet found as a dead letter's own. Another id may be forged, so reading goes on."""
        self._kept: set[str] = set()
        """The ids of those that this run has kept; it may have stored them, and does not handle them again there."""
        self._copies: list[DeadLetter] = []
        """Copies of dead letters that were received before; they are settled once their originals are."""
        self.report = Report(RECOVERY, dry_run=request.dry_run, about={"run": request.run.name})

    def run(self) -> Report:
        """Process batches until the DLQ returns nothing more. The report contains the error that ended the run early, if any.

        At the end, also after an error, all messages that were not settled are released.
        """
        began = time.monotonic()
        try:
            with self._components() as (engine, disposer, claims):
                self._process_named(engine, disposer, claims)
                count = max(1, min(MAX_LANES, DEAD_LETTERS_IN_FLIGHT // self._request.batch_size))
                with ThreadPoolExecutor(count, thread_name_prefix="lane") as lanes:
                    for lane in [lanes.submit(self._lane, at, engine, disposer, claims) for at in range(count)]:
                        lane.result()
                self._count_in_flight_elsewhere(claims.extender)
                claims.extender.release_all_but(self._copies)  # nothing more is received in this run
                self._process_stored(self._stored_others, engine, disposer, claims)
                self._settle_copies(disposer)
                self._count_missing()
        except WorkerError as error:
            self._break_off(error)
        self.report.seconds = time.monotonic() - began
        return self.report

    @contextmanager
    def _components(self) -> Iterator[tuple[RecoveryEngine, Disposer, Claims]]:
        settings, clients, request = self._settings, self._clients, self._request
        with ExitStack() as stack:
            attributes = clients.dlq.attributes()
            self._total = int(attributes.get("ApproximateNumberOfMessages", 0))
            self._on_progress(Progress(0, self._total))
            extender = VisibilityExtender(clients.dlq, visibility_s=self._invisible_s)
            clock = clients.objects.clock
            claims = stack.enter_context(Claims(clients.dlq, clients.state, request.run, extender, clock).running())
            extractor = stack.enter_context(closing(make_extractor(settings)))
            retry = stack.enter_context(closing(RetryStore(clients.state)))
            pool = stack.enter_context(ThreadPoolExecutor(OBSERVERS, thread_name_prefix="observe"))
            pipeline = Pipeline(settings, clients.objects, extractor=extractor)
            engine = RecoveryEngine(
                settings, clients, pipeline=pipeline, retry=retry, pool=pool, types=request.types, stopping=self._stop,
                dry_run=request.dry_run, archive_system_errors=request.archive_system_errors,
            )  # fmt: skip
            archive = Archive(clients.state, clients.dlq.url, request.run.by, request.run.name)
            disposer = Disposer(claims, archive, pool, retention_s=retention_of(attributes))
            yield engine, disposer, claims

    # -- lanes ---------------------------------------------------------------------------------------------------

    def _lane(self, number: int, engine: RecoveryEngine, disposer: Disposer, claims: Claims) -> None:
        """Process one batch after another. The other lanes start only once the first has handled enough to trust the run."""
        while not self._is_over():
            if number and not self._trusted.wait(TURN_S):
                continue
            try:
                if batch := self._receive_batch(claims.extender):
                    self._process(batch, engine, disposer)
            except WorkerError as error:
                self._break_off(error)
            except BaseException:
                self._over.set()  # the other lanes wait for this one until it can be trusted
                raise

    def _is_over(self) -> bool:
        return self._has_ended() or self._empty_polls >= EMPTY_POLLS

    def _has_ended(self) -> bool:
        return self._stop.is_set() or self._over.is_set()

    def _break_off(self, error: WorkerError) -> None:
        """End the run. The first error is reported."""
        with self._lock:
            if self.report.failure is None:
                self.report.failure = error
        self._over.set()

    def _receive_batch(self, extender: VisibilityExtender) -> list[DeadLetter]:
        """Receive a batch to process. The other received messages stay invisible, so that they are not received again."""
        if not self._claim_batch() or not self._wait_for_turn():
            return []
        found = retry_transient(
            lambda: receive(self._clients.dlq, self._request.batch_size, visibility_s=self._invisible_s),
            transient=is_transient, stop=self._stop,
        )  # fmt: skip
        extender.keep(found)
        with self._lock:
            self._empty_polls = 0 if found else self._empty_polls + 1
            if not found and self._batches_left is not None:
                self._batches_left += 1
            batch = [dead_letter for dead_letter in found if self._admit(dead_letter)]
            if self._all_found():
                self._over.set()
        return batch

    def _all_found(self) -> bool:
        """Whether ids were given and each is that of a dead letter that was found."""
        return self._request.ids is not None and not self._awaited

    def _claim_batch(self) -> bool:
        """Use up one of the batches that --max-batches allows. If none is left, ends the run and returns False."""
        with self._lock:
            if self._batches_left == 0:
                self._over.set()
                return False
            if self._batches_left is not None:
                self._batches_left -= 1
            return True

    def _wait_for_turn(self) -> bool:
        """Wait until --rate allows another batch. Returns False if the run has ended meanwhile."""
        turn = self._pace.take(self._request.batch_size)
        while not self._has_ended() and (left_s := turn - time.monotonic()) > 0:
            self._over.wait(min(left_s, TURN_S))
        return not self._has_ended()

    def _admit(self, dead_letter: DeadLetter) -> bool:
        """Decide whether to process a dead letter. Otherwise, counts it, and sets a copy aside until its original is settled."""
        if not self._request.selects(dead_letter):
            self.report.also[NOT_SELECTED] += 1
            return False
        self._awaited.discard(dead_letter.id)
        self._missing -= dead_letter.names
        if not self._duplicates.add_if_new(dead_letter):
            self.report.also[DUPLICATES] += 1
            self._copies.append(dead_letter)
            return False
        return True

    def _process(self, batch: list[DeadLetter], engine: RecoveryEngine, disposer: Disposer) -> None:
        verdicts = engine.examine(batch)
        left: dict[str, str] = {}
        with self._lock:
            self._abort_policy.add(verdicts)  # before anything is archived or deleted
            if self._abort_policy.has_handled_enough:
                self._trusted.set()
        if not self._request.dry_run:
            verdicts, left = disposer.settle(verdicts)
        with self._lock:
            self.report.also[NOT_DELETED] += len(left)
            self._kept |= {one.dead_letter.id for one in verdicts if one.disposition is Disposition.KEPT}
            for verdict in verdicts:
                self._duplicates.note(verdict.dead_letter, verdict.disposition)
                self._add(verdict)
            counts = {result.value: count for result, count in self.report.counts.items()}
            self._on_progress(Progress(self.report.handled, self._total, counts))

    def _add(self, verdict: Verdict) -> None:
        """Add a verdict to the report, and log it."""
        result, name = verdict.disposition, verdict.dead_letter.id
        self.report.add(result, sample=name, reason=verdict.reason, error_type=verdict.error_type, cause=verdict.cause)
        is_shown = self._request.verbose and result in RECOVERY.explained
        emit(
            LogEvent.RECOVER_SETTLED, "warning" if is_shown else "debug", message_id=name,
            result=result, key=verdict.about, error_type=verdict.error_type, reason=verdict.reason,
            dry_run=self._request.dry_run,
        )  # fmt: skip

    # -- after the lanes -----------------------------------------------------------------------------------------

    def _process_named(self, engine: RecoveryEngine, disposer: Disposer, claims: Claims) -> None:
        """Process the stored dead letters whose ids were given; without reading any other."""
        ids = self._request.ids
        if ids is not None:
            self._process_stored(lambda state: stored_named(state, ids), engine, disposer, claims)
            if self._all_found():
                self._over.set()

    def _process_stored(
        self, read: Callable[[State], Iterator[StoredDeadLetter]], engine: RecoveryEngine, disposer: Disposer, claims: Claims
    ) -> None:  # fmt: skip
        """Process `dead-letters/` as well."""
        try:
            stored = (one.dead_letter for one in read(self._clients.state))
            admitted = (dead_letter for dead_letter in stored if self._admit(dead_letter))
            while not self._has_ended() and (batch := list(islice(admitted, self._request.batch_size))):
                is_turn = self._claim_batch() and self._wait_for_turn()
                if is_turn and (claimed := self._without_unclaimed(batch, claims)):
                    self._process(claimed, engine, disposer)
        except WorkerError as error:
            self._break_off(error)

    def _stored_others(self, state: State) -> Iterator[StoredDeadLetter]:
        """Those that can be acted upon, without those that this run has kept already, as the same or as a message of the DLQ."""
        found = stored_open(state, now_ms=self._clients.objects.clock.now_ms())
        return (one for one in found if self._kept.isdisjoint({one.dead_letter.id, *one.dead_letter.known_as}))

    def _without_unclaimed(self, batch: list[DeadLetter], claims: Claims) -> list[DeadLetter]:
        """Claim stored dead letters. Those on which others act are reported as kept."""
        refused = {} if self._request.dry_run else claims.take(batch)
        for dead_letter in batch:
            if (why := refused.get(dead_letter.id)) is not None:
                self._add(Verdict(dead_letter, Disposition.KEPT, reason=why, error_type=CLAIMED, cause=why))
        return [dead_letter for dead_letter in batch if dead_letter.id not in refused]

    def _settle_copies(self, disposer: Disposer) -> None:
        """Delete copies of settled dead letters; the others are released at the end."""
        if self._request.dry_run:
            return
        done = [dead_letter for dead_letter in self._copies if self._duplicates.is_settled(dead_letter)]
        self.report.also[NOT_DELETED] += len(disposer.delete(done, "copy of one that was settled"))

    def _count_missing(self) -> None:
        """Count the given ids that were not found, and name them."""
        self.report.also[NOT_FOUND] = len(self._missing)
        for name in sorted(self._missing):
            self._on_progress(Progress(self.report.handled, self._total, note=f"not found: {name}: {NOWHERE}"))

    def _count_in_flight_elsewhere(self, extender: VisibilityExtender) -> None:
        """Count the messages that other commands or workers keep invisible at present."""
        attributes = retry_transient(self._clients.dlq.attributes, transient=is_transient, stop=self._stop)
        in_flight = int(attributes.get("ApproximateNumberOfMessagesNotVisible", 0))
        self.report.also[IN_FLIGHT_ELSEWHERE] = max(0, in_flight - len(extender))
