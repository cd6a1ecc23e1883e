"""`dlq list`: lists the DLQ or the archive."""

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from recovery.cli.context import CommandContext
from recovery.cli.finding import ambiguous_ids_reported, find_and_report, found_code, say_unmatched
from recovery.cli.options import Columns, Wide
from recovery.cli.verb import verb
from recovery.cli.view.status import status_of
from recovery.cli.view.tables import chosen_columns, table
from recovery.operations.dead_letters.facts import Facts, Filter
from recovery.operations.find import find_archived
from recovery.operations.records.archive import ArchivedDeadLetter
from worker.core.base.errors import ExitCode
from worker.core.base.text import exact
from worker.layout import is_listing, show
from worker.tables import Cell
from worker.terminal import err, print_json, span, stdout

NEVER = "never"
_CELLS: Mapping[str, Callable[[Facts, int], Cell]] = {
    "key": lambda facts, _: _key(facts),
    "error": lambda facts, _: facts.cause,
    "age": lambda facts, _: span(facts.age_s()),
    "id": lambda facts, _: facts.dead_letter.id,
    "kind": lambda facts, _: facts.dead_letter.kind.value,
    "status": lambda facts, _: status_of(facts),
    "expires": lambda facts, retention_s: NEVER if facts.dead_letter.stored_key else span(retention_s - facts.age_s()),
    "receives": lambda facts, _: facts.dead_letter.receives,
    "redrives": lambda facts, _: facts.dead_letter.redrives,
    "type": lambda facts, _: facts.type,
    "group": lambda facts, _: facts.fingerprint,
    "says": lambda facts, _: facts.failure.message,
    "source": lambda facts, _: facts.source,
}
"""What each column shows, given also the retention period of the DLQ in seconds; the most important first."""
USUAL = ("key", "error", "age", "id", "kind", "status", "expires", "redrives", "type")
_ARCHIVE_CELLS: Mapping[str, Callable[[ArchivedDeadLetter, Facts], Cell]] = {
    "key": lambda _, facts: _key(facts),
    "error": lambda entry, _: entry.error_type,
    "archived": lambda entry, _: entry.archived_at,
    "id": lambda entry, _: entry.dead_letter.id,
    "run": lambda entry, _: entry.run,
    "reason": lambda entry, _: entry.reason,
    "restored": lambda entry, _: _restored(entry),
    "by": lambda entry, _: entry.by,
}
USUAL_OF_ARCHIVE = ("key", "error", "archived", "id", "run", "reason", "restored")


@verb(
    name="list",
    epilog="Examples: dlq list | dlq list --kind SYSTEM_ERROR --older-than 2h | dlq list --match 契約 --json | "
    "dlq list --archive | dlq list --columns id,key,says --wide",
)
def list_messages(
    context: CommandContext,
    chosen: Filter,
    max_messages: Annotated[int, typer.Option(min=1, help="Maximum number of messages to show.")] = 100,
    archive: Annotated[bool, typer.Option("--archive", help="List dlq-archive/ instead.")] = False,
    columns: Columns = None,
    wide: Wide = False,
) -> ExitCode:
    """List messages: their key, error and age, and what else fits. Exit codes: 0, 1 no messages.

    On a narrow terminal, the other columns stand below each message. In a pipe, each message is one line, with its complete
    id first. Columns: key, error, age, id, kind, status, expires, receives, redrives, type, group, says, source; of the archive:
    key, error, archived, id, run, reason, restored, by.
    """
    if archive:
        names = chosen_columns(columns, list(_ARCHIVE_CELLS), ordered(USUAL_OF_ARCHIVE, stdout(), wide=wide))
        return _list_archive(context, chosen, max_messages, names, wide=wide)
    names = chosen_columns(columns, list(_CELLS), ordered(USUAL, stdout(), wide=wide))
    with context.claiming() as claims:
        found = find_and_report(context, claims, chosen, at_most=max_messages)
    context.count("list")
    if context.as_json:
        rows = ({**one.as_json(retention_s=context.retention_s), "status": status_of(one)} for one in found.facts)
        print_json(list(rows))
    elif found.facts:
        print_list(stdout(), found.facts, context.retention_s, names, is_wide=wide)
    return found_code(found)


def ordered(usual: Sequence[str], out: Console, *, wide: bool) -> Sequence[str]:
    """The usual columns; where each message is one line, its id comes first, where scripts find it."""
    return usual if not is_listing(out, is_wide=wide) else ("id", *(name for name in usual if name != "id"))


def print_list(
    out: Console, found: Sequence[Facts], retention_s: int, names: Sequence[str] = USUAL, *, is_wide: bool = False
) -> None:
    """Print these columns of them."""
    rows = ([_CELLS[name](facts, retention_s) for name in names] for facts in found)
    show(out, table(names, rows, is_wide=is_wide))


def _key(facts: Facts) -> Text:
    """Its first object, or what it is about; every character of it."""
    more = f" (and {len(facts.refs) - 1} more)" if len(facts.refs) > 1 else ""
    return Text(exact(facts.about) + more)


def _restored(entry: ArchivedDeadLetter) -> str:
    mark = entry.restored
    return "" if mark is None else f"{'to' if mark.done else 'being restored to'} {mark.to}, {mark.at}"


def _list_archive(
    context: CommandContext, chosen: Filter, max_messages: int, names: Sequence[str], *, wide: bool
) -> ExitCode:
    state = context.need_state("--archive lists its dlq-archive/")
    with ambiguous_ids_reported(context):
        found = find_archived(context.clients, state, chosen, at_most=max_messages, stop=context.signals.stop)
    if not found.is_all:
        err.print("there are more; increase --max-messages", highlight=False)
    context.count("list")
    if not found.entries:
        say_unmatched(chosen)
    if context.as_json:
        print_json([_archived_json(entry, facts, context.retention_s) for entry, facts in found.entries])
    elif found.entries:
        rows = ([_ARCHIVE_CELLS[name](entry, facts) for name in names] for entry, facts in found.entries)
        show(stdout(), table(names, rows, is_wide=wide))
    return ExitCode.OK if found.entries else ExitCode.NOT_FOUND


def _archived_json(entry: ArchivedDeadLetter, facts: Facts, retention_s: int) -> dict[str, object]:
    kept = {name: getattr(entry, name) for name in ("archived_at", "by", "run", "queue", "reason")}
    restored = entry.restored.as_json() if entry.restored else None
    return {
        **facts.as_json(retention_s=retention_s), **kept, "restored": restored, "record": entry.key,
        "archived_for": entry.error_type,
    }  # fmt: skip
