"""Drawings in Office files before 2007 ([MS-ODRAW]): alternative texts of pictures and shapes, and the text of WordArt."""

import struct
from collections.abc import Iterator

MAX_RECORDS = 200_000
_CONTAINER, _OPTIONS = 0xF, frozenset({0xF00B, 0xF121, 0xF122})
_WORD_ART, _ALT_TEXT = 0x00C0, 0x0381
_COMPLEX = 0x8000


def texts(raw: bytes) -> Iterator[str]:
    """The texts in a sequence of drawing records; what is broken ends it."""
    pending = [(0, len(raw))]
    for _ in range(MAX_RECORDS):
        while pending and pending[-1][0] + 8 > pending[-1][1]:
            pending.pop()
        if not pending:
            return
        at, end = pending.pop()
        head, kind, size = struct.unpack_from("<HHI", raw, at)
        after = at + 8 + size
        pending.append((after, end))
        if head & 0xF == _CONTAINER:
            pending.append((at + 8, min(after, end)))
        elif kind in _OPTIONS:
            yield from options(raw[at + 8 : min(after, end)], head >> 4)


def options(raw: bytes, count: int) -> Iterator[str]:
    """The texts in a table of `count` properties ([MS-ODRAW] 2.2.9)."""
    place = 6 * count
    for at in range(0, min(place, len(raw) - 5), 6):
        number, size = struct.unpack_from("<HI", raw, at)
        if not number & _COMPLEX:
            continue
        if number & 0x3FFF in {_WORD_ART, _ALT_TEXT}:
            value = raw[place : place + size]
            text = value[: len(value) & ~1].decode("utf-16-le", "replace").partition("\0")[0]
            if text:
                yield text
        place += size
