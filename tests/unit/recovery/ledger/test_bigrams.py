"""What is found by its bigrams, and that every character is safe in FTS5."""

import sqlite3
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recovery.ledger.bigrams import TOKENIZER, folded, fts_query, grams, wanted

TEXTS = st.text(max_size=30)


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("Report", "rEPORT"),
        ("STRASSE", "straße"),
        (unicodedata.normalize("NFD", "パーティー"), "パーティー"),
        ("É", "e\u0301"),
    ],
)
def test_case_and_composition_make_no_difference(text: str, same: str) -> None:
    assert folded(text) == folded(same)


def test_width_makes_a_difference_as_a_substring_is_exact() -> None:
    assert folded("ＡＢＣ") != folded("abc")


def test_a_text_has_its_characters_and_its_pairs() -> None:
    assert grams("契約書") == {"契", "約", "書", "契約", "約書"}
    assert wanted("契約書") == ["契約", "約書"]
    assert wanted("契") == ["契"]


@given(before=TEXTS, part=st.text(min_size=1, max_size=10), after=TEXTS)
def test_a_text_has_all_grams_of_its_parts(before: str, part: str, after: str) -> None:
    assert set(wanted(folded(part))) <= grams(folded(part))
    whole = folded(part) + folded(after)
    assert set(wanted(folded(part))) <= grams(folded(before) + whole)


@given(before=TEXTS, part=st.text(min_size=1, max_size=10), after=TEXTS)
def test_fts5_finds_every_part_of_every_text(before: str, part: str, after: str) -> None:
    db = sqlite3.connect(":memory:")
    db.execute(f"CREATE VIRTUAL TABLE g USING fts5(key, said, content='', detail=column, tokenize=\"{TOKENIZER}\")")
    text, looked_for = folded(before) + folded(part) + folded(after), wanted(folded(part))
    db.execute("INSERT INTO g (rowid, key, said) VALUES (1, ?, '')", (" ".join(grams(text)),))
    found = db.execute("SELECT rowid FROM g WHERE g MATCH ?", (fts_query(looked_for, column="key"),)).fetchall()
    elsewhere = db.execute("SELECT rowid FROM g WHERE g MATCH ?", (fts_query(looked_for, column="said"),)).fetchall()
    db.close()
    assert (found, elsewhere) == ([(1,)], [])
