"""Shows the report of a run as a table: a line for each result, and one for each cause."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from recovery.operations.report import Report
from worker.core.base.text import one_line

RATED = 10
"""Minimum number handled before a rate is shown."""


@dataclass(frozen=True, slots=True)
class Wording:
    """The texts for one kind of run."""

    noun: str
    """Noun for what is counted."""
    dry_run: str
    """What a dry run did not do."""
    results: Mapping[StrEnum, str]
    """The meaning of each result."""
    also: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """The other counts: label and meaning of each."""


def report_table(report: Report, wording: Wording) -> RenderableType:
    """Make the table and the lines of a report."""
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
        code = cause.error_type.rpartition(" ")[2]
        reason = cause.reason if cause.reason.startswith(code) else f"{cause.error_type}: {cause.reason}"
        line = f"{cause.count:,} {cause.result.value}: {reason} (such as {', '.join(cause.samples)})"
        lines.append(Text(one_line(line)))
    return Group(table, *lines)
