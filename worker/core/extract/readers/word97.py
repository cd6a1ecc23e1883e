"""Word documents from Word 97 to 2003, by means of their piece table ([MS-DOC] 2.4.1)."""

import re
import struct

from worker.core.extract.faults import CorruptError, EncryptedError
from worker.core.extract.readers.compound import Compound
from worker.core.extract.reading import Reading

_ENCRYPTED = 0x0100
_TABLE_1 = 0x0200
_WORD_97 = 0x00C1
_CLX = 0x1A2
"""Offset of the FIB fields that locate the piece table: fcClx and lcbClx, pair 33 of FibRgFcLcb97."""
_ONE_BYTE = 0x4000_0000
_FIELD_CODE = re.compile("\x13[^\x13\x14\x15]*\x14?")
_CONTROLS = str.maketrans(
    {"\r": "\n", "\x07": "\t", "\x0b": "\n", "\x0c": "\n", "\x1e": "-", "\x1f": None, "\x15": None, "\x14": None}
    | {chr(code): None for code in (*range(1, 7), 8, 0x0E, 0x13)}
)


def read(file: Compound, reading: Reading) -> None:
    """Read the document."""
    reading.add(word_text(file))


def word_text(file: Compound) -> str:
    """The text of body, footnotes, headers and comments, in that order. Raises CorruptError, EncryptedError."""
    word = file.stream("WordDocument")
    try:
        version, flags = struct.unpack_from("<H", word, 2)[0], struct.unpack_from("<H", word, 10)[0]
        if flags & _ENCRYPTED:
            raise EncryptedError("the document is encrypted")
        if version < _WORD_97:
            raise CorruptError("the document was written by a version before Word 97, which cannot be read")
        start, size = struct.unpack_from("<II", word, _CLX)
        clx = file.stream("1Table" if flags & _TABLE_1 else "0Table")[start : start + size]
        text = "".join(_pieces(word, clx))
    except (struct.error, IndexError) as error:
        raise CorruptError(f"the structure of the Word document is broken: {error}") from error
    return _FIELD_CODE.sub("", text).translate(_CONTROLS).strip()


def _pieces(word: bytes, clx: bytes) -> list[str]:
    at = 0
    while clx[at] == 1:  # property modifiers precede the piece table
        at += 3 + struct.unpack_from("<H", clx, at + 1)[0]
    table = clx[at + 5 : at + 5 + struct.unpack_from("<I", clx, at + 1)[0]]
    count = (len(table) - 4) // 12
    positions = struct.unpack_from(f"<{count + 1}I", table)
    pieces, room = [], len(word)
    for i in range(count):
        where = struct.unpack_from("<I", table, 4 * (count + 1) + 8 * i + 2)[0]
        length = max(positions[i + 1] - positions[i], 0)
        if where & _ONE_BYTE:
            begin = (where & ~_ONE_BYTE) // 2
            raw, encoding = word[begin : begin + length], "cp1252"
        else:
            raw, encoding = word[where : where + 2 * length], "utf-16-le"
        room -= len(raw)
        if room < 0:
            raise CorruptError("the pieces of the Word document are longer than the document")
        pieces.append(raw.decode(encoding, "replace"))
    return pieces
