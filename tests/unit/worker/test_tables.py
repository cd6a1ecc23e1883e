"""A table on a terminal, on a narrow one, and in a pipe."""

import io
from collections.abc import Sequence

from rich.console import Console

from worker.layout import show
from worker.tables import Cell, Column, Table

COLUMNS = (
    Column("key", text=True), Column("error", text=True, least=12), Column("age", right=True), Column("id", ids=True),
    Column("count", right=True), Column("says", text=True, least=20),
)  # fmt: skip
ROWS = [
    (
        "経理/請求書.pdf",
        "TimeoutError",
        "9s",
        "20d30dbf-3078-46a8-8975-14309c742449",
        1_234,
        "it did not answer in time",
    ),
    ("a.txt", "KeyError", "3d 4h", "20d30dbf-9078-46a8-8975-14309c742449", None, ""),
]


def lines(
    rows: Sequence[Sequence[Cell]] = ROWS, *, columns: int, is_terminal: bool = True, is_wide: bool = False
) -> list[str]:
    said = io.StringIO()
    out = Console(width=columns, file=said, force_terminal=is_terminal, color_system=None)
    show(out, Table(COLUMNS, rows, is_wide=is_wide))
    return said.getvalue().splitlines()


def test_columns_that_fit_stand_beside_each_other():
    assert lines(columns=100) == [
        " key              error           age  id          count  says",
        " 経理/請求書.pdf  TimeoutError     9s  20d30dbf-3  1,234  it did not answer in time",
        " a.txt            KeyError      3d 4h  20d30dbf-9",
    ]


def test_columns_that_do_not_fit_stand_below_with_their_names():
    assert lines(columns=60) == [
        " key              error           age  id          count",
        " 経理/請求書.pdf  TimeoutError     9s  20d30dbf-3  1,234",
        "     says: it did not answer in time",
        " a.txt            KeyError      3d 4h  20d30dbf-9",
    ]


def test_where_too_few_would_fit_each_row_is_a_card():
    assert lines(columns=40) == [
        " 経理/請求書.pdf",
        "     error: TimeoutError · age 9s",
        "     id 20d30dbf-3 · count 1,234",
        "     says: it did not answer in time",
        " a.txt",
        "     error: KeyError · age 3d 4h",
        "     id 20d30dbf-9",
    ]


def test_a_key_that_is_too_long_for_its_column_takes_lines_of_its_own():
    key = "k" * 150
    found = lines([*ROWS, *ROWS, (key, *ROWS[0][1:])], columns=100)
    assert found[-3:-1] == [f" {'k' * 98}", f" {'k' * 52}"]
    assert found[-1] == found[1].replace("経理/請求書.pdf", " " * 15)


def test_in_a_pipe_and_if_wide_each_row_is_one_line_with_everything():
    rows = [("k" * 3_000, "e" * 3_000, "9s", "20d30dbf-3078-46a8-8975-14309c742449", 1, "x " * 1_000), ROWS[1]]
    piped = lines(rows, columns=80, is_terminal=False)
    assert len(piped) == 3
    assert piped[1].split()[:4] == ["k" * 3_000, "e" * 3_000, "9s", "20d30dbf-3078-46a8-8975-14309c742449"]
    assert len(piped[2]) < 400, "a long cell does not push the others away"
    assert lines(rows, columns=80, is_wide=True) == piped


def test_several_ids_are_shortened_together():
    said = io.StringIO()
    made = Table((Column("error", text=True), Column("ids", ids=True)), [("E", ["abcdefgh-1", "abcdefgi-1"])])
    show(Console(width=80, file=said, force_terminal=True, color_system=None), made)
    assert said.getvalue().splitlines()[1] == " E      abcdefgh abcdefgi"
