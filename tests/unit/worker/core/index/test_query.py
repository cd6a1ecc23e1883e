"""The query language, and text cut in tokens."""

import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.index.query import MAX_WORD_CHARS, MAX_WORDS, OneOf, Within, parse
from worker.core.index.text import _tokens, indexed

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


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("東京\n  都", "東京 京都 都"),
        ("東 京　都", "東京 京都 都"),
        ("東京 abc 都", "東京 京 abc 都"),
        ("서울 시청", "서울 울 시청 청"),
        ("東京。\n都", "東京 京 都"),
        ("神戶 黑 黃 靑", "神戸 戸黒 黒黄 黄青 青"),
        ("co\u00adoperate ＡＢＣ⾼", "cooperate abc 高"),
    ],
)
def test_what_does_not_matter_makes_no_other_tokens(text, tokens):
    assert indexed(text) == tokens


def test_a_long_text_is_cut_in_the_same_tokens():
    for part in ("東京", "word ", "ab 京\n"):
        assert indexed(part * 70_000) == " ".join(_tokens(part * 70_000))
        assert indexed(part * 70_000).startswith(indexed(part * 10)[:10])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("\ufeff-draft", [("draft", True)]),
        ("\u200b\u201c⾼⽥ ㍿\u201d", [("高田 株式会社", False)]),
        (unicodedata.normalize("NFD", "パイプ"), [("パイプ", False)]),
    ],
)
def test_what_does_not_matter_in_a_query_is_removed(text, words):
    assert [(word.text, word.excluded) for word in parse(text).words] == words


def test_a_word_that_becomes_longer_is_no_longer_than_a_word_may_be():
    assert len(parse("\ufdfa" * 200).words[0].text) == MAX_WORD_CHARS


def test_an_endless_query_takes_no_endless_time():
    began = time.process_time()
    assert parse("\u0301\u0316" * 500_000).impossible
    assert time.process_time() - began < 2
