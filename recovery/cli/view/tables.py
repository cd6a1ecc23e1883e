"""The columns of all tables about dead letters, which worker/tables.py lays out."""

import difflib
from collections.abc import Iterable, Sequence

import typer

from worker.core.base.text import exact
from worker.layout import Sentence, show
from worker.tables import Cell, Column, Table
from worker.terminal import stdout

_COLUMNS = {
    one.name: one
    for one in (
        Column("key", text=True),
        Column("error", text=True, least=12),
        Column("says", text=True, least=40),
        Column("why", text=True, least=40),
        Column("status", text=True, least=16),
        Column("reason", text=True),
        Column("restored", text=True),
        Column("by", text=True, least=12),
        Column("source", text=True),
        Column("", text=True, lines=None, least=20),
        *(Column(name, ids=True) for name in ("id", "ids")),
        *(Column(name, right=True) for name in ("age", "expires", "receives", "redrives", "count")),
        *(Column(name) for name in ("kind", "type", "group", "first", "last", "run", "archived", "result")),
    )
}


def table(names: Sequence[str], rows: Iterable[Sequence[Cell]], *, is_wide: bool = False) -> Table:
    """A table with these columns, the most important first."""
    return Table([_COLUMNS.get(name, Column(name, text=True)) for name in names], rows, is_wide=is_wide)


def facts_table(rows: Iterable[tuple[str, Cell]], *, called: str = "") -> Table:
    """Names, each with its value, however long; `called`: the heading."""
    return Table([Column(called), _COLUMNS[""]], rows)


def chosen_columns(given: str | None, known: Sequence[str], usual: Sequence[str]) -> Sequence[str]:
    """The columns given as `key,error,age`, or the usual ones. Raises a usage error that names the nearest, and all."""
    if given is None:
        return usual
    names = [name.strip().lower() for name in given.split(",")]
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            meant = f"did you mean {near[0]}? " if near else ""
            right = f"{meant}It" if meant else "it"
            raise typer.BadParameter(
                f"{given!r}: there is no column {name!r}; {right} should be some of {', '.join(known)}",
                param_hint="--columns",
            )
    return list(dict.fromkeys(names))


def shown(value: object) -> str:
    """Format one cell: numbers with separators, text on one line, in which keys stay exact."""
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return "" if value is None else exact(str(value))


def print_sentence(text: str) -> None:
    """Print a sentence to stdout, on one line in which keys stay exact."""
    show(stdout(), Sentence(exact(text)))
