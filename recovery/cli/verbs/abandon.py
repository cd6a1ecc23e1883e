"""`dlq delete` and `dlq abandon`: archive messages, then delete them."""

from recovery.cli.context import CommandContext
from recovery.cli.finding import find_and_report, found_code
from recovery.cli.options import All, DryRun, EachMessage, MaxTaken, Reason, Yes
from recovery.cli.verb import require_filter_or_all, verb
from recovery.cli.view.transfer import exit_code, show_transfer
from recovery.operations.abandon import AbandonRequest, ArchivedAs
from recovery.operations.abandon import abandon as abandon_messages
from recovery.operations.dead_letters.facts import Filter, Ids
from recovery.operations.find import FindRequest
from recovery.operations.transfer.sending import TransferReport
from worker.core.base.errors import ExitCode
from worker.core.s3.state import ARCHIVE_PREFIX, State
from worker.terminal import show_recorded


@verb(epilog="Example: dlq delete --message-id 5f0c… --reason 'test file, ticket 123'")
def delete(context: CommandContext, ids: Ids, reason: Reason, dry_run: DryRun = False, yes: Yes = False) -> ExitCode:
    """Archive messages in dlq-archive/, then delete them from the DLQ. Exit codes: 0, 1 not found, 3 some kept, 78."""
    state = context.need_state("archives messages in its dlq-archive/ before it deletes them")
    request = AbandonRequest(context.run, FindRequest(ids), reason, ArchivedAs.DELETED)
    return _archive_and_delete(context, state, request, dry_run=dry_run, yes=yes, each=True)


@verb(
    epilog="Examples: dlq abandon --group 3d2572ea9916 --reason 'scanner fault of 3 March' | "
    "dlq abandon --error UnreadableFileError --older-than 7d --reason 'no longer needed' --yes"
)
def abandon(
    context: CommandContext,
    chosen: Filter,
    reason: Reason,
    max_messages: MaxTaken = None,
    everything: All = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    each: EachMessage = False,
) -> ExitCode:
    """Move the selected messages to dlq-archive/; `dlq restore` sends them again. Exit codes: 0, 1, 3, 78."""
    require_filter_or_all(chosen, max_messages, everything=everything)
    state = context.need_state("moves messages to its dlq-archive/")
    request = AbandonRequest(context.run, FindRequest(chosen, max_messages), reason, ArchivedAs.ABANDONED)
    return _archive_and_delete(context, state, request, dry_run=dry_run, yes=yes, each=each)


def _archive_and_delete(
    context: CommandContext, state: State, request: AbandonRequest, *, dry_run: bool, yes: bool, each: bool
) -> ExitCode:
    with context.claiming() as claims:
        found = find_and_report(context, claims, request.which.which, at_most=request.which.at_most)
        done, where = request.archived_as.value, f"s3://{state.bucket}/{ARCHIVE_PREFIX}"
        figures: dict[str, object] = {
            "run": context.run.name, "dry_run": dry_run, "from": context.dlq.url, "found": len(found.facts)
        }  # fmt: skip
        if dry_run or not found.facts:
            report = TransferReport(sent=[dead_letter.id for dead_letter in found.dead_letters])
            show_transfer(
                context, figures, report, f"would be {done}; nothing was changed" if dry_run else done, each=each
            )
            return exit_code(report, found_code(found))
        if len(found.facts) > 1:
            context.confirm(f"move {len(found.facts)} messages from {context.dlq.url} to {where}", yes=yes)
        result = abandon_messages(context.clients, state, claims, request, found, stop=context.signals.stop)
        recorded = show_recorded(result.recorded)
        show_transfer(
            context, figures, result.report, f"{done}; they are in {where}, run {context.run.name}", each=each
        )
        return exit_code(result.report, found_code(found), recorded)
