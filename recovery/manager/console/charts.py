"""Charts as geometry of SVG: a template draws them with presentation attributes and classes, and a table stands behind each.

All numbers are units of a viewBox of WIDTH × HEIGHT, which scales with the page. A chart is one path, so that one of two weeks by
the hour is a few kilobytes.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 320, 96
LEFT = 34
"""Room for the numbers of the axis."""
TOP, BOTTOM = 8, 16
"""Room above, and below for the times."""
GAP = 0.2
"""The part of a bar's room that stays empty."""
_NICE = (1, 2, 5, 10)
Values = Sequence[int | None]
"""One for each step of time; None: not known."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A line across, with its number."""

    y: float
    value: int


@dataclass(frozen=True, slots=True)
class Chart:
    """What a template draws."""

    values: tuple[int | None, ...]
    path: str
    """The attribute `d` of bars, or of a line."""
    marks: tuple[Mark, ...]
    is_line: bool
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT

    @property
    def is_empty(self) -> bool:
        """Whether nothing is known at all."""
        return all(one is None for one in self.values)

    @property
    def largest(self) -> int:
        """The largest value; 0 if none is known."""
        return max((one for one in self.values if one is not None), default=0)

    @property
    def total(self) -> int:
        """The sum of what is known."""
        return sum(one for one in self.values if one is not None)


def bars(values: Iterable[int]) -> Chart:
    """A bar for each value."""
    found = tuple(values)
    top = _axis(max(found, default=0))
    room = (WIDTH - LEFT) / max(1, len(found))
    wide, ground = room * (1 - GAP), HEIGHT - BOTTOM
    drawn = [
        f"M{_n(LEFT + room * (place + GAP / 2))} {ground}v{_n(-_tall(value, top))}h{_n(wide)}V{ground}z"
        for place, value in enumerate(found)
        if value
    ]
    return Chart(found, "".join(drawn), _marks(top), is_line=False)


def line(values: Values) -> Chart:
    """A line through the values, interrupted where nothing is known; a value that stands alone is a short dash."""
    found = tuple(values)
    top = _axis(max((one for one in found if one is not None), default=0))
    room = (WIDTH - LEFT) / max(1, len(found))
    drawn, before = [], None
    for place, value in enumerate(found):
        if value is not None:
            x, y = LEFT + room * place, HEIGHT - BOTTOM - _tall(value, top)
            drawn.append(f"{'M' if before is None else 'L'}{_n(x)} {_n(y)}h{_n(room)}")
        before = value
    return Chart(found, "".join(drawn), _marks(top), is_line=True)


def summed(values: Sequence[int], size: int) -> list[int]:
    """The sums of each `size` values, so that the last sum has the last value; what is left over before is left out."""
    return [sum(values[at : at + size]) for at in range(len(values) % size, len(values), size)]


def last_known(values: Values, size: int) -> list[int | None]:
    """The last known value of each `size` values, in the same manner."""
    return [
        next((one for one in reversed(values[at : at + size]) if one is not None), None)
        for at in range(len(values) % size, len(values), size)
    ]


def _axis(largest: int) -> int:
    """The end of the axis: the next of 1, 2, 5, 10, 20, … from the largest value on, and at least 1."""
    if largest <= 1:
        return 1
    unit: int = 10 ** (len(str(largest)) - 1)
    return next(step * unit for step in _NICE if step * unit >= largest)


def _tall(value: int, top: int) -> float:
    return (HEIGHT - TOP - BOTTOM) * value / top


def _marks(top: int) -> tuple[Mark, ...]:
    """The ends of the axis, and its middle where that is a whole number."""
    values = [0, top // 2, top] if top % 2 == 0 else [0, top]
    return tuple(Mark(HEIGHT - BOTTOM - _tall(value, top), value) for value in values)


def _n(number: float) -> str:
    """A number of a path, to a tenth."""
    return f"{number:.1f}".removesuffix(".0")
