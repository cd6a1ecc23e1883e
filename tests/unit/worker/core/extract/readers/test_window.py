"""Repeating what was written before."""

import pytest

from worker.core.extract.readers.window import repeat


@pytest.mark.parametrize(
    ("before", "distance", "length", "after"),
    [
        (b"abcd", 4, 2, b"abcdab"),
        (b"abcd", 1, 3, b"abcdddd"),
        (b"abcd", 2, 5, b"abcdcdcdc"),
        (b"ab", 4, 3, b"ab\0\0a"),
        (b"", 4096, 2, b"\0\0"),
    ],
)
def test_bytes_are_repeated(before: bytes, distance: int, length: int, after: bytes) -> None:
    out = bytearray(before)
    repeat(out, distance, length)
    assert bytes(out) == after
