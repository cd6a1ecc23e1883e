"""The columns that an operator chooses."""

import pytest
import typer

from recovery.cli.view.tables import chosen_columns

KNOWN = ("key", "error", "age", "expires")


def test_columns_are_shown_in_the_order_given_and_once() -> None:
    assert chosen_columns(" age,KEY, age", KNOWN, ["error"]) == ["age", "key"]
    assert chosen_columns(None, KNOWN, ["error"]) == ["error"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("key,expire", r"no column 'expire'; did you mean expires\? It should be some of key, error, age, expires"),
        ("zzz", r"no column 'zzz'; it should be some of key, error, age, expires"),
        ("", r"no column ''; it should be"),
    ],
)
def test_a_mistake_is_answered_with_the_nearest_name_and_all_names(given: str, said: str) -> None:
    with pytest.raises(typer.BadParameter, match=said):
        chosen_columns(given, KNOWN, [])
