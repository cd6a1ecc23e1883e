"""Word 2, 6 and 95."""

import struct

import pytest

from worker.core.extract.faults import CorruptError, EncryptedError
from worker.core.extract.kinds import Kind
from worker.core.extract.parse import parse
from worker.core.extract.readers import word6
from worker.core.extract.reading import Reading

START = 0x300


def stream(
    raw: bytes, *, locale: int = 0x409, flags: int = 0, version: int = 0x65, charset: int = 0, system: int = 0
) -> bytes:
    head = bytearray(START)
    struct.pack_into("<HHHHHH", head, 0, 0xA5DC, version, 0, locale, 0, flags)
    struct.pack_into("<HHII", head, 0x14, system, system, START, START + len(raw))
    struct.pack_into("<I", head, 0x34, len(raw) // (2 if flags & 0x1000 else 1))
    font = struct.pack("<BBHBB", 10, 0, 400, charset, 0) + b"Arial"
    struct.pack_into("<II", head, 0xD0, START + len(raw), 2 + len(font))
    return bytes(head) + raw + b"\0\0" + font


def text_of(word: bytes) -> str:
    reading = Reading(10**6)
    word6.read_stream(word, reading)
    return reading.text


@pytest.mark.parametrize(
    ("text", "codec", "options"),
    [
        ("The quick “brown” fox", "cp1252", {}),
        ("お見積書 ①", "cp932", {"locale": 0x411}),
        ("お見積書", "cp932", {"locale": 0x409}),
        ("Четыре балла", "cp1251", {"locale": 0x419}),
        ("Четыре балла и семь лет", "cp1251", {"charset": 204}),
        ("“Größe” is one word", "cp1252", {"charset": 204}),
        ("4 skóre a před 7 lety", "cp1250", {"charset": 238}),
        ("l’écologie", "mac_roman", {"locale": 0x40C, "system": 256}),
        ("見積書の本文", "utf-16-le", {"locale": 0x411, "flags": 0x1000}),
        ("member", "cp1252", {"version": 0x2D}),
    ],
)
def test_the_text_is_read_in_its_code_page(text: str, codec: str, options: dict[str, int]) -> None:
    assert text_of(stream(text.encode(codec), **options)) == text


def test_the_bytes_of_asian_characters_may_be_swapped() -> None:
    bytes_of = (character.encode("cp932") for character in "おみつもり a")
    swapped = b"".join(raw[::-1].ljust(2, b"\0") for raw in bytes_of)
    assert text_of(stream(swapped, locale=0x411, flags=0x1000)) == "おみつもり a"


def test_a_document_that_was_saved_in_parts_is_put_together() -> None:
    body = bytearray(stream(b"worldHello "))
    pieces = struct.pack("<3I", 0, 6, 11) + struct.pack("<HIH", 0, START + 5, 0) + struct.pack("<HIH", 0, START, 0)
    struct.pack_into("<H", body, 10, 4)
    struct.pack_into("<II", body, 0x160, len(body), len(pieces) + 5)
    assert text_of(bytes(body) + b"\2" + struct.pack("<I", len(pieces)) + pieces) == "Hello world"


def test_a_password_is_noticed() -> None:
    with pytest.raises(EncryptedError):
        text_of(stream(b"text", flags=0x100))


@pytest.mark.parametrize("size", [2, 12, 0x40, START])
def test_a_stream_that_breaks_off_is_corrupt(size: int) -> None:
    with pytest.raises(CorruptError):
        text_of(stream(b"text")[:size])


def test_a_file_of_word_2_is_read_although_it_is_no_compound_file() -> None:
    body = word6.MAGIC_2 + stream(b"Member of 3GPP", version=0x2D)[2:]
    found = parse(body, Kind("application/msword", "ole"), 1000)
    assert (found.status, found.content) == ("ok", "Member of 3GPP")
