"""`replay`: bring what waits in `retry-index/` into the index, each record compared with S3 as it is now."""

import threading
import time
from contextlib import ExitStack, closing
from dataclasses import dataclass

from recovery.operations.recovering.preconditions import check_state_and_index, make_ready
from recovery.operations.report import Report, ReportKind
from recovery.operations.run import Progress, Tell, tell_nobody
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
    """Records at most."""
    dry_run: bool = False


def replay(
    settings: Settings, clients: Clients, request: ReplayRequest, *, stop: threading.Event, tell: Tell = tell_nobody
) -> Report:
    """One run; what was done, with the error that broke it off, if one did. Once `stop` is set, it ends between two batches.

    Raises ConfigError, DependencyError or IndexUnavailableError where it must not begin; nothing was touched then.
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
            tell(Progress(run.counts.total(), request.limit, counts))

        def add(one: RecordResult) -> None:
            report.add(one.result, sample=one.name, reason=one.reason, error_type=one.reason.partition(":")[0])

        try:
            run.run(
                stop=stop, prefix=request.prefix, limit=request.limit, dry_run=request.dry_run, tick=tick, on_result=add
            )  # fmt: skip
        except WorkerError as error:
            report.failure = error
    report.seconds = time.monotonic() - began
    return report
