"""The charts of the overview: arrivals and depth, of a day by the hour and of two weeks by quarters of a day."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from recovery.ledger.intake import HOUR_MS
from recovery.manager.console.charts import Chart, bars, last_known, line, summed
from recovery.manager.system_facts import Waiting

DAY = 24
"""Hours of a day, and of the first two charts."""
QUARTER = 6
"""Hours of one step of the other two."""


class Shows(StrEnum):
    """What a chart shows."""

    ARRIVALS_DAY = "arrivals_day"
    DEPTH_DAY = "depth_day"
    ARRIVALS_WEEKS = "arrivals_weeks"
    DEPTH_WEEKS = "depth_weeks"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the table behind a chart."""

    begins_ms: int
    """When its hour or its day (24 hours) begins."""
    value: int | None


@dataclass(frozen=True, slots=True)
class Panel:
    """A chart, and the table behind it."""

    shows: Shows
    chart: Chart
    lines: tuple[Line, ...]
    """The latest first."""


def panels(waiting: Waiting, at_ms: int) -> tuple[Panel, ...]:
    """All four; `at_ms` is when it was read. The last hour of each is the present one."""
    arrivals, depths = waiting.stats.hourly, waiting.depths_until(at_ms)
    return (
        Panel(Shows.ARRIVALS_DAY, bars(arrivals[-DAY:]), _lines(arrivals[-DAY:], at_ms, 1)),
        Panel(Shows.DEPTH_DAY, line(depths[-DAY:]), _lines(depths[-DAY:], at_ms, 1)),
        Panel(Shows.ARRIVALS_WEEKS, bars(summed(arrivals, QUARTER)), _lines(summed(arrivals, DAY), at_ms, DAY)),
        Panel(Shows.DEPTH_WEEKS, line(last_known(depths, QUARTER)), _lines(last_known(depths, DAY), at_ms, DAY)),
    )


def _lines(values: Sequence[int | None], at_ms: int, hours: int) -> tuple[Line, ...]:
    end = at_ms // HOUR_MS + 1
    begins = [(end - hours * (back + 1)) * HOUR_MS for back in range(len(values))]
    return tuple(Line(at, value) for at, value in zip(begins, reversed(values), strict=True))
