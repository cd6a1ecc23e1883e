"""What does not matter when text is searched."""

import re
import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.base import uniform as module
from worker.core.base.uniform import PLAIN, uniform, visible

SOFT, ZERO_WIDTH, JOINER, MARK, BOM, SELECTOR = "\u00ad", "\u200b", "\u200d", "\u200e", "\ufeff", "\ufe0e"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("⾼⽥⾺場の⽇本⽀社⻑", "高田馬場の日本支社長"),  # KANGXI RADICALs
        ("⻄⻘⻩⻝⻲⺟", "西青黄食亀母"),  # CJK RADICALs
        ("神⼾ ⿊⽥ ⿈⾊ ⾭", "神戸 黒田 黄色 青"),
        ("㈱日立㍿ ㌔ ㎏ ① Ⅳ ℡ ㋿", "(株)日立株式会社 キロ kg 1 IV TEL 令和"),
        ("ｶﾞﾗｽ ＡＢＣ１２　ﬁle", "ガラス ABC12 file"),
        (unicodedata.normalize("NFD", "ガラスのパイプ é 한글"), "ガラスのパイプ é 한글"),
        ("か゛ は゜", "が ぱ"),
        (f"soft{SOFT}hyphen zero{ZERO_WIDTH}width", "softhyphen zerowidth"),
        (f"東{JOINER}京{SELECTOR}都{MARK}庁{BOM}舎 葛\U000e0100城", "東京都庁舎 葛城"),
        (f"か{ZERO_WIDTH}\u3099", "が"),
        ("👨\u200d👩\u200d👧 ❤\ufe0f", "👨👩👧 ❤"),
        ("plain ASCII\r\n", "plain ASCII\r\n"),
    ],
)
def test_what_does_not_matter_is_removed(text, expected):
    assert uniform(text) == expected


def reference(text):
    return unicodedata.normalize("NFKC", text.translate(module._CHANGED))


TEXTS = st.text(max_size=40) | st.text(
    alphabet="aé\u0301\u0316かが\u3099ｶﾞ゛각가\u11a8\u1161\u200b\ufe0f⼾㍿　1", max_size=30
)


@given(TEXTS)
def test_it_is_nfkc_without_invisible_characters_and_twice_is_the_same_as_once(text):
    assert uniform(text) == reference(text)
    assert uniform(uniform(text)) == uniform(text)


@given(st.lists(TEXTS, max_size=20), st.integers(1, 9), st.integers(1, 9))
def test_cut_in_pieces_it_is_the_same(texts, chunk, piece):
    text = " ".join(texts)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "CHUNK_CHARS", chunk)
        patch.setattr(module, "MAX_PIECE_CHARS", piece)
        assert uniform(text) == reference(text)


def test_plain_characters_are_left_alone_and_change_nothing_before_them():
    plain = [char for char in map(chr, range(0x110000)) if re.match(f"[{PLAIN}]", char)]
    assert "".join(plain) == reference("".join(plain))
    assert all(unicodedata.combining(char) == 0 for char in plain)


def test_no_more_is_made_than_is_wanted():
    assert uniform("\ufdfa" * 600_000, 100) == uniform("\ufdfa" * 6)[:100]
    assert (uniform("ascii", 3), uniform("日本語", 2), uniform("日本語", 0)) == ("asc", "日本", "")


def test_many_combining_characters_in_a_row_take_no_time_that_grows_with_their_square():
    began = time.process_time()
    uniform("a" + "\u0301\u0316" * 200_000)
    assert time.process_time() - began < 5  # 100 times as long where they are normalised at once


def test_visible_removes_the_invisible_alone():
    assert visible(f"{BOM}Ａ{ZERO_WIDTH}か\u3099") == "Ａか\u3099"
