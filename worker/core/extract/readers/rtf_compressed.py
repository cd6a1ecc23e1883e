"""RTF as Outlook compresses it ([MS-OXRTFCP])."""

import struct

from worker.core.extract.faults import CorruptError
from worker.core.extract.readers.window import WINDOW_BYTES, repeat

_COMPRESSED, _RAW = 0x75465A4C, 0x414C454D
_DICTIONARY = (
    rb"{\rtf1\ansi\mac\deff0\deftab720{\fonttbl;}{\f0\fnil \froman \fswiss \fmodern \fscript \fdecor "
    b"MS Sans SerifSymbolArialTimes New RomanCourier{\\colortbl\\red0\\green0\\blue0\r\n\\par "
    rb"\pard\plain\f0\fs20\b\i\u\tab\tx"
)
"""What the first references may refer to ([MS-OXRTFCP] 2.2.2.1)."""
MAX_BYTES = 64 * 1024**2


def decompressed(raw: bytes) -> bytes:
    """The RTF. What is broken ends it. Raises CorruptError if it is not compressed in this way."""
    if len(raw) < 16:
        raise CorruptError("the compressed RTF is truncated")
    size, full_size, kind, _ = struct.unpack_from("<4I", raw)
    if kind == _RAW:
        return raw[16 : 16 + full_size]
    if kind != _COMPRESSED:
        raise CorruptError("the RTF is compressed in an unknown way")
    return _inflated(raw[16 : size + 4], min(full_size, MAX_BYTES))


def _inflated(raw: bytes, limit: int) -> bytes:
    out = bytearray(_DICTIONARY)
    limit += len(out)
    at = 0
    while at < len(raw) and len(out) < limit:
        flags = raw[at]
        at += 1
        for bit in range(8):
            if not flags >> bit & 1:
                out += raw[at : at + 1]
                at += 1
                continue
            reference = int.from_bytes(raw[at : at + 2], "big")
            at += 2
            place, length = reference >> 4, (reference & 0xF) + 2
            distance = (len(out) - place) % WINDOW_BYTES
            if not distance or at > len(raw):  # a reference to the place that is written next ends the text
                return bytes(out[len(_DICTIONARY) : limit])
            repeat(out, distance, length)
    return bytes(out[len(_DICTIONARY) : limit])
