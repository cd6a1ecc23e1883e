"""Windows' code pages ([MS-UCODEREF] 2.2.1) by their numbers, as old Office files state them."""

import re
from contextlib import suppress

WESTERN = 1252
UTF_16 = 1200
_KANA = re.compile("[ぁ-んァ-ヶ]")
_CODECS = {
    708: "iso8859_6", 932: "cp932", 936: "gb18030", 949: "cp949", 950: "cp950", 1200: "utf-16-le", 1201: "utf-16-be",
    1361: "johab", 10000: "mac_roman", 10001: "cp932", 10002: "cp950", 10003: "cp949", 10006: "mac_greek",
    10007: "mac_cyrillic", 10008: "gb18030", 10029: "mac_latin2", 10079: "mac_iceland", 10081: "mac_turkish",
    20127: "cp1252", 20866: "koi8_r", 20932: "euc_jp", 20936: "gb18030", 21866: "koi8_u", 32768: "mac_roman",
    32769: "cp1252", 50220: "iso2022_jp", 50221: "iso2022_jp", 50222: "iso2022_jp", 50225: "iso2022_kr",
    51932: "euc_jp", 51936: "gb18030", 51949: "cp949", 51950: "cp950", 52936: "hz", 54936: "gb18030", 65000: "utf-7",
    65001: "utf-8",
}  # fmt: skip
_SAME_NUMBER = frozenset({437, 720, 737, 775, *range(850, 870), 874, *range(1250, 1259)})
_ISO = range(28591, 28606)
_LOCALES = {
    0x01: 1256, 0x02: 1251, 0x05: 1250, 0x08: 1253, 0x0D: 1255, 0x0E: 1250, 0x11: 932, 0x12: 949, 0x15: 1250,
    0x18: 1250, 0x19: 1251, 0x1B: 1250, 0x1C: 1250, 0x1E: 874, 0x1F: 1254, 0x20: 1256, 0x22: 1251, 0x23: 1251,
    0x24: 1250, 0x25: 1257, 0x26: 1257, 0x27: 1257, 0x29: 1256, 0x2A: 1258, 0x2C: 1254, 0x2F: 1251, 0x3F: 1251,
    0x40: 1251, 0x43: 1254, 0x44: 1251, 0x50: 1251,
}  # fmt: skip
"""The code page of a language, by the low ten bits of its identifier ([MS-LCID])."""
_BY_LOCALE = {
    0x0404: 950, 0x0804: 936, 0x0C04: 950, 0x1004: 936, 0x1404: 950, 0x0C1A: 1251, 0x1C1A: 1251, 0x0843: 1251,
    0x082C: 1251,
}  # fmt: skip


def codec_of(page: int) -> str | None:
    """Python's codec for a code page; None if there is none. Negative numbers are those that were read as signed ones."""
    page &= 0xFFFF
    if page in _SAME_NUMBER:
        return f"cp{page}"
    if page in _ISO:
        return f"iso8859_{page - 28590}"
    return _CODECS.get(page)


def page_of(locale: int) -> int:
    """The code page of programs that do not use Unicode, in a language given by its identifier."""
    return _BY_LOCALE.get(locale & 0xFFFF) or _LOCALES.get(locale & 0x3FF, WESTERN)


def decoded(raw: bytes, page: int) -> str:
    """The text in a code page; bytes that are not valid in it are replaced.

    Programs state 1252 for what they do not know: if so, UTF-8 and Japanese with kana in it are recognised.
    """
    codec = codec_of(page) or "cp1252"
    if codec == "cp1252" and not raw.isascii():
        for name in ("utf-8", "cp932"):
            with suppress(UnicodeError):
                text = raw.decode(name)
                if name == "utf-8" or _KANA.search(text):
                    return text
    return raw.decode(codec, "replace")
