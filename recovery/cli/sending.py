"""Sending messages on: redrive, redrive-all, recover."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from recovery.cli.context import CommandContext
from recovery.cli.finding import Found, find
from recovery.cli.native import move_everything
from recovery.cli.options import DryRun, Force, Ids, Rate, To, WhilePaused, Yes, at_most_all, verb
from recovery.cli.progress import Progress
from recovery.cli.recover_dlq import recover as recover_these
from recovery.cli.targets import exit_code, source_of, told
from recovery.operations.grouping import Filter, redrives_of
from recovery.operations.recovery_run import Options
from recovery.operations.scan import scan
from recovery.operations.sending import Prepared, Report, Rules, prepare
from recovery.operations.sending import redrive as send_and_delete
from worker.core.base.errors import ExitCode, WorkerError
from worker.core.base.events import LogEvent
from worker.core.base.logs import emit
from worker.core.base.settings import load
from worker.core.clients import connect
from worker.core.sqs.queue import Queue
from worker.core.sqs.visibility import VisibilityExtender
from worker.terminal import err

CANARY_WAIT_S = 60
"""Time enough for a worker to take a message and to hand it back to the DLQ."""
MAX_BATCH_SIZE = 1_000

All = Annotated[bool, typer.Option("--all", help="Every message is meant: no filter, no cap.")]
Most = Annotated[int | None, typer.Option(min=1, help="Messages taken, at most.")]


@dataclass(frozen=True, slots=True)
class How:
    """How to redrive."""

    dry_run: bool = False
    yes: bool = False
    force: bool = False
    rate: float | None = None
    canary: int | None = None
    canary_wait_s: int = CANARY_WAIT_S
    abort_pct: float = 0


@verb(
    epilog="Examples: dlq redrive --message-id 5f0c… --dry-run | dlq redrive --message-id 5f0c… 77ab… --yes | "
    "dlq redrive --message-id 5f0c… --to files-eu"
)
def redrive(
    context: CommandContext,
    ids: Ids,
    to: To = None,
    dry_run: DryRun = False,
    force: Force = False,
    while_paused: WhilePaused = False,
    yes: Yes = False,
) -> ExitCode:
    """Send messages back to their queue, and delete from the DLQ what SQS has confirmed.

    Only valid messages are sent. Exit codes: 0, 1 not found, 3 some refused, 75 paused, 78.
    """
    target = source_of(context, to)
    _refuse_while_paused(context, while_paused=while_paused or dry_run)
    with context.keep_invisible() as extender:
        return _redrive(
            context,
            extender,
            find(context, extender, ids),
            target,
            How(dry_run, yes, force),
            {"ids": sorted(ids.names)},
        )


@verb(
    epilog="Examples: dlq redrive-all --group 3d2572ea9916 --dry-run | dlq redrive-all --kind RECOVERABLE --rate 50 --yes | "
    "dlq redrive-all --error TimeoutError --canary 10 --abort-if-refail 20 | dlq redrive-all --native --all"
)
def redrive_all(
    context: CommandContext,
    chosen: Filter,
    max_messages: Most = None,
    everything: All = False,
    rate: Rate = None,
    canary: Annotated[
        int | None, typer.Option(min=1, help="Send so many first, and see whether they come back.")
    ] = None,
    canary_wait: Annotated[int, typer.Option(min=1, help="Seconds the canary has to fail again.")] = CANARY_WAIT_S,
    abort_if_refail: Annotated[
        float | None, typer.Option(min=0, max=100, help="Go on while at most so many percent of the canary came back.")
    ] = None,
    native: Annotated[bool, typer.Option("--native", help="Let SQS move the whole queue, unchecked.")] = False,
    to: To = None,
    dry_run: DryRun = False,
    force: Force = False,
    while_paused: WhilePaused = False,
    yes: Yes = False,
) -> ExitCode:
    """Send back what the filters mean. Which messages that is, is settled before the first is sent.

    What fails again meanwhile is not taken again. Exit codes: 0, 1 nothing found, 3 some refused or kept, 75, 78.
    """
    if native:
        _only_everything(chosen, max_messages, canary, everything=everything)
    at_most_all(chosen, max_messages, everything=everything)
    if abort_if_refail is not None and canary is None:
        raise typer.BadParameter("needs --canary", param_hint="--abort-if-refail")
    target = source_of(context, to)
    _refuse_while_paused(context, while_paused=while_paused or dry_run)
    if native:
        return move_everything(context, target, rate=rate, yes=yes, dry_run=dry_run)
    how = How(dry_run, yes, force, rate, canary, canary_wait, abort_if_refail or 0)
    with context.keep_invisible() as extender:
        found = find(context, extender, chosen, at_most=max_messages)
        return _redrive(context, extender, found, target, how, {**chosen.as_json(), "max_messages": max_messages})


@verb(epilog="Examples: dlq recover --message-id 5f0c… --dry-run | dlq recover --message-id 5f0c… 77ab… --yes")
def recover(
    context: CommandContext, ids: Ids, dry_run: DryRun = False, while_paused: WhilePaused = False, yes: Yes = False
) -> ExitCode:
    """Do for these what recover_dlq does for all: index, skip or archive them, held against S3 as it is now.

    Exit codes: 0 all handled, 1 not found, 3 some kept, 69 index away, 75 paused, 78.
    """
    settings = load()
    names = sorted(ids.names)
    if len(names) > 1 and not dry_run:
        context.confirm(f"recover {len(names)} messages of {context.dlq.url}", yes=yes)
    options = Options(batch_size=min(MAX_BATCH_SIZE, max(10, len(names))), dry_run=dry_run, ids=ids.names)
    context.count("redrive")
    try:
        code = recover_these(settings, connect(settings), options, while_paused=while_paused, as_json=context.as_json)
    except WorkerError as error:
        if not dry_run:
            context.record(names, {"stopped_by": str(error)}, index=settings.opensearch_index)
        raise
    return code if dry_run else max(code, context.record(names, {"exit_code": code}, index=settings.opensearch_index))


def _only_everything(chosen: Filter, max_messages: int | None, canary: int | None, *, everything: bool) -> None:
    """Raises a usage error for what SQS cannot do when it moves a queue by itself."""
    if not chosen.is_empty or max_messages is not None or canary is not None:
        raise typer.BadParameter(
            "moves the whole queue: it takes no filter, no --max-messages and no --canary", param_hint="--native"
        )
    if not everything:
        raise typer.BadParameter("moves the whole queue: say so with --all", param_hint="--native")


def _refuse_while_paused(context: CommandContext, *, while_paused: bool) -> None:
    try:
        context.refuse_while_paused(while_paused=while_paused)
    except WorkerError:
        context.count("refused")
        raise


def _redrive(
    context: CommandContext, extender: VisibilityExtender, found: Found, to: Queue, how: How, asked: Mapping[str, Any]
) -> ExitCode:
    report = Report()
    prepared = prepare(found.dead_letters, Rules(to, context.types, force=how.force).redriven, report)
    context.count("refused", len(report.refused))
    figures: dict[str, Any] = {
        "run": context.run, "dry_run": how.dry_run, "from": context.dlq.url, "to": to.url, "found": len(found.facts)
    }  # fmt: skip
    if how.dry_run or not prepared:
        report.sent = [dead_letter.id for dead_letter, _ in prepared]
        told(
            context,
            figures,
            report,
            f"would be sent to {to.url}; nothing was changed" if how.dry_run else f"sent to {to.url}",
        )
        return exit_code(context, report, found.exit_code)
    if len(prepared) > 1:
        context.confirm(f"redrive {len(prepared)} messages from {context.dlq.url} to {to.url}", yes=how.yes)
    try:
        _send(context, extender, to, prepared, report, how, figures)
    finally:  # whatever goes wrong, what was sent is on record
        context.count("redrive", len(report.sent))
        result = {name: len(ids) for name, ids in report.as_json().items()}
        audited = context.record(
            [dead_letter.id for dead_letter, _ in prepared],
            result,
            to=to.url,
            filter=dict(asked),
            report=report.as_json(),
        )
    told(context, figures, report, f"sent to {to.url}")
    return exit_code(context, report, found.exit_code, audited)


def _send(
    context: CommandContext, extender: VisibilityExtender, to: Queue, prepared: list[Prepared], report: Report, how: How,
    figures: dict[str, Any],
) -> None:  # fmt: skip
    with _progress(len(prepared)) as progress:

        def go(part: list[Prepared]) -> None:
            send_and_delete(
                context.dlq, extender, to, part, report, stop=context.signals.stop, rate=how.rate,
                told=lambda done: progress.show(len(done.sent), {"sent": len(done.sent), "kept": len(done.kept)}),
            )  # fmt: skip

        if how.canary is None:
            go(prepared)
            return
        first, rest = prepared[: how.canary], prepared[how.canary :]
        go(first)
        back = _came_back(context, extender, to, first, rest, how)
        percent = 100 * back / len(first)
        figures["canary"] = {"sent": len(first), "came_back": back}
        if percent > how.abort_pct:
            why = f"{back} of {len(first)} of the canary came back within {how.canary_wait_s} s"
            report.kept |= {dead_letter.id: why for dead_letter, _ in rest}
        else:
            go(rest)


def _came_back(
    context: CommandContext, extender: VisibilityExtender, to: Queue, first: list[Prepared], rest: list[Prepared], how: How
) -> int:  # fmt: skip
    """Wait, then count those of the canary that are in the DLQ again: the same body, its redrive counted."""
    err.print(f"the canary has {how.canary_wait_s} s to come back …", highlight=False)
    context.signals.stop.wait(how.canary_wait_s)
    if context.signals.stop.is_set():
        return 0  # what is left is kept as interrupted
    sent = {dead_letter.body: redrives_of(dead_letter) + 1 for dead_letter, _ in first}
    again = scan(
        context.dlq, extender, stop=context.signals.stop,
        wanted=lambda dead_letter: dead_letter.body in sent and redrives_of(dead_letter) >= sent[dead_letter.body],
    )  # fmt: skip
    extender.release_all_but([dead_letter for dead_letter, _ in rest])
    waiting = to.attributes().get("ApproximateNumberOfMessages", "?")
    err.print(
        f"{len(again.dead_letters)} of {len(first)} came back; {waiting} wait in {to.url}",
        highlight=False,
        soft_wrap=True,
    )
    return len(again.dead_letters)


def _progress(total: int) -> AbstractContextManager[Progress]:
    return Progress(
        total, lambda done, rate, _: emit(LogEvent.REDRIVE_PROGRESS, done=done, total=total, per_second=rate)
    )
