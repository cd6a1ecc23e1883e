"""Word documents from Word 97 to 2003 ([MS-DOC]), and of the versions before these, which store their text in other ways."""

import re
import struct
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

from worker.core.extract.faults import CorruptError, EncryptedError
from worker.core.extract.readers import embedded, office_art, word6
from worker.core.extract.readers.compound import Compound
from worker.core.extract.readers.word_text import paragraphs, piece_table
from worker.core.extract.reading import Reading

_ENCRYPTED, _TABLE_1 = 0x0100, 0x0200
_WORD_97 = 0x00C1
_PAIRS = 0x9A
"""Where FibRgFcLcb97 begins: pairs of the offset and the size of each structure."""
_CHARACTER_RUNS, _BOOKMARKS, _PIECES, _COMMENTERS, _DRAWINGS = 12, 21, 33, 36, 50
"""PlcfBteChpx, SttbfBkmk, Clx, GrpXstAtnOwners, DggInfo."""
_ONE_BYTE = 0x4000_0000
_PAGE_BYTES = 512
_DELETED = b"\x00\x08\x01"
"""sprmCFRMarkDel: the run was deleted while changes were tracked."""
_FORM_FIELD = re.compile(rb"\x44\0.{62}\xff\xff\xff\xff", re.DOTALL)
MAX_NAMES = 10_000


@dataclass(frozen=True, slots=True)
class Piece:
    """A run of text in the stream WordDocument."""

    start: int
    length: int
    """Bytes."""
    codec: str


@dataclass(frozen=True, slots=True)
class Document:
    """The streams of a document."""

    word: bytes
    table: bytes

    def structure(self, pair: int) -> bytes:
        """A structure of the table stream, by its place in FibRgFcLcb97; empty if there is none."""
        try:
            start, size = struct.unpack_from("<II", self.word, _PAIRS + 8 * pair)
        except struct.error:
            return b""
        return self.table[start : start + size]


def read(file: Compound, reading: Reading) -> None:
    """Read the document: body, footnotes, headers, comments, endnotes and text boxes, in that order, and then the rest.

    Raises CorruptError, EncryptedError.
    """
    reading.said = file.properties()
    word = file.stream("WordDocument")
    if len(word) < 12:
        raise CorruptError("the Word document is truncated")
    version, flags = struct.unpack_from("<H", word, 2)[0], struct.unpack_from("<H", word, 10)[0]
    if flags & _ENCRYPTED:
        raise EncryptedError("the document is encrypted")
    if version < _WORD_97:
        word6.read_stream(word, reading)
    else:
        _read_97(file, word, "1Table" if flags & _TABLE_1 else "0Table", reading)
    for text in file.property_texts():
        reading.add(text)
    embedded.read_objects(file, [f"ObjectPool/{name}" for name in file.children("ObjectPool")], reading)


def _read_97(file: Compound, word: bytes, table: str, reading: Reading) -> None:
    document = Document(word, file.stream(table) or file.stream("0Table") or file.stream("1Table"))
    raw = ""
    with reading.part("text"):
        pieces = pieces_of(document.structure(_PIECES), len(word))
        raw = _text(document, pieces)
        for paragraph in paragraphs(raw):
            reading.add(paragraph)
    with reading.part("comments"):
        for name in dict.fromkeys(_names(document.structure(_COMMENTERS))):
            reading.add(name)
    with reading.part("bookmarks"):
        for name in _names(document.structure(_BOOKMARKS)[6:]):
            reading.add("" if name.startswith("_") else name)
    with reading.part("drawings"):
        for text in office_art.texts(document.structure(_DRAWINGS)):
            reading.add(text)
    if "FORMDROPDOWN" in raw:
        with reading.part("form fields"):
            for text in _choices(file.stream("Data")):
                reading.add(text)


def pieces_of(clx: bytes, limit: int) -> list[Piece]:
    """The pieces of the text ([MS-DOC] 2.9.38), together not longer than `limit` bytes. Raises CorruptError."""
    pieces = []
    for where, chars in piece_table(clx):
        is_wide = not where & _ONE_BYTE
        length = 2 * chars if is_wide else chars
        start = where if is_wide else (where & ~_ONE_BYTE) // 2
        pieces.append(Piece(start, length, "utf-16-le" if is_wide else "cp1252"))
        limit -= max(min(length, limit), 0)
        if limit <= 0:
            break
    return pieces


def _text(document: Document, pieces: list[Piece]) -> str:
    deleted = _deleted(document)
    starts = [start for start, _ in deleted]
    parts = []
    for piece in pieces:
        end = piece.start + piece.length
        at = piece.start
        number = max(bisect_right(starts, at) - 1, 0)
        while at < end:
            while number < len(deleted) and deleted[number][1] <= at:
                number += 1
            gap_start, gap_end = deleted[number] if number < len(deleted) else (end, end)
            if gap_start > at:
                parts.append(document.word[at : min(gap_start, end)].decode(piece.codec, "replace"))
            at = max(gap_end, at)
            if gap_start >= end:
                break
    return "".join(parts)


def _deleted(document: Document) -> list[tuple[int, int]]:
    """Where in the stream WordDocument deleted text is, in order ([MS-DOC] 2.8.5, 2.9.33)."""
    table = document.structure(_CHARACTER_RUNS)
    count = (len(table) - 4) // 8
    if count < 1:
        return []
    found: list[tuple[int, int]] = []
    for number in dict.fromkeys(struct.unpack_from(f"<{count}I", table, 4 * (count + 1))):
        start = (number & 0x3FFFFF) * _PAGE_BYTES
        page = document.word[start : start + _PAGE_BYTES]
        if len(page) == _PAGE_BYTES and _DELETED in page:
            found += _deleted_on(page)
    found.sort()
    return found


def _deleted_on(page: bytes) -> Iterator[tuple[int, int]]:
    """The deleted runs on a page of character properties."""
    count = page[-1]
    if not count or 5 * count + 4 > _PAGE_BYTES:
        return
    bounds = struct.unpack_from(f"<{count + 1}I", page)
    for number, place in enumerate(page[4 * (count + 1) : 4 * (count + 1) + count]):
        properties = page[2 * place + 1 : 2 * place + 1 + page[2 * place]] if place else b""
        if _DELETED in properties and bounds[number] < bounds[number + 1]:
            yield bounds[number], bounds[number + 1]


def _names(raw: bytes) -> Iterator[str]:
    """A sequence of strings, each after its length ([MS-DOC] 2.9.353)."""
    at = 0
    for _ in range(MAX_NAMES):
        if at + 2 > len(raw):
            return
        end = at + 2 + 2 * int.from_bytes(raw[at : at + 2], "little")
        yield raw[at + 2 : end].decode("utf-16-le", "ignore")
        at = end


def _choices(data: bytes) -> Iterator[str]:
    """The entries of the lists in the form fields of a document ([MS-DOC] 2.9.78)."""
    for match in _FORM_FIELD.finditer(data):
        at = match.end()
        kind = data[at : at + 1]
        if not kind or kind[0] & 3 != 2:
            continue
        at = _after_string(data, at + 6) + 2
        for _ in range(5):
            at = _after_string(data, at)
        if data[at : at + 2] == b"\xff\xff":
            count = int.from_bytes(data[at + 2 : at + 4], "little")
            yield from [name for name, _ in zip(_names(data[at + 6 : at + 6 + 65_536]), range(count), strict=False)]


def _after_string(data: bytes, at: int) -> int:
    """The place after a string that has its length before it and a zero after it."""
    return at + 4 + 2 * int.from_bytes(data[at : at + 2], "little")
