"""Messages in files: export, import, purge. An export deletes nothing; a purge deletes just what is in its file."""

from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import typer

from recovery.cli.context import CommandContext
from recovery.cli.finding import Found, find
from recovery.cli.options import DryRun, Force, WhilePaused, Yes, verb
from recovery.cli.tables import shown
from recovery.cli.targets import DLQ, entries_for, exit_code, place, told
from recovery.operations.audit import who
from recovery.operations.export_file import Seal, read_dead_letters, verify, write_export
from recovery.operations.grouping import Filter
from recovery.operations.sending import Report, delete, post, prepare
from worker.core.base.errors import ExitCode, QueueError
from worker.core.base.text import one_line
from worker.core.sqs.visibility import VisibilityExtender
from worker.terminal import err, print_json, stdout

Backup = Annotated[
    Path, typer.Argument(help="A file of JSON lines, not there yet.", metavar="FILE", show_default=False)
]


@verb(epilog="Examples: dlq export dead-letters.jsonl | dlq export broken.jsonl --error UnreadableFileError")
def export(
    context: CommandContext,
    file: Backup,
    chosen: Filter,
    max_messages: Annotated[int | None, typer.Option(min=1, help="Messages exported, at most.")] = None,
) -> ExitCode:
    """Write messages to a new file, with all attributes and a checksum. Deletes nothing. Exit codes: 0, 1 none found, 64."""
    _must_be_new(file, "FILE")
    with context.keep_invisible() as extender:
        found = find(context, extender, chosen, at_most=max_messages)
        if not found.facts:
            return ExitCode.NOT_FOUND
        seal = _exported(context, file, found, "FILE")
    context.count("list")
    figures = {"run": context.run, "file": str(file), "messages": seal.messages, "sha256": seal.sha256}
    if context.as_json:
        print_json(figures)
    else:
        _say(f"{seal.messages} messages in {file}, sha256 {seal.sha256}")
    return ExitCode.OK


@verb(
    name="import",
    epilog="Examples: dlq import dead-letters.jsonl --dry-run | dlq import dead-letters.jsonl --to source --yes",
)
def import_(
    context: CommandContext,
    file: Annotated[
        Path,
        typer.Argument(
            help="What `dlq export` wrote.", metavar="FILE", exists=True, dir_okay=False, show_default=False
        ),
    ],
    to: Annotated[str, typer.Option(help="dlq, source, or URL or name of a queue.")] = DLQ,
    dry_run: DryRun = False,
    force: Force = False,
    while_paused: WhilePaused = False,
    yes: Yes = False,
) -> ExitCode:
    """Send the messages of a file. It is verified to its end before the first is sent; importing twice sends twice.

    Exit codes: 0, 3 some refused or kept, 64 the file is not whole, 75 paused, 78.
    """
    seal = _verified(file)
    target = place(context, to)
    if target.url != context.dlq.url:
        context.refuse_while_paused(while_paused=while_paused or dry_run)
    report = Report()
    prepared = prepare(list(read_dead_letters(file)), entries_for(context, target, context.types, force=force), report)
    context.count("refused", len(report.refused))
    figures: dict[str, Any] = {
        "run": context.run, "dry_run": dry_run, "file": str(file), "to": target.url, "found": seal.messages
    }  # fmt: skip
    if dry_run or not prepared:
        report.sent = [dead_letter.id for dead_letter, _ in prepared]
        told(context, figures, report, f"would be sent to {target.url}; nothing was changed" if dry_run else "sent")
        return exit_code(context, report, ExitCode.OK if seal.messages else ExitCode.NOT_FOUND)
    if len(prepared) > 1:
        context.confirm(
            f"send {len(prepared)} messages of {file}, exported from {seal.queue}, to {target.url}", yes=yes
        )
    for _ in post(target, prepared, report, stop=context.signals.stop):
        pass
    context.count("redrive", len(report.sent))
    result = {name: len(ids) for name, ids in report.as_json().items()}
    ids = [dead_letter.id for dead_letter, _ in prepared]
    audited = context.record(ids, result, to=target.url, file=str(file), sha256=seal.sha256, report=report.as_json())
    told(context, figures, report, f"sent to {target.url}")
    return exit_code(context, report, audited)


@verb(epilog="Examples: dlq purge --backup all.jsonl | dlq purge --backup all.jsonl --confirm files-dlq")
def purge(
    context: CommandContext,
    backup: Annotated[Path, typer.Option(help="The new file that keeps everything.")],
    confirm: Annotated[str | None, typer.Option(help="The DLQ's name, typed out; asked for on a terminal.")] = None,
    dry_run: DryRun = False,
) -> ExitCode:
    """Export everything, verify the file, then delete just what is in it; what arrived meanwhile stays.

    Exit codes: 0, 1 nothing there, 3 something is left, 64.
    """
    _must_be_new(backup, "--backup")
    with context.keep_invisible() as extender:
        found = find(context, extender, Filter())
        if not found.facts:
            return ExitCode.NOT_FOUND
        if dry_run:
            _say(f"would export {len(found.facts)} messages to {backup}, and delete them; nothing was changed")
            return ExitCode.OK
        context.confirm_name(
            f"delete {len(found.facts)} messages of {context.dlq.url}, kept in {backup} alone", confirm
        )
        seal = _exported(context, backup, found, "--backup")
        return _purge(context, extender, found, backup, seal)


def _purge(context: CommandContext, extender: VisibilityExtender, found: Found, backup: Path, seal: Seal) -> ExitCode:
    report = Report()
    dead_letters = found.dead_letters
    for start in range(0, len(dead_letters), 10):
        part = dead_letters[start : start + 10]
        if context.signals.stop.is_set():
            report.kept |= {dead_letter.id: "interrupted" for dead_letter in part}
            continue
        left = delete(context.dlq, extender, part)
        report.not_deleted += left
        report.sent += [dead_letter.id for dead_letter in part if dead_letter.id not in left]
    rest = _rest(context, len(report.kept) + len(report.not_deleted))
    ids = [dead_letter.id for dead_letter in dead_letters]
    result = {"deleted": len(report.sent), "not_deleted": len(report.not_deleted), "kept": len(report.kept)}
    audited = context.record(ids, result, file=str(backup), sha256=seal.sha256)
    figures = {"run": context.run, "file": str(backup), "sha256": seal.sha256, **result, "left_in_queue": rest}
    if context.as_json:
        print_json(figures)
    else:
        _say(f"{result['deleted']} deleted, kept in {backup} (sha256 {seal.sha256}); about {rest} left in the DLQ")
        for name in report.not_deleted:
            _say(f"not deleted: {name}")
    return exit_code(context, report, ExitCode.INCOMPLETE if rest else ExitCode.OK, audited)


def _must_be_new(file: Path, hint: str) -> None:
    """Raises a usage error before a queue is looked through, and a name typed, in vain; writing it looks again."""
    if file.exists():
        raise typer.BadParameter(f"{shown(file)} is there already; it would be a new file", param_hint=hint)
    if not file.parent.is_dir():
        raise typer.BadParameter(f"{shown(file)} cannot be written: {shown(file.parent)} is no folder", param_hint=hint)


def _exported(context: CommandContext, file: Path, found: Found, hint: str) -> Seal:
    """Write a file, read it back, and hold it against what was to be in it. Raises a usage error where it cannot be."""
    try:
        seal = write_export(file, found.dead_letters, queue=context.dlq.url, by=who())
    except FileExistsError:
        raise typer.BadParameter(f"{shown(file)} is there already; it would be a new file", param_hint=hint) from None
    except OSError as error:
        raise typer.BadParameter(f"{shown(file)} cannot be written: {error.strerror}", param_hint=hint) from None
    back = _verified(file)
    if back != seal or [dead_letter.id for dead_letter in read_dead_letters(file)] != [
        dead_letter.id for dead_letter in found.dead_letters
    ]:
        raise typer.BadParameter(f"{shown(file)} is not what was written to it; the disk is at fault", param_hint=hint)
    return seal


def _verified(file: Path) -> Seal:
    try:
        return verify(file)
    except ValueError as error:
        raise typer.BadParameter(f"{shown(file)}: {error}", param_hint="FILE") from None
    except OSError as error:
        raise typer.BadParameter(f"{shown(file)} cannot be read: {error.strerror}", param_hint="FILE") from None


def _rest(context: CommandContext, known: int) -> int:
    """About how many messages are in the DLQ now: what arrived meanwhile, and what others extender."""
    with suppress(QueueError):
        attributes = context.dlq.attributes()
        names = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
        return sum(int(attributes.get(name, 0)) for name in names)
    err.print("how many are left could not be asked", highlight=False)
    return known


def _say(sentence: str) -> None:
    stdout().print(one_line(sentence), markup=False, highlight=False, soft_wrap=True)
