"""Drawings of Visio 2000 to 2010: streams that point to streams, some of them compressed, with the text in chunks.

The format is not published. What is known of it is what Apache POI's HDGF documents.
"""

import re
import struct
from collections.abc import Iterator

from worker.core.base.reasons import Reason
from worker.core.extract.faults import CorruptError
from worker.core.extract.readers import code_pages
from worker.core.extract.readers.compound import Compound
from worker.core.extract.readers.window import WINDOW_BYTES, repeat
from worker.core.extract.reading import Reading

MAX_STREAMS = 50_000
MAX_DEPTH = 10
MAX_BYTES = 128 * 1024**2
"""Bytes of all streams together, decompressed."""
_VERSION, _TRAILER = 0x1A, 0x24
_UNICODE, _POINTERS_KNOWN = 11, 6
"""Since version 11 (2003) text is in UTF-16; before version 6 (2000), pointers have another form."""
_POINTER = struct.Struct("<4x4xIIH")
"""Its type precedes: address (not used), offset, length and format of a stream."""
_POINTER_BYTES = 18
_COMPRESSED = 0x02
_LIST, _NO_LIST = 20, 22
_TEXT_CHUNK = re.compile(rb"\x0e\0\0\0.{8}(.{4}).{3}", re.DOTALL)
_CHUNK_HEADER_BYTES, _BEFORE_TEXT, MAX_CHUNK_BYTES = 19, 8, 1_000_000
_NO_TEXT = re.compile("[\0-\x08\x0b-\x1d\x1f\ud800-\udfff\uffff]")


def read(file: Compound, reading: Reading) -> None:
    """Read the drawing. Raises CorruptError."""
    reading.said = file.properties()
    with reading.part("drawing"):
        for text in _Drawing(file.stream("VisioDocument"), file.code_page()).texts():
            reading.add(text)
    for text in file.property_texts():
        reading.add(text)


class _Drawing:
    def __init__(self, stream: bytes, page: int) -> None:
        if len(stream) < _TRAILER + _POINTER_BYTES:
            raise CorruptError("the drawing is truncated")
        self._stream = stream
        self._page = page
        self._version = stream[_VERSION]
        self._seen: set[tuple[int, int, int]] = set()
        self._room = MAX_BYTES
        if self._version < _POINTERS_KNOWN:
            raise CorruptError("drawings of versions before Visio 2000 are not read")

    def texts(self) -> Iterator[str]:
        """The texts of all shapes, once each."""
        return iter(dict.fromkeys(self._below(_TRAILER, self._stream, 0)))

    def _below(self, at: int, holder: bytes, depth: int) -> Iterator[str]:
        """The texts in the stream to which a pointer leads, and in those to which this one points."""
        kind = int.from_bytes(holder[at : at + 4], "little")
        offset, length, shape = _POINTER.unpack_from(holder, at)
        if not kind or depth > MAX_DEPTH or (offset, length, shape) in self._seen or len(self._seen) > MAX_STREAMS:
            return
        self._seen.add((offset, length, shape))
        raw = self._contents(offset, length, shape)
        if kind != _NO_LIST and (kind == _LIST or shape in {0x1D, 0x1E} or 0x50 <= shape < 0x60):
            first = int.from_bytes(raw[:4], "little")
            count = int.from_bytes(raw[first : first + 4], "little")
            end = min(first + 8 + count * _POINTER_BYTES, len(raw))
            for place in range(first + 8, end - _POINTER_BYTES + 1, _POINTER_BYTES):
                yield from self._below(place, raw, depth + 1)
        elif 0xD0 <= shape < 0xE0:
            yield from self._in_chunks(raw)

    def _contents(self, offset: int, length: int, shape: int) -> bytes:
        raw = self._stream[offset : offset + length]
        if shape & _COMPRESSED:
            raw = _inflated(raw, self._room)[4:]
        self._room -= len(raw)
        if self._room <= 0:
            raise CorruptError("the streams of the drawing are longer than is allowed", Reason.TOO_COMPLEX)
        return raw

    def _in_chunks(self, raw: bytes) -> Iterator[str]:
        """The texts of the chunks that are texts; other bytes that look like the header of one contain no text."""
        for match in _TEXT_CHUNK.finditer(raw):
            size = int.from_bytes(match[1], "little")
            start = match.start() + _CHUNK_HEADER_BYTES
            if not _BEFORE_TEXT < size <= MAX_CHUNK_BYTES or start + size > len(raw):
                continue
            data = raw[start + _BEFORE_TEXT : start + size]
            if self._version >= _UNICODE:
                text = data[: len(data) & ~1].decode("utf-16-le", "replace")
            else:
                text = code_pages.decoded(data, self._page)
            text = text.rstrip("\0\n").replace("\ufffc", "")
            if text and not _NO_TEXT.search(text):
                yield text


def _inflated(raw: bytes, limit: int) -> bytes:
    """A stream that is compressed by references into a window, in which the text begins after 18 bytes."""
    out = bytearray()
    at, end = 0, len(raw)
    while at < end and len(out) < limit:
        flags, at = raw[at], at + 1
        for bit in range(8):
            if flags >> bit & 1:
                out += raw[at : at + 1]
                at += 1
            elif at + 1 < end:
                low, high = raw[at], raw[at + 1]
                at += 2
                distance = (len(out) - (high >> 4 << 8 | low) - 18) % WINDOW_BYTES or WINDOW_BYTES
                repeat(out, distance, (high & 15) + 3)
            else:
                return bytes(out)
    return bytes(out)
