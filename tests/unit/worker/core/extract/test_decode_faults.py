"""Japanese of kanji only with a broken byte, and UTF-16 that has no byte order mark."""

import random
import struct

import pytest

from worker.core.extract.decode import decode, decode_stream

TABLE = "商品名,単価,数量,東京都千代田区\n"
CYRILLIC = "Договор поставки товара\r\nСтороны договорились\r\n"
KANA = "これはテストの文書です。ひらがなとカタカナ\n"


def text_of(data: bytes) -> str | None:
    found = decode(data)
    return None if found is None else found.text


@pytest.mark.parametrize("codec", ["cp932", "euc-jp"])
@pytest.mark.parametrize("times", [5, 50, 500])
def test_a_broken_byte_does_not_cost_text_of_kanji_only(codec: str, times: int) -> None:
    data = (TABLE * times).encode(codec) + b"abc\xff,\n"
    assert (text_of(data) or "").startswith(TABLE * times + "abc")
    assert (decode_stream([data], 10**6) or ("", 0))[0].startswith(TABLE * times + "abc")


@pytest.mark.parametrize("codec", ["cp932", "euc-jp"])
@pytest.mark.parametrize("text", ["文字の途中で切れた文書", "請求書番号東京都", TABLE * 5 + "合計"])
def test_a_character_that_is_cut_at_the_end_is_no_fault(codec: str, text: str) -> None:
    assert text_of(text.encode(codec)[:-1]) == text[:-1]


@pytest.mark.parametrize("text", ["Größe für Müller — “it’s”\n", "señor, año, ¿qué?\n", "“It’s” ‘fine’ – she’s\n"])
@pytest.mark.parametrize("end", [b"", b"\x81\n", b"\xff\n", b"\x93\xe9"])
def test_western_text_stays_western_with_any_end(text: str, end: bytes) -> None:
    data = (text * 9).encode("cp1252") + end
    assert text_of(data) == data.decode("cp1252", "replace")


@pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize(
    "text",
    [
        CYRILLIC,
        "Συμφωνία προμήθειας\nτων αγαθών\n",
        "계약서 공급 계약\r\n대한민국 서울\r\n",
        "สัญญาซื้อขาย\r\nประเทศไทย\r\n",
        "東京都千代田区\n",
        "東京都千代田区\r\n",
        "請求書\n",
    ],
)
@pytest.mark.parametrize("times", [1, 20, 2000])
def test_utf_16_without_a_mark_is_read_in_other_scripts(codec: str, text: str, times: int) -> None:
    data = (text * times).encode(codec)
    assert text_of(data) == text * times
    assert decode_stream([data], 10**6) == (text * times, len(text) * times)


@pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("at", [101, 501, 801])
def test_utf_16_without_a_mark_is_realigned_where_a_byte_is_missing(codec: str, at: int) -> None:
    data = (KANA * 30).encode(codec)
    text = text_of(data[:at] + data[at + 1 :]) or ""
    assert text.count("ひらがなとカタカナ") >= 28


def test_a_stream_is_read_in_the_byte_order_that_fits_what_follows_an_early_fault() -> None:
    data = (KANA * 300).encode("utf-16-le")
    text, _ = decode_stream([data[:101] + data[102:]], 10**6) or ("", 0)
    assert text.count("ひらがなとカタカナ") >= 295


def test_numbers_and_noise_are_not_taken_for_utf_16_or_kanji() -> None:
    rng = random.Random(2)
    numbers = [struct.pack("<999H", *(rng.randrange(low, high) for _ in range(999))) for low, high in RANGES]
    noise = [rng.randbytes(size) for size in (100, 300, 3000) for _ in range(50)]
    assert [text_of(data) for data in numbers + noise] == [None] * (len(RANGES) + 150)


RANGES = [(0, 0x500), (0x300, 0x600), (0x4F00, 0x5100), (0, 0x10000)]
