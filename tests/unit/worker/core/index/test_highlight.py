"""Matches marked in fragments of a text."""

import pytest

from worker.core.index import HIGHLIGHT_END, HIGHLIGHT_START
from worker.core.index.highlight import fragments, marked, pieces
from worker.core.index.query import parse
from worker.core.index.snippets import PASSAGE_CHARS, PASSAGES, SLACK_CHARS


def shown(text, query):
    return marked(text, parse(query).words).replace(HIGHLIGHT_START, "[").replace(HIGHLIGHT_END, "]")


@pytest.mark.parametrize(
    ("text", "query", "expected"),
    [
        ("Quarterly forecast", "quart", "[Quarterly] forecast"),
        ("a forecast, old", '"forecast"', "a [forecast], old"),
        ("forecasts", '"forecast"', ""),
        ("IMG_1234", "1234", "IMG_[1234]"),
        ("東京abc版", "abc", "東京[abc]版"),
        ("東京都庁", "京都", "東[京都]庁"),
        ("東\n  京　都 庁", "京都", "東\n  [京 都] 庁"),
        ("見積書\n株式会社", '"見積書 株式"', "[見積書\n株式]会社"),
        ("ＡＢＣ⾼⽥", "abc 高田", "[ABC][高田]"),
        ("co\u00adoperate", "cooperate", "[cooperate]"),
        ("神戶と神户", "神戸", "[神戶]と[神户]"),
        ("Straße, STRASSE", "straße", "[Straße], [STRASSE]"),
        ("Résumé Ångström", "resume ångstrom", "[Résumé] [Ångström]"),
        ("a.b*c", "a.b", "[a.b]*c"),
        ("nothing", "else", ""),
        ("nothing", "-nothing", ""),
    ],
)
def test_matches_are_marked_as_the_index_finds_them(text, query, expected):
    assert shown(text, query) == expected


def test_fragments_are_short_few_and_stand_on_one_line():
    found = fragments(
        "before\n" * 100 + "needle\n" + "between\n" * 100 + "needle needle" + "after " * 100 + "needle",
        parse("needle").words,
    )
    assert len(found) == PASSAGES
    assert all(len(fragment) <= PASSAGE_CHARS + 2 * SLACK_CHARS and "\n" not in fragment for fragment in found)
    assert found[0].count(HIGHLIGHT_START) == 1


@pytest.mark.parametrize(
    ("passage", "found"),
    [
        ("", []),
        ("plain", [("plain", False)]),
        ("a \ue000b\ue001 c", [("a ", False), ("b", True), (" c", False)]),
        ("\ue000東京\ue001\ue000都\ue001", [("東京", True), ("都", True)]),
        ("a\ue001b", [("a", False), ("b", False)]),
        ("\ue000a\ue000b\ue001c", [("a", True), ("b", True), ("c", False)]),
        ("\ue000<script>", [("<script>", True)]),
    ],
)
def test_a_marked_text_is_taken_apart_without_loss(passage, found):
    assert pieces(passage) == found
