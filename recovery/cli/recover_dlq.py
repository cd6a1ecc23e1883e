"""`recover_dlq`: recover the messages of the dead-letter queue, in batches. It never asks, because timers run it."""

from typing import Annotated

import typer

from recovery.cli.batch_command import run_batch
from recovery.cli.operator import operator
from recovery.cli.recovery_report import MAX_BATCH_SIZE, RECOVER
from recovery.operations.recover import recover
from recovery.operations.recovering.request import RecoverRequest
from recovery.operations.run import Run
from worker.core.base import logs
from worker.core.base.classify import FailureKind
from worker.core.base.errors import ExitCode
from worker.core.base.settings import Settings, load
from worker.core.clients import Clients, connect
from worker.terminal import Json, Signals, err, new_app, run_app, seconds

app = new_app(
    "Recover the messages of the dead-letter queue: index their objects, skip what is already indexed, archive the rest. "
    "Everything is compared with the current state of S3.",
)


def main() -> None:
    """Run the command and exit."""
    run_app(app)


@app.command(
    epilog="Examples: recover_dlq --dry-run | recover_dlq --batch-size 50 | recover_dlq --kind RECOVERABLE --max-batches 5"
)
def recover_dlq(
    batch_size: Annotated[int, typer.Option(min=1, max=MAX_BATCH_SIZE, help="Number of messages in a batch.")] = 10,
    max_batches: Annotated[int | None, typer.Option(min=1, help="Stop after this many batches.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what the command would do, and change nothing.")
    ] = False,
    rate: Annotated[float | None, typer.Option(min=0.1, help="Maximum number of messages per second.")] = None,
    kind: Annotated[FailureKind | None, typer.Option(help="Only failures of this kind.", case_sensitive=False)] = None,
    older_than: Annotated[
        str | None, typer.Option(help="Only messages first sent at least this long ago: 90s, 30m, 2h, 1d.")
    ] = None,
    while_paused: Annotated[bool, typer.Option("--while-paused", help="Run even if the fleet is paused.")] = False,
    as_json: Json = False,
    _yes: Annotated[
        bool,
        typer.Option("--yes", help="Deprecated, has no effect: the command never asks. Accepted for old runbooks."),
    ] = False,
) -> None:
    """Process the DLQ and `dead-letters/`. Exit codes: 0 all handled, 3 some kept or in flight elsewhere, 64, 69, 75, 78."""
    request = RecoverRequest(
        Run.new("recover_dlq", action="recover", by=operator()),
        batch_size=batch_size,
        max_batches=max_batches,
        dry_run=dry_run,
        rate=rate,
        kind=kind,
        older_than_s=seconds(older_than, "--older-than"),
        while_paused=while_paused,
    )
    settings = load()
    logs.configure(level="error" if err.is_terminal else settings.log_level, form=settings.log_format)
    clients = connect(settings)
    with Signals().heeded() as signals:
        raise typer.Exit(run(settings, clients, request, signals, as_json=as_json))


def run(settings: Settings, clients: Clients, request: RecoverRequest, signals: Signals, *, as_json: bool) -> ExitCode:
    """Run once, print the report, and return the exit code. Raises WorkerError if it could not start or was aborted."""
    return run_batch(
        RECOVER,
        lambda stop, on_progress: recover(settings, clients, request, stop=stop, on_progress=on_progress),
        settings=settings,
        aws=clients.aws,
        signals=signals,
        as_json=as_json,
    )


if __name__ == "__main__":
    main()
