"""`replay`: write the retry records of `retry-index/` to the index, according to the current state of their objects in S3."""

import threading
import time
from contextlib import ExitStack, closing
from dataclasses import dataclass

from recovery.operations.progress import OnProgress, Progress, ignore_progress
from recovery.operations.recovering.preconditions import check_state_and_index, make_ready
from recovery.operations.report import Report, ReportKind
from worker.core.base.errors import WorkerError
from worker.core.base.settings import Settings
from worker.core.clients import Clients, make_extractor
from worker.core.indexing.pipeline import Pipeline
from worker.core.indexing.replay import RecordResult, Replay, Result
from worker.core.indexing.retry_store import RetryStore
from worker.core.s3.state import RETRY_PREFIX

_UNFINISHED = (Result.REJECTED, Result.PARKED, Result.KEPT)
REPLAY = ReportKind(
    results=tuple(Result),
    explained=frozenset(_UNFINISHED),
    unfinished=frozenset(result.value for result in _UNFINISHED),
    samples="names",
)


@dataclass(frozen=True, slots=True)
class ReplayRequest:
    """What to replay."""

    prefix: str = RETRY_PREFIX
    limit: int | None = None
    """Maximum number of records."""
    dry_run: bool = False
    verbose: bool = False
    """Whether each record that was not written is logged, and not only counted in the report."""


def replay(
    settings: Settings,
    clients: Clients,
    request: ReplayRequest,
    *,
    stop: threading.Event,
    on_progress: OnProgress = ignore_progress,
) -> Report:
    """Replay records. The report contains the error that ended the run early, if any; `stop` ends it between two batches.

    Raises ConfigError, DependencyError or IndexUnavailableError if the run must not start; nothing was changed then.
    """
    check_state_and_index(settings, clients)
    make_ready(clients, dry_run=request.dry_run)
    report = Report(REPLAY, dry_run=request.dry_run, about={"prefix": request.prefix})
    began = time.monotonic()
    with ExitStack() as stack:
        extractor = stack.enter_context(closing(make_extractor(settings)))
        retry = stack.enter_context(closing(RetryStore(clients.state)))
        pipeline = Pipeline(settings, clients.objects, extractor=extractor)
        run = Replay(settings, clients, pipeline=pipeline, retry=retry, threads=settings.worker_concurrency)

        def tick() -> None:
            counts = {result.value: count for result, count in run.counts.items()}
            on_progress(Progress(run.counts.total(), request.limit, counts))

        def add(one: RecordResult) -> None:
            report.add(one.result, sample=one.name, reason=one.reason, error_type=one.error_type, cause=one.cause)

        try:
            run.run(
                stop=stop, prefix=request.prefix, limit=request.limit, dry_run=request.dry_run, tick=tick, on_result=add,
                quiet=not request.verbose,
            )  # fmt: skip
        except WorkerError as error:
            report.failure = error
    report.seconds = time.monotonic() - began
    return report
