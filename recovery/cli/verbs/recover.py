"""`dlq recover`: does for chosen messages what `recover_dlq` does for all."""

from recovery.cli.batch_command import run_batch
from recovery.cli.context import CommandContext
from recovery.cli.options import AcceptGone, AcceptSkipped, ArchiveSystemErrors, DryRun, Verbose, WhilePaused, Yes
from recovery.cli.recovery_report import MAX_BATCH_SIZE, RECOVER
from recovery.cli.verb import verb
from recovery.operations.dead_letters.facts import Ids
from recovery.operations.recover import recover as recover_messages
from recovery.operations.recovering.request import RecoverRequest
from worker.core.base.errors import ExitCode


@verb(epilog="Examples: dlq recover --message-id 5f0c… --dry-run | dlq recover --message-id 5f0c… 77ab… --yes")
def recover(
    context: CommandContext, ids: Ids, dry_run: DryRun = False, accept_gone: AcceptGone = False,
    accept_skipped: AcceptSkipped = False,
    archive_system_errors: ArchiveSystemErrors = False, while_paused: WhilePaused = False, verbose: Verbose = False,
    yes: Yes = False,
) -> ExitCode:  # fmt: skip
    """Index, skip or archive messages as recover_dlq does, according to the current state of S3.

    Exit codes: 0 all handled, 1 not found, 3 some kept or not found, 69 index unavailable, 75 paused, 78.
    """
    settings = context.worker_settings()
    names = sorted(ids.names)
    if len(names) > 1 and not dry_run:
        context.confirm(f"recover {len(names)} messages of {context.dlq.url}", yes=yes)
    clients = context.indexing_clients(settings)
    batch_size = min(MAX_BATCH_SIZE, max(10, len(names)))
    request = RecoverRequest(
        context.run,
        context.clients.types,
        batch_size=batch_size,
        dry_run=dry_run,
        ids=ids.names,
        while_paused=while_paused,
        accept_gone=accept_gone,
        accept_skipped=accept_skipped,
        archive_system_errors=archive_system_errors,
        verbose=verbose,
    )
    try:
        return run_batch(
            RECOVER,
            lambda stop, on_progress: recover_messages(settings, clients, request, stop=stop, on_progress=on_progress),
            settings=settings,
            aws=clients.aws,
            signals=context.signals,
            as_json=context.as_json,
            must_find=True,
        )
    finally:
        clients.index.close()
        if not dry_run:
            context.count("redrive")
