"""`fix`: sends what is lost to the queue, or indexes it here; removes documents without an object; repairs wrong versions."""

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice

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
from worker.core.index import WriteStatus
from worker.core.index.document import Write
from worker.core.indexing.reindexer import Observation, Reindexed, Reindexer, Status
from worker.core.s3.objects import is_gone
from worker.core.sqs.queue import MAX_BATCH

MAX_REMOVED, MAX_REMOVED_SHARE = 20, 0.1
"""If more documents than both would be removed, the listing is more likely to be wrong than the index."""
REMEMBERED_S = 120
"""After so long, OpenSearch has forgotten the version of a document that was removed (`index.gc_deletes`, 60 s)."""


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
    repaired: int = 0
    """Documents removed because of their version, whose objects were sent to the queue."""
    kept: Counter[str] = field(default_factory=Counter)
    """What could not be fixed: the number for each reason."""
    stopped: bool = False
    recorded: Recorded | None = None

    @property
    def is_complete(self) -> bool:
        """Whether nothing is left to be fixed."""
        return not self.kept and not self.stopped

    def as_json(self) -> dict[str, object]:
        """The numbers by name."""
        names = ("sent", "indexed", "stored_for_retry", "removed", "repaired")
        return {**{name: getattr(self, name) for name in names}, "kept": dict(self.kept), "stopped": self.stopped}


def refusal(result: Reconciled) -> str:
    """Why a fix is refused without `force`; empty if it is not. A mistyped bucket or prefix must not empty an index."""
    removed = (
        result.orphans + result.future
    )  # if nearly all seem to be from the future, our clock is more likely to be wrong
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

    Raises PausedError or IndexUnavailableError if it must not start, and IndexUnavailableError, StoreError where one of them
    fails in the middle.
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
        self._done = 0
        self.fixed = Fixed()

    def run(self, work: WorkFile) -> None:
        self._repair(work)
        self._reindex(work.lost(ORPHAN_NAME), self._observe_orphan, self._count_removal)
        lost = work.lost(*LOST)
        if self._how.direct:
            self._index(lost)
        else:
            for batch in self._batches(lost, MAX_BATCH):
                self._send([key for key, _ in batch])

    # -- versions from the future ------------------------------------------------------------------------------------

    def _repair(self, work: WorkFile) -> None:
        """Remove documents with their own versions, and send their objects to the queue, for when these are forgotten."""
        future = ((key, version) for key, version, exists in work.from_future(self._future_ms()) if exists)
        for batch in self._batches(future, MAX_BATCH):
            sent = self._sent([key for key, _ in batch], delay_s=REMEMBERED_S)
            writes = [Write(self._bucket, key, version or 0, None, None) for key, version in batch if key in sent]
            self._clients.aws.throttles.index.wait(len(writes))
            for result in self._clients.index.write(writes) if writes else ():
                if result.status is WriteStatus.WRITTEN:
                    self.fixed.repaired += 1
                else:
                    self.fixed.kept[result.reason or result.status.value] += 1

    def _future_ms(self) -> int:
        return self._clients.objects.clock.now_ms() + FUTURE_MS

    # -- documents without an object ---------------------------------------------------------------------------------

    def _observe_orphan(self, item: tuple[str, int | None]) -> Observation[bool]:
        """Whether the object is gone, with the removal of its document: one from the future has its own version."""
        key, version = item
        observed_ms = self._clients.objects.clock.now_ms()
        if not is_gone(self._clients.objects, self._bucket, key):
            return Observation(False)
        return Observation(True, Write(self._bucket, key, max(observed_ms, version or 0), None, None))

    def _count_removal(self, one: Reindexed[tuple[str, int | None], bool]) -> None:
        if one.status is Status.WRITTEN:
            self.fixed.removed += 1
        else:
            self.fixed.kept["the object exists" if one.status is Status.DECIDED else one.reason] += 1

    # -- lost objects ------------------------------------------------------------------------------------------------

    def _send(self, keys: list[str]) -> None:
        self.fixed.sent += len(self._sent(keys))

    def _sent(self, keys: list[str], *, delay_s: int | None = None) -> set[str]:
        """Send a job for each to the queue; the keys of those that it has accepted."""
        self._pace.wait(self._stop, count=len(keys))
        objects = [(self._bucket, key) for key in keys]
        refused = send_jobs(self._clients.source, objects, stop=self._stop, delay_s=delay_s)
        for refusal_of_one in refused.values():
            self.fixed.kept[f"{refusal_of_one.code}: {refusal_of_one.message}"] += 1
        return {key for place, key in enumerate(keys) if place not in refused}

    def _index(self, lost: Iterator[tuple[str, int | None]]) -> None:
        """Do the work of a worker here."""
        with direct_indexer(self._settings, self._clients, source="reconcile", rate=self._how.rate) as indexer:
            groups = indexer.run(lost, lambda item: (self._bucket, item[0]), stop=self._stop)
            with closing(groups):
                for group in groups:
                    for one in group:
                        self._count_indexed(one)
                    self._tick(len(group))

    def _count_indexed(self, one: Indexed[tuple[str, int | None]]) -> None:
        if one.is_indexed:
            self.fixed.indexed += 1
        elif one.is_stored_for_retry:
            self.fixed.stored_for_retry += 1
        else:
            self.fixed.kept[one.reason] += 1

    # -- both --------------------------------------------------------------------------------------------------------

    def _reindex(
        self, items: Iterable[tuple[str, int | None]], observe: Callable[[tuple[str, int | None]], Observation[bool]],
        count: Callable[[Reindexed[tuple[str, int | None], bool]], None],
    ) -> None:  # fmt: skip
        threads = self._settings.worker_concurrency
        with ThreadPoolExecutor(threads, "reconcile") as pool:
            reindexer = Reindexer(
                self._settings, self._clients, pool=pool, window=threads * WINDOW_PER_THREAD, rate=self._how.rate
            )
            groups = reindexer.run(items, observe, object_of=lambda item: (self._bucket, item[0]), stop=self._stop)
            with closing(groups):
                for group in groups:
                    for one in group:
                        count(one)
                    self._tick(len(group))

    def _batches(self, items: Iterator[tuple[str, int | None]], size: int) -> Iterator[list[tuple[str, int | None]]]:
        while not self._stop.is_set() and (batch := list(islice(items, size))):
            yield batch
            self._tick(len(batch))

    def _tick(self, count: int) -> None:
        self._done += count
        self._on_progress(Progress(self._done, counts=self._counts()))

    def _counts(self) -> dict[str, int]:
        found = self.fixed
        return {"sent": found.sent, "indexed": found.indexed, "removed": found.removed, "kept": found.kept.total()}
