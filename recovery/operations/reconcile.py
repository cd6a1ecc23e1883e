"""`reconcile`: account for every object of a bucket, and for every document of the index that is about one."""

import hashlib
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

from recovery.operations.progress import OnProgress, Progress, ignore_progress
from recovery.operations.reconciling.first_look import FirstLook
from recovery.operations.reconciling.held import Unknown, held_in
from recovery.operations.reconciling.request import LOST, Reconciled, ReconcileError, ReconcileRequest
from recovery.operations.reconciling.second_look import look_again
from recovery.operations.reconciling.work_file import ORPHAN_NAME, WorkFile
from recovery.operations.reconciling.work_place import work_file
from recovery.operations.recovering.preconditions import check_all, check_listable
from worker.core.base.clock import FUTURE_MS
from worker.core.base.events import LogEvent
from worker.core.base.logs import emit
from worker.core.base.settings import Settings
from worker.core.clients import Clients
from worker.core.indexing.pipeline import excluded, is_folder
from worker.core.s3.reconciled import ReconciledBucket, read_reconciled_bucket, write_reconciled
from worker.core.s3.state import safe_name
from worker.core.sqs.queue import Queue

CONTINUED_FOR_S = 6 * 3600.0
"""How long after it was interrupted a run is continued: what it has read grows old."""
EXAMPLES = 5
"""Number of keys that are shown of each kind of loss."""
_DEPTHS = (
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
)


@contextmanager
def work_on(settings: Settings, clients: Clients, request: ReconcileRequest, folder: Path) -> Iterator[WorkFile]:
    """The work file for this request in a folder, or the one of a run that was interrupted, which is continued.

    Raises DependencyError if another run is using it.
    """
    place = request.place
    with closing(clients.aws.s3()) as s3:
        store = s3.meta.endpoint_url
    said = repr((store, str(place), clients.index.description, settings.document_ids, request.sample, request.since_s))
    name = f"reconcile-{safe_name(place.bucket)}-{hashlib.sha256(said.encode()).hexdigest()[:12]}.sqlite"

    def is_skipped(key: str, size: int) -> bool:
        return is_folder(key, size) or excluded(settings, place.bucket, key) is not None

    continued_for_s = 0.0 if request.is_partial or request.of_new_index else CONTINUED_FOR_S
    with work_file(folder / name, is_skipped=is_skipped, continued_for_s=continued_for_s) as work:
        yield work


def reconcile(
    settings: Settings, clients: Clients, request: ReconcileRequest, work: WorkFile, *, stop: threading.Event,
    on_progress: OnProgress = ignore_progress,
) -> Reconciled | None:  # fmt: skip
    """Account for everything in a place; None if `stop` ended it before. The result of a whole bucket is recorded.

    Raises ConfigError or DependencyError if it must not start; StoreError, IndexUnavailableError or QueueError where one of
    them fails in the middle: then nothing is known, and nothing is recorded.
    """
    return _Run(settings, clients, request, work, stop, on_progress).run()


def record_fixed(clients: Clients, request: ReconcileRequest) -> None:
    """Note that everything was fixed that the last run could not account for, if it was recorded. Raises StoreError."""
    found = read_reconciled_bucket(clients.state, request.place.bucket) if request.is_recorded else None
    if found is not None:
        fixed = replace(found, unaccounted=0, repeated=0)
        write_reconciled(clients.state, fixed, {"run": request.run.name, "by": request.run.by})


class _Run:
    """One run."""

    def __init__(
        self, settings: Settings, clients: Clients, request: ReconcileRequest, work: WorkFile, stop: threading.Event,
        on_progress: OnProgress,
    ) -> None:  # fmt: skip
        self._settings = settings
        self._clients = clients
        self._request = request
        self._work = work
        self._stop = stop
        self._on_progress = on_progress
        self._began = time.monotonic()
        self._total: int | None = None

    def run(self) -> Reconciled | None:
        queued = self._begin()
        look = FirstLook(self._clients, self._request, self._work, self._stop)
        look.read(
            lambda listed, documents: self._on_progress(
                Progress(listed, self._total, {"listed": listed, "documents": documents})
            )
        )
        unknown = Unknown()
        if not self._stop.is_set():
            held = held_in(
                self._request.place, self._settings, self._clients, self._request.run, unknown, stop=self._stop
            )
            self._work.hold(held)
        if not self._stop.is_set():
            self._look_twice()
        if self._stop.is_set():
            return None
        result = self._result(unknown, max(queued, _depth(self._clients.source)))
        if self._request.is_recorded:
            self._record(result)
        self._work.finish()
        emit(
            LogEvent.RECONCILE_FINISHED, "info" if result.is_accounted else "warning", place=str(result.place),
            objects=result.objects, states={state.value: count for state, count in result.states.items()},
            orphans=result.orphans, unaccounted=result.unaccounted, unsettled=result.unsettled,
        )  # fmt: skip
        return result

    # -- before ------------------------------------------------------------------------------------------------------

    def _begin(self) -> int:
        """Check what is needed, and fix the moment from which objects are young; the number of messages in the queue."""
        check_all(self._settings, self._clients)
        bucket, objects = self._request.place.bucket, self._clients.objects
        check_listable(objects, bucket)
        self._clients.state.calibrate_clock()
        queued = _depth(self._clients.source)
        if self._work.fact("begun_ms") is None:
            now_ms = objects.clock.now_ms()
            self._work.remember(begun_ms=now_ms, young_from_ms=now_ms - self._settings.reconcile_young_s * 1000)
        else:
            self._say("continuing a run that was interrupted")
        previous = read_reconciled_bucket(self._clients.state, bucket) if self._request.is_recorded else None
        self._total = previous.objects if previous else None
        return queued

    # -- the second look, and the result -----------------------------------------------------------------------------

    def _look_twice(self) -> None:
        count, done = self._work.account(orphans=not self._request.is_partial), 0
        if count:
            self._say(f"looking again at {count:,} objects and documents that seem to be lost")

        def tick(number: int) -> None:
            nonlocal done
            done += number
            self._on_progress(Progress(done, count, {"looked at again": done}))

        look_again(self._work, self._clients, self._request.place.bucket, stop=self._stop, tick=tick)

    def _result(self, unknown: Unknown, queued: int) -> Reconciled:
        """The numbers. Raises ReconcileError unless the states add up to the listing."""
        work = self._work
        states = work.states()
        objects = int(work.fact("listed")) - int(work.fact("repeated"))
        counted = sum(count for count, _ in states.values())
        if counted != objects:
            raise ReconcileError(f"{counted:,} objects have a state, but the listing has {objects:,}: nothing is known")
        future_ms = self._clients.objects.clock.now_ms() + FUTURE_MS
        return Reconciled(
            self._request.place,
            {state: count for state, (count, _) in states.items()},
            objects,
            size_bytes=sum(size for _, size in states.values()),
            documents=work.documents(),
            orphans=work.orphans(),
            future=sum(1 for _, _, exists in work.from_future(future_ms) if exists),
            current_dead=work.current_dead(),
            skipped_indexed=work.skipped_indexed(),
            unreachable=int(work.fact("unreachable") or 0),
            nameless=self._clients.index.nameless(),
            unread=unknown.records,
            unsettled=queued + unknown.dead_letters,
            seconds=time.monotonic() - self._began,
            examples={
                name: keys
                for name in (*(state.value for state in LOST), ORPHAN_NAME)
                if (keys := [key for key, _ in work.lost(name, limit=EXAMPLES)])
            },
        )

    def _record(self, result: Reconciled) -> None:
        """Store the result in the state bucket, with what the run before could not account for either. Raises StoreError."""
        state, bucket = self._clients.state, result.place.bucket
        previous = read_reconciled_bucket(state, bucket)
        before = previous.unaccounted if previous else 0
        unaccounted, repeated = result.unaccounted, min(result.unaccounted, before)
        if result.unsettled:  # what waits may do it: what was known before stays as it was
            unaccounted, repeated = max(before, result.future), previous.repeated if previous else 0
        stored = ReconciledBucket(
            bucket,
            self._clients.objects.clock.now_ms(),
            result.objects,
            result.size_bytes,
            {one.value: count for one, count in result.states.items()},
            result.orphans,
            unaccounted,
            repeated,
        )
        run = self._request.run
        write_reconciled(state, stored, {"run": run.name, "by": run.by, "result": result.as_json()})

    def _say(self, note: str) -> None:
        self._on_progress(Progress(0, self._total, note=note))


def _depth(queue: Queue) -> int:
    """The number of messages in a queue: visible, in flight and delayed. Raises QueueError."""
    attributes = queue.attributes()
    return sum(int(attributes.get(name, 0)) for name in _DEPTHS)
