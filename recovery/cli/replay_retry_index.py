"""`replay_retry_index`: bring in what waits in `retry-index/`, for what the worker has not brought in itself."""

import time
from collections.abc import Mapping
from contextlib import ExitStack, closing
from typing import Annotated, Any

import typer
from rich.console import Group
from rich.table import Table
from rich.text import Text

from recovery.cli.progress import Progress
from recovery.operations.preconditions import check_state_and_index
from worker.core.base import logs
from worker.core.base.cloudwatch import tell_cloudwatch
from worker.core.base.errors import ExitCode, WorkerError
from worker.core.base.events import LogEvent
from worker.core.base.logs import emit
from worker.core.base.settings import Settings, load
from worker.core.base.text import one_line
from worker.core.clients import Clients, connect, ensure_index, make_extractor
from worker.core.indexing.pipeline import Pipeline
from worker.core.indexing.replay import RecordResult, Replay, Result
from worker.core.indexing.retry_store import RetryStore
from worker.core.s3.state import PARKED_PREFIX, RETRY_PREFIX
from worker.terminal import Json, Signals, err, new_app, print_json, run_app, stdout

WHAT = {
    Result.REPLAYED: "the object is as it was: its stored document is in the index",
    Result.REBUILT: "the object had changed: read anew, and in the index",
    Result.REMOVED: "the object is gone, and so is its document",
    Result.REJECTED: "refused for itself; it stays, one attempt older",
    Result.PARKED: "refused too often, or unreadable: in retry-index/parked/",
    Result.KEPT: "undecided for a passing reason; it stays",
}
_UNFINISHED = (Result.REJECTED, Result.PARKED, Result.KEPT)
MAX_CAUSES = 50
"""Causes told apart; reasons that quote what is in a document could be as many as the records."""
MAX_SAMPLES = 3

app = new_app("Bring what waits in retry-index/ into the index, each record held against S3 as it is now.")


def main() -> None:
    """Run the command and exit."""
    run_app(app)


@app.command(
    epilog="Examples: replay_retry_index --dry-run | replay_retry_index --limit 1000 | replay_retry_index --parked"
)
def replay_retry_index(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")] = False,
    limit: Annotated[int | None, typer.Option(min=1, help="Records at most.")] = None,
    prefix: Annotated[str, typer.Option(help="Only records under this prefix.")] = RETRY_PREFIX,
    parked: Annotated[bool, typer.Option("--parked", help="Those that were parked, instead.")] = False,
    as_json: Json = False,
) -> None:
    """Replay, oldest day first. Exit codes: 0 all handled, 3 some refused or kept, 64, 69, 78, 130, 143."""
    if not prefix.startswith(RETRY_PREFIX):
        raise typer.BadParameter(f"{prefix!r}: it would begin with {RETRY_PREFIX}", param_hint="--prefix")
    if parked:
        prefix = PARKED_PREFIX + prefix.removeprefix(PARKED_PREFIX).removeprefix(RETRY_PREFIX)
    settings = load()
    logs.configure(level="error" if err.is_terminal else settings.log_level, form=settings.log_format)
    options = {"prefix": prefix, "limit": limit, "dry_run": dry_run}
    raise typer.Exit(replay(settings, connect(settings), options, as_json=as_json))


def replay(settings: Settings, clients: Clients, options: dict[str, Any], *, as_json: bool) -> ExitCode:
    """One run, from the door to its summary on stdout; its exit code.

    Raises WorkerError where it refused to start, or was broken off: the summary is printed before.
    """
    check_state_and_index(settings, clients)
    cloudwatch = clients.aws.cloudwatch() if settings.cloudwatch_namespace else None
    if not options["dry_run"]:
        ensure_index(clients.index)
    clients.state.calibrate_clock()
    causes = Causes()
    failure: WorkerError | None = None
    began = time.monotonic()
    with ExitStack() as stack:
        signals = stack.enter_context(Signals().heeded())
        extractor = stack.enter_context(closing(make_extractor(settings)))
        retry = stack.enter_context(closing(RetryStore(clients.state)))
        progress = stack.enter_context(Progress(options["limit"], _tell))
        pipeline = Pipeline(settings, clients.objects, extractor=extractor)
        run = Replay(settings, clients, pipeline=pipeline, retry=retry, threads=settings.worker_concurrency)
        try:
            run.run(
                stop=signals.stop,
                tick=lambda: progress.show(run.counts.total(), _named(run)),
                on_result=causes.add,
                **options,
            )
        except WorkerError as error:
            failure = error
    figures = {
        "dry_run": options["dry_run"],
        "prefix": options["prefix"],
        "handled": run.counts.total(),
        **{result.value: run.counts[result] for result in Result},
        "seconds": round(time.monotonic() - began, 1),
        "per_second": round(run.counts.total() / max(time.monotonic() - began, 0.1), 1),
        "stopped_by": str(failure or ""),
        "causes": causes.by_count(),
    }
    if settings.cloudwatch_namespace and cloudwatch is not None and not options["dry_run"]:
        parked = {"Parked": run.counts[Result.PARKED]}
        tell_cloudwatch(cloudwatch, settings.cloudwatch_namespace, parked)
    if as_json:
        print_json(figures)
    else:
        stdout().print(_as_table(figures), soft_wrap=True)
    if signals.exit_code is not None:
        return signals.exit_code
    if failure is not None:
        raise failure
    return ExitCode.INCOMPLETE if any(run.counts[result] for result in _UNFINISHED) else ExitCode.OK


class Causes:
    """Why records were not written, told apart by how each reason begins."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], dict[str, Any]] = {}

    def add(self, record: RecordResult) -> None:
        """Count the record, if it was not written."""
        if record.result not in _UNFINISHED:
            return
        result, reason = str(record.result), record.reason
        kind = result, reason.partition(":")[0]
        if kind not in self._found and len(self._found) >= MAX_CAUSES:
            kind, reason = (result, ""), "other reasons"
        cause = self._found.setdefault(kind, {"result": result, "count": 0, "reason": reason, "names": []})
        cause["count"] += 1
        if len(cause["names"]) < MAX_SAMPLES:
            cause["names"].append(record.name)

    def by_count(self) -> list[dict[str, Any]]:
        """The most frequent first, each with its first reason and a few names of records."""
        return sorted(self._found.values(), key=lambda cause: -cause["count"])


def _tell(done: int, per_second: float, counts: Mapping[str, int]) -> None:
    emit(LogEvent.REPLAY_PROGRESS, done=done, per_second=per_second, counts=dict(counts))


def _named(run: Replay) -> dict[str, int]:
    return {result.value: count for result, count in run.counts.items()}


def _as_table(figures: Mapping[str, Any]) -> Group:
    title = "dry run: nothing was written or deleted" if figures["dry_run"] else None
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    table.add_column("records", justify="right")
    table.add_column("result", no_wrap=True)
    table.add_column("what that means")
    for result, what in WHAT.items():
        table.add_row(f"{figures[result.value]:,}", result.value, what)
    rate = f", {figures['per_second']:,.0f}/s" if figures["handled"] >= 10 else ""
    lines = [Text(f"{figures['handled']:,} handled in {figures['seconds']:.1f} s{rate}")]
    for cause in figures["causes"]:
        line = f"{cause['count']:,} {cause['result']}: {cause['reason']} (such as {', '.join(cause['names'])})"
        lines.append(Text(one_line(line)))
    return Group(table, *lines)


if __name__ == "__main__":
    main()
