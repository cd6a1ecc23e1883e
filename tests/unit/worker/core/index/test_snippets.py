"""Where passages begin and end, in texts with and without spaces, and what is marked in them."""

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.index import HIGHLIGHT_END, HIGHLIGHT_START
from worker.core.index.highlight import fragments
from worker.core.index.query import parse
from worker.core.index.snippets import PASSAGE_CHARS, PASSAGES, SLACK_CHARS, passages

MARK = re.compile(f"[{HIGHLIGHT_START}{HIGHLIGHT_END}]")
LONGEST = PASSAGE_CHARS + 2 * SLACK_CHARS
ENGLISH = (
    "The board met on Monday. It looked at the figures of last year and was content with most of them. The quarterly forecast "
    "was read aloud by the treasurer, who had a cold. Nobody asked a question about it. Lunch was served at noon in the garden. "
    "Afterwards the members went home by train."
)
JAPANESE = (
    "取締役会は月曜日に開かれた。昨年度の決算について報告があり、出席した全員がこれを承認した。続いて財務部長が四半期の業績予測を読み上げ、"
    "来期の売上高は前年同期を一割ほど上回る見込みであると説明した。質問は特になかった。昼食は正午から中庭で用意され、その後は各自が電車で帰宅した。"
    "次回の会議は来月の第一月曜日に同じ会議室で行うことが決まった。議事録は総務部が作成し、全員に電子メールで送付する。"
)


def shown(text, query):
    found = fragments(text, parse(query).words)
    return [one.replace(HIGHLIGHT_START, "[").replace(HIGHLIGHT_END, "]") for one in found]


def test_a_short_text_is_shown_whole():
    assert shown("彼は東京まで走った。", "東京") == ["彼は[東京]まで走った。"]


def test_an_english_passage_has_whole_sentences_around_the_match():
    [passage] = shown(ENGLISH, "forecast")
    assert passage.startswith("It looked at the figures")
    assert "The quarterly [forecast] was read aloud" in passage
    assert passage.endswith("Nobody asked a question about it.")


def test_a_japanese_passage_has_whole_sentences_around_the_match():
    [passage] = shown(JAPANESE, "業績予測")
    assert passage.startswith("取締役会は月曜日に")
    assert passage.endswith("帰宅した。")
    assert "[業績予測]" in passage


def test_without_sentences_a_passage_has_whole_words():
    [passage] = shown("alpha beta gamma delta " * 50 + "needle " + "epsilon zeta eta theta " * 50, "needle")
    assert set(passage.split()) <= {*["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "[needle]"]}
    assert abs(len(passage) - PASSAGE_CHARS) <= SLACK_CHARS


def test_without_sentences_and_words_a_passage_is_as_long_and_the_match_in_its_middle():
    for filler in ("東京都庁舎", "x9"):
        [passage] = shown(filler * 300 + "縫針" + filler * 300, "縫針")
        before, after = passage.split("[縫針]")
        assert len(before) == pytest.approx(PASSAGE_CHARS / 2, abs=SLACK_CHARS)
        assert len(after) == pytest.approx(PASSAGE_CHARS / 2, abs=SLACK_CHARS)


def test_a_match_at_either_end_of_a_text_has_a_whole_passage_too():
    for text in ("needle " + "word " * 300, "word " * 300 + "needle"):
        [passage] = shown(text, "needle")
        assert abs(len(passage) - PASSAGE_CHARS) <= SLACK_CHARS


def test_white_space_does_not_shorten_a_passage():
    [passage] = shown(("word" + " " * 9) * 100 + "needle" + ("\n\n\n\tword") * 100, "needle")
    assert abs(len(passage) - PASSAGE_CHARS) <= SLACK_CHARS
    assert "  " not in passage


def test_all_matches_in_a_passage_are_marked_and_the_next_passage_begins_after_it():
    text = "needle one. needle two. " + "hay " * 200 + "needle three. " + "hay " * 200 + "needle four."
    first, second = shown(text, "needle")
    assert first.startswith("[needle] one. [needle] two.")
    assert "[needle] three." in second


def test_a_match_as_long_as_a_book_is_cut_and_its_mark_closed():
    [passage] = passages("a" + "." * 100_000 + "b", [(0, 100_002)])
    assert len(passage) < 1_200
    assert (passage[0], passage.count(HIGHLIGHT_START), passage.count(HIGHLIGHT_END)) == (HIGHLIGHT_START, 1, 1)


@pytest.mark.parametrize(
    "cluster", ["g\u0308", "\U0001f1ef\U0001f1f5", "\U0001f44d\U0001f3fd", "\u1100\u1161\u11a8", "ก\u0e34"]
)
def test_no_passage_begins_or_ends_within_what_is_seen_as_one_character(cluster):
    text = cluster * 400 + " needle " + cluster * 400
    at = text.index("needle")
    for shift in range(len(cluster)):
        for passage in passages("x" * shift + text, [(at + shift, at + shift + 6)]):
            plain = MARK.sub("", passage)
            before, after = plain.split(" needle ")
            for part in (before, after):
                assert part.replace(cluster, "").strip("x") == ""
                assert not unicodedata.category(part[0]).startswith("M")


@given(
    st.text("あ京。、 \nab.g\u0308\U0001f1ef"),
    st.integers(0, 400),
    st.lists(st.tuples(st.integers(0, 900), st.integers(1, 300))),
)
def test_every_passage_is_a_part_of_its_text_short_and_marked_in_pairs(piece, times, given_spans):
    text = piece * times
    spans, end = [], 0
    for start, length in sorted(given_spans):
        if end <= start < start + length <= len(text) and not text[start : start + length].isspace():
            spans.append((start, start + length))
            end = start + length
    found = passages(text, spans)
    assert len(found) <= PASSAGES
    assert bool(found) is bool(spans)
    for passage in found:
        plain = MARK.sub("", passage)
        assert " ".join(plain.split()) in " ".join(text.split())
        assert len(plain) <= LONGEST + 300
        assert re.fullmatch(f"[^{HIGHLIGHT_END}{HIGHLIGHT_START}]*(?:{HIGHLIGHT_START}[^{HIGHLIGHT_START}]+{HIGHLIGHT_END}"
                            f"[^{HIGHLIGHT_END}{HIGHLIGHT_START}]*)+", passage)  # fmt: skip
