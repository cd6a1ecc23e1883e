"""`dlq import`."""

from typing import Annotated

import typer

from recovery.cli.context import DLQ, CommandContext
from recovery.cli.files import file_to_read
from recovery.cli.options import DryRun, EachMessage, Force, WhilePaused, Yes
from recovery.cli.verb import verb
from recovery.cli.view.transfer import exit_code, show_transfer, would_send
from recovery.operations.import_file import ImportRequest, import_messages, plan_import
from worker.core.base.errors import ExitCode
from worker.terminal import show_recorded


@verb(
    name="import",
    epilog="Examples: dlq import dead-letters.jsonl --dry-run | dlq import dead-letters.jsonl --to source --yes",
)
def import_file(
    context: CommandContext,
    file: Annotated[
        str, typer.Argument(help="A file written by `dlq export`; - for stdin.", metavar="FILE", show_default=False)
    ],
    to: Annotated[str, typer.Option(help="dlq, source, or the URL or name of a queue.")] = DLQ,
    dry_run: DryRun = False,
    force: Force = False,
    while_paused: WhilePaused = False,
    yes: Yes = False,
    each: EachMessage = False,
) -> ExitCode:
    """Send the messages of a file, after verifying the whole file. Importing it twice sends them twice.

    Exit codes: 0, 3 some refused or kept, 64 the file is not complete, 75 paused, 78.
    """
    target = context.place(to, force=force, while_paused=while_paused or dry_run)
    with file_to_read(file, "FILE") as source:
        request = ImportRequest(context.run, source)
        plan = plan_import(request, target)
    context.count("refused", len(plan.report.refused))
    figures: dict[str, object] = {
        "run": context.run.name, "dry_run": dry_run, "file": source.name, "to": target.url, "found": plan.seal.messages
    }  # fmt: skip
    if dry_run or not plan.prepared:
        done = f"would be sent to {target.url}; nothing was changed" if dry_run else "sent"
        show_transfer(context, figures, would_send(plan.report, plan.prepared), done, each=each)
        return exit_code(plan.report, ExitCode.OK if plan.seal.messages else ExitCode.NOT_FOUND)
    if len(plan.prepared) > 1:
        what = f"send {len(plan.prepared)} messages of {source.name}, exported from {plan.seal.queue}, to {target.url}"
        context.confirm(what, yes=yes)
    result = import_messages(context.clients, request, plan, stop=context.signals.stop)
    context.count("redrive", len(result.report.sent))
    recorded = show_recorded(result.recorded)
    show_transfer(context, figures, result.report, f"sent to {target.url}", each=each)
    return exit_code(result.report, recorded)
