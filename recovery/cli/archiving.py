"""Putting messages away, and bringing them back: delete, abandon, restore. Nothing is deleted that is not archived."""

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any

import typer

from recovery.archive import Archive, Entry, claim, finish, read_all
from recovery.audit import who
from recovery.cli.context import Desk
from recovery.cli.finding import Found, find
from recovery.cli.options import DryRun, Force, Ids, Reason, WhilePaused, Yes, at_most_all, verb
from recovery.cli.targets import DLQ, entries_for, exit_code, place, told
from recovery.grouping import Facts, Filter
from recovery.hold import Hold
from recovery.letters import Letter
from recovery.redrive import Entry as SqsEntry
from recovery.redrive import Report
from recovery.redrive import delete as delete_letters
from worker.core.classify import is_passing
from worker.core.console import one_line, say
from worker.core.errors import ExitCode, StoreError
from worker.core.queue import Queue, in_batch
from worker.core.retry import in_place
from worker.core.state import ARCHIVE_PREFIX, State

THREADS = 8
DELETED, ABANDONED = "deleted", "abandoned"


@verb(epilog="Example: dlq delete --message-id 5f0c… --reason 'test file, ticket 123'")
def delete(desk: Desk, ids: Ids, reason: Reason, dry_run: DryRun = False, yes: Yes = False) -> ExitCode:
    """Archive these in dlq-archive/, then delete them from the DLQ. Exit codes: 0, 1 not found, 3 some kept, 78."""
    state = desk.need_state("archives in dlq-archive/ there what it deletes")
    with desk.hold() as hold:
        found = find(desk, hold, ids)
        return _put_away(
            desk, hold, found, state, (DELETED, reason), {"ids": sorted(ids.names)}, dry_run=dry_run, yes=yes
        )


@verb(
    epilog="Examples: dlq abandon --group 3d2572ea9916 --reason 'scanner fault of 3 March' | "
    "dlq abandon --error UnreadableFileError --older-than 7d --reason 'nobody has asked' --yes"
)
def abandon(
    desk: Desk,
    chosen: Filter,
    reason: Reason,
    max_messages: Annotated[int | None, typer.Option(min=1, help="Messages taken, at most.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every message is meant: no filter, no cap.")] = False,
    dry_run: DryRun = False,
    yes: Yes = False,
) -> ExitCode:
    """Move what the filters mean to dlq-archive/, from where `dlq restore` brings it back. Exit codes: 0, 1, 3, 78."""
    at_most_all(chosen, max_messages, everything=everything)
    state = desk.need_state("moves messages to dlq-archive/ there")
    with desk.hold() as hold:
        found = find(desk, hold, chosen, at_most=max_messages)
        asked = {**chosen.as_json(), "max_messages": max_messages}
        return _put_away(desk, hold, found, state, (ABANDONED, reason), asked, dry_run=dry_run, yes=yes)


@verb(
    epilog="Examples: dlq restore --run dlq-abandon-20260401T093000Z-5b1f2c | dlq restore --message-id 5f0c… --to source"
)
def restore(
    desk: Desk,
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
    state = desk.need_state("brings back what is in dlq-archive/ there")
    target = place(desk, to)
    if target.url != desk.dlq.url:
        desk.refuse_while_paused(while_paused=while_paused or dry_run)
    entries = list(_archived(state, run, message_id or []))
    missing = _missing(entries, run, message_id or [])
    found = ExitCode.NOT_FOUND if not entries else ExitCode.INCOMPLETE if missing else ExitCode.OK
    report = Report()
    prepared = _restorable(desk, entries, entries_for(desk, target, desk.types, force=force), report)
    figures: dict[str, Any] = {"run": desk.run, "dry_run": dry_run, "to": target.url, "found": len(entries)}
    if dry_run or not prepared:
        report.sent = [entry.letter.id for entry, _ in prepared]
        told(
            desk, figures, report, f"would be restored to {target.url}; nothing was changed" if dry_run else "restored"
        )
        return exit_code(desk, report, found)
    if len(prepared) > 1:
        desk.confirm(
            f"restore {len(prepared)} messages from s3://{state.bucket}/{ARCHIVE_PREFIX} to {target.url}", yes=yes
        )
    _restore(desk, state, target, prepared, report)
    desk.count("redrive", len(report.sent))
    asked = {"run": run, "ids": message_id or []}
    audited = desk.record(
        [entry.letter.id for entry, _ in prepared],
        _lengths(report),
        to=target.url,
        filter=asked,
        report=report.as_json(),
    )
    told(desk, figures, report, f"restored to {target.url}")
    return exit_code(desk, report, found, audited)


# -- putting away --------------------------------------------------------------------------------------------------


def _put_away(
    desk: Desk,
    hold: Hold,
    found: Found,
    state: State,
    why: tuple[str, str],
    asked: dict[str, Any],
    *,
    dry_run: bool,
    yes: bool,
) -> ExitCode:
    report = Report()
    figures: dict[str, Any] = {"run": desk.run, "dry_run": dry_run, "from": desk.dlq.url, "found": len(found.facts)}
    where = f"s3://{state.bucket}/{ARCHIVE_PREFIX}"
    if dry_run or not found.facts:
        report.sent = [letter.id for letter in found.letters]
        told(desk, figures, report, f"would be {why[0]}; nothing was changed" if dry_run else why[0])
        return exit_code(desk, report, found.exit_code)
    if len(found.facts) > 1:
        desk.confirm(f"move {len(found.facts)} messages from {desk.dlq.url} to {where}", yes=yes)
    archived = _archive(desk, state, found.facts, why, report)
    report.not_deleted = delete_letters(desk.dlq, hold, archived)
    audited = desk.record(
        [letter.id for letter in found.letters], _lengths(report), reason=why[1], filter=asked, report=report.as_json()
    )
    told(desk, figures, report, f"{why[0]}; they are in {where}, run {desk.run}")
    return exit_code(desk, report, found.exit_code, audited)


def _archive(desk: Desk, state: State, facts: list[Facts], why: tuple[str, str], report: Report) -> list[Letter]:
    """Those that are durable in the archive now; only these may be deleted."""
    archive = Archive(state, desk.dlq.url, who(), desk.run)

    def put(one: Facts) -> Letter | None:
        if desk.signals.stop.is_set():
            report.kept[one.letter.id] = "interrupted"
            return None
        about = one.refs[0].key if one.refs else None
        try:
            in_place(
                lambda: archive.put(one.letter, about=about, reason=why[1], error_type=why[0]),
                passing=is_passing, stop=desk.signals.stop,
            )  # fmt: skip
        except StoreError as error:
            report.kept[one.letter.id] = f"the archive did not take it: {error}"
            return None
        return one.letter

    with ThreadPoolExecutor(THREADS, thread_name_prefix="archive") as pool:
        archived = [letter for letter in pool.map(put, facts) if letter is not None]
    report.sent = [letter.id for letter in archived]
    return archived


# -- bringing back -------------------------------------------------------------------------------------------------


def _archived(state: State, run: str | None, ids: list[str]) -> Iterable[Entry]:
    keys: Iterable[str] = state.keys(ARCHIVE_PREFIX)
    if run is None:
        endings = tuple(f"-{one}.json" for one in ids)
        keys = [key for key in keys if key.endswith(endings)]
    return (entry for entry in read_all(state, keys) if (entry.run == run if run else entry.letter.id in ids))


def _missing(entries: list[Entry], run: str | None, ids: list[str]) -> list[str]:
    """What was asked for and is not in the archive; the operator is told of each."""
    missing = [] if entries or run is None else [f"run {run}"]
    missing += sorted(set(ids) - {entry.letter.id for entry in entries})
    for name in missing:
        say("not found", f"{one_line(name)}: not in {ARCHIVE_PREFIX}; see `dlq list --archive`")
    return missing


def _restorable(
    desk: Desk, entries: list[Entry], entry_of: Callable[[Letter], SqsEntry | str], report: Report
) -> list[tuple[Entry, SqsEntry]]:
    """What may be sent, in order; what may not is in the report. Who is restoring what now is seen when it is claimed."""
    prepared = []
    for entry in entries:
        mark = entry.restored or {}
        made = (
            f"it was restored already, by {mark.get('by')} at {mark.get('at')} to {mark.get('to')}"
            if mark.get("done") else entry_of(entry.letter)
        )  # fmt: skip
        if isinstance(made, str):
            report.refused[entry.letter.id] = made
        else:
            prepared.append((entry, made))
    desk.count("refused", len(report.refused))
    return prepared


def _restore(
    desk: Desk, state: State, to: Queue, prepared: list[tuple[Entry, SqsEntry]], report: Report
) -> None:  # fmt: skip
    by = who()

    def one(pair: tuple[Entry, SqsEntry]) -> None:
        entry, message = pair
        name = entry.letter.id
        if desk.signals.stop.is_set():
            report.kept[name] = "interrupted"
            return
        try:
            claimed = claim(state, entry.key, by=by, run=desk.run, to=to.url)
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
