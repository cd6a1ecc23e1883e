"""The first half of most verbs: selects messages, and shows how much of the queue was seen and what was not found."""

import typer

from recovery.cli.context import CommandContext
from recovery.operations.dead_letters.facts import Filter, Ids
from recovery.operations.dead_letters.scan import NOWHERE
from recovery.operations.find import FindRequest, Found, find
from recovery.operations.transfer.claims import Claims
from worker.core.base.errors import ExitCode
from worker.core.base.text import one_line
from worker.terminal import err, say


def find_and_report(
    context: CommandContext, claims: Claims, which: Ids | Filter, *, at_most: int | None = None
) -> Found:
    """Read the DLQ and `dead-letters/`. Selected messages are kept invisible, the others are released.

    Ends the command after a signal.
    """
    with err.status("reading the DLQ …") as status:
        found = find(
            context.clients,
            claims,
            FindRequest(which, at_most),
            stop=context.signals.stop,
            on_progress=lambda now: status.update(f"reading the DLQ … {now.done:,} seen"),
        )
    if context.signals.exit_code is not None:
        raise typer.Exit(context.signals.exit_code)
    err.print(found.scan.coverage, highlight=False)
    for name in found.missing:
        say("not found", f"{one_line(name)}: {NOWHERE}")
    return found


def found_code(found: Found) -> ExitCode:
    """NOT_FOUND if nothing was found, INCOMPLETE if some of the given ids were not found."""
    if not found.facts:
        return ExitCode.NOT_FOUND
    return ExitCode.INCOMPLETE if found.missing else ExitCode.OK
