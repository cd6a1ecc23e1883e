"""`dlq list`: lists the DLQ or the archive."""

from typing import Annotated

import typer

from recovery.cli.context import CommandContext
from recovery.cli.finding import find_and_report, found_code
from recovery.cli.verb import verb
from recovery.cli.view.tables import span, table
from recovery.operations.dead_letters.facts import Facts, Filter
from recovery.operations.find import find_archived
from recovery.operations.records.archive import ArchivedDeadLetter
from worker.core.base.errors import ExitCode
from worker.terminal import err, print_json, stdout

_COLUMNS = ("message id", "age", "expires in", "kind", "error", "type", "bucket/key", "receives", "redrives")
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
        print_json([one.as_json(retention_s=context.retention_s) for one in found.facts])
    elif found.facts:
        stdout().print(table(_COLUMNS, [_row(one, context.retention_s) for one in found.facts]))
    return found_code(found)


def _row(facts: Facts, retention_s: int) -> tuple[object, ...]:
    dead_letter, age_s = facts.dead_letter, facts.age_s()
    more = f" (and {len(facts.refs) - 1} more)" if len(facts.refs) > 1 else ""
    expiry = "never (stored)" if dead_letter.stored_key else span(retention_s - age_s)
    return (
        dead_letter.id, span(age_s), expiry, dead_letter.kind, facts.error, facts.type, facts.about + more,
        dead_letter.receives, dead_letter.redrives,
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
