"""Word documents before Word 97: 2, 6 and 95. Their text is in one stream, in the code page of their language or fonts."""

import re
import struct
from collections.abc import Iterator

from worker.core.extract.faults import CorruptError, EncryptedError
from worker.core.extract.readers import code_pages
from worker.core.extract.readers.word_text import paragraphs, piece_table
from worker.core.extract.reading import Reading

MAGIC_2 = b"\xdb\xa5"
"""The first bytes of a file of Word 2, which is no compound file."""
_COMPLEX, _ENCRYPTED, _WIDE = 0x0004, 0x0100, 0x1000
_LOCALE, _FLAGS, _SYSTEM, _TEXT, _COUNTS, _FONTS, _PIECES = 0x06, 0x0A, 0x14, 0x18, 0x34, 0xD0, 0x160
"""Places of the header's fields. Word 2 has the first five at the same places."""
_WORD_6 = 0x0065
_MACINTOSH, _MAC_PAGES = 0x0100, {932: 10001, 1252: 10000}
_SUBDOCUMENTS = 8
"""Body, footnotes, headers, macros, comments, endnotes and text boxes: their lengths in characters follow each other."""
_ENGLISH = 0x09
_LATIN_CHARSETS = {162: 1254, 163: 1258, 186: 1257, 238: 1250}
_OTHER_CHARSETS = {161: 1253, 177: 1255, 178: 1256, 204: 1251, 222: 874}
"""The code pages of fonts' character sets ([MS-WMF] 2.1.1.5), for Latin and for other letters."""
_WORD_OF_HIGH_BYTES = re.compile(rb"[\xc0-\xff]{3,}")
_HIGH = re.compile(rb"[\xc0-\xff]")
_KANA = re.compile("[ぁ-んァ-ヶ]")


def read_stream(word: bytes, reading: Reading) -> None:
    """Read the stream WordDocument, or a file of Word 2. Raises CorruptError, EncryptedError."""
    try:
        version, locale, flags = (struct.unpack_from("<H", word, at)[0] for at in (2, _LOCALE, _FLAGS))
        if flags & _ENCRYPTED:
            raise EncryptedError("the document is encrypted")
        raw, is_wide = _text(word, flags, version)
        page = _page(word, raw, locale, version)
    except struct.error as error:
        raise CorruptError(f"the structure of the Word document is broken: {error}") from error
    if not raw:
        raise CorruptError("the Word document has no text where its header says that it is")
    for paragraph in paragraphs(_wide(raw, page) if is_wide else code_pages.decoded(raw, page)):
        reading.add(paragraph)


def _text(word: bytes, flags: int, version: int) -> tuple[bytes, bool]:
    """The bytes of the text, and whether each character has two."""
    start, end = struct.unpack_from("<II", word, _TEXT)
    raw = word[start:end]
    if version < _WORD_6:
        return raw, False
    count = sum(struct.unpack_from(f"<{_SUBDOCUMENTS}I", word, _COUNTS))
    is_wide = bool(flags & _WIDE) and len(raw) >= 2 * count > 0
    if flags & _COMPLEX:
        start, size = struct.unpack_from("<II", word, _PIECES)
        raw = b"".join(_pieces(word, piece_table(word[start : start + size]), 2 if is_wide else 1))
    return raw, is_wide


def _pieces(word: bytes, table: list[tuple[int, int]], width: int) -> Iterator[bytes]:
    room = len(word)
    for where, chars in table:
        length = min(width * chars, room)
        room -= length
        yield word[where : where + length]


def _page(word: bytes, raw: bytes, locale: int, version: int) -> int:
    """The code page of the text: that of its language, unless this is a Western one and its fonts have other characters."""
    page = code_pages.page_of(locale)
    if struct.unpack_from("<H", word, _SYSTEM)[0] == _MACINTOSH:
        return _MAC_PAGES.get(page, page)
    if page != code_pages.WESTERN or version < _WORD_6:
        return page
    charsets = set(_charsets(word))
    other = [_OTHER_CHARSETS[charset] for charset in charsets if charset in _OTHER_CHARSETS]
    if other and 2 * sum(map(len, _WORD_OF_HIGH_BYTES.findall(raw))) > len(_HIGH.findall(raw)):
        return other[0]
    latin = [_LATIN_CHARSETS[charset] for charset in charsets if charset in _LATIN_CHARSETS]
    return latin[0] if latin and locale & 0x3FF == _ENGLISH else page


def _charsets(word: bytes) -> Iterator[int]:
    """The character sets of the document's fonts."""
    start, size = struct.unpack_from("<II", word, _FONTS)
    table = word[start : start + size]
    at = 2
    while at + 5 <= len(table):
        yield table[at + 4]
        at += table[at] + 1


def _wide(raw: bytes, page: int) -> str:
    """The text of Asian versions, in UTF-16, or else in the bytes of the code page, the first one of a character last."""
    text = raw.decode("utf-16-le", "replace")
    swapped = bytes(byte for low, high in zip(raw[::2], raw[1::2], strict=False) for byte in (high, low) if byte)
    other = code_pages.decoded(swapped, page)
    return other if len(_KANA.findall(other)) > len(_KANA.findall(text)) else text
