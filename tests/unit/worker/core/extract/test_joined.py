"""Words across line ends."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.extract.joined import joined


@pytest.mark.parametrize(
    ("wrapped", "whole"),
    [
        ("株式会社\n緑屋です。\n次", "株式会社緑屋です。\n次"),
        ("テンプレー\r\nト", "テンプレート"),
        ("  見積 \n  書\n\n　議事\n　録", "  見積書\n\n　議事録"),
        ("> 個人情報\n> 保護方針", "> 個人情報保護方針"),
        ("東\n京\n都\n庁\n", "東京都庁\n"),
        ("令\n和\n8\n年\n3\n月", "令和8年3月"),
        ("氏名\t年齢\n佐藤\t三十", "氏名\t年齢\n佐藤\t三十"),
        ("東京\nTokyo\n大阪", "東京\nTokyo\n大阪"),
        ("회의\n록", "회의\n록"),
        ("soft\u00ad\nware", "software"),
        ("a\nb\nc\nd\ne", "a\nb\nc\nd\ne"),
        ("-- \nTaro\n---\ntitle\n- one\n- two", "-- \nTaro\n---\ntitle\n- one\n- two"),
    ],
)
def test_lines_between_japanese_characters_are_joined_and_others_are_not(wrapped: str, whole: str) -> None:
    assert joined(wrapped) == whole


@pytest.mark.parametrize(
    ("wrapped", "in_place"),
    [
        ("an inter-\nnational treaty", "an international treaty"),
        ("an inter\u2010\n  national café", "an international café"),
        ("> an INTER-\n> NATIONAL TREATY", "an INTERNATIONAL TREATY"),
        ("about COVID-\n19 then", "about COVID-19 then"),
        ("an Anglo-\nSaxon king", "an Anglo-Saxon king"),
        ("a state-of-the-\nart thing", "a state-of-the-art thing"),
    ],
)
def test_a_hyphenated_word_stands_in_its_likelier_form(wrapped: str, in_place: str) -> None:
    assert in_place in joined(wrapped).splitlines()[0]


def test_both_forms_are_found_with_the_words_around_them_and_close_by() -> None:
    text = "A treaty was inter-\nnational as a well-\nknown author of it\nsaid.\n\nMore co-\noperation there.\n"
    assert joined(text) == (
        "A treaty was international as a wellknown author of it\nsaid.\n"
        "A treaty was inter-national as a wellknown author\nwas international as a well-known author of it said.\n\n"
        "More cooperation there.\n\nMore co-operation there."
    )


def test_the_other_form_lies_near_in_a_text_without_paragraphs() -> None:
    text = "the inter-\nnational treaty\n" * 10_000
    assert 0 < joined(text).index("inter-national") < 30_000


@given(st.text("a-\n >東\t\r\u00ad\u2010", max_size=60))
def test_nothing_but_line_ends_spaces_hyphens_and_marks_of_quotes_is_ever_removed(text: str) -> None:
    left = joined(text)
    assert left.count("東") >= text.count("東")
    assert left.count("a") >= text.count("a")


@pytest.mark.parametrize("line", ["2026-03-09 INFO started\n", "東京\tの担当者と\n", "a-\n", "東\n", "あ\n   >>>   "])
def test_ten_million_characters_take_about_a_second(line: str) -> None:
    text = line * (10**7 // len(line))
    began = time.process_time()
    joined(text)
    assert time.process_time() - began < 12
