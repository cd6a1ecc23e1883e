"""`s3-index-worker pause` and `resume`."""

import time
from typing import Annotated

import typer

from worker.core.base.errors import StoreError
from worker.core.clients import connect
from worker.core.s3.brakes import BrakeRecord, read_brakes
from worker.core.s3.pause import pause_fleet, resume_fleet
from worker.core.s3.state import State
from worker.layout import Command, show
from worker.terminal import err, iso, load_for_command, operator, seconds, tell


def pause(
    reason: Annotated[str, typer.Option(help="The reason, which is shown to others.")],
    duration: Annotated[
        str | None, typer.Option("--for", help="How long: 90s, 30m, 2h, 1d. Without it: until `resume`.")
    ] = None,
) -> None:
    """Stop the polling of all workers within 15 s. Messages wait in the queue; those in flight wait too."""
    lasting_s = seconds(duration, "--for")
    pause_fleet(connect(load_for_command()).state, reason=reason, by=operator(), lasting_s=lasting_s)
    until = "until `s3-index-worker resume`" if lasting_s is None else f"until {iso(time.time() + lasting_s)}"
    tell(f"paused {until}: every worker stops polling within 15 s")


def resume(
    let_fail: Annotated[
        str | None,
        typer.Option(
            "--let-fail",
            help="For so long (30m, 1h), no worker stops by itself because nearly everything fails: "
            "those messages go to the dead-letter queue.",
        ),
    ] = None,
) -> None:
    """End a pause, and the brakes of workers that have stopped because nearly everything failed.

    All workers poll again within 15 s. Prints which commands send again what had failed.
    """
    letting_fail_s = seconds(let_fail, "--let-fail") or 0
    state = connect(load_for_command()).state
    brakes, problem = _brakes(state)
    was = resume_fleet(state, letting_fail_s=letting_fail_s)
    if was is None:
        tell("the fleet was not paused" + ("" if brakes else "; no worker had its brake on" if not problem else ""))
    else:
        tell(f"resumed; the fleet was paused by {was.get('by', '?')}: {was['reason']}")
    for brake in brakes:
        tell(
            f"resumed {brake.worker}, which had stopped at {brake.at}: {brake.failed} of {brake.of} messages had failed"
        )
    for command in _commands(brakes):
        show(err, Command(command, before="to send them again: "))
    if problem:
        tell(f"which workers had their brake on cannot be read ({problem}); they go on, too. See `dlq stats`")


def _brakes(state: State) -> tuple[list[BrakeRecord], str]:
    """The brakes that are on, and why they cannot be read: a role that may only pause and resume may still do that."""
    try:
        return read_brakes(state), ""
    except StoreError as error:
        return [], error.code


def _commands(brakes: list[BrakeRecord]) -> list[str]:
    """What sends again what had failed, each command once: several workers fail for one cause."""
    return list(dict.fromkeys(command for brake in brakes for command in brake.commands))
