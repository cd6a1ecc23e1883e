"""`dlq groups`."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated

import typer

from recovery.cli.context import CommandContext
from recovery.cli.finding import find_and_report, found_code
from recovery.cli.options import Columns, MaxSeen, Wide
from recovery.cli.verb import verb
from recovery.cli.view.tables import chosen_columns, table
from recovery.operations.dead_letters.facts import Filter
from recovery.operations.dead_letters.grouping import By, Group, grouped
from worker.core.base.errors import ExitCode
from worker.layout import show
from worker.tables import Cell, Table
from worker.terminal import print_json, span, stdout

_CELLS: Mapping[str, Callable[[Group, float], Cell]] = {
    "error": lambda group, _: group.cause,
    "count": lambda group, _: group.count,
    "first": lambda group, now: span(now - group.first_ms / 1000),
    "last": lambda group, now: span(now - group.last_ms / 1000),
    "kind": lambda group, _: group.kind,
    "group": lambda group, _: group.name,
    "says": lambda group, _: _example(group),
    "ids": lambda group, _: group.ids,
}
"""What each column shows, given also the time (seconds since the epoch); the most important first."""


@verb(epilog="Examples: dlq groups | dlq groups --by error | dlq groups --by source --kind UNKNOWN")
def groups(
    context: CommandContext,
    chosen: Filter,
    by: Annotated[
        By, typer.Option(help="The property by which messages are grouped.", case_sensitive=False)
    ] = By.FINGERPRINT,
    max_messages: MaxSeen = 10_000,
    columns: Columns = None,
    wide: Wide = False,
) -> ExitCode:
    """Group messages by cause (error type and reason; of a bug, the place in our code). Exit codes: 0, 1 no messages.

    Columns: error, count, first and last (ages), kind, group, says, ids; with --by, the property by which they are grouped.
    """
    names = chosen_columns(columns, [_called(name, by) for name in _CELLS], _usual(by))
    with context.claiming() as claims:
        found = find_and_report(context, claims, chosen, at_most=max_messages)
    context.count("list")
    made = grouped(found.facts, by)
    if context.as_json:
        print_json([group.as_json() for group in made])
    elif made:
        show(stdout(), groups_table(made, by, names, is_wide=wide))
    return found_code(found)


def groups_table(made: Sequence[Group], by: By, names: Sequence[str] = (), *, is_wide: bool = False) -> Table:
    """A table of the groups, with these columns or the usual ones."""
    now, names = time.time(), names or _usual(by)
    cells = {_called(name, by): cell for name, cell in _CELLS.items()}
    return table(names, ([cells[name](group, now) for name in names] for group in made), is_wide=is_wide)


def _example(group: Group) -> str:
    """The message of one of them; where it stands for several, it says so, because it may name a file."""
    return f"for example: {group.message}" if group.message and group.count > 1 else group.message


def _usual(by: By) -> list[str]:
    """All columns; what the groups have in common comes first, unless it is a fingerprint, which nobody knows by heart."""
    names = list(dict.fromkeys(_called(name, by) for name in _CELLS))
    return names if by is By.FINGERPRINT else [by.value, *(name for name in names if name != by.value)]


def _called(name: str, by: By) -> str:
    """The name of a column: that of the groups is called after what they have in common."""
    return by.value if name == "group" and by is not By.FINGERPRINT else name
