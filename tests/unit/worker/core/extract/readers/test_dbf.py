"""Tables of dBASE."""

import struct

import pytest

from worker.core.extract.faults import CorruptError
from worker.core.extract.readers.dbf import read
from worker.core.extract.reading import Reading


def table(rows: list[bytes], *, driver: int = 0, count: int | None = None, kinds: bytes = b"CND") -> bytes:
    widths = (12, 6, 8)
    fields = b"".join(
        struct.pack("<11scIBB14x", name, bytes([kind]), 0, width, 0)
        for name, kind, width in zip((b"NAME", b"PRICE", b"DAY"), kinds, widths, strict=True)
    )
    header = struct.pack(
        "<BBBBIHH17xB2x", 3, 126, 4, 1, len(rows) if count is None else count, 32 + len(fields) + 1, 27, driver
    )
    return header + fields + b"\r" + b"".join(rows) + b"\x1a"


def row(name: bytes, *, mark: bytes = b" ") -> bytes:
    return mark + name.ljust(12) + b"   9.5" + b"20260414"


def text_of(body: bytes) -> str:
    reading = Reading(10_000)
    read(body, reading)
    return reading.text


@pytest.mark.parametrize(
    ("driver", "encoding"), [(0x7B, "cp932"), (0x13, "cp932"), (0, "cp932"), (0, "utf-8"), (0x4E, "cp949")]
)
def test_rows_are_read_in_the_code_page_of_the_table(driver: int, encoding: str) -> None:
    name = "회의록" if encoding == "cp949" else "見積りの書"[:4]
    body = table([row(name.encode(encoding)), row(b"gone", mark=b"*")], driver=driver)
    assert text_of(body).splitlines() == ["NAME\tPRICE\tDAY", f"{name}\t9.5\t2026-04-14"]


def test_fewer_rows_than_the_header_says_are_read() -> None:
    assert text_of(table([row(b"one")], count=10**9)).splitlines()[1:] == ["one\t9.5\t2026-04-14"]


@pytest.mark.parametrize("body", [b"", b"\x03" * 20, table([], kinds=b"C\x00D"), b"\x03" + bytes(200)])
def test_what_is_no_table_is_corrupt(body: bytes) -> None:
    with pytest.raises(CorruptError):
        text_of(body)
