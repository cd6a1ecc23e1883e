"""Shows the report of a run as a table: a line for each result, and one for each cause."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from rich.console import Group, RenderableType

from recovery.operations.report import Report
from worker.core.base.text import exact
from worker.layout import Sentence, short_ids
from worker.tables import Column, Table

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


def counts_table(noun: str, rows: Iterable[tuple[int, str, str]]) -> Table:
    """A table of results: how many there are of each, its name, and what it means."""
    means = Column("what that means", text=True, lines=None)
    return Table([Column(noun, right=True), Column("result"), means], rows)


def report_table(report: Report, wording: Wording) -> RenderableType:
    """Make the table of the results that occurred, and the lines of a report; without any, one line says so."""
    results = [(report.counts[result], result.value, meaning) for result, meaning in wording.results.items()]
    also = [(report.also[name], *words) for name, words in wording.also.items()]
    rows = [row for row in results + also if row[0]]
    tables = [counts_table(wording.noun, rows)] if rows else []
    title = [Sentence(f"dry run: {wording.dry_run}")] if report.dry_run else []
    rate = f", {report.per_second:,.0f}/s" if report.handled >= RATED else ""
    none = "" if rows else f": no {wording.noun}"
    lines = [Sentence(f"{report.handled:,} handled in {report.seconds:.1f} s{rate}{none}")]
    ids = (name for cause in report.causes() for name in cause.samples) if report.kind.samples == "ids" else ()
    short = short_ids(map(exact, ids))
    for cause in report.causes():
        code = cause.error_type.rpartition(" ")[2]
        reason = cause.reason if cause.reason.startswith(code) else f"{cause.error_type}: {cause.reason}"
        line = f"{cause.count:,} {cause.result.value}: {reason} (such as {', '.join(cause.samples)})"
        lines.append(Sentence(exact(line), ids=short))
    return Group(*title, *tables, *lines)
