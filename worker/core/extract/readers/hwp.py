"""Documents of the Hangul word processor since version 5 (HWP Document File Formats 5.0, Hancom)."""

import itertools
import re
import zlib
from collections.abc import Iterator

from worker.core.extract.faults import CorruptError, EncryptedError
from worker.core.extract.readers import property_sets
from worker.core.extract.readers.compound import Compound
from worker.core.extract.reading import Reading

MAX_SECTION_BYTES = 256 * 1024**2
MAX_SECTIONS = 1000
_SUMMARY = "\x05HwpSummaryInformation"
_FLAGS = 36
_COMPRESSED, _PASSWORD, _DISTRIBUTED = 1, 2, 4
_PARAGRAPH_TEXT = 0x43
"""HWPTAG_PARA_TEXT."""
_LONG = 0xFFF
_SEED_BYTES = 256
_CONTROL = re.compile("[\x01-\x09\x0b\x0c\x0e-\x17].{0,7}|[\\0\r\x18-\x1f]", re.DOTALL)
"""Controls of eight characters, such as that of a table, and those of one; the text of a table is in records of its own."""


def read(file: Compound, reading: Reading) -> None:
    """Read the document. Raises EncryptedError."""
    flags = int.from_bytes(file.stream("FileHeader")[_FLAGS : _FLAGS + 4], "little")
    if flags & _PASSWORD:
        raise EncryptedError("the document is encrypted")
    summary = (file.stream(_SUMMARY), b"")
    reading.said = property_sets.said(summary)
    storage = "ViewText" if flags & _DISTRIBUTED else "BodyText"
    for number in range(MAX_SECTIONS):
        path = f"{storage}/Section{number}"
        if path not in file:
            break
        with reading.part(path):
            raw = file.stream(path)
            raw = _distributed(raw) if flags & _DISTRIBUTED else raw
            for paragraph in _paragraphs(_inflated(raw) if flags & _COMPRESSED else raw):
                reading.add(paragraph)
    for text in property_sets.texts(summary):
        reading.add(text)


def _inflated(raw: bytes) -> bytes:
    try:
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(raw, MAX_SECTION_BYTES)
    except zlib.error as error:
        raise CorruptError(f"it cannot be decompressed: {error}") from error


def _paragraphs(section: bytes) -> Iterator[str]:
    for tag, content in _records(section):
        if tag == _PARAGRAPH_TEXT:
            text = content[: len(content) & ~1].decode("utf-16-le", "replace")
            yield _CONTROL.sub(_shown, text).replace("\x0a", "\n")


def _shown(control: re.Match[str]) -> str:
    return {"\x09": "\t", "\x18": "-", "\x1e": " ", "\x1f": " "}.get(control[0][0], "")


def _records(section: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + 4 <= len(section):
        head = int.from_bytes(section[at : at + 4], "little")
        size, at = head >> 20, at + 4
        if size == _LONG:
            size, at = int.from_bytes(section[at : at + 4], "little"), at + 4
        yield head & 0x3FF, section[at : at + size]
        at += size


def _distributed(raw: bytes) -> bytes:
    """A section of a document that may only be read: its key is in its first record, hidden by a sequence of numbers.

    Raises CorruptError.
    """
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    hidden, rest = raw[4 : 4 + _SEED_BYTES], raw[4 + _SEED_BYTES :]
    if len(hidden) < _SEED_BYTES:
        raise CorruptError("the section is truncated")
    plain = bytes(byte ^ mask for byte, mask in zip(hidden, _masks(int.from_bytes(hidden[:4], "little")), strict=False))
    start = 4 + (hidden[0] & 0xF)
    cipher = Cipher(algorithms.AES(plain[start : start + 16]), modes.ECB())  # noqa: S305 (what the format uses)
    return cipher.decryptor().update(rest[: len(rest) & ~0xF])


def _masks(seed: int) -> Iterator[int]:
    """Bytes that repeat up to 16 times each, by the numbers of Microsoft's `rand`."""

    def number() -> int:
        nonlocal seed
        seed = (seed * 214_013 + 2_531_011) & 0xFFFFFFFF
        return seed >> 16 & 0x7FFF

    while True:
        mask = number() & 0xFF
        yield from itertools.repeat(mask, (number() & 0xF) + 1)
