"""Shows the result for messages that were to be sent, archived or deleted: as text, JSON and exit code."""

from collections.abc import Mapping, Sequence

from recovery.cli.context import CommandContext
from recovery.cli.view.tables import print_sentence, table
from recovery.operations.transfer.sending import Prepared, TransferReport
from worker.core.base.errors import ExitCode
from worker.layout import show
from worker.terminal import print_json, stdout, tell


def show_transfer(
    context: CommandContext, figures: Mapping[str, object], report: TransferReport, done: str, *, each: bool = False
) -> None:
    """Print the result; `done` is the text for the messages that were sent (or archived).

    Those that were not have a line for each reason, with one example; with `each`, a line for each message.
    """
    if context.as_json:
        result = report.as_json()
        if figures.get("dry_run"):
            result["would_send"] = result.pop("sent")
        print_json({**figures, **result})
        return
    print_sentence(f"{len(report.sent):,} {done}")
    rows = _rows(report, each=each)
    if rows:
        show(stdout(), table(("id", "result", "why") if each else ("id", "count", "result", "why"), rows))
    if len(rows) < report.not_done:
        tell("-v lists each message; without it, each reason has one of its messages")


def _rows(report: TransferReport, *, each: bool) -> list[tuple[object, ...]]:
    """Which messages, or one and how many are like it; the result, and why."""
    every = [
        *((name, "refused", why) for name, why in report.refused.items()),
        *((name, "kept", why) for name, why in report.kept.items()),
        *((name, "not deleted", "it is now in both places, which does no harm") for name in report.not_deleted),
    ]
    if each:
        return list(every)
    alike: dict[tuple[str, str], list[str]] = {}
    for name, result, why in every:
        alike.setdefault((result, why), []).append(name)
    return [(names[0], len(names), *said) for said, names in alike.items()]


def would_send(report: TransferReport, prepared: Sequence[Prepared]) -> TransferReport:
    """The report of a dry run: what the operation would send, and what it refuses."""
    return TransferReport(sent=[dead_letter.id for dead_letter, _ in prepared], refused=report.refused)


def exit_code(report: TransferReport, *codes: ExitCode) -> ExitCode:
    """Return the highest of the given codes and that of the report."""
    return max(ExitCode.OK if report.is_complete else ExitCode.INCOMPLETE, *codes)
