"""Shows the result for messages that were to be sent, archived or deleted: as text, JSON and exit code."""

from collections.abc import Mapping, Sequence

from recovery.cli.context import CommandContext
from recovery.cli.view.tables import table
from recovery.operations.transfer.sending import Prepared, TransferReport
from worker.core.base.errors import ExitCode
from worker.terminal import err, print_json, stdout


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
    out = stdout()
    out.print(f"{len(report.sent):,} {done}", markup=False, highlight=False, soft_wrap=True)
    rows = _rows(report, each=each)
    if rows:
        out.print(table(("message id", "result", "why"), rows))
    if len(rows) < report.not_done:
        err.print("-v lists each message")


def _rows(report: TransferReport, *, each: bool) -> list[tuple[str, str, str]]:
    """Which messages, the result, and why."""
    every = [
        *((name, "refused", why) for name, why in report.refused.items()),
        *((name, "kept", why) for name, why in report.kept.items()),
        *((name, "not deleted", "it is now in both places, which does no harm") for name in report.not_deleted),
    ]
    if each:
        return every
    alike: dict[tuple[str, str], list[str]] = {}
    for name, result, why in every:
        alike.setdefault((result, why), []).append(name)
    return [
        (names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1:,} more", result, why)
        for (result, why), names in alike.items()
    ]


def would_send(report: TransferReport, prepared: Sequence[Prepared]) -> TransferReport:
    """The report of a dry run: what the operation would send, and what it refuses."""
    return TransferReport(sent=[dead_letter.id for dead_letter, _ in prepared], refused=report.refused)


def exit_code(report: TransferReport, *codes: ExitCode) -> ExitCode:
    """Return the highest of the given codes and that of the report."""
    return max(ExitCode.OK if report.is_complete else ExitCode.INCOMPLETE, *codes)
