"""The engine of every recovery: compares a batch of dead letters with the current state of S3 and the index.

It writes to the index what is missing there, confirms it, and returns a verdict for each dead letter. The Disposer then
settles the dead letters.
"""

import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import closing
from dataclasses import dataclass, replace
from enum import StrEnum

from recovery.operations.dead_letters.message_types import S3_EVENT, UNKNOWN, MessageTypes
from recovery.operations.recovering.giving_up import may_give_up
from worker.core.base.classify import FailureKind, is_transient, kind_of
from worker.core.base.errors import MalformedEventError, StoreError, UnreadableFileError
from worker.core.base.events import LogEvent
from worker.core.base.logs import emit
from worker.core.base.reasons import cause_of
from worker.core.base.retry import retry_transient
from worker.core.base.settings import Settings
from worker.core.clients import Clients
from worker.core.index import Stored
from worker.core.indexing.pipeline import Pipeline, Product, is_current
from worker.core.indexing.reindexer import ObjectName, Observation, Reindexed, Reindexer, Status
from worker.core.indexing.retry_store import RetryRecord, RetryStore
from worker.core.s3.events import Item, ObjectRef, Skipped, parse
from worker.core.sqs.dead_letter import DeadLetter

SKIPPED = "skipped"
FOREIGN_TYPE = "foreign type"
SKIPPED_BUCKET = "skipped bucket"
"""The error type of what is kept without a try, because too many others of its bucket could not be read."""
WINDOW = 32
"""Number of objects of one batch that are in flight at once; this limits the memory."""


class Disposition(StrEnum):
    """The result for a dead letter. If it has several records, the result that is last in this list counts."""

    SKIPPED = "skipped"
    """There is nothing to index: a test event, one that changes nothing, an excluded key. The message goes to `dlq-archive/`."""
    ALREADY_INDEXED = "already_indexed"
    """The index contains the object in its current state."""
    GONE = "gone"
    """The object no longer exists, and its document was removed."""
    RECOVERED = "recovered"
    """Read, indexed and confirmed."""
    STORED_FOR_RETRY = "stored_for_retry"
    """The index rejected the document, which is now in `retry-index/`."""
    ARCHIVED = "archived"
    """The message or its file is at fault; the message goes to `dlq-archive/`."""
    KEPT = "kept"
    """Undecided because of a transient error; or something else than the message or its file is at fault (giving_up.py)."""


_SEVERITY = {disposition: place for place, disposition in enumerate(Disposition)}


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result for one dead letter, with the reason if it is not obvious."""

    dead_letter: DeadLetter
    disposition: Disposition
    about: str | None = None
    """Key of the first object that it refers to."""
    reason: str = ""
    error_type: str = ""
    """Name of the error, for grouping: an exception's name with S3's code, or the error type of the index."""
    cause: str = ""
    """What verdicts of one cause have in common, in words; empty if nothing but the error type says so."""
    is_final: bool = False
    """Whether it is kept, and will be the next time, until somebody corrects the cause."""


@dataclass(frozen=True, slots=True)
class _Task:
    """One object that a dead letter refers to."""

    dead_letter: int
    """Position of the dead letter in its batch."""
    ref: ObjectRef

    @property
    def object_name(self) -> ObjectName:
        return self.ref.bucket, self.ref.key


@dataclass(frozen=True, slots=True)
class _Effect:
    """The result for one record of a dead letter, and the reason."""

    disposition: Disposition
    reason: str = ""
    error_type: str = ""
    cause: str = ""
    kind: FailureKind = FailureKind.USER_ERROR
    """Of what it fails for now, if it is to be archived."""
    is_final: bool = False


_Known = Mapping[ObjectName, Stored | None]


class RecoveryEngine:
    """Examines batches of dead letters. `examine` can run on several threads at once."""

    def __init__(
        self, settings: Settings, clients: Clients, *, pipeline: Pipeline, retry: RetryStore, pool: Executor,
        types: MessageTypes, stopping: threading.Event, dry_run: bool, archive_system_errors: bool = False,
    ) -> None:  # fmt: skip
        """A dry run writes nothing. `archive_system_errors`: see giving_up.py.

        `types` recognizes messages that are not ours; `pool` runs the observations; `stopping` ends waits between attempts,
        not batches.
        """
        self._default_bucket = settings.s3_bucket
        self._clients = clients
        self._pipeline = pipeline
        self._retry = retry
        self._reindexer = Reindexer(settings, clients, pool=pool, window=WINDOW)
        self._types = types
        self._stopping = stopping
        self._dry_run = dry_run
        self._archive_system_errors = archive_system_errors

    def examine(self, dead_letters: Sequence[DeadLetter]) -> list[Verdict]:
        """Return a verdict for each dead letter, in order, once everything it requires is written to the index and confirmed.

        Raises IndexUnavailableError; every dead letter must then stay where it is.
        """
        effects: list[list[_Effect]] = [[] for _ in dead_letters]
        tasks: list[_Task] = []
        abouts: list[str | None] = []
        for place, dead_letter in enumerate(dead_letters):
            foreign = self._types.of(dead_letter.body)
            if foreign not in {S3_EVENT, UNKNOWN}:
                abouts.append(None)
                why = f"it is a message of type {foreign}, which only its own consumer can process: redrive it"
                effects[place].append(_Effect(Disposition.KEPT, why, FOREIGN_TYPE, why, is_final=True))
                continue
            items = self._items(dead_letter)
            abouts.append(next((item.key for item in items if isinstance(item, ObjectRef)), None))
            for item in items:
                if isinstance(item, ObjectRef):
                    tasks.append(_Task(place, item))
                else:
                    effects[place].append(_without_object(item))
        for task, effect in self._carry_out(tasks):
            effects[task.dead_letter].append(effect)
        return [self._verdict(*one) for one in zip(dead_letters, effects, abouts, strict=True)]

    def _verdict(self, dead_letter: DeadLetter, effects: list[_Effect], about: str | None) -> Verdict:
        settled = [self._kept_unless_at_fault(dead_letter, effect) for effect in effects]
        worst = max(settled, key=lambda effect: _SEVERITY[effect.disposition])
        return Verdict(
            dead_letter, worst.disposition, about, worst.reason, worst.error_type, worst.cause, worst.is_final
        )

    def _kept_unless_at_fault(self, dead_letter: DeadLetter, effect: _Effect) -> _Effect:
        """The result for a record; one that must not be given up is kept instead."""
        if effect.disposition is not Disposition.ARCHIVED or may_give_up(
            failed=dead_letter.kind, fails=effect.kind, asked=self._archive_system_errors
        ):
            return effect
        return replace(effect, disposition=Disposition.KEPT, is_final=True)

    def _items(self, dead_letter: DeadLetter) -> list[Item]:
        try:
            return parse(dead_letter.body, default_bucket=self._default_bucket)
        except MalformedEventError as error:
            return [error]

    def _carry_out(self, tasks: list[_Task]) -> Iterator[tuple[_Task, _Effect]]:
        """Observe every object, and write what has to be written."""
        known = self._known({task.object_name for task in tasks if self._pipeline.excluded(*task.object_name) is None})
        groups = self._reindexer.run(
            tasks, lambda task: self._observe(task.ref, known.get(task.object_name)),
            object_of=lambda task: task.object_name, stop=self._stopping, finish=True,
        )  # fmt: skip
        with closing(groups):
            for group in groups:
                yield from self._effects(group)

    def _known(self, objects: set[ObjectName]) -> _Known:
        """Return the documents of these objects in the index. Raises IndexUnavailableError."""
        wanted = sorted(objects)
        if not wanted or (self._dry_run and not self._clients.index.inspect().exists):  # a real run creates it
            return {}
        found = retry_transient(lambda: self._clients.index.stored(wanted), transient=is_transient, stop=self._stopping)
        return dict(zip(wanted, found, strict=True))

    def _observe(self, ref: ObjectRef, stored: Stored | None) -> Observation[_Effect]:
        if (why := self._reindexer.skipped.why(ref.bucket)) is not None:
            return Observation(_Effect(Disposition.KEPT, why, SKIPPED_BUCKET, why, is_final=True))
        if (why := self._pipeline.skip_reason(ref)) is not None:
            return Observation(_Effect(Disposition.SKIPPED, why, SKIPPED))
        if stored is not None and is_current(stored, self._clients.objects.head(ref.bucket, ref.key)[0]):
            return Observation(_Effect(Disposition.ALREADY_INDEXED))
        product = self._pipeline.build(ref.bucket, ref.key, extra={"recovery_source": "dlq"})
        return Observation(_planned(product), None if self._dry_run else product.write)

    def _effects(self, group: list[Reindexed[_Task, _Effect]]) -> list[tuple[_Task, _Effect]]:
        """Return the result of each task of a group. Documents that the index rejects are stored for retry."""
        effects = [_effect_of(one) for one in group]
        rejected = [
            (place, RetryRecord(one.write, one.reason, rejected=True))
            for place, one in enumerate(group)
            if one.status is Status.REJECTED and one.write is not None
        ]
        errors = self._retry.put_all([record for _, record in rejected])
        for (place, record), error in zip(rejected, errors, strict=True):
            effects[place] = _rejected(effects[place], record.reason, error)
        return [(one.item, effect) for one, effect in zip(group, effects, strict=True)]


def _without_object(item: Skipped | MalformedEventError) -> _Effect:
    """The result for a record without an object to index."""
    match item:
        case MalformedEventError() as error:
            return _at_fault(error)
        case Skipped(reason):
            return _Effect(Disposition.SKIPPED, reason, SKIPPED)


def _at_fault(error: MalformedEventError | UnreadableFileError) -> _Effect:
    return _Effect(Disposition.ARCHIVED, str(error), type(error).__name__, cause_of(error))


def _planned(product: Product) -> _Effect:
    """The result for an object that was read, once its write is confirmed."""
    if product.skipped:
        return _Effect(Disposition.SKIPPED, product.skipped, SKIPPED)
    if product.write.is_removal:
        return _Effect(Disposition.GONE)
    if product.fault is not None:  # its document without text can still be found by name
        return _at_fault(product.fault)
    return _Effect(Disposition.RECOVERED)


def _effect_of(one: Reindexed[_Task, _Effect]) -> _Effect:
    """The result of a task, not yet considering that the index may have rejected its document."""
    ref, error = one.item.ref, one.error
    if one.is_bug:
        emit(LogEvent.RECOVER_BUG, "error", bucket=ref.bucket, key=ref.key, error=repr(error), exc_info=error)
    if one.status is Status.OBJECT_FAULT:
        kind = FailureKind.UNKNOWN if error is None else kind_of(error)
        return _Effect(Disposition.ARCHIVED, one.reason, _error_type(error), cause_of(error, ref.bucket), kind)
    if one.status is Status.UNDECIDED or one.value is None:
        return _Effect(
            Disposition.KEPT, one.reason, _error_type(error), cause_of(error, ref.bucket), is_final=one.is_bug
        )
    return one.value


def _error_type(error: BaseException | None) -> str:
    if error is None:
        return "StaleObservation"
    code = f" {error.code}" if isinstance(error, StoreError) else ""
    return type(error).__name__ + code


def _rejected(effect: _Effect, reason: str, error: StoreError | None) -> _Effect:
    """The result if the index rejected the document; `error` is why it could not be stored for retry, None if it was."""
    error_type = reason.partition(":")[0]
    if error is not None:
        return _Effect(Disposition.KEPT, f"neither the index nor retry-index/ accepts it: {error}", error_type)
    if effect.disposition is Disposition.ARCHIVED:
        return effect  # the file is at fault, even if the index also rejects its document
    return _Effect(Disposition.STORED_FOR_RETRY, reason, error_type)
