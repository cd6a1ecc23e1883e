"""Drawings of Visio before 2013."""

import struct

from hypothesis import given
from hypothesis import strategies as st

from testing.compound_files import compound
from testing.property_sets import page, property_stream
from worker.core.extract.faults import CorruptError
from worker.core.extract.readers import visio97
from worker.core.extract.readers.compound import Compound
from worker.core.extract.reading import Reading


def chunk(raw: bytes, kind: int = 0x0E) -> bytes:
    return struct.pack("<4IHB", kind, 1, 0, 8 + len(raw), 0, 0) + bytes(8) + raw


def pointer(kind: int, offset: int, length: int, shape: int) -> bytes:
    return struct.pack("<4IH", kind, 0, offset, length, shape)


def literal(raw: bytes) -> bytes:
    """Compressed bytes without any references, after the four bytes of a header."""
    raw = bytes(4) + raw
    return b"".join(b"\xff" + raw[at : at + 8] for at in range(0, len(raw), 8))


def drawing(chunks: bytes, *, version: int = 11, compressed: bool = False) -> bytes:
    body, shape = (literal(chunks), 0xD2) if compressed else (chunks, 0xD0)
    listed = struct.pack("<III", 4, 1, 0) + pointer(1, 100, len(body), shape)
    trailer = pointer(20, 100 + len(body), len(listed), 0)
    head = b"Visio (TM) Drawing\r\n".ljust(0x1A, b"\0") + bytes([version])
    return (head.ljust(0x24, b"\0") + trailer).ljust(100, b"\0") + body + listed


def reading_of(stream: bytes, **more: bytes) -> Reading:
    reading = Reading(10**6)
    visio97.read(Compound(compound({"VisioDocument": stream, **more})), reading)
    return reading


def test_the_texts_of_shapes_are_read_once() -> None:
    chunks = b"".join(chunk(text.encode("utf-16-le")) for text in ("構成図\n\0", "Server", "Server"))
    for compressed in (False, True):
        assert reading_of(drawing(chunks, compressed=compressed)).text == "構成図\nServer"


def test_text_before_2003_is_in_the_code_page_of_the_document() -> None:
    summary = property_stream({1: page(1251)})
    stream = drawing(chunk("Схема\0".encode("cp1251")), version=6)
    assert reading_of(stream, **{"\x05SummaryInformation": summary}).text == "Схема"


def test_bytes_that_only_look_like_a_text_are_not_read() -> None:
    assert not reading_of(drawing(chunk(b"\1\0\2\0\xff\xff"))).text


def test_a_drawing_that_points_to_itself_ends() -> None:
    listed = struct.pack("<III", 4, 3, 0) + 3 * pointer(20, 100, 66, 0)
    head = b"Visio".ljust(0x1A, b"\0") + bytes([11])
    stream = (head.ljust(0x24, b"\0") + pointer(20, 100, 66, 0)).ljust(100, b"\0") + listed
    assert not reading_of(stream).missed


def test_a_version_that_is_not_read_is_noted() -> None:
    assert "before Visio 2000" in reading_of(drawing(b"", version=5)).missed[0]


@given(st.integers(0, 400), st.binary(min_size=1, max_size=16))
def test_no_bytes_raise_an_unknown_error(at: int, noise: bytes) -> None:
    stream = bytearray(drawing(chunk("text".encode("utf-16-le")), compressed=True))
    stream[at : at + len(noise)] = noise
    try:
        assert len(reading_of(bytes(stream)).text) <= 100 * len(stream)
    except CorruptError:
        return
