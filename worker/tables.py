"""Tables for any terminal, for all commands. One rule, for whatever is listed.

The columns are in the order of their importance. Those that fit beside each other form a table; the others follow below each
row, each with its name. Where too few would be left, each row is a card: its first cell, and all else below it. A
first cell that is too long for its column, such as a key, takes lines of its own. In a pipe, or if asked for, each row is one
line with everything, whatever its length.

Ids and other short cells are never broken, and nothing is cut off. No line begins with a cell's text.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from worker.core.base.text import exact
from worker.layout import fixed, fold, indented, is_listing, short_ids

MAX_LINES = 2
"""Lines that a text may take beside other columns; a longer one takes the whole width."""
MIN_COLUMNS = 4
"""Columns that make a table, unless it has no more; with fewer, and the others below them, each row is a card."""
LEAST = 24
"""Columns below which no text is wrapped beside others."""
LONGEST_WORD = 64
"""Columns up to which a word is kept whole: ids, names of runs, checksums."""
PADDED = 60
"""Columns up to which cells are aligned in a pipe."""
_GAP = "  "
_MARGIN = " "
_BELOW = "     "
_BETWEEN = " · "

Cell = object
"""A text, a number, a `Text` with its own style, or, in a column of ids, one id or several."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table."""

    name: str
    text: bool = False
    """Whether it holds text, which may be wrapped; anything else is kept whole."""
    right: bool = False
    """Whether it is aligned to the right: numbers."""
    ids: bool = False
    """Whether it holds ids, which a terminal gets short."""
    lines: int | None = MAX_LINES
    """Lines that its longest text may take beside other columns; None for any number."""
    least: int = LEAST
    """Columns below which its text is not wrapped beside others."""
    is_named: bool = True
    """Whether its name is repeated where it stands below a row."""


class Table:
    """A table for any terminal, or for a pipe; see this module's docstring."""

    def __init__(self, columns: Sequence[Column], rows: Iterable[Sequence[Cell]], *, is_wide: bool = False) -> None:
        """`is_wide`: one line for each row on a terminal too, with complete ids."""
        self._columns = columns
        self._rows = [tuple(row) for row in rows]
        self._is_wide = is_wide

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the lines, for rich; to be printed with `show`, which crops none."""
        if is_listing(console, is_wide=self._is_wide):
            yield from _listed(self._columns, self._cells(short=False))
        else:
            yield from _Fitted(self._columns, self._cells(short=True), options.max_width - len(_MARGIN)).lines()

    def _cells(self, *, short: bool) -> list[list[Text]]:
        shortened = [self._short(at) if short and one.ids else {} for at, one in enumerate(self._columns)]
        return [[_cell(value, names) for value, names in zip(row, shortened, strict=True)] for row in self._rows]

    def _short(self, at: int) -> dict[str, str]:
        return short_ids(name for row in self._rows for name in _names(row[at]))


def _names(value: Cell) -> Sequence[str]:
    """The ids of a cell."""
    return [str(one) for one in value] if isinstance(value, list | tuple) else [str(value)]


def _cell(value: Cell, short: Mapping[str, str]) -> Text:
    if isinstance(value, Text):
        return value
    if isinstance(value, list | tuple):
        return Text(" ".join(exact(short.get(str(one), str(one))) for one in value))
    if isinstance(value, int) and not isinstance(value, bool):
        return Text(f"{value:,}")
    return Text("" if value is None else exact(short.get(str(value), str(value))))


def _width(cell: Text) -> int:
    return max(map(cell_len, cell.plain.split("\n")))


def _listed(columns: Sequence[Column], cells: Sequence[Sequence[Text]]) -> Iterator[Text]:
    """One line for each row, aligned as far as that costs little."""
    widths = [
        max([cell_len(one.name), *(min(PADDED, _width(row[at])) for row in cells)]) for at, one in enumerate(columns)
    ]
    yield from _beside(columns, widths, [[Text(one.name, "dim")] for one in columns])
    for row in cells:
        yield from _beside(columns, widths, [list(cell.split("\n", allow_blank=True)) for cell in row])


def _beside(columns: Sequence[Column], widths: Sequence[int], cells: Sequence[Sequence[Text]]) -> Iterator[Text]:
    """The lines of one row whose cells stand beside each other; nothing if all of them are empty."""
    for parts in zip_longest(*cells):
        line = Text(_MARGIN)
        for column, width, part in zip(columns, widths, parts, strict=True):
            shown = part or Text()
            padding = " " * (width - cell_len(shown.plain.rstrip(" ")))
            shown.rstrip()
            line.append_text(Text.assemble(padding, shown) if column.right else Text.assemble(shown, padding))
            line.append(_GAP)
        line.rstrip()
        if line.plain:
            yield fixed(line)


class _Fitted:
    """A table on a terminal."""

    def __init__(self, columns: Sequence[Column], cells: Sequence[Sequence[Text]], width: int) -> None:
        """`width` is that of the terminal without the margin."""
        self._columns = columns
        self._cells = cells
        self._width = width
        self._natural = [
            max([cell_len(one.name), *(_width(row[at]) for row in cells)]) for at, one in enumerate(columns)
        ]

    def lines(self) -> Iterator[Text]:
        """All lines."""
        count = self._fitting()
        widths = self._shares(count)
        rows = [[_bold(row[0]), *row[1:]] if count < len(self._columns) else row for row in self._cells]
        folded = [[fold(cell, width) for cell, width in zip(row, widths, strict=False)] for row in rows]
        limit = self._columns[0].lines
        long = [limit is not None and len(parts[0]) > limit for parts in folded]
        count = count if sum(long) * 4 <= len(long) else 1
        if count > 1:
            yield from _beside(
                self._columns[:count], widths, [[Text(one.name, "dim")] for one in self._columns[:count]]
            )
        for row, parts, is_long in zip(rows, folded, long, strict=True):
            if is_long or count == 1:
                yield from indented(row[0], self._width, _MARGIN)
            if count > 1:
                yield from _beside(self._columns[:count], widths, [[Text()], *parts[1:]] if is_long else parts)
            yield from self._below(row, count)

    def _fitting(self) -> int:
        """How many of the first columns can stand beside each other; 1 if too few can."""
        every = len(self._columns)
        for count in range(every, max(2, min(every - 1, MIN_COLUMNS)) - 1, -1):
            if sum(self._needs(count)) + (count - 1) * len(_GAP) <= self._width:
                return count
        return 1

    def _needs(self, count: int) -> list[int]:
        """The columns that each of the first ones needs at least."""
        return [self._lead(is_all=count == len(self._columns)), *map(self._least, range(1, count))]

    def _lead(self, *, is_all: bool) -> int:
        """The same of the first: most of its cells fit, in two lines if that lets all columns stand beside each other."""
        one, natural = self._columns[0], self._natural[0]
        if not one.text:
            return natural
        widths = sorted(_width(row[0]) for row in self._cells)
        most = widths[len(widths) * 3 // 4] if widths else 0
        wanted = most * 2 // 3 if is_all else min(self._width // 2, most)
        return min(natural, max(one.least, cell_len(one.name), wanted))

    def _least(self, at: int) -> int:
        """The columns that another needs at least: its words stay whole, and it takes no more lines than it may."""
        one, natural = self._columns[at], self._natural[at]
        if not one.text:
            return natural
        words = (word for row in self._cells for word in re.split("[ /\n]", row[at].plain) if word.isascii())
        whole = max((len(word) for word in words if len(word) <= LONGEST_WORD), default=0)
        lines = 0 if one.lines is None else -(-natural // one.lines)
        return min(natural, max(one.least, cell_len(one.name), whole, lines))

    def _shares(self, count: int) -> list[int]:
        """The width of each of the first columns: what it needs, and as much of the rest as it can use, from the left."""
        widths = self._needs(count)
        spare = self._width - sum(widths) - (count - 1) * len(_GAP)
        for at in range(count):
            room = widths[at] + max(0, spare)
            wanted = max((wide for wide in (_width(row[at]) for row in self._cells) if wide <= room), default=0)
            if self._natural[at] > room and self._columns[at].lines is None:
                wanted = room
            more = max(0, wanted - widths[at])
            widths[at], spare = widths[at] + more, spare - more
        return widths

    def _below(self, row: Sequence[Text], begin: int) -> Iterator[Text]:
        """The cells from this column on: several on a line, as far as they fit."""
        line = Text(_BELOW)
        for column, cell in zip(self._columns[begin:], row[begin:], strict=True):
            if not cell.plain:
                continue
            item = (
                Text.assemble((f"{column.name}{':' if column.text else ''} ", "dim"), cell) if column.is_named else cell
            )
            joined = Text.assemble(line, _BETWEEN if line.plain.strip() else "", item)
            if _width(joined) <= self._width and "\n" not in item.plain:
                line = joined
                continue
            if line.plain.strip():
                yield fixed(line)
            line = Text(_BELOW)
            if _width(item) + len(_BELOW) <= self._width and "\n" not in item.plain:
                line.append_text(item)
            else:
                yield from indented(item, self._width, _BELOW)
        if line.plain.strip():
            yield fixed(line)


def _bold(text: Text) -> Text:
    return text if text.spans or text.style else Text(text.plain, "bold")
