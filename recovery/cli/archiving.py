"""Putting messages away, and bringing them back: delete, abandon, restore. Nothing is deleted that is not archived."""

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any

import typer

from recovery.cli.context import CommandContext
from recovery.cli.finding import Found, find
from recovery.cli.options import DryRun, Force, Ids, Reason, WhilePaused, Yes, at_most_all, verb
from recovery.cli.targets import DLQ, entries_for, exit_code, place, told
from recovery.operations.archive import Archive, ArchivedDeadLetter, claim, finish, read_all
from recovery.operations.audit import who
from recovery.operations.dead_letters import DeadLetter
from recovery.operations.grouping import Facts, Filter
from recovery.operations.sending import Report, SendEntry
from recovery.operations.sending import delete as delete_dead_letters
from worker.core.base.classify import is_transient
from worker.core.base.errors import ExitCode, StoreError
from worker.core.base.retry import retry_transient
from worker.core.base.text import one_line
from worker.core.s3.state import ARCHIVE_PREFIX, State
from worker.core.sqs.queue import Queue, in_batch
from worker.core.sqs.visibility import VisibilityExtender
from worker.terminal import say

THREADS = 8
DELETED, ABANDONED = "deleted", "abandoned"


@verb(epilog="Example: dlq delete --message-id 5f0c… --reason 'test file, ticket 123'")
def delete(context: CommandContext, ids: Ids, reason: Reason, dry_run: DryRun = False, yes: Yes = False) -> ExitCode:
    """Archive these in dlq-archive/, then delete them from the DLQ. Exit codes: 0, 1 not found, 3 some kept, 78."""
    state = context.need_state("archives in dlq-archive/ there what it deletes")
    with context.keep_invisible() as extender:
        found = find(context, extender, ids)
        return _put_away(
            context, extender, found, state, (DELETED, reason), {"ids": sorted(ids.names)}, dry_run=dry_run, yes=yes
        )


@verb(
    epilog="Examples: dlq abandon --group 3d2572ea9916 --reason 'scanner fault of 3 March' | "
    "dlq abandon --error UnreadableFileError --older-than 7d --reason 'nobody has asked' --yes"
)
def abandon(
    context: CommandContext,
    chosen: Filter,
    reason: Reason,
    max_messages: Annotated[int | None, typer.Option(min=1, help="Messages taken, at most.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every message is meant: no filter, no cap.")] = False,
    dry_run: DryRun = False,
    yes: Yes = False,
) -> ExitCode:
    """Move what the filters mean to dlq-archive/, from where `dlq restore` brings it back. Exit codes: 0, 1, 3, 78."""
    at_most_all(chosen, max_messages, everything=everything)
    state = context.need_state("moves messages to dlq-archive/ there")
    with context.keep_invisible() as extender:
        found = find(context, extender, chosen, at_most=max_messages)
        asked = {**chosen.as_json(), "max_messages": max_messages}
        return _put_away(context, extender, found, state, (ABANDONED, reason), asked, dry_run=dry_run, yes=yes)


@verb(
    epilog="Examples: dlq restore --run dlq-abandon-20260401T093000Z-5b1f2c | dlq restore --message-id 5f0c… --to source"
)
def restore(
    context: CommandContext,
    run: Annotated[
        str | None, typer.Option(help="Everything that this run archived, as `dlq list --archive` shows it.")
    ] = None,
    message_id: Annotated[list[str] | None, typer.Option(help="Id of an archived message; may be repeated.")] = None,
    to: Annotated[str, typer.Option(help="dlq, source, or URL or name of a queue.")] = DLQ,
    dry_run: DryRun = False,
    force: Force = False,
    while_paused: WhilePaused = False,
    yes: Yes = False,
) -> ExitCode:
    """Send archived messages back. The archive keeps them, marked: restoring twice is refused.

    Exit codes: 0, 1 nothing found, 3 some not found, refused or kept, 75 paused, 78.
    """
    if (run is None) == (not message_id):
        raise typer.BadParameter("one of --run and --message-id is needed", param_hint="--run")
    state = context.need_state("brings back what is in dlq-archive/ there")
    target = place(context, to)
    if target.url != context.dlq.url:
        context.refuse_while_paused(while_paused=while_paused or dry_run)
    entries = list(_archived(state, run, message_id or []))
    missing = _missing(entries, run, message_id or [])
    found = ExitCode.NOT_FOUND if not entries else ExitCode.INCOMPLETE if missing else ExitCode.OK
    report = Report()
    prepared = _restorable(context, entries, entries_for(context, target, context.types, force=force), report)
    figures: dict[str, Any] = {"run": context.run, "dry_run": dry_run, "to": target.url, "found": len(entries)}
    if dry_run or not prepared:
        report.sent = [entry.dead_letter.id for entry, _ in prepared]
        told(
            context,
            figures,
            report,
            f"would be restored to {target.url}; nothing was changed" if dry_run else "restored",
        )
        return exit_code(context, report, found)
    if len(prepared) > 1:
        context.confirm(
            f"restore {len(prepared)} messages from s3://{state.bucket}/{ARCHIVE_PREFIX} to {target.url}", yes=yes
        )
    _restore(context, state, target, prepared, report)
    context.count("redrive", len(report.sent))
    asked = {"run": run, "ids": message_id or []}
    audited = context.record(
        [entry.dead_letter.id for entry, _ in prepared],
        _lengths(report),
        to=target.url,
        filter=asked,
        report=report.as_json(),
    )
    told(context, figures, report, f"restored to {target.url}")
    return exit_code(context, report, found, audited)


# -- putting away --------------------------------------------------------------------------------------------------


def _put_away(
    context: CommandContext,
    extender: VisibilityExtender,
    found: Found,
    state: State,
    why: tuple[str, str],
    asked: dict[str, Any],
    *,
    dry_run: bool,
    yes: bool,
) -> ExitCode:
    report = Report()
    figures: dict[str, Any] = {
        "run": context.run,
        "dry_run": dry_run,
        "from": context.dlq.url,
        "found": len(found.facts),
    }
    where = f"s3://{state.bucket}/{ARCHIVE_PREFIX}"
    if dry_run or not found.facts:
        report.sent = [dead_letter.id for dead_letter in found.dead_letters]
        told(context, figures, report, f"would be {why[0]}; nothing was changed" if dry_run else why[0])
        return exit_code(context, report, found.exit_code)
    if len(found.facts) > 1:
        context.confirm(f"move {len(found.facts)} messages from {context.dlq.url} to {where}", yes=yes)
    archived = _archive(context, state, found.facts, why, report)
    report.not_deleted = delete_dead_letters(context.dlq, extender, archived)
    audited = context.record(
        [dead_letter.id for dead_letter in found.dead_letters],
        _lengths(report),
        reason=why[1],
        filter=asked,
        report=report.as_json(),
    )
    told(context, figures, report, f"{why[0]}; they are in {where}, run {context.run}")
    return exit_code(context, report, found.exit_code, audited)


def _archive(
    context: CommandContext, state: State, facts: list[Facts], why: tuple[str, str], report: Report
) -> list[DeadLetter]:
    """Those that are durable in the archive now; only these may be deleted."""
    archive = Archive(state, context.dlq.url, who(), context.run)

    def put(one: Facts) -> DeadLetter | None:
        if context.signals.stop.is_set():
            report.kept[one.dead_letter.id] = "interrupted"
            return None
        about = one.refs[0].key if one.refs else None
        try:
            retry_transient(
                lambda: archive.put(one.dead_letter, about=about, reason=why[1], error_type=why[0]),
                transient=is_transient, stop=context.signals.stop,
            )  # fmt: skip
        except StoreError as error:
            report.kept[one.dead_letter.id] = f"the archive did not take it: {error}"
            return None
        return one.dead_letter

    with ThreadPoolExecutor(THREADS, thread_name_prefix="archive") as pool:
        archived = [dead_letter for dead_letter in pool.map(put, facts) if dead_letter is not None]
    report.sent = [dead_letter.id for dead_letter in archived]
    return archived


# -- bringing back -------------------------------------------------------------------------------------------------


def _archived(state: State, run: str | None, ids: list[str]) -> Iterable[ArchivedDeadLetter]:
    keys: Iterable[str] = state.keys(ARCHIVE_PREFIX)
    if run is None:
        endings = tuple(f"-{one}.json" for one in ids)
        keys = [key for key in keys if key.endswith(endings)]
    return (entry for entry in read_all(state, keys) if (entry.run == run if run else entry.dead_letter.id in ids))


def _missing(entries: list[ArchivedDeadLetter], run: str | None, ids: list[str]) -> list[str]:
    """What was asked for and is not in the archive; the operator is told of each."""
    missing = [] if entries or run is None else [f"run {run}"]
    missing += sorted(set(ids) - {entry.dead_letter.id for entry in entries})
    for name in missing:
        say("not found", f"{one_line(name)}: not in {ARCHIVE_PREFIX}; see `dlq list --archive`")
    return missing


def _restorable(
    context: CommandContext,
    entries: list[ArchivedDeadLetter],
    entry_of: Callable[[DeadLetter], SendEntry | str],
    report: Report,
) -> list[tuple[ArchivedDeadLetter, SendEntry]]:
    """What may be sent, in order; what may not is in the report. Who is restoring what now is seen when it is claimed."""
    prepared = []
    for entry in entries:
        mark = entry.restored or {}
        made = (
            f"it was restored already, by {mark.get('by')} at {mark.get('at')} to {mark.get('to')}"
            if mark.get("done") else entry_of(entry.dead_letter)
        )  # fmt: skip
        if isinstance(made, str):
            report.refused[entry.dead_letter.id] = made
        else:
            prepared.append((entry, made))
    context.count("refused", len(report.refused))
    return prepared


def _restore(
    context: CommandContext, state: State, to: Queue, prepared: list[tuple[ArchivedDeadLetter, SendEntry]], report: Report
) -> None:  # fmt: skip
    by = who()

    def one(pair: tuple[ArchivedDeadLetter, SendEntry]) -> None:
        entry, message = pair
        name = entry.dead_letter.id
        if context.signals.stop.is_set():
            report.kept[name] = "interrupted"
            return
        try:
            claimed = claim(state, entry.key, by=by, run=context.run, to=to.url)
            if isinstance(claimed, str):
                report.refused[name] = claimed
                return
            refused = in_batch(to.send, [message], stop=threading.Event())
            if refused:
                report.kept[name] = f"{refused[0].code}: {refused[0].message}"
            else:
                report.sent.append(name)
            finish(state, entry.key, claimed[1], sent=not refused)
        except (StoreError, ValueError) as error:
            if name in report.sent:
                report.kept[name] = f"sent, but the archive could not be marked: {error}"
            else:
                report.kept[name] = f"the archive could not be marked: {error}"

    with ThreadPoolExecutor(THREADS, thread_name_prefix="restore") as pool:
        list(pool.map(one, prepared))


def _lengths(report: Report) -> dict[str, int]:
    return {name: len(ids) for name, ids in report.as_json().items()}
