"""`fix`: sends what is lost to the queue, or indexes it here, and removes documents without an object."""

import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice, takewhile

from recovery.operations.backfilling.gate import PauseWatch
from recovery.operations.progress import OnProgress, Progress, ignore_progress
from recovery.operations.reconciling.request import LOST, Reconciled, ReconcileRequest
from recovery.operations.reconciling.work_file import ORPHAN_NAME, WorkFile
from recovery.operations.recovering.direct import WINDOW_PER_THREAD, Indexed, direct_indexer
from recovery.operations.recovering.preconditions import make_ready
from recovery.operations.transfer.jobs import send_jobs
from recovery.operations.transfer.targets import refuse_while_paused
from worker.core.audit import AuditEvent, Recorded, record
from worker.core.base.clock import FUTURE_MS
from worker.core.base.concurrency import Pace
from worker.core.base.settings import Settings
from worker.core.clients import Clients
from worker.core.index.document import Write
from worker.core.indexing.reindexer import Observation, Reindexed, Reindexer, Status
from worker.core.s3.objects import is_gone
from worker.core.sqs.queue import MAX_BATCH

MAX_REMOVED, MAX_REMOVED_SHARE = 20, 0.1
"""If more documents than both would be removed, the listing is more likely to be wrong than the index."""
REFUSED_IN_A_ROW = 3
"""After so many batches in a row of which the queue took nothing, it is taken to be unavailable."""
MAX_REASONS = 50
"""Maximum number of reasons that are counted apart."""
OTHER_REASONS = "other reasons"
FUTURE = (
    "a version from the future keeps out every change until that time: run this again after it, or remove the document by hand "
    "(runbook, not-accounted-for)"
)
"""Why such a document is kept. The index remembers the version of one that is removed for `index.gc_deletes` (an hour in our
template) and refuses its object until then; a message can be delayed by 15 minutes at most, so the object would stay lost."""
EXISTS = "the object exists"
CHANGED = "the document has changed since it was found: run this again"
UNREADABLE = "the bucket cannot be read"

_Item = tuple[str, int | None]
"""Key and the version of its document, if there is one."""


@dataclass(frozen=True, slots=True)
class FixRequest:
    """How to fix what a reconciliation has found."""

    direct: bool = False
    """Index what is lost here and now, instead of sending it to the queue."""
    rate: float | None = None
    """Maximum number of objects per second that are sent or indexed; None for no limit."""
    force: bool = False
    while_paused: bool = False


@dataclass(slots=True)
class Fixed:
    """What was done, in numbers."""

    sent: int = 0
    """Objects sent to the queue."""
    indexed: int = 0
    """Objects indexed here, or found to be gone."""
    stored_for_retry: int = 0
    """Objects whose documents the index rejected; these are in `retry-index/`."""
    removed: int = 0
    """Documents removed because their object is gone."""
    kept: Counter[str] = field(default_factory=Counter)
    """What could not be fixed: the number for each reason, or code of an error."""
    examples: dict[str, str] = field(default_factory=dict)
    """For a reason: the first key, and what an error said of it."""
    stopped: bool = False
    """Whether a signal ended it early."""
    ended_by: str = ""
    """Why it ended early, if a service that it needs does not answer, or the fleet was paused meanwhile."""
    recorded: Recorded | None = None

    @property
    def is_complete(self) -> bool:
        """Whether nothing is left to be fixed."""
        return not (self.kept or self.stopped or self.ended_by)

    def keep(self, reason: str, example: str) -> None:
        """Count what could not be fixed."""
        if reason not in self.kept and len(self.kept) >= MAX_REASONS:
            reason = OTHER_REASONS
        self.kept[reason] += 1
        self.examples.setdefault(reason, example)

    def as_json(self) -> dict[str, object]:
        """Everything, by name."""
        names = ("sent", "indexed", "stored_for_retry", "removed", "stopped", "ended_by")
        numbers = {name: getattr(self, name) for name in names}
        return {**numbers, "kept": dict(self.kept), "examples": dict(self.examples)}


def refusal(result: Reconciled) -> str:
    """Why a fix is refused without `force`; empty if it is not. A mistyped bucket or prefix must not empty an index."""
    removed = result.orphans
    if removed and not result.objects:
        return f"the listing of {result.place} is empty, and {removed:,} documents would be removed"
    if removed > MAX_REMOVED and removed > MAX_REMOVED_SHARE * result.documents:
        return f"{removed:,} of {result.documents:,} documents of {result.place} would be removed"
    return ""


def fix(
    settings: Settings, clients: Clients, request: ReconcileRequest, how: FixRequest, work: WorkFile, *,
    stop: threading.Event, on_progress: OnProgress = ignore_progress,
) -> Fixed:  # fmt: skip
    """Fix what the reconciliation with this work file has found. `stop` ends it between two batches; the audit records it.

    It ends early, and says why, where the queue takes nothing any more, the bucket cannot be read, or the fleet is paused: what
    it has begun by then is done. Raises PausedError or IndexUnavailableError if it must not start, and IndexUnavailableError
    where the index fails in the middle.
    """
    refuse_while_paused(clients.state, while_paused=how.while_paused)
    make_ready(clients, dry_run=False)
    fixer = _Fixer(settings, clients, request.place.bucket, how, stop, on_progress)
    try:
        fixer.run(work)
    finally:
        fixer.fixed.stopped = stop.is_set()
        details = {"place": str(request.place), "index": clients.index.description, "direct": how.direct}
        event = AuditEvent.of(request.run, (), fixer.fixed.as_json(), details)
        fixer.fixed.recorded = record(clients.state, event)
    return fixer.fixed


class _Fixer:
    """One fix."""

    def __init__(
        self, settings: Settings, clients: Clients, bucket: str, how: FixRequest, stop: threading.Event,
        on_progress: OnProgress,
    ) -> None:  # fmt: skip
        self._settings = settings
        self._clients = clients
        self._bucket = bucket
        self._how = how
        self._stop = stop
        self._on_progress = on_progress
        self._pace = Pace(how.rate)
        self._watch = PauseWatch(clients.state, while_paused=how.while_paused, stop=stop)
        self._done = 0
        self.fixed = Fixed()

    def run(self, work: WorkFile) -> None:
        future_ms = self._clients.objects.clock.now_ms() + FUTURE_MS
        self._keep_from_future(work, future_ms)
        with closing(work.lost(ORPHAN_NAME)) as orphans:
            self._remove(takewhile(self._may_go_on, orphans))
        if self.fixed.ended_by:
            return
        with closing(work.lost(*LOST)) as found:
            lost = takewhile(self._may_go_on, ((key, version) for key, version in found if (version or 0) <= future_ms))
            if self._how.direct:
                self._index(lost)
            else:
                self._send(lost)

    def _keep_from_future(self, work: WorkFile, future_ms: int) -> None:
        for key, version, exists in work.from_future(future_ms):
            if exists:
                self.fixed.keep(FUTURE, f"{key}, until {_utc(version)}")
                self._tick(1)

    # -- documents without an object ---------------------------------------------------------------------------------

    def _remove(self, orphans: Iterator[_Item]) -> None:
        """Remove the documents whose objects are gone. Ends where the bucket cannot be read."""
        threads = self._settings.worker_concurrency
        with ThreadPoolExecutor(threads, "reconcile") as pool:
            reindexer = Reindexer(
                self._settings, self._clients, pool=pool, window=threads * WINDOW_PER_THREAD, rate=self._how.rate
            )

            def observe(item: _Item) -> Observation[str]:
                why = reindexer.skipped.why(self._bucket)
                return self._observe_orphan(item) if why is None else Observation(UNREADABLE)

            groups = reindexer.run(orphans, observe, object_of=lambda item: (self._bucket, item[0]), stop=self._stop)
            with closing(groups):
                for group in groups:
                    for one in group:
                        self._count_removal(one)
                    self._tick(len(group))
                    if why := reindexer.skipped.why(self._bucket):
                        self.fixed.ended_by = why
                        return

    def _observe_orphan(self, item: _Item) -> Observation[str]:
        """The removal of a document whose object is gone, or why there is none; "" if there is no such document any more.

        One from the future is removed with its own version. Where ids are plain keys, the document may be another bucket's by
        now: so it is read last.
        """
        key, version = item
        observed_ms = self._clients.objects.clock.now_ms()
        if not is_gone(self._clients.objects, self._bucket, key):
            return Observation(EXISTS)
        [stored] = self._clients.index.stored([(self._bucket, key)])
        if stored is None:
            return Observation("")
        if stored.version != version:
            return Observation(CHANGED)
        return Observation("", Write(self._bucket, key, max(observed_ms, version), None, None))

    def _count_removal(self, one: Reindexed[_Item, str]) -> None:
        if one.status is Status.WRITTEN:
            self.fixed.removed += 1
        elif one.status is not Status.DECIDED:
            self.fixed.keep(_code(one.error) or _beginning(one.reason), f"{one.item[0]}: {one.reason}")
        elif one.value:
            self.fixed.keep(one.value, one.item[0])

    # -- lost objects ------------------------------------------------------------------------------------------------

    def _send(self, lost: Iterator[_Item]) -> None:
        """Send a job for each to the queue. Ends where the queue takes nothing any more."""
        in_a_row = 0
        while batch := list(islice(lost, MAX_BATCH)):
            self._pace.wait(self._stop, count=len(batch))
            if self._stop.is_set() or not self._may_go_on():
                return
            refused = send_jobs(self._clients.source, [(self._bucket, key) for key, _ in batch], stop=self._stop)
            self.fixed.sent += len(batch) - len(refused)
            for place, why in refused.items():
                self.fixed.keep(why.code, f"{batch[place][0]}: {why.message}")
            self._tick(len(batch))
            in_a_row = in_a_row + 1 if len(refused) == len(batch) else 0
            if in_a_row >= REFUSED_IN_A_ROW:
                last = refused[0]
                self.fixed.ended_by = (
                    f"the queue refused {in_a_row} batches in a row, the last: {last.code}: {last.message}"
                )
                return

    def _index(self, lost: Iterator[_Item]) -> None:
        """Do the work of a worker here. Ends where the bucket cannot be read."""
        with direct_indexer(self._settings, self._clients, source="reconcile", rate=self._how.rate) as indexer:
            groups = indexer.run(lost, lambda item: (self._bucket, item[0]), stop=self._stop)
            with closing(groups):
                for group in groups:
                    for one in group:
                        self._count_indexed(one)
                    self._tick(len(group))
                    if why := indexer.given_up(self._bucket):
                        self.fixed.ended_by = why
                        return

    def _count_indexed(self, one: Indexed[_Item]) -> None:
        if one.is_indexed:
            self.fixed.indexed += 1
        elif one.is_stored_for_retry:
            self.fixed.stored_for_retry += 1
        else:
            name = f"s3://{self._bucket}/{one.item[0]}: "
            self.fixed.keep(_beginning(one.reason.removeprefix(name)), one.reason)

    # -- both --------------------------------------------------------------------------------------------------------

    def _may_go_on(self, _: object = None) -> bool:
        """Whether the fleet is not paused; if it is, this is why the fix ends."""
        self.fixed.ended_by = self.fixed.ended_by or self._watch.why()
        return not self.fixed.ended_by

    def _tick(self, count: int) -> None:
        self._done += count
        self._on_progress(Progress(self._done, counts=self._counts()))

    def _counts(self) -> dict[str, int]:
        found = self.fixed
        return {"sent": found.sent, "indexed": found.indexed, "removed": found.removed, "kept": found.kept.total()}


def _code(error: BaseException | None) -> str:
    """The code of an error of a service, or its type; empty if there was none."""
    return "" if error is None else str(getattr(error, "code", "") or type(error).__name__)


def _beginning(reason: str) -> str:
    """The part of a reason that is the same for many objects: its code."""
    return reason.partition(":")[0]


def _utc(ms: int) -> str:
    """A time as people read it; a version that is no time, as the number that it is."""
    try:
        return datetime.fromtimestamp(ms / 1000, UTC).isoformat(" ", "seconds")
    except (ValueError, OverflowError, OSError):
        return f"{ms} ms"
