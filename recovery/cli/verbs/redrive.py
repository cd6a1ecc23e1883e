"""`dlq redrive` and `dlq redrive-all`."""

from dataclasses import dataclass
from typing import Annotated

import typer

from recovery.cli.context import CommandContext
from recovery.cli.finding import find_and_report, found_code
from recovery.cli.options import All, DryRun, EachMessage, Force, MaxTaken, Rate, To, WhilePaused, Yes
from recovery.cli.verb import require_choice_or_all, verb
from recovery.cli.view.tables import print_sentence
from recovery.cli.view.transfer import exit_code, show_transfer, would_send
from recovery.operations.dead_letters.facts import Filter, Ids
from recovery.operations.find import FindRequest, Found
from recovery.operations.native_move import MAX_PER_SECOND, MovePlan, MoveRequest, move_everything, plan_move
from recovery.operations.redrive import Canary, RedriveRequest, plan_redrive
from recovery.operations.redrive import redrive as redrive_messages
from recovery.operations.transfer.claims import Claims
from recovery.operations.transfer.targets import Target
from worker.core.base.errors import ExitCode, PausedError
from worker.core.s3.state import DEAD_LETTERS_PREFIX
from worker.terminal import print_json, say, show_recorded

CANARY_WAIT_S = 60
"""Enough time (in seconds) for a worker to receive a message and to send it to the DLQ again."""


@dataclass(frozen=True, slots=True)
class _How:
    """The options of a redrive."""

    dry_run: bool
    yes: bool
    rate: float | None = None
    canary: Canary | None = None
    each: bool = False
    """Whether to show the result of each message that was not sent."""


@verb(
    epilog="Examples: dlq redrive 5f0c3a --dry-run | dlq redrive 5f0c3a 77ab90 --yes | dlq redrive 5f0c3a --to files-eu"
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
    """Send messages to their queue again, and delete from the DLQ those that SQS has confirmed.

    Only valid messages are sent. Exit codes: 0, 1 not found, 3 some refused, 75 paused, 78.
    """
    target = _target(context, to, force=force, while_paused=while_paused or dry_run)
    with context.claiming() as claims:
        found = find_and_report(context, claims, ids)
        return _redrive(context, claims, found, target, FindRequest(ids), _How(dry_run, yes, each=True))


@verb(
    epilog="Examples: dlq redrive-all --group 3d2572ea9916 --dry-run | dlq redrive-all --kind RECOVERABLE --rate 50 --yes | "
    "dlq redrive-all --error TimeoutError --canary 10 --abort-if-refail 20 | dlq redrive-all --native --all"
)
def redrive_all(
    context: CommandContext,
    chosen: Filter,
    max_messages: MaxTaken = None,
    everything: All = False,
    rate: Rate = None,
    canary: Annotated[
        int | None, typer.Option(min=1, help="Send this many first, and check whether they come back.")
    ] = None,
    canary_wait: Annotated[
        int, typer.Option(min=1, help="Seconds to wait for the canary to fail again.")
    ] = CANARY_WAIT_S,
    abort_if_refail: Annotated[
        float | None,
        typer.Option(
            min=0, max=100, help="Go on only if at most this percentage of the canary came back. Without it: 0."
        ),
    ] = None,
    native: Annotated[
        bool, typer.Option("--native", help="Let SQS itself move the whole queue, without checks.")
    ] = False,
    to: To = None,
    dry_run: DryRun = False,
    force: Force = False,
    while_paused: WhilePaused = False,
    yes: Yes = False,
    each: EachMessage = False,
) -> ExitCode:
    """Send the selected messages to their queue again. They are selected before the first is sent.

    Messages that fail again meanwhile are not sent again. Exit codes: 0, 1 nothing found, 3 some refused or kept, 75, 78.
    """
    if native:
        _only_everything(chosen, max_messages, canary, rate, everything=everything)
    require_choice_or_all(chosen, "a filter or --max-messages", everything=everything, max_messages=max_messages)
    if abort_if_refail is not None and canary is None:
        raise typer.BadParameter("requires --canary", param_hint="--abort-if-refail")
    target = _target(context, to, force=force, while_paused=while_paused or dry_run)
    first = None if canary is None else Canary(canary, canary_wait, abort_if_refail or 0)
    how = _How(dry_run, yes, rate, first, each)
    if native:
        return _move_everything(context, target, how)
    with context.claiming() as claims:
        found = find_and_report(context, claims, chosen, at_most=max_messages)
        return _redrive(context, claims, found, target, FindRequest(chosen, max_messages), how)


def _target(context: CommandContext, to: str | None, *, force: bool, while_paused: bool) -> Target:
    try:
        return context.redrive_target(to, force=force, while_paused=while_paused)
    except PausedError:
        context.count("refused")
        raise


def _redrive(
    context: CommandContext, claims: Claims, found: Found, target: Target, which: FindRequest, how: _How
) -> ExitCode:
    plan = plan_redrive(found, target)
    report = plan.report
    context.count("refused", len(report.refused))
    figures: dict[str, object] = {
        "run": context.run.name, "dry_run": how.dry_run, "from": context.dlq.url, "to": target.url, "found": len(found.facts)
    }  # fmt: skip
    if how.dry_run or not plan.prepared:
        done = f"would be sent to {target.url}; nothing was changed" if how.dry_run else f"sent to {target.url}"
        show_transfer(context, figures, would_send(report, plan.prepared), done, each=how.each)
        return exit_code(report, found_code(found))
    if len(plan.prepared) > 1:
        context.confirm(f"redrive {len(plan.prepared)} messages from {context.dlq.url} to {target.url}", yes=how.yes)
    request = RedriveRequest(context.run, which, how.rate, how.canary)
    try:
        with context.progress(len(plan.prepared)) as bar:
            result = redrive_messages(
                context.clients, claims, request, plan, stop=context.signals.stop, on_progress=bar.show
            )  # fmt: skip
    finally:
        context.count("redrive", len(report.sent))
    recorded = show_recorded(result.recorded)
    if result.canary is not None:
        figures["canary"] = result.canary.as_json()
    show_transfer(context, figures, report, f"sent to {target.url}", each=how.each)
    return exit_code(report, found_code(found), recorded)


# -- native --------------------------------------------------------------------------------------------------------


def _only_everything(
    chosen: Filter, max_messages: int | None, canary: int | None, rate: float | None, *, everything: bool
) -> None:
    """Raises a usage error for options that a move by SQS itself does not support."""
    if not chosen.is_empty or max_messages is not None or canary is not None:
        raise typer.BadParameter(
            "moves the whole queue: it cannot be combined with a filter, --max-messages or --canary",
            param_hint="--native",
        )
    if not everything:
        raise typer.BadParameter("moves the whole queue, and therefore requires --all", param_hint="--native")
    if rate is not None and not 1 <= rate <= MAX_PER_SECOND:
        raise typer.BadParameter(
            f"{rate:g} is not supported with --native; it must be 1 to {MAX_PER_SECOND}", param_hint="--rate"
        )  # fmt: skip


def _move_everything(context: CommandContext, target: Target, how: _How) -> ExitCode:
    """Let SQS itself move everything; refused if a message must be checked."""
    with context.claiming() as claims:
        found = find_and_report(context, claims, Filter())
    plan = plan_move(context.clients, found, target)
    figures: dict[str, object] = {"run": context.run.name, "dry_run": how.dry_run, "to": target.url}
    if plan.stored:
        say(
            "kept", f"{plan.stored} are in {DEAD_LETTERS_PREFIX}, where SQS moves nothing: redrive-all without --native"
        )
    if plan.unsafe or not plan.found:
        _show_unsafe(context, plan)
        if context.as_json:
            print_json({**figures, "about": plan.about, "refused": dict(plan.unsafe)})
        return ExitCode.INCOMPLETE if plan.unsafe else ExitCode.NOT_FOUND
    what = f"move about {plan.about} messages from {context.dlq.url} to {target.url}, by SQS itself"
    if how.dry_run:
        _show_result(context, {**figures, "about": plan.about}, f"would {what}; nothing was changed")
        return ExitCode.OK
    context.confirm(what, yes=how.yes)
    request = MoveRequest(context.run, None if how.rate is None else int(how.rate))
    with context.progress(plan.about) as bar:
        result = move_everything(context.clients, request, plan, stop=context.signals.stop, on_progress=bar.show)
    if result.not_cancelled:
        say("not cancelled", result.not_cancelled)
    context.count("redrive", result.moved)
    recorded = show_recorded(result.recorded)
    _show_result(
        context,
        {**figures, **result.as_json()},
        f"{result.status.lower()}: {result.moved} moved to {target.url}",
    )
    if result.reason:
        say("failed", result.reason)
    return max(recorded, ExitCode.OK if result.is_complete else ExitCode.INCOMPLETE)


def _show_unsafe(context: CommandContext, plan: MovePlan) -> None:
    context.count("refused", len(plan.unsafe))
    for name, why in list(plan.unsafe.items())[:3]:
        say("refused", f"{name}: {why}")
    if plan.unsafe:
        say(
            "refused",
            f"SQS would move {len(plan.unsafe)} messages that must be checked; use redrive-all without --native",
        )


def _show_result(context: CommandContext, figures: dict[str, object], sentence: str) -> None:
    if context.as_json:
        print_json(figures)
    else:
        print_sentence(sentence)
