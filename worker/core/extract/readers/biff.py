"""Records and texts of the binary workbooks before Excel 2007 (BIFF 2–8; [MS-XLS] 2.1.4 and 2.5)."""

import struct
from collections.abc import Iterator
from typing import NamedTuple

from worker.core.extract.readers.sheet_text import Strings, Text

_CONTINUE = b"\x3c\x00"
VERSIONS = {0x0009: 2, 0x0209: 3, 0x0409: 4, 0x0809: 5}
"""The records that begin a substream (BOF), and the version that they mean; the content of the last one may say 8."""
MAX_STRINGS = 4_000_000
"""More shared texts are not read."""
_HIGH_BYTE, _EXTENDED, _RICH = 0x01, 0x04, 0x08
"""Flags of a text ([MS-XLS] 2.5.293)."""
_CODE_PAGES = {367: "ascii", 1200: "utf-16-le", 10000: "mac-roman", 10001: "cp932", 32768: "mac-roman", 32769: "cp1252"}
_WHOLE = 0xFFFF
"""The end of a reading that belongs to the whole text."""
_NO_TEXT = Text("")


class Record(NamedTuple):
    """A record of a stream: its number, its content, where it begins in the stream, and the records that continue it."""

    kind: int
    body: bytes
    start: int
    rest: list[bytes] | tuple[()] = ()


def records(stream: bytes) -> Iterator[Record]:
    """The records of a stream, in order; the last one may be cut short."""
    place, end = 0, len(stream) - 3
    unpack = struct.Struct("<HH").unpack_from
    while place < end:
        start = place
        kind, size = unpack(stream, place)
        place += 4 + size
        body = stream[start + 4 : place]
        if stream[place : place + 2] != _CONTINUE:
            yield Record(kind, body, start)
            continue
        rest = []
        while stream[place : place + 2] == _CONTINUE and place < end:
            size = unpack(stream, place)[1]
            rest.append(stream[place + 4 : place + 4 + size])
            place += 4 + size
        yield Record(kind, body, start, rest)


def version_of(record: Record) -> int:
    """The version of BIFF that a BOF record begins."""
    version = VERSIONS[record.kind]
    return 8 if version == 5 and record.body[1:2] == b"\x06" else version


def codec_of(code_page: int) -> str:
    """The name by which Python knows a code page; Western European if it knows none."""
    name = _CODE_PAGES.get(code_page, f"cp{code_page}")
    try:
        b"".decode(name)
    except LookupError:
        return "cp1252"
    return name


class Reader:
    """Reads the fields of a record, in which texts are in Unicode (BIFF8) or in a code page. Too short ones end early."""

    def __init__(self, body: bytes, *, codec: str | None, place: int = 0) -> None:
        """Read from `place` on. `codec` is None for BIFF8."""
        self.body = body
        self.place = place
        self._codec = codec

    def number(self, size: int = 2) -> int:
        """An unsigned number of `size` bytes."""
        self.place += size
        return int.from_bytes(self.body[self.place - size : self.place], "little")

    def text(self, length_bytes: int = 2) -> str:
        """A text after its length, which takes `length_bytes` bytes."""
        return self.characters(self.number(length_bytes))

    def characters(self, count: int) -> str:
        """A text of `count` characters, without its length."""
        if self._codec is not None:
            return self._take(count).decode(self._codec, "replace")
        flags = self.number(1)
        runs = self.number() if flags & _RICH else 0
        extra = self.number(4) if flags & _EXTENDED else 0
        text = decoded(self._take(count * (1 + (flags & _HIGH_BYTE))), flags)
        self.place += 4 * runs + extra
        return text

    def _take(self, size: int) -> bytes:
        self.place += size
        return self.body[self.place - size : self.place]


def decoded(raw: bytes, flags: int) -> str:
    """Characters of BIFF8: two bytes each, or only the lower one of them."""
    return raw.decode("utf-16-le", "replace") if flags & _HIGH_BYTE else raw.decode("latin-1")


class SharedStrings:
    """Reads the table of shared texts, which CONTINUE records interrupt anywhere ([MS-XLS] 2.4.265 and 2.5.293)."""

    def __init__(self, segments: list[bytes]) -> None:
        """Take the content of the SST record and of those that continue it."""
        self._segments = segments
        self._number = 0
        self._segment = segments[0]
        self._place = 0

    def read_into(self, strings: Strings) -> None:
        """Read the texts, as many as there really are."""
        self._raw(4)
        for _ in range(min(int.from_bytes(self._raw(4), "little"), MAX_STRINGS)):
            text = self._string()
            if text is None:
                return
            strings.add(text)

    def _string(self) -> Text | None:
        head = self._raw(3)
        if len(head) < 3:
            return None
        count, flags = head[0] | head[1] << 8, head[2]
        runs = int.from_bytes(self._raw(2), "little") if flags & _RICH else 0
        extra = int.from_bytes(self._raw(4), "little") if flags & _EXTENDED else 0
        text = self._characters(count, flags)
        if runs:
            self._raw(4 * runs)
        if not extra:
            return Text(text) if text else _NO_TEXT
        return Text.of(text, phonetic(self._raw(extra)))

    def _characters(self, count: int, flags: int) -> str:
        """Text; where it is interrupted, the next segment says anew how wide its characters are."""
        pieces = []
        while count:
            width = 1 + (flags & _HIGH_BYTE)
            raw = self._segment[self._place : self._place + count * width]
            self._place += len(raw)
            pieces.append(decoded(raw, flags))
            count -= -(-len(raw) // width)
            if count <= 0 or not self._next():
                break
            flags = self._segment[0] if self._segment else 0
            self._place = 1
        return "".join(pieces)

    def _raw(self, size: int) -> bytes:
        raw = self._segment[self._place : self._place + size]
        self._place += len(raw)
        while len(raw) < size and self._next():
            more = self._segment[: size - len(raw)]
            self._place = len(more)
            raw += more
        return raw

    def _next(self) -> bool:
        if self._number + 1 >= len(self._segments):
            return False
        self._number += 1
        self._segment, self._place = self._segments[self._number], 0
        return True


def phonetic(raw: bytes) -> list[tuple[int, int, str]]:
    """The readings in a text's extension ([MS-XLS] 2.5.86): the first character, the one after the last, the reading."""
    if len(raw) < 14 or raw[0] != 1:
        return []
    runs, _, count = struct.unpack_from("<HHH", raw, 8)
    text = raw[14 : 14 + 2 * count].decode("utf-16-le", "replace")
    return phonetic_runs(raw, 14 + 2 * count, runs, text)


def phonetic_runs(raw: bytes, place: int, count: int, reading: str) -> list[tuple[int, int, str]]:
    """Which part of a reading belongs to which part of the text ([MS-XLS] 2.5.201): 3 numbers each, from `place` on."""
    count = min(count, max(len(raw) - place, 0) // 6)
    runs = [struct.unpack_from("<HHH", raw, place + 6 * i) for i in range(count)]
    if not runs:
        return [(0, _WHOLE, reading)] if reading else []
    ends = [*(first for first, _, _ in runs[1:]), len(reading)]
    return [(base, base + size, reading[first:end]) for (first, base, size), end in zip(runs, ends, strict=True)]


def rk(value: int) -> float:
    """The number in 32 bits ([MS-XLS] 2.5.217)."""
    if value & 2:
        number = float((value >> 2) - (1 << 30 if value & 0x80000000 else 0))
    else:
        number = float(struct.unpack("<d", struct.pack("<Q", (value & 0xFFFFFFFC) << 32))[0])
    return number / 100 if value & 1 else number
