"""`dlq export`."""

from pathlib import Path
from typing import Annotated

import typer

from recovery.cli.context import CommandContext
from recovery.cli.finding import find_and_report
from recovery.cli.verb import verb
from recovery.cli.view.files import file_errors
from recovery.cli.view.tables import print_sentence
from recovery.operations.dead_letters.facts import Filter
from recovery.operations.export import ExportRequest
from recovery.operations.export import export as export_messages
from recovery.operations.records.export_file import check_new
from worker.core.base.errors import ExitCode
from worker.terminal import print_json


@verb(epilog="Examples: dlq export dead-letters.jsonl | dlq export broken.jsonl --error UnreadableFileError")
def export(
    context: CommandContext,
    file: Annotated[
        Path,
        typer.Argument(
            help="The new file (JSON lines); it must not exist.", metavar="FILE", show_default=False, resolve_path=True
        ),
    ],
    chosen: Filter,
    max_messages: Annotated[int | None, typer.Option(min=1, help="Maximum number of messages to export.")] = None,
) -> ExitCode:
    """Write messages to a new file, with all attributes and a checksum. Deletes nothing. Exit codes: 0, 1 none found, 64."""
    with file_errors("FILE"):
        check_new(file)
    with context.keep_invisible() as extender, file_errors("FILE"):
        found = find_and_report(context, extender, chosen, at_most=max_messages)
        if not found.facts:
            if context.as_json:
                print_json({"run": context.run.name, "messages": 0})
            return ExitCode.NOT_FOUND
        seal = export_messages(context.clients, ExportRequest(context.run, file), found)
    context.count("list")
    if context.as_json:
        print_json({"run": context.run.name, "file": str(file), "messages": seal.messages, "sha256": seal.sha256})
    else:
        print_sentence(f"{seal.messages} messages in {file}, sha256 {seal.sha256}")
    return ExitCode.OK
