"""`redrive-all --native`: SQS moves the whole queue by itself; we ask, watch, and can stop it."""

from typing import Any

import typer

from recovery.cli.context import CommandContext
from recovery.cli.finding import Found, find
from recovery.cli.progress import Progress
from recovery.cli.targets import checked
from recovery.operations.grouping import Filter
from worker.core.base.classify import is_transient
from worker.core.base.errors import ExitCode, QueueError
from worker.core.base.events import LogEvent
from worker.core.base.logs import emit
from worker.core.base.retry import retry_transient
from worker.core.sqs.queue import Queue
from worker.terminal import print_json, say, stdout

POLL_INTERVAL_S = 1.0
MOST_PER_SECOND = 500
"""What SQS moves at most (StartMessageMoveTask)."""
_UNDER_WAY = frozenset({"", "RUNNING", "CANCELLING"})


def move_everything(context: CommandContext, to: Queue, *, rate: float | None, yes: bool, dry_run: bool) -> ExitCode:
    """Have SQS move everything to a queue, named in the request: what a worker sent to the DLQ has no source AWS knows.

    SQS checks nothing and counts no redrive, so it is refused where a message needs checking.
    """
    if rate is not None and not 1 <= rate <= MOST_PER_SECOND:
        raise typer.BadParameter(
            f"{rate:g} is not what SQS can do; it would be 1 to {MOST_PER_SECOND}", param_hint="--rate"
        )
    with context.keep_invisible() as extender:
        found = find(context, extender, Filter())
    unsafe = _unsafe(context, found)
    if unsafe:
        context.count("refused", len(unsafe))
        for name, why in list(unsafe.items())[:3]:
            say("refused", f"{name}: {why}")
        say("refused", f"SQS would move {len(unsafe)} messages that need checking; use redrive-all without --native")
        return ExitCode.INCOMPLETE
    if not found.facts:
        return ExitCode.NOT_FOUND
    what = f"move about {found.scan.about} messages from {context.dlq.url} to {to.url}, by SQS itself"
    if dry_run:
        _tell(
            context,
            {"run": context.run, "dry_run": True, "to": to.url, "about": found.scan.about},
            f"would {what}; nothing was changed",
        )
        return ExitCode.OK
    context.confirm(what, yes=yes)
    handle = context.dlq.start_move(checked(to)["QueueArn"], per_second=None if rate is None else int(rate))
    task = _watch(context, handle, found.scan.about)
    moved = int(task.get("ApproximateNumberOfMessagesMoved") or 0)
    status = str(task.get("Status") or "unknown")
    result = {"status": status, "moved": moved, "reason": task.get("FailureReason")}
    context.count("redrive", moved)
    audited = context.record([], result, to=to.url, filter={"native": True, "all": True}, task=handle)
    _tell(
        context,
        {"run": context.run, "dry_run": False, "to": to.url, **result},
        f"{status.lower()}: {moved} moved to {to.url}",
    )
    if task.get("FailureReason"):
        say("failed", str(task["FailureReason"]))
    return max(audited, ExitCode.OK if status == "COMPLETED" else ExitCode.INCOMPLETE)


def _unsafe(context: CommandContext, found: Found) -> dict[str, str]:
    """Messages that must not go unchecked, and why."""
    unsafe: dict[str, str] = {}
    for one in found.facts:
        why = context.types.fault(one.dead_letter.body)
        if why is None and context.types.needs_correlation_id(one.type):
            why = f"it is of type {one.type}, whose correlation id is checked and whose redrives are counted"
        if why is not None:
            unsafe[one.dead_letter.id] = why
    return unsafe


def _watch(context: CommandContext, handle: str, total: int) -> dict[str, Any]:
    """Show how far SQS is until it has ended; a signal has it stop. What SQS said last."""
    stop = context.signals.stop
    task: dict[str, Any] = {}
    with Progress(
        total, lambda done, rate, _: emit(LogEvent.REDRIVE_PROGRESS, done=done, total=total, per_second=rate)
    ) as bar:
        while str(task.get("Status") or "") in _UNDER_WAY:
            if stop.wait(POLL_INTERVAL_S):
                try:
                    context.dlq.cancel_move(handle)
                except QueueError as error:
                    say("not cancelled", f"it may have ended just now: {error}")
                return context.dlq.move()
            task = retry_transient(context.dlq.move, transient=is_transient, stop=stop)
            bar.show(int(task.get("ApproximateNumberOfMessagesMoved") or 0), {})
    return task


def _tell(context: CommandContext, figures: dict[str, Any], sentence: str) -> None:
    if context.as_json:
        print_json(figures)
    else:
        stdout().print(sentence, markup=False, highlight=False, soft_wrap=True)
