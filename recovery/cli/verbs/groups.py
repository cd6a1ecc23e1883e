"""`dlq groups`."""

import time
from collections.abc import Sequence
from typing import Annotated

import typer
from rich.table import Table

from recovery.cli.context import CommandContext
from recovery.cli.finding import find_and_report, found_code
from recovery.cli.options import MaxSeen
from recovery.cli.verb import verb
from recovery.cli.view.tables import table
from recovery.operations.dead_letters.facts import Filter
from recovery.operations.dead_letters.grouping import By, Group, grouped
from worker.core.base.errors import ExitCode
from worker.terminal import print_json, span, stdout


@verb(epilog="Examples: dlq groups | dlq groups --by error | dlq groups --by source --kind UNKNOWN")
def groups(
    context: CommandContext,
    chosen: Filter,
    by: Annotated[
        By, typer.Option(help="The property by which messages are grouped.", case_sensitive=False)
    ] = By.FINGERPRINT,
    max_messages: MaxSeen = 10_000,
) -> ExitCode:
    """Group messages by cause (error type and reason; of a bug, the place in our code). Exit codes: 0, 1 no messages."""
    with context.claiming() as claims:
        found = find_and_report(context, claims, chosen, at_most=max_messages)
    context.count("list")
    made = grouped(found.facts, by)
    if context.as_json:
        print_json([group.as_json() for group in made])
    elif made:
        stdout().print(groups_table(made, by))
    return found_code(found)


def groups_table(made: Sequence[Group], by: By) -> Table:
    """A table with one line for each group."""
    now = time.time()
    rows = [
        (group.name, group.count, group.kind, group.error, span(now - group.first_ms / 1000),
         span(now - group.last_ms / 1000), group.message, " ".join(group.ids))
        for group in made
    ]  # fmt: skip
    return table((by.value, "count", "kind", "error", "first", "last", "it says", "such as"), rows)
