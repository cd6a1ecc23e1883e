"""`dlq restore`: sends archived messages to a queue again."""

from typing import Annotated

import typer

from recovery.cli.context import DLQ, CommandContext
from recovery.cli.options import DryRun, EachMessage, Force, WhilePaused, Yes
from recovery.cli.verb import verb
from recovery.cli.view.transfer import exit_code, show_transfer, would_send
from recovery.operations.restore import RestorePlan, RestoreRequest, plan_restore
from recovery.operations.restore import restore as restore_messages
from worker.core.base.errors import ExitCode
from worker.core.base.text import one_line
from worker.core.s3.state import ARCHIVE_PREFIX
from worker.terminal import say, show_recorded


@verb(
    epilog="Examples: dlq restore --run dlq-abandon-20260401T093000Z-5b1f2c | dlq restore --message-id 5f0c… --to source"
)
def restore(
    context: CommandContext,
    run: Annotated[
        str | None, typer.Option(help="Restore everything that this run archived, as shown by `dlq list --archive`.")
    ] = None,
    message_id: Annotated[list[str] | None, typer.Option(help="Id of an archived message; can be repeated.")] = None,
    to: Annotated[str, typer.Option(help="dlq, source, or the URL or name of a queue.")] = DLQ,
    dry_run: DryRun = False,
    force: Force = False,
    while_paused: WhilePaused = False,
    yes: Yes = False,
    each: EachMessage = False,
) -> ExitCode:
    """Send archived messages to a queue again. They stay in the archive, and are not restored twice.

    Exit codes: 0, 1 nothing found, 3 some not found, refused or kept, 75 paused, 78.
    """
    if (run is None) == (not message_id):
        raise typer.BadParameter("either --run or --message-id is required", param_hint="--run")
    state = context.need_state("restores messages from its dlq-archive/")
    target = context.place(to, force=force, while_paused=while_paused or dry_run)
    request = RestoreRequest(context.run, run, tuple(message_id or ()))
    plan = plan_restore(state, request, target)
    for name in plan.missing:
        say("not found", f"{one_line(name)}: not in {ARCHIVE_PREFIX}; see `dlq list --archive`")
    context.count("refused", len(plan.report.refused))
    figures: dict[str, object] = {
        "run": context.run.name, "dry_run": dry_run, "to": target.url, "found": len(plan.entries)
    }  # fmt: skip
    if dry_run or not plan.prepared:
        prepared = [(entry.dead_letter, message) for entry, message in plan.prepared]
        done = f"would be restored to {target.url}; nothing was changed" if dry_run else "restored"
        show_transfer(context, figures, would_send(plan.report, prepared), done, each=each)
        return exit_code(plan.report, _found_code(plan))
    if len(plan.prepared) > 1:
        what = f"restore {len(plan.prepared)} messages from s3://{state.bucket}/{ARCHIVE_PREFIX} to {target.url}"
        context.confirm(what, yes=yes)
    result = restore_messages(context.clients, state, request, plan, stop=context.signals.stop)
    context.count("redrive", len(result.report.sent))
    recorded = show_recorded(result.recorded)
    show_transfer(context, figures, result.report, f"restored to {target.url}", each=each)
    return exit_code(result.report, _found_code(plan), recorded)


def _found_code(plan: RestorePlan) -> ExitCode:
    if not plan.entries:
        return ExitCode.NOT_FOUND
    return ExitCode.INCOMPLETE if plan.missing else ExitCode.OK
