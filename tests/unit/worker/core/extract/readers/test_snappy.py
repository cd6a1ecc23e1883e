"""Blocks compressed by Snappy."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.extract.faults import CorruptError
from worker.core.extract.readers.snappy import decompressed


@pytest.mark.parametrize(
    ("block", "content"),
    [
        (b"\x00", b""),
        (b"\x05\x10hello", b"hello"),
        (b"\x0a\x04ab\x11\x02", b"ab" * 5),  # eight bytes that begin two bytes ago
        (b"\x09\x08abc\x16\x03\x00", b"abc" * 3),  # an offset of two bytes
        (b"\x06\x08abc\x0b\x03\x00\x00\x00", b"abc" * 2),  # an offset of four bytes
        (b"\x46\xf0\x45" + b"x" * 70, b"x" * 70),  # a literal whose length has a byte of its own
    ],
)
def test_literals_and_copies_are_undone(block: bytes, content: bytes) -> None:
    assert decompressed(block, 1000) == content


@pytest.mark.parametrize(
    "block", [b"", b"\xff", b"\x05\x10he", b"\x05\x11\x02", b"\x05\x04ab\x01\x00", b"\x02\x10hello"]
)
def test_a_broken_block_is_corrupt(block: bytes) -> None:
    with pytest.raises(CorruptError):
        decompressed(block, 1000)


def test_a_block_that_claims_too_much_is_not_decompressed() -> None:
    with pytest.raises(CorruptError, match="claims 1073741824 bytes"):
        decompressed(b"\x80\x80\x80\x80\x04", 1000)


@given(st.binary(max_size=200))
def test_any_bytes_end_in_a_content_or_a_known_fault(block: bytes) -> None:
    with contextlib.suppress(CorruptError):
        assert len(decompressed(block, 10_000)) <= 10_000
