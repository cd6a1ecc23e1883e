"""`dlq export`."""

from typing import Annotated

import typer

from recovery.cli.context import CommandContext
from recovery.cli.files import file_to_write
from recovery.cli.finding import find_and_report, found_code
from recovery.cli.verb import verb
from recovery.cli.view.tables import print_sentence
from recovery.operations.dead_letters.facts import Filter, Ids
from recovery.operations.export import ExportRequest
from recovery.operations.export import export as export_messages
from recovery.operations.records.export_file import check_new
from worker.core.base.errors import ExitCode
from worker.terminal import print_json


@verb(
    epilog="Examples: dlq export dead-letters.jsonl | dlq export two.jsonl 5f0c3a 77ab90 | "
    "dlq export - --error UnreadableFileError | gzip > broken.jsonl.gz"
)
def export(
    context: CommandContext,
    file: Annotated[
        str, typer.Argument(help="The new file (JSON lines); - for stdout.", metavar="FILE", show_default=False)
    ],
    which: Ids | Filter,
    max_messages: Annotated[int | None, typer.Option(min=1, help="Maximum number of messages to export.")] = None,
) -> ExitCode:
    """Write messages to a new file, with all attributes and a checksum. Deletes nothing. Exit codes: 0, 1 none found, 3, 64."""
    with file_to_write(file, "FILE") as target:
        check_new(target)
        with context.claiming() as claims:
            found = find_and_report(context, claims, which, at_most=max_messages)
            if not found.facts:
                if context.as_json:
                    print_json({"run": context.run.name, "messages": 0})
                return ExitCode.NOT_FOUND
            seal = export_messages(context.clients, ExportRequest(context.run, target), found)
        context.count("list")
        if context.as_json:
            figures = {"run": context.run.name, "file": target.name}
            print_json({**figures, "messages": seal.messages, "sha256": seal.sha256})
        else:
            print_sentence(f"{seal.messages} messages in {target.name}, sha256 {seal.sha256}")
    return found_code(found)
