"""`replay_retry_index`: replay the records of `retry-index/` that the worker has not replayed by itself."""

from typing import Annotated

import typer

from recovery.cli.batch_command import BatchCommand, run_program
from recovery.cli.options import DryRun, Verbose
from recovery.cli.view.report import Wording
from recovery.operations.progress import Progress
from recovery.operations.replay import ReplayRequest, replay
from worker.core.base.events import LogEvent
from worker.core.base.logs import emit
from worker.core.indexing.replay import Result
from worker.core.s3.state import PARKED_PREFIX, RETRY_PREFIX
from worker.terminal import Json, new_app, run_app

WORDING = Wording(
    noun="records",
    dry_run="nothing was written or deleted",
    results={
        Result.REPLAYED: "the object is unchanged: its stored document is in the index",
        Result.REBUILT: "the object had changed: it was read again and indexed",
        Result.REMOVED: "the object is gone, and so is its document",
        Result.REJECTED: "the index or S3 refuses this object; its record stays, with one more attempt",
        Result.PARKED: "rejected too often, or unreadable: in retry-index/parked/",
        Result.KEPT: "undecided for a transient reason; it stays",
    },
)


def _log(now: Progress, per_second: float) -> None:
    emit(LogEvent.REPLAY_PROGRESS, done=now.done, per_second=per_second, counts=dict(now.counts))


REPLAY = BatchCommand(WORDING, _log, {"Parked": Result.PARKED})

app = new_app("replay_retry_index")


def main() -> None:
    """Run the command and exit."""
    run_app(app)


@app.command(
    epilog="Examples: replay_retry_index --dry-run | replay_retry_index --limit 1000 | replay_retry_index --parked"
)
def replay_retry_index(
    dry_run: DryRun = False,
    limit: Annotated[int | None, typer.Option(min=1, help="Maximum number of records.")] = None,
    prefix: Annotated[str, typer.Option(help="Only records under this prefix.")] = RETRY_PREFIX,
    parked: Annotated[bool, typer.Option("--parked", help="Replay the parked records instead.")] = False,
    verbose: Verbose = False,
    as_json: Json = False,
) -> None:
    """Write the records of retry-index/ to the index, oldest day first. Each is compared with the current state of S3.

    Exit codes: 0 all handled, 3 some rejected, parked or kept, 64, 69, 78, 130, 143.
    """
    if not prefix.startswith(RETRY_PREFIX):
        raise typer.BadParameter(f"{prefix!r}: it must begin with {RETRY_PREFIX}", param_hint="--prefix")
    if parked:
        prefix = PARKED_PREFIX + prefix.removeprefix(PARKED_PREFIX).removeprefix(RETRY_PREFIX)
    request = ReplayRequest(prefix, limit, dry_run, verbose)
    code = run_program(
        REPLAY,
        lambda settings, clients, stop, on_progress: replay(
            settings, clients, request, stop=stop, on_progress=on_progress
        ),
        as_json=as_json,
        verbose=verbose,
    )
    raise typer.Exit(code)


if __name__ == "__main__":
    main()
