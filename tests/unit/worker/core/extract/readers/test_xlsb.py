"""Binary workbooks: their cells as they are shown, and what stands beside them."""

import struct

from testing.workbooks import binary, relationships, wide, xlsb
from worker.core.extract.readers import sheets
from worker.core.extract.readers.zipped import Container
from worker.core.extract.reading import Reading

ROW = (0, b"\0" * 25)
LINKS = [("worksheet", "s1.bin"), ("sharedStrings", "sst.bin"), ("styles", "styles.bin")]


def read(body: bytes) -> Reading:
    reading = Reading(100_000)
    sheets.read_binary(Container(body), reading)
    return reading


def cell(kind: int, value: bytes, style: int = 0) -> tuple[int, bytes]:
    return kind, struct.pack("<II", 0, style) + value


def shared(text: str, tail: bytes = b"", flags: int = 0) -> tuple[int, bytes]:
    return 19, bytes([flags]) + wide(text) + tail


def book(*records: tuple[int, bytes], strings: bytes = b"", parts: dict[str, str | bytes] | None = None) -> bytes:
    """A workbook with one sheet, of these records; the formats of its styles are General, 年月日 and built-in 3."""
    styles = binary(
        (44, struct.pack("<H", 200) + wide('yyyy"年"m"月"d"日"')), (47, struct.pack("<HH", 0, 9)), (617, b"\3\0\0\0"),
        *((47, struct.pack("<HH12x", 0, number)) for number in (0, 200, 3)), (618, b""),
    )  # fmt: skip
    workbook = binary(
        (156, struct.pack("<II", 1, 1) + wide("r1") + wide("隠し表")), (39, struct.pack("<IBI", 0, 0, 0) + wide("税率"))
    )
    every = {
        "workbook.bin": workbook,
        "s1.bin": binary(*records),
        "sst.bin": strings,
        "styles.bin": styles,
        **(parts or {}),
    }
    return xlsb(every, LINKS)


def lines(body: bytes) -> list[str]:
    reading = read(body)
    assert reading.missed == []
    return reading.text.split("\n")


def test_every_kind_of_cell_is_read_as_it_is_shown() -> None:
    runs = struct.pack("<HHHHHH", 0, 0, 1, 2, 2, 1) + b"\1\0\x35\0"
    strings = binary(
        shared("東京"),
        shared("渡り鳥", struct.pack("<IHH", 1, 0, 0) + wide("ワタドリ") + struct.pack("<I", 2) + runs, flags=3),
    )
    body = book(
        ROW, cell(7, struct.pack("<I", 0)), cell(7, struct.pack("<I", 1)), cell(1, b""), cell(6, wide("inline")),
        ROW, cell(2, struct.pack("<I", (45761 << 2) | 2), style=1), cell(5, struct.pack("<d", 1234567), style=2),
        cell(3, b"\x07"), cell(4, b"\1"), cell(62, b"\0" + wide("rich")),
        ROW, cell(8, wide("result") + b"\0\0"), cell(9, struct.pack("<d", 0.1)), cell(10, b"\0"), cell(11, b"\x2a"),
        strings=strings,
    )  # fmt: skip
    assert lines(body) == [
        "隠し表", "東京\t渡り鳥\tinline", "2025年4月14日\t1,234,567\t#DIV/0!\tTRUE\trich", "result\t0.1\tFALSE\t#N/A",
        "ワタりドリ", "2025-04-14\t1234567", "税率",
    ]  # fmt: skip


def test_headers_hints_links_and_comments_are_read() -> None:
    none = struct.pack("<I", 0xFFFFFFFF)
    hint = struct.pack("<II16x", 0, 1) + none + wide("wrong") + wide("title") + wide("hint")
    body = book(
        (479, b"\0\0" + wide("&C極秘") + wide("&Lfooter") + none * 4), (64, hint),
        (494, b"\0" * 16 + wide("") + wide("") + wide("tip") + wide("shown")),
        parts={
            "_rels/s1.bin.rels": relationships([("comments", "comments1.bin"), ("table", "table1.bin")]),
            "comments1.bin": binary((632, wide("田中")), (635, struct.pack("<I", 0)), (637, b"\0" + wide("値下げ済"))),
            "table1.bin": binary((343, b"\0" * 60 + wide("raw") + wide("Orders")), (347, b"\0" * 24 + wide("品名") + none)),
        },
    )  # fmt: skip
    found = lines(body)
    assert found[:5] == ["隠し表", "極秘", "footer", "wrong\ttitle\thint", "shown\ttip"]
    assert "田中\t値下げ済" in found
    assert "品名" in found


def test_the_names_of_sheets_in_the_beta_of_2007_are_read() -> None:
    workbook = binary((156, struct.pack("<III", 0, 0, 1) + wide("r1") + wide("Sheet1")))
    body = xlsb({"workbook.bin": workbook, "s1.bin": binary(ROW, cell(5, struct.pack("<d", 5)))}, LINKS[:1])
    assert lines(body) == ["Sheet1", "5"]


def test_a_broken_record_costs_only_itself() -> None:
    reading = read(book(ROW, cell(5, b"\0"), cell(5, struct.pack("<d", 5))))
    assert (reading.text.split("\n")[:2], len(reading.missed)) == (["隠し表", "5"], 1)


def test_a_part_that_is_cut_short_is_read_up_to_there() -> None:
    whole = binary(ROW, cell(5, struct.pack("<d", 5)), cell(5, struct.pack("<d", 6)))
    assert "5" in read(book(parts={"s1.bin": whole[:-5]})).text.split("\n")
