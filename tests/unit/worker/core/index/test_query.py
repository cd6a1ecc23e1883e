"""The query language, and text cut in tokens."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.index.query import MAX_WORDS, OneOf, Within, parse
from worker.core.index.text import indexed

DAY_MS = 86_400_000


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("東京 予算", [("東京", False, False), ("予算", False, False)]),
        ("　全角　空白　", [("全角", False, False), ("空白", False, False)]),
        ('"四半期 報告" -draft', [("四半期 報告", True, False), ("draft", False, True)]),
        ("“smart quotes”", [("smart quotes", True, False)]),
        ('"unclosed phrase', [("unclosed phrase", True, False)]),
        ("10:30 size:big ext:", [("10:30", False, False), ("size:big", False, False), ("ext:", False, False)]),
        ("a-b --x", [("a-b", False, False), ("--x", False, False)]),
    ],
)
def test_words_and_phrases(text, words):
    assert [(word.text, word.exact, word.excluded) for word in parse(text).words] == words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ext:PDF,.docx", OneOf("file_extension", ("pdf", "docx"), excluded=False)),
        ("-ext:tmp", OneOf("file_extension", ("tmp",), excluded=True)),
        ("ｓize:1", None),
        ("size:>1mb", Within("file_size", 1024**2 + 1, None, excluded=False)),
        ("size:<=1.5k", Within("file_size", None, 1537, excluded=False)),
        ("size:７", Within("file_size", 7, 8, excluded=False)),
        ("after:1970-01-02", Within("last_modified", DAY_MS, None, excluded=False)),
        ("before:1970-02", Within("last_modified", None, 31 * DAY_MS, excluded=False)),
        ("after:2026-02-30", None),
    ],
)
def test_filters(text, expected):
    assert list(parse(text).filters) == ([] if expected is None else [expected])


def test_filters_of_one_field_mean_either():
    assert parse("ext:pdf ext:docx").filters == (OneOf("file_extension", ("pdf", "docx"), excluded=False),)


def test_more_words_than_a_query_may_have_are_ignored():
    assert len(parse(" ".join(f"w{number}" for number in range(99))).words) == MAX_WORDS


def test_only_an_empty_query_asks_for_everything():
    assert (parse("  ").impossible, parse("!!!").impossible) == (False, True)


@given(st.text())
def test_no_string_is_an_error(text):
    assert parse(text).impossible in {True, False}


@given(st.text())
def test_tokens_contain_nothing_that_means_something_to_fts5(text):
    assert '"' not in indexed(text)


def test_japanese_is_cut_in_overlapping_pairs():
    assert indexed("東京都2026 ｶﾞｲﾄﾞ") == "東京 京都 都 2026 ガイ イド ド"
