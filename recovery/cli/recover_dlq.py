"""`recover_dlq`: bring back what is in the dead-letter queue, in batches. It never asks: timers and runbooks call it."""

import time
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Annotated

import typer

from recovery.cli.progress import Progress
from recovery.operations.engine import Disposition
from recovery.operations.holders import holding
from recovery.operations.preconditions import check_door
from recovery.operations.recovery_run import Options, RecoveryRun
from recovery.operations.summary import Summary
from worker.core.base import logs
from worker.core.base.classify import FailureKind
from worker.core.base.cloudwatch import tell_cloudwatch
from worker.core.base.errors import ExitCode, PausedError, WorkerError
from worker.core.base.events import LogEvent
from worker.core.base.logs import emit
from worker.core.base.settings import Settings, load
from worker.core.clients import Clients, connect, ensure_index
from worker.terminal import Json, Signals, err, new_app, print_json, run_app, seconds, stdout

app = new_app(
    "Bring back what is in the dead-letter queue: reindex it, skip what is indexed already, archive the rest. Everything "
    "is compared with S3 as it is now.",
)


def main() -> None:
    """Run the command and exit."""
    run_app(app)


@app.command(
    epilog="Examples: recover_dlq --dry-run | recover_dlq --batch-size 50 | recover_dlq --kind RECOVERABLE --max-batches 5"
)
def recover_dlq(
    batch_size: Annotated[int, typer.Option(min=1, max=1_000, help="Messages worked on at a time.")] = 10,
    max_batches: Annotated[int | None, typer.Option(min=1, help="Stop after so many batches.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")] = False,
    rate: Annotated[float | None, typer.Option(min=0.1, help="Messages a second at most.")] = None,
    kind: Annotated[FailureKind | None, typer.Option(help="Only failures of this kind.", case_sensitive=False)] = None,
    older_than: Annotated[
        str | None, typer.Option(help="Only messages first sent so long ago: 90s, 30m, 2h, 1d.")
    ] = None,
    while_paused: Annotated[bool, typer.Option("--while-paused", help="Work although the fleet is paused.")] = False,
    as_json: Json = False,
    _yes: Annotated[bool, typer.Option("--yes", help="Accepted for old runbooks; it never asks.")] = False,
) -> None:
    """Work through the DLQ and `dead-letters/`. Exit codes: 0 all handled, 3 some kept or in flight elsewhere, 64, 69, 75, 78."""
    options = Options(
        batch_size=batch_size,
        max_batches=max_batches,
        dry_run=dry_run,
        rate=rate,
        kind=kind,
        older_than_s=seconds(older_than, "--older-than"),
    )
    settings = load()
    logs.configure(level="error" if err.is_terminal else settings.log_level, form=settings.log_format)
    raise typer.Exit(recover(settings, connect(settings), options, while_paused=while_paused, as_json=as_json))


def recover(settings: Settings, clients: Clients, options: Options, *, while_paused: bool, as_json: bool) -> ExitCode:
    """One run, from the door to its summary on stdout; its exit code.

    Raises WorkerError where it refused to start, or was broken off: the summary is printed before.
    """
    check_door(settings, clients)
    cloudwatch = clients.aws.cloudwatch() if settings.cloudwatch_namespace else None
    _refuse_while_paused(clients, while_paused=while_paused)
    if not options.dry_run:
        ensure_index(clients.index)
    clients.state.calibrate_clock()
    with ExitStack() as stack:
        signals = stack.enter_context(Signals().heeded())
        stack.enter_context(holding(None if options.dry_run else clients.state, "recover_dlq"))
        progress = stack.enter_context(Progress(_waiting(clients), _tell))

        def told(summary: Summary) -> None:
            progress.show(
                summary.handled,
                {disposition.value: count for disposition, count in summary.dispositions.items() if count},
            )

        recovery_run = RecoveryRun(settings, clients, options, stop=signals.stop, told=told)
        began = time.monotonic()
        failure: WorkerError | None = None
        try:
            recovery_run.go()
        except WorkerError as error:
            failure = error
            recovery_run.summary.seconds = time.monotonic() - began
    _print(recovery_run.summary, as_json=as_json)
    if settings.cloudwatch_namespace and cloudwatch is not None and not options.dry_run:
        archived = {"Archived": recovery_run.summary.dispositions[Disposition.ARCHIVED]}
        tell_cloudwatch(cloudwatch, settings.cloudwatch_namespace, archived)
    if signals.exit_code is not None:
        return signals.exit_code
    if failure is not None:
        raise failure
    if options.ids and not recovery_run.summary.handled:
        return ExitCode.NOT_FOUND
    return _exit_code(recovery_run.summary)


def _tell(done: int, per_second: float, counts: Mapping[str, int]) -> None:
    emit(LogEvent.RECOVER_PROGRESS, done=done, per_second=per_second, counts=dict(counts))


def _refuse_while_paused(clients: Clients, *, while_paused: bool) -> None:
    record = None if while_paused else clients.state.pause_record()
    if record is not None:
        by = record.get("by", "?")
        raise PausedError(f"by {by}: {record['reason']}. After `s3-index-worker resume`, or with --while-paused")


def _waiting(clients: Clients) -> int:
    return int(clients.dlq.attributes().get("ApproximateNumberOfMessages", 0))


def _print(summary: Summary, *, as_json: bool) -> None:
    if as_json:
        print_json(summary.as_json())
    else:
        stdout().print(summary.as_table(), soft_wrap=True)


def _exit_code(summary: Summary) -> ExitCode:
    figures = summary.as_json()
    unfinished = figures["kept"] or figures["in_flight_elsewhere"] or figures["settled_not_deleted"]
    return ExitCode.INCOMPLETE if unfinished else ExitCode.OK


if __name__ == "__main__":
    main()
