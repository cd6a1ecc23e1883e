"""Documents of the Hangul word processor."""

import struct
import zlib

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from testing.compound_files import compound
from testing.property_sets import property_stream, wide
from worker.core.extract.faults import EncryptedError
from worker.core.extract.readers import hwp
from worker.core.extract.readers.compound import Compound
from worker.core.extract.reading import Reading

PARAGRAPH = 0x43


def record(tag: int, content: bytes) -> bytes:
    if len(content) < 0xFFF:
        return struct.pack("<I", len(content) << 20 | tag) + content
    return struct.pack("<II", 0xFFF << 20 | tag, len(content)) + content


def deflated(raw: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(raw) + packer.flush()


def section(*texts: str) -> bytes:
    return b"".join(record(0x42, bytes(22)) + record(PARAGRAPH, text.encode("utf-16-le")) for text in texts)


def reading_of(flags: int, **streams: bytes) -> Reading:
    reading = Reading(10**6)
    header = b"HWP Document File".ljust(32, b"\0") + struct.pack("<II", 0x05000000, flags)
    hwp.read(Compound(compound({"FileHeader": header, **streams})), reading)
    return reading


@pytest.mark.parametrize("flags", [0, 1])
def test_the_paragraphs_of_all_sections_are_read(flags: int) -> None:
    parts = [section("첫째\r", "x" * 3000), section("둘째\r")]
    parts = [deflated(part) for part in parts] if flags else parts
    reading = reading_of(flags, **{f"BodyText/Section{number}": part for number, part in enumerate(parts)})
    assert reading.text == "첫째\n" + "x" * 3000 + "\n둘째"


def test_controls_are_left_out() -> None:
    reading = reading_of(0, **{"BodyText/Section0": section("before\x0babcdefg after\x18hyphen\n")})
    assert reading.text == "before after-hyphen"


def test_properties_are_read() -> None:
    summary = property_stream({2: wide("제목"), 4: wide("저자")})
    reading = reading_of(0, **{"BodyText/Section0": section("본문"), "\x05HwpSummaryInformation": summary})
    assert (reading.said.title, reading.said.author) == ("제목", "저자")
    assert reading.text == "본문\n제목\n저자"


def test_a_document_that_may_only_be_read_is_read() -> None:
    seed, key = 7, b"0123456789abcdef"
    plain = bytearray(256)
    plain[:4] = struct.pack("<I", seed)
    start = 4 + (seed & 0xF)
    plain[start : start + 16] = key
    hidden = bytes(byte ^ mask for byte, mask in zip(plain, hwp._masks(seed), strict=False))
    hidden = struct.pack("<I", seed) + hidden[4:]
    packed = deflated(section("배포용"))
    body = Cipher(algorithms.AES(key), modes.ECB()).encryptor().update(packed + bytes(-len(packed) % 16))
    reading = reading_of(5, **{"ViewText/Section0": record(0x1C, hidden) + body, "BodyText/Section0": section("no")})
    assert reading.text == "배포용"


def test_a_password_is_noticed() -> None:
    with pytest.raises(EncryptedError):
        reading_of(3, **{"BodyText/Section0": b""})


def test_a_section_that_is_broken_costs_only_itself() -> None:
    reading = reading_of(1, **{"BodyText/Section0": b"\xff" * 20, "BodyText/Section1": deflated(section("둘째"))})
    assert reading.text == "둘째"
    assert reading.missed
