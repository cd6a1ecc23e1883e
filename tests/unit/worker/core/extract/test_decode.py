"""The encoding ladder."""

import codecs
import random
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.extract.decode import decode, decode_stream

PROSE = "東京都の担当者と見積書の内容を確認し、来月までに返答することになった。テンプレートは第3版。\r\n"
HALF_WIDTH = "ﾐﾔｺﾄﾞﾘｼﾖｳｼﾞ ﾌﾘｺﾐ 12345\r\n"
JAPANESE = ("utf-8", "utf-8-sig", "utf-16", "utf-32", "cp932", "euc-jp", "iso-2022-jp", "utf-16-le", "utf-16-be")

kana_text = st.text("あいうえおかきくけこアイウエオ東京都見積書会議、。 \nabc123", min_size=20, max_size=400).map(
    lambda text: "これはテストです。\n" + text  # a line's end is what betrays UTF-16 without a byte order mark
)


@pytest.mark.parametrize("encoding", JAPANESE)
def test_japanese_prose_is_read_in_every_encoding(encoding: str) -> None:
    found = decode((PROSE * 20).encode(encoding))
    assert found is not None
    assert found.text == PROSE * 20


@pytest.mark.parametrize("encoding", JAPANESE)
@given(text=kana_text)
def test_any_text_with_kana_comes_back_from_every_encoding(encoding: str, text: str) -> None:
    found = decode(text.encode(encoding))
    assert found is not None
    assert found.text == text


@given(st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=300))
def test_any_text_comes_back_from_utf_8(text: str) -> None:
    found = decode(text.encode())
    assert found is not None
    assert found.text == text.removeprefix("\ufeff")


@given(st.binary(max_size=600))
def test_any_bytes_are_text_or_not_and_never_an_error(data: bytes) -> None:
    found = decode(data)
    assert found is None or isinstance(found.text, str)
    assert decode_stream([data[:300], data[300:]], 1000) is None or found is None or found.text is not None


@pytest.mark.parametrize("text", ["①②③ 髙橋 﨑山", HALF_WIDTH, "東京都", "営業部 鈴木", "ﾃｽﾄ", "表示,能力,予算\n"])
def test_what_windows_in_japan_writes_is_read_as_cp932(text: str) -> None:
    found = decode(text.encode("cp932"))
    assert found is not None
    assert (found.encoding, found.text) == ("cp932", text)


def test_a_mail_program_s_own_characters_in_iso_2022_jp_are_read() -> None:
    found = decode(b"\x1b$B-!\x1b(B nihongo \x1b$B8+@Q=q\x1b(B")
    assert found is not None
    assert found.text == "① nihongo 見積書"


@pytest.mark.parametrize("text", ["it’s “fine” – für Zoë", "naïve café, déjà vu", "Größe, Straße", "Größenmaß"])
def test_western_text_of_windows_is_not_taken_for_japanese(text: str) -> None:
    found = decode(text.encode("cp1252"))
    assert found is not None
    assert found.text == text


def test_a_broken_character_does_not_cost_the_text() -> None:
    data = bytearray((PROSE * 10).encode())
    data[500] = 0xFF
    found = decode(bytes(data))
    assert found is not None
    assert found.encoding == "utf-8"
    assert found.text.count("\ufffd") <= 3
    assert "テンプレート" in found.text


@pytest.mark.parametrize("size", [64, 500, 5000])
def test_noise_is_not_text(size: int) -> None:
    rng = random.Random(size)
    assert [decode(b"\x01\x02\x00\x7f" + rng.randbytes(size)) for _ in range(50)] == [None] * 50


@pytest.mark.parametrize("encoding", ["ascii", "cp932", "euc-jp", "utf-8"])
def test_a_stray_nul_does_not_make_another_text_of_it(encoding: str) -> None:
    text = ("cargo manifest\n" if encoding == "ascii" else PROSE) * 10 + "\0" + "end\n"
    found = decode(text.encode(encoding))
    assert found is not None
    assert found.text == text


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_without_a_mark_is_read_in_english_too(encoding: str) -> None:
    found = decode("Two tenders were postponed.\r\n".encode(encoding))
    assert found is not None
    assert found.text == "Two tenders were postponed.\r\n"


def test_a_log_with_terminal_colours_is_text() -> None:
    data = b"\x1b[31mERROR\x1b[0m\n" * 10
    found = decode(data)
    assert found is not None
    assert found.text == data.decode()
    assert not found.clean


@pytest.mark.parametrize(
    ("declared", "encoding"), [("Shift_JIS", "cp932"), ("euc-jp", "euc-jp"), ("gb18030", "gb18030")]
)
def test_a_declared_encoding_is_honoured(declared: str, encoding: str) -> None:
    found = decode("見積書".encode(encoding), declared)
    assert found is not None
    assert found.text == "見積書"


@pytest.mark.parametrize(
    "declared", ["punycode", "idna", "utf-7", "raw-unicode-escape", "cp037", "hz", "x-user-defined"]
)
def test_a_codec_that_is_no_label_of_the_encoding_standard_is_not_even_tried(declared: str) -> None:
    """Punycode takes ten minutes for a megabyte."""
    data = b"ab-" * 300_000 + "é".encode()
    began = time.monotonic()
    found = decode(data, declared)
    assert found is not None
    assert (found.text, time.monotonic() - began < 15) == (data.decode(), True)


@pytest.mark.parametrize("declared", ["no-such-codec", "utf-8", "base64", "idna", "x\0y"])
def test_a_declared_encoding_that_does_not_fit_is_not_believed(declared: str) -> None:
    found = decode(PROSE.encode("cp932"), declared)
    assert found is not None
    assert found.text == PROSE


@pytest.mark.parametrize("encoding", JAPANESE)
def test_a_long_text_is_read_chunk_by_chunk_and_counted_whole(encoding: str) -> None:
    text = PROSE * 400
    data = text.encode(encoding)
    chunks = [data[i : i + 5000] for i in range(0, len(data), 5000)]
    assert decode_stream(chunks, 100) == (text[:100], len(text))


def test_a_long_text_that_turns_japanese_late_is_read_right() -> None:
    chunks = [b"2026-03-09 INFO started\r\n" * 100] * 3 + [PROSE.encode("cp932") * 20] * 2
    text, count = decode_stream(chunks, 10**6) or ("", 0)
    assert text == b"".join(chunks).decode("cp932")
    assert count == len(text)


def test_noise_after_a_mark_is_not_text() -> None:
    assert decode(codecs.BOM_UTF8 + bytes(range(128, 256)) * 4) is None
