"""Text that is broken, or in several encodings, and charsets that are declared."""

import codecs
import random

import pytest

from worker.core.extract.charsets import codec_of, of_content_type
from worker.core.extract.decode import decode, decode_stream

PROSE = "東京都の担当者と見積書の内容を確認した。\n"


def text_of(data: bytes, declared: str | None = None) -> str | None:
    found = decode(data, declared)
    return None if found is None else found.text


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"8=FIX.4.2\x019=65\x0135=A\x0149=SENDER\x01", "SENDER"),
        (b"HOME=/root\0PATH=/usr/bin\0LANG=C\0", "LANG"),
        (b"\0" * 100_000 + b"2026-03-09 rotated while written\n", "rotated while written"),
        (b"\x1b[31mERROR\x1b[0m \x1b[1mdisk\x1b[0m\n" * 3, "disk"),
        ("エラー\x01\x02 発生\n".encode("cp932") * 5, "発生"),
        (b"\x02start\x03" + PROSE.encode() + b"\x00\x10", "見積書"),
        (b"appended by PowerShell:\r\n" + "Disk check finished\r\n".encode("utf-16-le"), "Disk check finished"),
        ("見積書を".encode() + b"\xff" + "送付する".encode(), "送付する"),
        (b"caf\xe9 " + PROSE.encode(), "担当者"),
        ("one\r\n二\rthree\n".encode(), "three"),
    ],
)
def test_a_few_odd_bytes_do_not_make_text_binary(data: bytes, words: str) -> None:
    assert words in (text_of(data) or "")
    assert words in (decode_stream([data], 10**6) or ("", 0))[0]


def test_data_is_not_text_whatever_its_size() -> None:
    rng = random.Random(19)
    integers = b"".join(number.to_bytes(4, "little") for number in range(1, 500))
    noise = [rng.randbytes(size) for size in (200, 1000, 9000) for _ in range(50)]
    assert [text_of(data) for data in [*noise, integers, bytes(range(256)) * 9]] == [None] * 152


@pytest.mark.parametrize("order", [1, -1])
def test_lines_in_utf_8_and_cp932_are_each_read_in_their_own_encoding(order: int) -> None:
    lines = ["10:00 接続を開始しました\n".encode(), "10:01 エラーが発生\n".encode("cp932"), b"10:02 ok\n"][::order]
    expected = ["10:00 接続を開始しました\n", "10:01 エラーが発生\n", "10:02 ok\n"][::order]
    assert text_of(b"".join(lines)) == "".join(expected)
    assert text_of(b"".join(lines) * 50) == "".join(expected) * 50
    data = b"".join(lines) * 50_000
    chunks = [data[at : at + 262_144] for at in range(0, len(data), 262_144)]
    assert decode_stream(chunks, 10**8) == ("".join(expected) * 50_000, len("".join(expected)) * 50_000)


def test_a_log_that_changes_its_encoding_late_is_read_in_both() -> None:
    parts = [PROSE.encode() * 5_000, b"restarted\n" * 30_000, PROSE.encode("cp932") * 5_000]
    assert decode_stream(parts, 10**8) == ("".join([PROSE * 5_000, "restarted\n" * 30_000, PROSE * 5_000]), 510_000)


@pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be"])
def test_utf_16_in_which_a_byte_is_missing_is_read_before_and_after_it(codec: str) -> None:
    mark = codecs.BOM_UTF16_LE if codec == "utf-16-le" else codecs.BOM_UTF16_BE
    data = mark + ("はじめの行です。\n" * 30).encode(codec) + b"x" + ("おわりの行です。\nthe end\n" * 30).encode(codec)
    text = text_of(data) or ""
    assert text.count("はじめの行です。") == 30
    assert text.count("おわりの行です。") >= 30
    assert text.count("the end") >= 30


def test_utf_16_without_a_mark_is_read_even_without_ascii_and_with_a_lone_surrogate() -> None:
    assert text_of("これは見積書の内容です。".encode("utf-16-le")) == "これは見積書の内容です。"
    data = "Totals of the month: ".encode("utf-16-le") + b"\x00\xd8" + " done\r\n".encode("utf-16-le") * 9
    assert (text_of(data) or "").endswith(" done\r\n")


@pytest.mark.parametrize(
    ("declared", "text", "codec"),
    [
        ("gb2312", "合同编号：朱镕基", "gb18030"),
        ("GBK", "联通", "gbk"),
        ("euc-kr", "회의록 똠방각하", "cp949"),
        ("ks_c_5601-1987", "펲시콜라", "cp949"),
        ("big5", "會議記錄：碁銹裏墻恒", "cp950"),
        ("Big5-HKSCS", "會議記錄 喺度", "big5hkscs"),
        ("Shift_JIS", "①髙橋 見積", "cp932"),
        ("cp932", "見積", "cp932"),
        ("iso-8859-1", "ÄÖÜ “fine” €", "cp1252"),
        ("koi8-r", "Договор поставки", "koi8-r"),
        ("windows-1251", "Договор", "cp1251"),
        ("cp866", "Договор поставки", "cp866"),
        ("IBM850", "Größe ½", "cp850"),
        ("cp037", "HELLO WORLD, total 12.50", "cp037"),
        ("IBM-1047", "Payroll register", "cp037"),
        ("ebcdic-cp-us", "Payroll register", "cp037"),
        ("utf-16le", "見積", "utf-16-le"),
    ],
)
def test_a_declared_charset_means_what_is_in_use_under_its_name(declared: str, text: str, codec: str) -> None:
    assert text_of(text.encode(codec), declared) == text
    assert decode_stream([text.encode(codec)], 100, declared) == (text, len(text))


@pytest.mark.parametrize("declared", ["koi8-r", "gb2312", "iso-8859-1", "cp037", "cp866", "utf-16le", "euc-kr", "big5"])
def test_a_wrong_declaration_does_not_win_over_utf_8_or_evident_japanese(declared: str) -> None:
    assert text_of(PROSE.encode(), declared) == PROSE
    assert text_of(b"plain ASCII\n", declared) == "plain ASCII\n"
    if declared not in {"cp037", "utf-16le", "gb2312", "big5", "euc-kr"}:
        assert text_of(PROSE.encode("cp932"), declared) == PROSE


def test_one_broken_character_does_not_refute_a_declaration() -> None:
    data = "合同编号：朱镕基".encode("gb18030") * 20 + b"\xff\n"
    assert (text_of(data, "gb2312") or "").startswith("合同编号：朱镕基" * 20)


@pytest.mark.parametrize(
    "name", ["punycode", "idna", "raw-unicode-escape", "x-user-defined", "hz", "utf-7", "", "zlib"]
)
def test_other_names_are_no_charsets(name: str) -> None:
    assert codec_of(name) is None


def test_the_charset_of_a_content_type_is_its_parameter() -> None:
    assert of_content_type("text/plain; format=flowed; Charset='Shift_JIS'") == "Shift_JIS"
    assert of_content_type("text/charset=x") is None
    assert of_content_type(None) is None


RUSSIAN = "Договор поставки оборудования заключён между сторонами в городе Москве."
KOREAN = "회의록은 다음과 같이 작성되었다. 담당자는 이를 확인하고 서명하여야 한다."
CHINESE = "这是我们的合同，一共有三个部分。我们在中国的客户都是这样的，不会有人说到这个。"
TAIWANESE = "這是我們的合約，一共有三個部分。我們在國內的客戶都是這樣的，不會有人說到這個。"


@pytest.mark.parametrize(
    ("text", "codec"),
    [
        (RUSSIAN, "cp1251"),
        (RUSSIAN, "koi8-r"),
        (KOREAN, "cp949"),
        (KOREAN, "iso2022_kr"),
        (CHINESE, "gb18030"),
        (TAIWANESE, "cp950"),
    ],
)
def test_sentences_in_other_languages_are_recognised_without_a_declaration(text: str, codec: str) -> None:
    assert text_of(text.encode(codec)) == text
    assert decode_stream([text.encode(codec)] * 3, 10**6) == (text * 3, 3 * len(text))


@pytest.mark.parametrize(
    "text", ["東京都,大阪府,北海道,神奈川県,愛知県,福岡県\n佐藤,鈴木,高橋,田中,渡辺,伊藤\n" * 3, "ﾐﾔｺﾄﾞﾘｼﾖｳｼﾞ ﾌﾘｺﾐ\n" * 9]
)
@pytest.mark.parametrize("codec", ["cp932", "euc-jp"])
def test_tables_in_japanese_without_kana_are_not_taken_for_another_language(text: str, codec: str) -> None:
    if not (codec == "euc-jp" and "ﾐ" in text):
        assert text_of(text.encode(codec)) == text


def test_western_text_is_not_taken_for_another_language() -> None:
    for text, codec in [
        ("Größe der Übergänge für ältere Häuser " * 9, "cp1252"),
        ("élève été à Noël, ça où " * 9, "cp1252"),
    ]:
        assert text_of(text.encode(codec)) == text


@pytest.mark.parametrize(("declared", "codec"), [("Shift_JIS", "euc-jp"), ("euc-jp", "cp932")])
def test_a_page_in_another_encoding_of_japanese_than_it_declares_is_read(declared: str, codec: str) -> None:
    assert text_of(PROSE.encode(codec), declared) == PROSE
