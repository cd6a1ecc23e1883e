"""Decompress one block in the raw format of Snappy (format_description.txt of google/snappy)."""

from worker.core.base.reasons import Reason
from worker.core.extract.faults import CorruptError

MAX_BLOCK_BYTES = 64 * 1024**2
_LONG_LITERAL = 60
"""From this tag on, one to four bytes hold the length of a literal."""


def decompressed(block: bytes, max_bytes: int) -> bytes:
    """The block's content. Raises CorruptError if it is broken or larger than `max_bytes`."""
    size, at = _size(block)
    if size > max_bytes:
        sentence = f"a compressed block claims {size} bytes; at most {max_bytes} are allowed"
        raise CorruptError(sentence, Reason.ZIP_BOMB)
    out = bytearray()
    while at < len(block) and len(out) <= size:
        tag = block[at]
        at += 1
        if tag & 3 == 0:
            length = tag >> 2
            if length >= _LONG_LITERAL:
                extra = length - _LONG_LITERAL + 1
                length = int.from_bytes(block[at : at + extra], "little")
                at += extra
            out += block[at : at + length + 1]
            at += length + 1
        else:
            length, offset, at = _copy(block, tag, at)
            if not 0 < offset <= len(out):
                raise CorruptError("a compressed block refers to what is before its beginning")
            _repeat(out, offset, length)
    if len(out) != size:
        raise CorruptError("a compressed block breaks off")
    return bytes(out)


def _size(block: bytes) -> tuple[int, int]:
    size = shift = 0
    for at, byte in enumerate(block[:5]):
        size |= (byte & 0x7F) << shift
        if byte < 0x80:
            return size, at + 1
        shift += 7
    raise CorruptError("a compressed block breaks off")


def _copy(block: bytes, tag: int, at: int) -> tuple[int, int, int]:
    """Length and offset of a copy, and where the next element begins."""
    if tag & 3 == 1:
        return (tag >> 2 & 7) + 4, (tag >> 5) << 8 | int.from_bytes(block[at : at + 1], "little"), at + 1
    width = 2 if tag & 3 == 2 else 4
    return (tag >> 2) + 1, int.from_bytes(block[at : at + width], "little"), at + width


def _repeat(out: bytearray, offset: int, length: int) -> None:
    """Append what began `offset` bytes ago; it may overlap what is appended."""
    begin = len(out) - offset
    piece = bytes(out[begin : begin + length])
    out += (piece * (length // len(piece) + 1))[:length]
