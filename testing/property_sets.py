"""Property set streams ([MS-OLEPS]), as input of tests."""

import struct

FILETIME_2024 = 133_485_408_000_000_000
"""2024-01-01T00:00:00Z, in intervals of 100 nanoseconds since 1601."""


def property_stream(*sets: dict[int, bytes]) -> bytes:
    """A stream of property sets, each given as its typed values by their identifiers."""
    head = struct.pack("<HHI16xI", 0xFFFE, 0, 0, len(sets))
    bodies = [_set(values) for values in sets]
    at = len(head) + 20 * len(sets)
    for body in bodies:
        head += struct.pack("<16xI", at)
        at += len(body)
    return head + b"".join(bodies)


def text(value: bytes) -> bytes:
    """A string in the code page of its set."""
    return struct.pack("<II", 0x1E, len(value) + 1) + value + b"\0"


def wide(value: str) -> bytes:
    """A string in UTF-16."""
    return struct.pack("<II", 0x1F, len(value) + 1) + value.encode("utf-16-le") + b"\0\0"


def page(number: int) -> bytes:
    """The code page of a set: property 1."""
    return struct.pack("<IHH", 2, number, 0)


def filetime(ticks: int) -> bytes:
    """A moment."""
    return struct.pack("<IQ", 0x40, ticks)


def dictionary(names: dict[int, bytes]) -> bytes:
    """The names of the properties that users have defined: property 0."""
    entries = (struct.pack("<II", key, len(name) + 1) + name + b"\0" for key, name in names.items())
    return struct.pack("<I", len(names)) + b"".join(entries)


def _set(values: dict[int, bytes]) -> bytes:
    places, body, at = b"", b"", 8 + 8 * len(values)
    for key, value in values.items():
        padded = value + b"\0" * (-len(value) % 4)
        places += struct.pack("<II", key, at + len(body))
        body += padded
    return struct.pack("<II", at + len(body), len(values)) + places + body
