"""What a run came to, as a table: a line for each result, and one for each cause."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from recovery.operations.report import Report
from worker.core.base.text import one_line

RATED = 10
"""So many are handled before a rate says something."""


@dataclass(frozen=True, slots=True)
class Wording:
    """What is said of one kind of run."""

    noun: str
    """What is counted."""
    dry_run: str
    """What a dry run left undone."""
    results: Mapping[StrEnum, str]
    """What each result means."""
    also: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """Other counts: what each is called, and what it means."""


def report_table(report: Report, wording: Wording) -> RenderableType:
    """For a terminal or a log."""
    title = f"dry run: {wording.dry_run}" if report.dry_run else None
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    table.add_column(wording.noun, justify="right")
    table.add_column("result", no_wrap=True)
    table.add_column("what that means")
    for result, meaning in wording.results.items():
        table.add_row(f"{report.counts[result]:,}", result.value, meaning)
    for name, (called, meaning) in wording.also.items():
        if report.also[name]:
            table.add_row(f"{report.also[name]:,}", called, meaning)
    rate = f", {report.per_second:,.0f}/s" if report.handled >= RATED else ""
    lines = [Text(f"{report.handled:,} handled in {report.seconds:.1f} s{rate}")]
    for cause in report.causes():
        reason = cause.reason if cause.reason.startswith(cause.error_type) else f"{cause.error_type}: {cause.reason}"
        line = f"{cause.count:,} {cause.result.value}: {reason} (such as {', '.join(cause.samples)})"
        lines.append(Text(one_line(line)))
    return Group(table, *lines)
