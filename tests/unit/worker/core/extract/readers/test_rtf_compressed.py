"""RTF as Outlook compresses it."""

import struct
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.extract.faults import CorruptError
from worker.core.extract.readers.rtf_compressed import decompressed

# The two examples of [MS-OXRTFCP] 4.1: one with a reference to what was read, one with a reference to what it writes itself.
PLAIN = bytes.fromhex(
    "2d0000002b0000004c5a4675f1c5c7a703000a007263706731323542320af32068656c090020627705b06c647d0a800fa0"
)
REPEATED = bytes.fromhex("1a0000001c0000004c5a4675e2d44b51410004205758595a0d6e7d010eb0")


@pytest.mark.parametrize(
    ("packed", "text"),
    [(PLAIN, rb"{\rtf1\ansi\ansicpg1252\pard hello world}" + b"\r\n"), (REPEATED, rb"{\rtf1 WXYZWXYZWXYZWXYZWXYZ}")],
)
def test_the_examples_of_the_specification_are_decompressed(packed: bytes, text: bytes) -> None:
    assert decompressed(packed) == text


def test_what_is_not_compressed_is_taken_as_it_is() -> None:
    assert decompressed(struct.pack("<III4x", 17, 5, 0x414C454D) + b"{abc}") == b"{abc}"


@pytest.mark.parametrize("packed", [b"", b"x" * 15, b"x" * 40])
def test_other_data_is_corrupt(packed: bytes) -> None:
    with pytest.raises(CorruptError):
        decompressed(packed)


@given(st.binary(max_size=300))
def test_no_bytes_make_more_text_than_they_can_stand_for(raw: bytes) -> None:
    head = struct.pack("<IIII", len(raw) + 12, 2**32 - 1, 0x75465A4C, 0)
    assert len(decompressed(head + raw)) <= 9 * len(raw) + 17


def test_a_megabyte_of_references_takes_no_time() -> None:
    started = time.process_time()
    decompressed(struct.pack("<IIII", 2**20 + 12, 2**31, 0x75465A4C, 0) + b"\xff" + b"\x0c\xff" * 2**19)
    assert time.process_time() - started < 15
