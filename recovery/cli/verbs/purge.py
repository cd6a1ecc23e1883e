"""`dlq purge`."""

from pathlib import Path
from typing import Annotated

import typer

from recovery.cli.context import CommandContext
from recovery.cli.finding import find_and_report
from recovery.cli.options import DryRun
from recovery.cli.verb import verb
from recovery.cli.view.files import file_errors
from recovery.cli.view.recorded import show_recorded
from recovery.cli.view.tables import print_sentence
from recovery.cli.view.transfer import exit_code
from recovery.operations.dead_letters.facts import Filter
from recovery.operations.purge import PurgeRequest, PurgeResult
from recovery.operations.purge import purge as purge_messages
from recovery.operations.records.export_file import check_new
from worker.core.base.errors import ExitCode
from worker.terminal import err, print_json


@verb(epilog="Examples: dlq purge --backup all.jsonl | dlq purge --backup all.jsonl --confirm files-dlq")
def purge(
    context: CommandContext,
    backup: Annotated[Path, typer.Option(help="The new file to which everything is exported.", resolve_path=True)],
    confirm: Annotated[
        str | None, typer.Option(help="The name of the DLQ; on a terminal, you are asked for it.")
    ] = None,
    dry_run: DryRun = False,
) -> ExitCode:
    """Export everything, verify the file, then delete exactly these messages. Messages that arrive later stay.

    Exit codes: 0, 1 no messages, 3 some messages are left, 64.
    """
    with file_errors("--backup"):
        check_new(backup)
    with context.keep_invisible() as extender, file_errors("--backup"):
        found = find_and_report(context, extender, Filter())
        count = len(found.facts)
        if dry_run or not count:
            _show_plan(context, backup, count, dry_run=dry_run)
            return ExitCode.OK if count else ExitCode.NOT_FOUND
        context.confirm_name(f"delete {count} messages of {context.dlq.url}, kept in {backup} alone", confirm)
        request = PurgeRequest(context.run, backup)
        result = purge_messages(context.clients, extender, request, found, stop=context.signals.stop)
    return _show(context, backup, result)


def _show_plan(context: CommandContext, backup: Path, count: int, *, dry_run: bool) -> None:
    if context.as_json:
        print_json({"run": context.run.name, "dry_run": dry_run, "file": str(backup), "would_delete": count})
    elif count:
        print_sentence(f"would export {count} messages to {backup}, and delete them; nothing was changed")


def _show(context: CommandContext, backup: Path, result: PurgeResult) -> ExitCode:
    report, sha256, left = result.report, result.seal.sha256, result.left
    if left is None:
        err.print("SQS did not answer how many messages are left", highlight=False)
        left = len(report.kept) + len(report.not_deleted)
    recorded = show_recorded(result.recorded)
    if context.as_json:
        figures = {"run": context.run.name, "file": str(backup), "sha256": sha256}
        print_json({**figures, **result.counts(), "left_in_queue": left})
    else:
        print_sentence(f"{len(report.sent)} deleted, kept in {backup} (sha256 {sha256}); about {left} left in the DLQ")
        for name in report.not_deleted:
            print_sentence(f"not deleted: {name}")
    return exit_code(report, ExitCode.INCOMPLETE if left else ExitCode.OK, recorded)
