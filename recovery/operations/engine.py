"""The engine of every recovery: a batch of dead letters is held against S3 and the index as they are now.

What is still to be done is done, and confirmed; what each letter came to is its verdict. Settling is another's job.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from worker.core.base.classify import is_transient
from worker.core.base.concurrency import as_done
from worker.core.base.errors import ExtractionStoppedError, MalformedEventError, StoreError
from worker.core.base.events import LogEvent
from worker.core.base.logs import emit
from worker.core.base.retry import retry_transient
from worker.core.base.settings import Settings
from worker.core.clients import Clients
from worker.core.extract import FAILURES
from worker.core.index import Stored, WriteResult, WriteStatus
from worker.core.index.document import Write
from worker.core.indexing.pipeline import MAX_OBSERVATION_AGE_MS, Pipeline, Product
from worker.core.indexing.retry_store import RetryRecord, RetryStore
from worker.core.s3.events import Item, ObjectRef, parse
from worker.core.sqs.dead_letter import DeadLetter

WINDOW = 32
"""Objects of one batch under way at once: what bounds memory."""

LONGEST_WAIT_MS = 5_000
"""A look waits so long at most for others to share its request."""


class Disposition(StrEnum):
    """What became of a letter; of several records, the last in this list counts."""

    SKIPPED = "skipped"
    """It asks for nothing: a test event, a folder, an excluded key."""
    ALREADY_INDEXED = "already_indexed"
    """The index holds the object with S3's present etag."""
    GONE = "gone"
    """The object is no longer there, nor its document."""
    RECOVERED = "recovered"
    """Read, indexed and confirmed."""
    STORED_FOR_RETRY = "stored_for_retry"
    """The index rejects the document for itself: in `retry-index/`."""
    ARCHIVED = "archived"
    """It fails for its own fault: in `dlq-archive/`."""
    KEPT = "kept"
    """Nothing was decided, for a passing reason."""


_BADNESS = {disposition: place for place, disposition in enumerate(Disposition)}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one letter came to, and why where that is not plain."""

    dead_letter: DeadLetter
    disposition: Disposition
    about: str | None = None
    """Key of the (first) object it speaks of."""
    reason: str = ""
    error_type: str = ""
    """What failed, as a name to group by: an exception's with S3's code, or the index's own."""


@dataclass(frozen=True, slots=True)
class _Effect:
    """What one record of a letter came to; its write is still to be confirmed."""

    dead_letter: int
    disposition: Disposition
    write: Write | None = None
    reason: str = ""
    error_type: str = ""


class RecoveryEngine:
    """Works on batches. `examine` may run on several threads at once."""

    def __init__(
        self, settings: Settings, clients: Clients, pipeline: Pipeline, retry: RetryStore, pool: Executor, *,
        stopping: Any, dry_run: bool,
    ) -> None:  # fmt: skip
        """`pool` does the looking; `stopping` (an Event) ends waits between attempts; a dry run writes nothing."""
        self._settings = settings
        self._clients = clients
        self._pipeline = pipeline
        self._retry = retry
        self._pool = pool
        self._stopping = stopping
        self._dry_run = dry_run

    def examine(self, dead_letters: Sequence[DeadLetter]) -> list[Verdict]:
        """A verdict for each letter, in order: whatever it needed of the index is written and confirmed.

        Raises IndexUnavailableError; then every letter is to stay where it is.
        """
        found: list[list[_Effect]] = [[] for _ in dead_letters]
        work: list[tuple[int, ObjectRef]] = []
        abouts: list[str | None] = []
        for number, dead_letter in enumerate(dead_letters):
            items = self._items(dead_letter)
            abouts.append(next((item.key for item in items if isinstance(item, ObjectRef)), None))
            for item in items:
                if isinstance(item, ObjectRef) and self._pipeline.skip_reason(item) is None:
                    work.append((number, item))
                else:
                    found[number].append(_without_object(number, item, self._pipeline))
        for effect in self._carried_out(work):
            found[effect.dead_letter].append(effect)
        return [
            _verdict(dead_letter, effects, about)
            for dead_letter, effects, about in zip(dead_letters, found, abouts, strict=True)
        ]

    def _items(self, dead_letter: DeadLetter) -> list[Item]:
        try:
            return parse(dead_letter.body, default_bucket=self._settings.s3_bucket)
        except MalformedEventError as error:
            return [error]

    # -- looking -------------------------------------------------------------------------------------------------

    def _carried_out(self, work: list[tuple[int, ObjectRef]]) -> list[_Effect]:
        """Look at every object, and write what is to be written as it comes in."""
        known = self._known({(ref.bucket, ref.key) for _, ref in work})
        done: list[_Effect] = []
        waiting: list[_Effect] = []

        def observe(one: tuple[int, ObjectRef]) -> _Effect:
            return self._observe(one[0], one[1], known)

        for effect in as_done(self._pool, observe, work, window=WINDOW):
            if effect is not None and (effect.write is None or self._dry_run):
                done.append(effect)
            elif effect is not None:
                waiting.append(effect)
            if waiting and (effect is None or self._is_due([one.write for one in waiting if one.write])):
                done += self._written(waiting)
                waiting = []
        return done + self._written(waiting)

    def _is_due(self, writes: list[Write]) -> bool:
        """Whether a request is full, or a look has waited long enough for slow files beside it."""
        settings = self._settings
        full = len(writes) >= settings.bulk_documents or sum(w.size_bytes for w in writes) >= settings.bulk_bytes
        return full or self._clients.objects.clock.now_ms() - writes[0].version > LONGEST_WAIT_MS

    def _known(self, objects: set[tuple[str, str]]) -> Mapping[tuple[str, str], Stored | None]:
        wanted = sorted(objects)
        if not wanted:
            return {}
        found = retry_transient(lambda: self._clients.index.stored(wanted), transient=is_transient, stop=self._stopping)
        return dict(zip(wanted, found, strict=True))

    def _observe(self, dead_letter: int, ref: ObjectRef, known: Mapping[tuple[str, str], Stored | None]) -> _Effect:
        """Never raises: what goes wrong with one object is its own effect."""
        try:
            if self._is_indexed(ref, known[ref.bucket, ref.key]):
                return _Effect(dead_letter, Disposition.ALREADY_INDEXED)
            return self._read(dead_letter, ref)
        except StoreError as error:
            own = self._clients.objects.is_object_fault(error, ref.bucket, ref.key)
            disposition = Disposition.ARCHIVED if own else Disposition.KEPT
            return _Effect(dead_letter, disposition, reason=str(error), error_type=f"StoreError {error.code}")
        except (ExtractionStoppedError, OSError) as error:
            return _Effect(dead_letter, Disposition.KEPT, reason=str(error), error_type=type(error).__name__)
        except Exception as error:  # noqa: BLE001 (a bug of ours must not cost a letter: it stays where it is)
            emit(LogEvent.RECOVER_BUG, "error", bucket=ref.bucket, key=ref.key, error=repr(error), exc_info=error)
            return _Effect(dead_letter, Disposition.KEPT, reason=repr(error), error_type=type(error).__name__)

    def _is_indexed(self, ref: ObjectRef, known: Stored | None) -> bool:
        if known is None or known.etag is None or known.extraction_status in FAILURES:
            return False
        etag, _ = self._try(lambda: self._clients.objects.head(ref.bucket, ref.key))
        return bool(etag == known.etag)

    def _read(self, dead_letter: int, ref: ObjectRef) -> _Effect:
        found = self._try(lambda: self._pipeline.read(ref.bucket, ref.key))
        product: Product = (
            found if isinstance(found, Product) else self._pipeline.document(found, extra={"recovery_source": "dlq"})
        )
        if product.write.is_removal:
            return _Effect(dead_letter, Disposition.GONE, product.write)
        if product.fault is not None:  # findable by its name all the same
            name = type(product.fault).__name__
            return _Effect(dead_letter, Disposition.ARCHIVED, product.write, str(product.fault), name)
        return _Effect(dead_letter, Disposition.RECOVERED, product.write)

    def _try(self, call: Callable[[], Any]) -> Any:
        return retry_transient(call, transient=is_transient, stop=self._stopping)

    # -- writing -------------------------------------------------------------------------------------------------

    def _written(self, effects: list[_Effect]) -> list[_Effect]:
        """Write them; what the index rejects is stored for retry. Raises IndexUnavailableError where it takes nothing now."""
        oldest_ms = self._clients.objects.clock.now_ms() - MAX_OBSERVATION_AGE_MS
        stale = [effect for effect in effects if effect.write is not None and effect.write.version < oldest_ms]
        if stale:  # an object that changes all the time, or that waited too long
            fresh = self._written([effect for effect in effects if effect not in stale])
            return fresh + [
                replace(one, disposition=Disposition.KEPT, reason="its look is too old to be written") for one in stale
            ]
        writes = [effect.write for effect in effects if effect.write is not None]
        if not writes:
            return effects

        results: list[WriteResult] = self._try(lambda: self._clients.write(writes))
        rejected = [
            (at, RetryRecord(writes[at], result.reason, rejected=True))
            for at, result in enumerate(results)
            if result.status is WriteStatus.REJECTED
        ]
        for (at, record), error in zip(rejected, self._retry.put_all([one for _, one in rejected]), strict=True):
            disposition, reason = Disposition.STORED_FOR_RETRY, record.reason
            if error is not None:
                disposition, reason = Disposition.KEPT, f"neither the index nor retry-index/ takes it: {error}"
            elif effects[at].disposition is Disposition.ARCHIVED:
                continue  # its file is at fault, whatever the index says of what was left of it
            effects[at] = replace(
                effects[at], disposition=disposition, reason=reason, error_type=record.reason.split(":")[0]
            )
        for at, result in enumerate(results):
            if result.status is WriteStatus.UNAVAILABLE:  # this one alone: a run must not end for it
                effects[at] = replace(
                    effects[at], disposition=Disposition.KEPT, reason=result.reason, error_type="IndexUnavailableError"
                )
        return effects


def _without_object(dead_letter: int, item: Item, pipeline: Pipeline) -> _Effect:
    """Of a record that names no object of ours."""
    match item:
        case MalformedEventError() as error:
            return _Effect(dead_letter, Disposition.ARCHIVED, reason=str(error), error_type=type(error).__name__)
        case ObjectRef() as ref:
            return _Effect(dead_letter, Disposition.SKIPPED, reason=pipeline.skip_reason(ref) or "")
        case skipped:
            return _Effect(dead_letter, Disposition.SKIPPED, reason=skipped.reason)


def _verdict(dead_letter: DeadLetter, effects: list[_Effect], about: str | None) -> Verdict:
    worst = max(effects, key=lambda effect: _BADNESS[effect.disposition])
    return Verdict(dead_letter, worst.disposition, about, worst.reason, worst.error_type)
