"""`dlq recover`: does for chosen messages what `recover_dlq` does for all."""

from recovery.cli.batch_command import run_batch
from recovery.cli.context import CommandContext
from recovery.cli.finding import find_and_report, say_unmatched
from recovery.cli.options import (
    AcceptGone,
    AcceptSkipped,
    All,
    ArchiveSystemErrors,
    DryRun,
    Verbose,
    WhilePaused,
    Yes,
)
from recovery.cli.recovery_report import MAX_BATCH_SIZE, RECOVER
from recovery.cli.verb import require_choice_or_all, verb
from recovery.operations.dead_letters.facts import Filter, Ids
from recovery.operations.dead_letters.short_ids import whole_group
from recovery.operations.find import Found
from recovery.operations.recover import recover as recover_messages
from recovery.operations.recovering.request import RecoverRequest
from worker.core.base.errors import ExitCode


@verb(
    epilog="Examples: dlq recover 5f0c3a --dry-run | dlq recover 5f0c3a 77ab90 --yes | "
    "dlq recover --group 3d2572ea9916 --dry-run | dlq recover --error TimeoutError --older-than 1h"
)
def recover(
    context: CommandContext, which: Ids | Filter, everything: All = False, dry_run: DryRun = False,
    accept_gone: AcceptGone = False, accept_skipped: AcceptSkipped = False,
    archive_system_errors: ArchiveSystemErrors = False, while_paused: WhilePaused = False, verbose: Verbose = False,
    yes: Yes = False,
) -> ExitCode:  # fmt: skip
    """Index, skip or archive messages as recover_dlq does, according to the current state of S3.

    Exit codes: 0 all handled, 1 not found, 3 some kept or not found, 69 index unavailable, 75 paused, 78.
    """
    require_choice_or_all(which, "ids or a filter", everything=everything)
    settings = context.worker_settings()
    chosen, ids = _chosen(context, which, dry_run=dry_run, yes=yes)
    clients = context.indexing_clients(settings)
    request = RecoverRequest(
        context.run,
        context.clients.types,
        batch_size=min(MAX_BATCH_SIZE, max(10, len(ids or ()))),
        dry_run=dry_run,
        chosen=chosen,
        ids=ids,
        while_paused=while_paused,
        accept_gone=accept_gone,
        accept_skipped=accept_skipped,
        archive_system_errors=archive_system_errors,
        verbose=verbose,
    )
    try:
        done = run_batch(
            RECOVER,
            lambda stop, on_progress: recover_messages(settings, clients, request, stop=stop, on_progress=on_progress),
            settings=settings,
            aws=clients.aws,
            signals=context.signals,
            as_json=context.as_json,
            must_find=True,
        )
        if done is ExitCode.NOT_FOUND and (dry_run or yes):  # otherwise, the count before the question has said so
            say_unmatched(which)
        return done
    finally:
        clients.index.close()
        if not dry_run:
            context.count("redrive")


def _chosen(
    context: CommandContext, which: Ids | Filter, *, dry_run: bool, yes: bool
) -> tuple[Filter, frozenset[str] | None]:
    """What to recover: the filter, or whole ids. More than one message is confirmed first."""
    if isinstance(which, Filter):
        is_beginning = which.group is not None and not which.has_whole_group
        if is_beginning or not (dry_run or yes):
            found = _found(context, which)
            which = whole_group(which, found.facts)
            if not dry_run:
                _confirm(context, len(found.facts), yes=yes)
        nothing = which.group is not None and not which.has_whole_group
        return (Filter(), frozenset()) if nothing else (which, None)
    names = which.names
    if which.beginnings:
        found = _found(context, which)
        names = frozenset(one.id for one in found.dead_letters) | frozenset(found.missing)
    if not dry_run:
        _confirm(context, len(names), yes=yes)
    return Filter(), names


def _found(context: CommandContext, which: Ids | Filter) -> Found:
    with context.claiming() as claims:
        return find_and_report(context, claims, which)


def _confirm(context: CommandContext, count: int, *, yes: bool) -> None:
    if count > 1:
        context.confirm(f"recover {count} messages of {context.dlq.url}", yes=yes)
