"""A zip file whose one member is the zip file itself: who unpacks what was unpacked is never done.

After an idea of Russ Cox's (https://research.swtch.com/zip): a deflate stream that prints itself, and with it what stands
before (the local header) and behind (the central directory). It has two kinds of words, each of whole bytes: a stored
block prints the bytes that follow it; a block of fixed codes prints once more what was printed last.
"""

import functools
import struct
import zlib

_WORD_BYTES = 5
_GROUP_BYTES = 4 * _WORD_BYTES
_PREFIX_BYTES = 60
"""Of the local header: to print it and a word once more is then one word, too; few other sizes do."""
_FIXED_BYTES = 30
"""Of the local header, without name and extra field."""
_CRC_BITS = 32
_NAME_IS_UTF8 = 0x800
_METHOD_DEFLATE = 8
_DATE = (2026 - 1980) << 9 | 1 << 5 | 1


@functools.cache
def zip_quine(name: str) -> bytes:
    """The zip file. `name` is its member's: 1 to 26 bytes, which leaves 4 for the extra field that fills the header."""
    raw = name.encode()
    if not 0 < len(raw) <= _PREFIX_BYTES - _FIXED_BYTES - 4:
        raise ValueError(f"{name!r} has {len(raw)} bytes")
    for time in range(0, 1 << 11, 1 << 5):  # seven in ten systems of equations have no solution: try another minute
        crc = _crc_of_itself(raw, time)
        if crc is not None:
            return _file(raw, time, crc)
    raise AssertionError("no minute gives a CRC that contains itself")


def _crc_of_itself(name: bytes, time: int) -> int | None:
    """The x with CRC(file with x in it) = x: 32 linear equations over GF(2), as a CRC is affine in every bit."""
    constant = zlib.crc32(_file(name, time, 0))
    basis: dict[int, tuple[int, int]] = {}  # highest bit → vector, and which bits of x add up to it
    for bit in range(_CRC_BITS):
        column = zlib.crc32(_file(name, time, 1 << bit)) ^ constant ^ 1 << bit
        vector, bits = _reduced(column, basis)
        if vector:
            basis[vector.bit_length()] = (vector, bits ^ 1 << bit)
    left, crc = _reduced(constant, basis)
    return None if left else crc


def _reduced(vector: int, basis: dict[int, tuple[int, int]]) -> tuple[int, int]:
    bits = 0
    for high in sorted(basis, reverse=True):
        if vector.bit_length() == high:
            vector ^= basis[high][0]
            bits ^= basis[high][1]
    return vector, bits


def _file(name: bytes, time: int, crc: int) -> bytes:
    extra_bytes = _PREFIX_BYTES - _FIXED_BYTES - len(name)
    extra = struct.pack("<2H", 0xFFFF, extra_bytes - 4) + bytes(extra_bytes - 4)
    directory_bytes = 46 + len(name)
    around = _PREFIX_BYTES + directory_bytes + 22
    packed = len(_printing_itself(bytes(_PREFIX_BYTES), bytes(around - _PREFIX_BYTES)))
    shared = struct.pack(
        "<5H3LH", 20, _NAME_IS_UTF8, _METHOD_DEFLATE, time, _DATE, crc, packed, packed + around, len(name)
    )
    prefix = b"PK\3\4" + shared + struct.pack("<H", extra_bytes) + name + extra
    directory = b"PK\1\2" + struct.pack("<H", 20) + shared + struct.pack("<4H2L", 0, 0, 0, 0, 0, 0) + name
    end = b"PK\5\6" + struct.pack("<4H2LH", 0, 0, 1, 1, directory_bytes, _PREFIX_BYTES + packed, 0)
    return prefix + _printing_itself(prefix, directory + end) + directory + end


def _printing_itself(prefix: bytes, suffix: bytes) -> bytes:
    """A deflate stream that prints `prefix`, itself and `suffix`. A line here is a word, and what it prints."""
    head = _literal(_PREFIX_BYTES + _WORD_BYTES)
    prefix_again = _repeat(_PREFIX_BYTES + _WORD_BYTES, _PREFIX_BYTES + _WORD_BYTES, pad=True)
    one, group, none = _literal(_WORD_BYTES), _literal(_GROUP_BYTES), _literal(0)
    again = _repeat(_GROUP_BYTES, _GROUP_BYTES // 2, _GROUP_BYTES // 2)
    last_bytes = next(n for n in range(1, 9) if len(_last(n + len(suffix))) == n)
    last = _last(last_bytes + len(suffix))
    tail = _literal(last_bytes + len(suffix))
    return b"".join((
        head, prefix, head,
        prefix_again,
        one, prefix_again,
        one, one,
        group, prefix_again, one, one, group,
        again,
        group, again, group, again, group,
        again,
        group, again, none, none, tail,
        again,
        none,
        none,
        tail, last, suffix,
        last,
    ))  # fmt: skip


def _literal(size: int) -> bytes:
    """The word that prints the next `size` bytes."""
    return b"\0" + struct.pack("<2H", size, size ^ 0xFFFF)


def _last(size: int) -> bytes:
    return _repeat(size, size, final=True)


def _repeat(distance: int, *lengths: int, pad: bool = False, final: bool = False) -> bytes:
    """The word that prints bytes from `distance` back, as many as `lengths` are together; `pad`: and an empty block."""
    bits = f"{final:d}10" + "".join(_length(length) + _distance(distance) for length in lengths) + "0" * 7
    if pad:
        bits += "010" + "0" * 7
    assert final or len(bits) == 8 * _WORD_BYTES
    return int(bits[::-1], 2).to_bytes((len(bits) + 7) // 8, "little")


def _length(length: int) -> str:
    """Bits in their order: codes come with the highest first, extra bits with the lowest (RFC 1951, 3.2.5)."""
    above = length - 3
    extra = max(above.bit_length() - 3, 0)
    symbol = 1 + 4 * extra + (above >> extra)
    code = f"{symbol:07b}" if symbol < 24 else f"{0b11000000 + symbol - 24:08b}"
    return code + _extra(above, extra)


def _distance(distance: int) -> str:
    above = distance - 1
    extra = max(above.bit_length() - 2, 0)
    return f"{2 * extra + (above >> extra):05b}" + _extra(above, extra)


def _extra(value: int, count: int) -> str:
    return f"{value % (1 << count):0{count}b}"[::-1] if count else ""
