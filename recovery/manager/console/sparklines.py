"""The arrivals of a group as a row of small bars: an SVG drawn on the server, as one path without a style of its own."""

from collections.abc import Sequence
from dataclasses import dataclass

HEIGHT = 24
BAR, STEP = 3, 4
"""The width of a bar, and from the left of one to that of the next."""
PERIODS = 2
"""Quarters of a day in one bar."""
DAY = 4
"""Quarters of a day."""


@dataclass(frozen=True, slots=True)
class Sparkline:
    """A drawing of counts, and what it says in numbers."""

    width: int
    height: int
    path: str
    """The attribute `d` of the bars."""
    total: int
    last_day: int
    """Of these, in the last four quarters of a day, the present one included."""


def sparkline(trend: Sequence[int]) -> Sparkline:
    """The bars of a trend by quarters of a day; what is not zero is at least one unit high, so that it can be seen."""
    counts = [sum(trend[at : at + PERIODS]) for at in range(0, len(trend), PERIODS)]
    most = max(counts, default=0)
    bars = []
    for place, count in enumerate(counts):
        if count:
            tall = max(1, round(HEIGHT * count / most))
            bars.append(f"M{place * STEP} {HEIGHT}v-{tall}h{BAR}v{tall}z")
    return Sparkline(len(counts) * STEP - 1, HEIGHT, "".join(bars), sum(trend), sum(trend[-DAY:]))
