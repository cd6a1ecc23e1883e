"""`recover_dlq`: recover the messages of the dead-letter queue, in batches. It never asks, because timers run it."""

import threading
from typing import Annotated

import typer

from recovery.cli.batch_command import run_program
from recovery.cli.options import (
    AcceptGone,
    AcceptSkipped,
    ArchiveSystemErrors,
    DryRun,
    Error,
    Kind,
    Match,
    MessageType,
    OfGroup,
    OlderThan,
    Rate,
    Verbose,
    WhilePaused,
    filter_of,
)
from recovery.cli.recovery_report import MAX_BATCH_SIZE, RECOVER
from recovery.cli.settings import declared_types
from recovery.operations.dead_letters.facts import FINGERPRINT_CHARS
from recovery.operations.progress import OnProgress
from recovery.operations.recover import recover
from recovery.operations.recovering.request import RecoverRequest
from recovery.operations.report import Report
from worker.core.audit import Run
from worker.core.base.settings import Settings
from worker.core.clients import Clients
from worker.terminal import Json, new_app, operator, run_app

app = new_app("recover_dlq")


def main() -> None:
    """Run the command and exit."""
    run_app(app)


@app.command(
    epilog="Examples: recover_dlq --dry-run | recover_dlq --batch-size 50 | recover_dlq --kind RECOVERABLE --max-batches 5 | "
    "recover_dlq --error TimeoutError --older-than 1h"
)
def recover_dlq(
    batch_size: Annotated[int, typer.Option(min=1, max=MAX_BATCH_SIZE, help="Number of messages in a batch.")] = 10,
    max_batches: Annotated[int | None, typer.Option(min=1, help="Stop after this many batches.")] = None,
    dry_run: DryRun = False,
    rate: Rate = None,
    kind: Kind = None,
    error: Error = None,
    message_type: MessageType = None,
    older_than: OlderThan = None,
    match: Match = None,
    group: OfGroup = None,
    accept_gone: AcceptGone = False,
    accept_skipped: AcceptSkipped = False,
    archive_system_errors: ArchiveSystemErrors = False,
    while_paused: WhilePaused = False,
    verbose: Verbose = False,
    as_json: Json = False,
    _yes: Annotated[
        bool,
        typer.Option("--yes", help="Deprecated, has no effect: the command never asks. Accepted for old runbooks."),
    ] = False,
) -> None:
    """Recover the messages of the DLQ and of dead-letters/: index their objects, skip what is indexed, archive what is at fault.

    Everything is compared with the current state of S3. What configuration or code is at fault for is kept. Exit codes: 0 all
    handled, 3 some kept or in flight elsewhere, 64, 69, 75, 78.
    """
    chosen = filter_of(kind, error, message_type, older_than, match, group)

    if group is not None and not chosen.has_whole_group:
        raise typer.BadParameter(
            f"should be a whole fingerprint of {FINGERPRINT_CHARS} characters, as shown by `dlq groups`: this command acts as it "
            "reads, before it could know whether others begin alike (`dlq recover` takes the beginning)",
            param_hint="--group",
        )

    def operate(settings: Settings, clients: Clients, stop: threading.Event, on_progress: OnProgress) -> Report:
        request = RecoverRequest(
            Run.new("recover_dlq", action="recover", by=operator()),
            batch_size=batch_size,
            max_batches=max_batches,
            dry_run=dry_run,
            rate=rate,
            chosen=chosen,
            while_paused=while_paused,
            accept_gone=accept_gone,
            accept_skipped=accept_skipped,
            archive_system_errors=archive_system_errors,
            verbose=verbose,
            types=declared_types(),
        )
        return recover(settings, clients, request, stop=stop, on_progress=on_progress)

    raise typer.Exit(run_program(RECOVER, operate, as_json=as_json, verbose=verbose))


if __name__ == "__main__":
    main()
