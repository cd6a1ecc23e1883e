"""`s3-index-worker pause` and `resume`."""

import time
from typing import Annotated

import typer

from worker.core.clients import connect
from worker.core.s3.pause import pause_fleet, resume_fleet
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
    done = resume_fleet(connect(load_for_command()).state, letting_fail_s=letting_fail_s)
    if done.pause is None:
        is_all = not done.brakes and not done.problem
        tell("the fleet was not paused" + ("; no worker had its brake on" if is_all else ""))
    else:
        tell(f"resumed; the fleet was paused by {done.pause.get('by', '?')}: {done.pause['reason']}")
    for brake in done.brakes:
        tell(
            f"resumed {brake.worker}, which had stopped at {brake.at}: {brake.failed} of {brake.of} messages had failed"
        )
    for command in done.commands:
        show(err, Command(command, before="to send them again: "))
    if done.problem:
        which = "which other workers" if done.brakes else "which workers"
        tell(f"{which} had their brake on cannot be read ({done.problem}); they go on, too. See `dlq stats`")
