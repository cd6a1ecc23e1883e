"""What is typed to choose rows of a list."""

import pytest

from recovery.cli.choosing import rows_of


@pytest.mark.parametrize(
    ("typed", "rows"),
    [
        ("1", [0]),
        ("1,3-5", [0, 2, 3, 4]),
        ("5 - 6, 1", [0, 4, 5]),
        ("2 4,4,", [1, 3]),
        ("１，３－５", [0, 2, 3, 4]),
        ("１、３〜５", [0, 2, 3, 4]),
        ("３ー５", [2, 3, 4]),
        ("ALL", [0, 1, 2, 3, 4, 5]),
        ("契約", None),
        ("/2026", None),
        ("a1", None),
        ("1-", None),
        ("", None),
    ],
)
def test_rows_are_numbers_ranges_or_all(typed, rows):
    assert rows_of(typed, 6) == rows


@pytest.mark.parametrize("typed", ["0", "7", "1,7", "3-2", "2-9", "99999999999999999999"])
def test_a_row_that_is_not_there_is_refused_with_what_would_be_right(typed):
    with pytest.raises(ValueError, match="rows are 1 to 6, and a range is such as 2-6; to search, type /"):
        rows_of(typed, 6)
