"""Tables with complete ids. All untrusted text is escaped."""

from collections.abc import Iterable, Sequence

from rich.table import Table
from rich.text import Text

from worker.core.base.text import one_line
from worker.terminal import stdout

RIGHT = frozenset({"age", "expires in", "receives", "redrives", "count"})
WHOLE = frozenset({"message id", "fingerprint", "age", "expires in", "kind", "run"})


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Table:
    """Make a table. Ids and other short cells are never wrapped. It is indented, so that no line begins with untrusted text."""
    made = Table(box=None, pad_edge=True)
    for name in columns:
        made.add_column(
            name, justify="right" if name in RIGHT else "left", no_wrap=name in WHOLE, overflow="fold", header_style="dim"
        )  # fmt: skip
    for row in rows:
        made.add_row(*(cell if isinstance(cell, Text) else Text(shown(cell)) for cell in row))
    return made


def shown(value: object) -> str:
    """Format one cell: numbers with separators, text as one escaped line."""
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return "" if value is None else one_line(str(value))


def print_sentence(text: str) -> None:
    """Print a sentence to stdout, escaped, on one line."""
    stdout().print(one_line(text), markup=False, highlight=False, soft_wrap=True)
