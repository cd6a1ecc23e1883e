"""`dlq purge`."""

from typing import Annotated

import typer

from recovery.cli.caller import STREAM
from recovery.cli.context import CommandContext
from recovery.cli.files import file_to_write, require_kept_stdout
from recovery.cli.finding import find_and_report
from recovery.cli.options import DryRun
from recovery.cli.verb import verb
from recovery.cli.view.tables import print_sentence
from recovery.cli.view.transfer import exit_code
from recovery.operations.dead_letters.facts import Filter
from recovery.operations.purge import PurgeRequest, PurgeResult
from recovery.operations.purge import purge as purge_messages
from recovery.operations.records.export_file import check_new
from recovery.operations.records.operator_file import OperatorFile
from worker.core.base.errors import ExitCode
from worker.terminal import err, print_json, show_recorded


@verb(epilog="Examples: dlq purge --backup all.jsonl | dlq purge --backup all.jsonl --confirm files-dlq")
def purge(
    context: CommandContext,
    backup: Annotated[
        str, typer.Option(help="The new file to which everything is exported; - for stdout.", metavar="FILE")
    ],
    confirm: Annotated[
        str | None, typer.Option(help="The name of the DLQ; on a terminal, you are asked for it.")
    ] = None,
    dry_run: DryRun = False,
) -> ExitCode:
    """Export everything, verify the file, then delete exactly these messages. Messages that arrive later stay.

    Exit codes: 0, 1 no messages, 3 some messages are left, 64.
    """
    if backup == STREAM and not dry_run:
        require_kept_stdout()
    with file_to_write(backup, "--backup") as file:
        check_new(file)
        with context.claiming() as claims:
            found = find_and_report(context, claims, Filter())
            count = len(found.facts)
            if dry_run or not count:
                _show_plan(context, file, count, dry_run=dry_run)
                return ExitCode.OK if count else ExitCode.NOT_FOUND
            context.confirm_name(f"delete {count} messages of {context.dlq.url}, kept in {file.name} alone", confirm)
            request = PurgeRequest(context.run, file)
            result = purge_messages(context.clients, claims, request, found, stop=context.signals.stop)
        return _show(context, file, result)


def _show_plan(context: CommandContext, file: OperatorFile, count: int, *, dry_run: bool) -> None:
    if context.as_json:
        print_json({"run": context.run.name, "dry_run": dry_run, "file": file.name, "would_delete": count})
    elif count:
        print_sentence(f"would export {count} messages to {file.name}, and delete them; nothing was changed")


def _show(context: CommandContext, file: OperatorFile, result: PurgeResult) -> ExitCode:
    report, sha256, left = result.report, result.seal.sha256, result.left
    if left is None:
        err.print("SQS did not say how many messages are left", highlight=False)
        left = len(report.kept) + len(report.not_deleted)
    recorded = show_recorded(result.recorded)
    if context.as_json:
        figures = {"run": context.run.name, "file": file.name, "sha256": sha256}
        print_json({**figures, **result.counts(), "left_in_queue": left})
    else:
        print_sentence(
            f"{len(report.sent)} deleted, kept in {file.name} (sha256 {sha256}); about {left} left in the DLQ"
        )
        for name in report.not_deleted:
            print_sentence(f"not deleted: {name}")
    return exit_code(report, ExitCode.INCOMPLETE if left else ExitCode.OK, recorded)
