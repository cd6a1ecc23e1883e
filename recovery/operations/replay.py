"""`replay`: bring what waits in `retry-index/` into the index, each record compared with S3 as it is now."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass

from recovery.operations.recovering.preconditions import check_state_and_index, make_ready
from recovery.operations.report import Report, ReportKind
from recovery.operations.run import Progress, Tell, tell_nobody
from worker.core.base.errors import WorkerError
from worker.core.base.events import LogEvent
from worker.core.base.logs import observe
from worker.core.base.settings import Settings
from worker.core.clients import Clients, make_extractor
from worker.core.indexing.pipeline import Pipeline
from worker.core.indexing.replay import Replay, Result
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
        stack.enter_context(_results_to(report))
        run = Replay(
            settings, clients, Pipeline(settings, clients.objects, extractor), retry, threads=settings.worker_concurrency
        )  # fmt: skip

        def tick() -> None:
            counts = {result.value: count for result, count in run.counts.items()}
            tell(Progress(run.counts.total(), request.limit, counts))

        try:
            run.run(stop=stop, prefix=request.prefix, limit=request.limit, dry_run=request.dry_run, tick=tick)
        except WorkerError as error:
            report.failure = error
    report.seconds = time.monotonic() - began
    return report


@contextmanager
def _results_to(report: Report) -> Iterator[None]:
    """Report what each record came to. Replay tells it to the log alone, on this thread, until it hands over values."""
    thread = threading.get_ident()

    def hear(event: LogEvent, fields: Mapping[str, object]) -> None:
        if event is LogEvent.REPLAY_RECORD and threading.get_ident() == thread:
            _add(report, Result(str(fields["result"])), name=str(fields["name"]), reason=str(fields["reason"]))

    end: Callable[[], None] = observe(hear)
    try:
        yield
    finally:
        end()


def _add(report: Report, result: Result, *, name: str, reason: str) -> None:
    report.add(result, sample=name, reason=reason, error_type=reason.partition(":")[0])
