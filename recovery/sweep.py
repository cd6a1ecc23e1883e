"""One run over the DLQ: batches are taken, judged and settled side by side, until nothing more comes."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass

from recovery.actions import Engine, Finding, Verdict
from recovery.archive import Archive
from recovery.audit import new_run, who
from recovery.hold import Hold
from recovery.judge import Judge
from recovery.letters import Letter, receive, spilled
from recovery.seen import Seen
from recovery.settle import Settler
from recovery.summary import Summary
from worker.core.classify import FailureKind, is_passing
from worker.core.errors import ConfigError, DependencyError, IndexAwayError, QueueError, StoreError, WorkerError
from worker.core.logs import emit
from worker.core.outside import Outside, make_extractor
from worker.core.pipeline import Pipeline
from worker.core.retry import in_place
from worker.core.retrystore import RetryStore
from worker.core.settings import Settings
from worker.core.state import SPILL_PREFIX

MAX_LANES = 16
"""Batches worked on at once: while one waits for the index, others read."""
LETTERS_IN_HAND = 800
"""In all lanes together, about: larger batches have fewer lanes."""
LOOKERS = 32
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


class Sweep:
    """One run. `go` is called once."""

    def __init__(
        self,
        settings: Settings,
        outside: Outside,
        options: Options,
        *,
        stop: threading.Event,
        told: Told = lambda _: None,
    ) -> None:
        """`stop` ends the run between two batches; `told` hears of every batch."""
        self._settings = settings
        self._outside = outside
        self._options = options
        self._hidden_s = min(HIDDEN_S, settings.sqs_visibility_timeout)
        self._stop = stop
        self._told = told
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._trusted = threading.Event()
        self._failure: WorkerError | None = None
        self._judge = Judge()
        self._batches_left = options.max_batches
        self._empty_polls = 0
        self._next_at = 0.0
        self._seen = Seen()
        self._later: list[Letter] = []
        """Copies of what was taken already: settled when that is."""
        self.summary = Summary(run=new_run("recover_dlq"), dry_run=options.dry_run)

    def go(self) -> Summary:
        """Work until nothing more comes. Raises IndexAwayError, ConfigError or DependencyError where the run was broken off.

        However it ends, what is not settled is given back at once, and the summary says what was done.
        """
        began = time.monotonic()
        with self._parts() as (engine, settler, hold):
            count = max(1, min(MAX_LANES, LETTERS_IN_HAND // self._options.batch_size))
            with ThreadPoolExecutor(count, thread_name_prefix="lane") as lanes:
                for lane in [lanes.submit(self._lane, number, engine, settler, hold) for number in range(count)]:
                    lane.result()
            self._take_in_spill(engine, settler)
            self._settle_copies(settler)
            self._look_around(hold)
        self.summary.seconds = time.monotonic() - began
        if self._failure is not None:
            self.summary.stopped_by = str(self._failure)
            raise self._failure
        return self.summary

    @contextmanager
    def _parts(self) -> Iterator[tuple[Engine, Settler, Hold]]:
        settings, outside, options = self._settings, self._outside, self._options
        with ExitStack() as stack:
            attributes = outside.dlq.attributes()
            hold = stack.enter_context(Hold(outside.dlq, visibility_s=self._hidden_s).running())
            extractor = stack.enter_context(closing(make_extractor(settings)))
            retry = stack.enter_context(closing(RetryStore(outside.state)))
            pool = stack.enter_context(ThreadPoolExecutor(LOOKERS, thread_name_prefix="look"))
            pipeline = Pipeline(settings, outside.objects, extractor)
            engine = Engine(settings, outside, pipeline, retry, pool, stopping=self._stop, dry_run=options.dry_run)
            archive = Archive(outside.state, outside.dlq.url, who(), self.summary.run)
            retention_s = int(attributes.get("MessageRetentionPeriod", RETENTION_S))
            yield engine, Settler(outside, hold, archive, pool, retention_s=retention_s), hold

    # -- lanes ---------------------------------------------------------------------------------------------------

    def _lane(self, number: int, engine: Engine, settler: Settler, hold: Hold) -> None:
        """One batch after another. All lanes but the first wait until the judge has heard enough to trust the run."""
        while not self._is_over():
            if number and not self._trusted.wait(TURN_S):
                continue
            try:
                batch = self._take(hold)
                if batch:
                    self._work(batch, engine, settler)
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

    def _take(self, hold: Hold) -> list[Letter]:
        """A batch to work on; what is not to be worked on stays held, so that it does not come round again."""
        if not self._has_batch():
            return []
        self._wait_for_turn()
        found = in_place(
            lambda: receive(self._outside.dlq, self._options.batch_size, visibility_s=self._hidden_s),
            passing=is_passing, stop=self._stop,
        )  # fmt: skip
        hold.keep(found)
        with self._lock:
            self._empty_polls = 0 if found else self._empty_polls + 1
            if not found and self._batches_left is not None:
                self._batches_left += 1
            batch = [letter for letter in found if self._is_wanted(letter)]
            wanted = self._options.ids
            if wanted is not None and self._seen.has_all(wanted):
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

    def _is_wanted(self, letter: Letter) -> bool:
        if not self._is_selected(letter):
            self.summary.not_selected += 1
            return False
        if self._seen.is_copy(letter):
            self.summary.duplicates += 1
            self._later.append(letter)
            return False
        return True

    def _is_selected(self, letter: Letter) -> bool:
        options = self._options
        if options.ids is not None and letter.id not in options.ids:
            return False
        if options.kind is not None and letter.kind != options.kind:
            return False
        return options.older_than_s is None or time.time() - letter.sent_ms / 1000 >= options.older_than_s

    def _work(self, batch: list[Letter], engine: Engine, settler: Settler) -> None:
        verdicts, not_deleted = engine.examine(batch), 0
        with self._lock:
            self._judge.hear(verdicts)  # before anything is archived or deleted
            if self._judge.has_heard_enough:
                self._trusted.set()
        if not self._options.dry_run:
            verdicts, not_deleted = settler.settle(verdicts)
        self.summary.add(verdicts, not_deleted=not_deleted)
        with self._lock:
            for verdict in verdicts:
                self._seen.note(verdict.letter, verdict.finding)
                _say(verdict, self._options)
            self._told(self.summary)

    # -- after the lanes -----------------------------------------------------------------------------------------

    def _take_in_spill(self, engine: Engine, settler: Settler) -> None:
        """Work through `dlq-spill/` as well."""
        try:
            batch: list[Letter] = []
            for key in self._outside.state.keys(SPILL_PREFIX):
                if self._stop.is_set() or self._over.is_set():
                    return
                if (letter := _spilled(self._outside, key)) is not None and self._is_wanted(letter):
                    batch.append(letter)
                if len(batch) == self._options.batch_size:
                    self._wait_for_turn()
                    self._work(batch, engine, settler)
                    batch = []
                    if not self._has_batch():
                        return
            if batch:
                self._work(batch, engine, settler)
        except WorkerError as error:
            self._break_off(error)

    def _settle_copies(self, settler: Settler) -> None:
        """Copies of what was settled are deleted; the others are given back."""
        if self._options.dry_run:
            return
        done = [letter for letter in self._later if self._seen.is_settled(letter)]
        self.summary.settled_not_deleted += settler.delete(done)

    def _look_around(self, hold: Hold) -> None:
        """How much others hold just now."""
        try:
            in_flight = int(self._outside.dlq.attributes().get("ApproximateNumberOfMessagesNotVisible", 0))
            self.summary.in_flight_elsewhere = max(0, in_flight - len(hold))
        except QueueError as error:
            emit("hold.failed", "warning", count=0, seconds=0, code=error.code, error=str(error))


def check_door(settings: Settings, outside: Outside) -> None:
    """Raises ConfigError or DependencyError with what is wrong, before anything is touched."""
    try:
        outside.dlq.attributes()
    except QueueError as error:
        kind = DependencyError if is_passing(error) else ConfigError
        raise kind(f"DLQ_QUEUE_URL={outside.dlq.url}: {error}") from error
    check_state_and_index(settings, outside)


def check_state_and_index(settings: Settings, outside: Outside) -> None:
    """Raises ConfigError or DependencyError where the state bucket or the index cannot be used."""
    try:
        outside.objects.check_bucket(settings.state)
        outside.index.ping()
    except StoreError as error:
        kind = DependencyError if is_passing(error) else ConfigError
        raise kind(f"the state bucket {settings.state}: {error}") from error
    except IndexAwayError as error:
        raise DependencyError(f"{error}. Nothing was touched: recovery needs the index") from error


def _spilled(outside: Outside, key: str) -> Letter | None:
    try:
        return spilled(outside.state, key)
    except ValueError as error:
        emit("recover.not_a_letter", "warning", name=key, error=str(error))
        return None


def _say(verdict: Verdict, options: Options) -> None:
    unusual = verdict.finding in {Finding.ARCHIVED, Finding.KEPT, Finding.STORED_FOR_RETRY}
    emit(
        "recover.settled", "warning" if unusual else "debug", message_id=verdict.letter.id, finding=verdict.finding,
        key=verdict.about, error_type=verdict.error_type, reason=verdict.reason, dry_run=options.dry_run,
    )  # fmt: skip
