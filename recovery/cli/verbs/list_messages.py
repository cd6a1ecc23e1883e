"""`dlq list`: lists the DLQ or the archive."""

from collections.abc import Sequence
from textwrap import indent
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from recovery.cli.context import CommandContext
from recovery.cli.finding import find_and_report, found_code
from recovery.cli.verb import verb
from recovery.cli.view.status import status_of
from recovery.cli.view.tables import shown, table
from recovery.operations.dead_letters.facts import Facts, Filter
from recovery.operations.find import find_archived
from recovery.operations.records.archive import ArchivedDeadLetter
from worker.core.base.errors import ExitCode
from worker.terminal import err, print_json, span, stdout

NEVER = "never"
TABLE_WIDTH = 160
"""Columns of a terminal below which the table is of no use: an id alone takes 36."""
_COLUMNS = ("message id", "age", "expires in", "kind", "error", "type", "bucket/key", "receives", "redrives", "status")
_ARCHIVE_COLUMNS = ("message id", "archived", "run", "bucket/key", "error", "reason", "restored")


@verb(
    name="list",
    epilog="Examples: dlq list | dlq list --kind SYSTEM_ERROR --older-than 2h | dlq list --match 契約 --json | "
    "dlq list --archive",
)
def list_messages(
    context: CommandContext,
    chosen: Filter,
    max_messages: Annotated[int, typer.Option(min=1, help="Maximum number of messages to show.")] = 100,
    archive: Annotated[bool, typer.Option("--archive", help="List dlq-archive/ instead.")] = False,
) -> ExitCode:
    """List messages, one per line. Exit codes: 0, 1 no messages."""
    if archive:
        return _list_archive(context, chosen, max_messages)
    with context.claiming() as claims:
        found = find_and_report(context, claims, chosen, at_most=max_messages)
    context.count("list")
    if context.as_json:
        rows = ({**one.as_json(retention_s=context.retention_s), "status": status_of(one)} for one in found.facts)
        print_json(list(rows))
    elif found.facts:
        show(stdout(), found.facts, context.retention_s)
    return found_code(found)


def show(out: Console, found: Sequence[Facts], retention_s: int) -> None:
    """Print them as a table; on a narrow terminal, which would fold most of its columns to nothing, each on several lines."""
    rows = [_row(facts, retention_s) for facts in found]
    if out.width >= TABLE_WIDTH:
        out.print(table(_COLUMNS, rows))
        return
    for row in rows:
        name, age, expiry, *others = map(shown, row)
        kind, error, kind_of_message, about, receives, redrives, said = others
        out.print(Text(name, "bold"), soft_wrap=True)
        counts = f"{receives} receives, {redrives} redrives"
        for line in (
            f"{kind} {error}, {age} old, expires {_in(expiry)}",
            f"{kind_of_message} {about}",
            f"{said}; {counts}",
        ):
            out.print(Text(indent(line, "    ")), soft_wrap=True)


def _in(expiry: str) -> str:
    return expiry if expiry == NEVER else f"in {expiry}"


def _row(facts: Facts, retention_s: int) -> tuple[object, ...]:
    dead_letter, age_s = facts.dead_letter, facts.age_s()
    more = f" (and {len(facts.refs) - 1} more)" if len(facts.refs) > 1 else ""
    expiry = NEVER if dead_letter.stored_key else span(retention_s - age_s)
    return (
        dead_letter.id, span(age_s), expiry, dead_letter.kind, facts.error, facts.type, facts.about + more,
        dead_letter.receives, dead_letter.redrives, status_of(facts),
    )  # fmt: skip


def _list_archive(context: CommandContext, chosen: Filter, max_messages: int) -> ExitCode:
    state = context.need_state("--archive lists its dlq-archive/")
    found = find_archived(context.clients, state, chosen, at_most=max_messages, stop=context.signals.stop)
    if not found.is_all:
        err.print("there are more; increase --max-messages", highlight=False)
    context.count("list")
    if context.as_json:
        print_json([_archived_json(entry, facts, context.retention_s) for entry, facts in found.entries])
    elif found.entries:
        stdout().print(table(_ARCHIVE_COLUMNS, [_archived_row(entry, facts) for entry, facts in found.entries]))
    return ExitCode.OK if found.entries else ExitCode.NOT_FOUND


def _archived_json(entry: ArchivedDeadLetter, facts: Facts, retention_s: int) -> dict[str, object]:
    kept = {name: getattr(entry, name) for name in ("archived_at", "by", "run", "queue", "reason")}
    restored = entry.restored.as_json() if entry.restored else None
    return {
        **facts.as_json(retention_s=retention_s), **kept, "restored": restored, "record": entry.key,
        "archived_for": entry.error_type,
    }  # fmt: skip


def _archived_row(entry: ArchivedDeadLetter, facts: Facts) -> tuple[object, ...]:
    mark = entry.restored
    restored = "" if mark is None else f"{'to' if mark.done else 'being restored to'} {mark.to}, {mark.at}"
    return (
        entry.dead_letter.id, entry.archived_at, entry.run, facts.about, entry.error_type, entry.reason, restored
    )  # fmt: skip
