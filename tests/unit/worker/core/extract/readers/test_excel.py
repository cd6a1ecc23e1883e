"""Workbooks before Excel 2007: their cells as they are shown, and what stands beside them, in BIFF8 and in BIFF 2–5."""

import struct

import pytest

from testing.compound_files import compound
from testing.workbooks import EOF, at, biff, bof, unicode8
from worker.core.extract.faults import CorruptError, EncryptedError
from worker.core.extract.kinds import kind_of
from worker.core.extract.parse import parse
from worker.core.extract.readers import excel
from worker.core.extract.readers.compound import Compound
from worker.core.extract.reading import EnoughError, Reading

Record = tuple[int, bytes]
CONTINUE = 0x3C


def read(stream: bytes, max_chars: int = 1_000_000) -> Reading:
    reading = Reading(max_chars)
    excel.read_stream(stream, reading)
    return reading


def lines(*records: Record, before: tuple[Record, ...] = ()) -> list[str]:
    """What is read of a workbook with one sheet, of these records, and these globals."""
    reading = read(biff(bof(0x05), *before, EOF, bof(), *records, EOF))
    assert reading.missed == []
    return reading.text.split("\n")


def sst(*texts: bytes) -> Record:
    return 0xFC, struct.pack("<II", len(texts), len(texts)) + b"".join(texts)


def label(row: int, column: int, number: int) -> Record:
    return 0xFD, at(row, column) + struct.pack("<I", number)


def number_format(number: int, code: str) -> Record:
    return 0x41E, struct.pack("<H", number) + unicode8(code)


def style(number: int) -> Record:
    return 0xE0, struct.pack("<HH16x", 0, number)


def test_a_workbook_in_a_compound_file_is_read_with_its_properties() -> None:
    stream = biff(bof(0x05), EOF, bof(), (0x203, at(0, 0) + struct.pack("<d", 1.5)), EOF)
    reading = Reading(100)
    excel.read(Compound(compound({"Workbook": stream})), reading)
    assert reading.text == "1.5"


def test_each_sheet_has_its_name_even_if_it_is_hidden() -> None:
    globals_ = [bof(0x05), (0x85, b""), (0x85, b""), EOF]
    first = bof(), (0x203, at(0, 0) + struct.pack("<d", 1)), EOF
    start = len(biff(*globals_)) + 2 * (6 + 2 + 2 * 3)
    second = start + len(biff(*first))
    names = [
        (0x85, struct.pack("<IBB", place, hidden, 0) + unicode8(name, "<B"))
        for place, hidden, name in ((second, 1, "隠し表"), (start, 0, "売上表"))
    ]
    stream = biff(bof(0x05), *names, EOF, *first, bof(), (0x203, at(0, 0) + struct.pack("<d", 2)), EOF)
    assert read(stream).text.split("\n") == ["売上表", "1", "隠し表", "2"]


def test_the_cells_of_a_row_are_joined_in_whatever_order_they_come() -> None:
    one, two = struct.pack("<d", 1), struct.pack("<d", 2)
    assert lines((0x203, at(1, 1) + two), (0x203, at(0, 0) + one), (0x203, at(1, 0) + one)) == ["1", "1\t2"]


def test_every_kind_of_number_is_read() -> None:
    whole, hundredth, high = (12 << 2) | 2, (1234 << 2) | 3, struct.unpack("<Q", struct.pack("<d", 0.5))[0] >> 32
    negative = ((-5 & 0x3FFFFFFF) << 2) | 2
    several = struct.pack("<HHHIHIH", 0, 1, 0, hundredth, 0, high, 2)
    cells = (
        (0x27E, at(0, 0) + struct.pack("<I", whole)),
        (0xBD, several),
        (0x27E, at(0, 3) + struct.pack("<I", negative)),
    )
    assert lines(*cells) == ["12\t12.34\t0.5\t-5"]


def test_numbers_and_dates_are_shown_in_the_format_of_their_cells() -> None:
    before = number_format(200, 'yyyy"年"m"月"d"日"'), style(0), style(200), style(3)
    day, amount = struct.pack("<d", 45761), struct.pack("<d", 1234567)
    assert lines((0x203, at(0, 0, 1) + day), (0x203, at(0, 1, 2) + amount), before=before) == [
        "2025年4月14日\t1,234,567", "2025-04-14\t1234567"
    ]  # fmt: skip


@pytest.mark.parametrize(("record", "text"), [((0x22, b"\1\0"), "4/14/25"), ((0x8C, b"\x51\0\x51\0"), "2021/4/13")])
def test_the_date_system_and_the_country_are_noticed(record: Record, text: str) -> None:
    cell = 0x203, at(0, 0, 0) + struct.pack("<d", 45761 - 1462)
    assert lines(cell, before=(record, style(14)))[0] == text


def test_results_of_formulas_are_read() -> None:
    def formula(column: int, result: bytes) -> Record:
        return 0x06, at(0, column) + result + b"\0" * 8

    cells = (
        formula(0, struct.pack("<d", 2.5)), formula(1, b"\0\0\0\0\0\0\xff\xff"), (0x4BC, b"\0" * 8),
        (0x207, unicode8("合計")), formula(2, b"\1\0\1\0\0\0\xff\xff"), formula(3, b"\2\0\x2a\0\0\0\xff\xff"),
        formula(4, b"\3\0\0\0\0\0\xff\xff"), (0x205, at(0, 5) + b"\0\0"), (0x205, at(0, 6) + b"\7\1"),
    )  # fmt: skip
    assert lines(*cells) == ["2.5\t合計\tTRUE\t#N/A\tFALSE\t#DIV/0!"]


def test_texts_in_the_cells_themselves_are_read() -> None:
    assert lines((0x204, at(0, 0) + unicode8("ラベル")), (0xD6, at(0, 1) + unicode8("rich") + b"\1\0\0\0\5\0")) == [
        "ラベル\trich"
    ]


def test_a_shared_text_may_be_interrupted_anywhere() -> None:
    text = "narrow then ワイド then narrow"
    rich = struct.pack("<HBHI", 4, 0x0D, 2, 5) + "装飾文字".encode("utf-16-le") + b"\0" * 8 + b"\1\0\0\0\0"
    body = struct.pack("<II", 3, 3) + struct.pack("<HB", len(text), 0) + text[:6].encode("latin-1")
    rest = [
        b"\1" + text[6:20].encode("utf-16-le"),
        b"\0" + text[20:].encode("latin-1") + rich[:20],
        rich[20:24],
        rich[24:] + struct.pack("<HB", 3, 0) + b"end",
    ]
    before = (0xFC, body), *((CONTINUE, part) for part in rest)
    assert lines(label(0, 0, 0), label(0, 1, 1), label(0, 2, 2), before=before) == [f"{text}\t装飾文字\tend"]


def test_readings_follow_the_rows() -> None:
    reading = "ワタドリ"
    runs = struct.pack("<HHHHHH", 0, 0, 1, 2, 2, 1)
    extension = struct.pack("<HHHHHHH", 1, 0, 0, 0, 2, 4, 4) + reading.encode("utf-16-le") + runs
    text = struct.pack("<HBI", 3, 0x05, len(extension)) + "渡り鳥".encode("utf-16-le") + extension
    assert lines(label(0, 0, 0), label(1, 0, 0), before=(sst(text),)) == ["渡り鳥", "渡り鳥", "ワタりドリ"]


def test_headers_names_hints_and_links_are_read() -> None:
    url = "https://example.com/\0".encode("utf-16-le")
    shown = "詳細\0".encode("utf-16-le")
    link = b"\0" * 24 + struct.pack("<III", 2, 0x17, 3) + shown
    link += bytes.fromhex("e0c9ea79f9bace118c8200aa004ba90b") + struct.pack("<I", len(url)) + url
    choices = "赤\0青"
    first = b"\0" * 30 + struct.pack("<4H", 5, 0, 0, 0) + unicode8("first")
    hints = b"".join(unicode8(text) for text in ("title", "\0", "hint", "\0"))
    rule = struct.pack("<HHBBB", 9, 0, 0x17, len(choices), 1) + choices.encode("utf-16-le")
    records = (
        (0x14, unicode8("&L極秘&C&D")), (0x15, unicode8("footer &P")), (0x89C, first),
        (0x18, struct.pack("<HBBHHH4x", 0, 0, 2, 0, 0, 0) + b"\1" + "税率".encode("utf-16-le")),
        (0x18, struct.pack("<HBBHHH4x", 0x20, 0, 1, 0, 0, 0) + b"\0\6"),
        (0x1BE, b"\0" * 4 + hints + rule), (0x1B8, link[:8] + link[8:]), (0x800, b"\0" * 10 + "tip\0".encode("utf-16-le")),
        (0xB0, b"\0" * 40 + struct.pack("<HH", 5, 3) + b"\0Pivot\0Sum"),
    )  # fmt: skip
    found = lines(*records)
    assert {"極秘", "footer", "first", "税率", "title", "hint", "赤\t青", "詳細", "https://example.com/", "tip"} <= set(
        found
    )
    assert {"Pivot", "Sum"} <= set(found)


def test_text_boxes_and_notes_are_read_and_notes_with_their_authors() -> None:
    def box(number: int, text: str) -> list[Record]:
        head = struct.pack("<HHHH14x", 0x15, 0x12, 0x19, number)
        return [
            (0x5D, head), (0x1B6, b"\0" * 10 + struct.pack("<HHI", len(text), 16, 0)),
            (CONTINUE, b"\0" + text[:4].encode("latin-1")), (CONTINUE, b"\1" + text[4:].encode("utf-16-le")),
            (CONTINUE, b"\0" * 16),
        ]  # fmt: skip

    note = 0x1C, struct.pack("<HHHH", 0, 0, 0, 2) + unicode8("田中") + b"\0"
    assert lines(*box(1, "free text"), *box(2, "note text"), note) == ["free text", "田中\tnote text"]


def test_texts_of_charts_are_read_but_not_their_numbers() -> None:
    chart = (
        bof(0x20), (0x100D, b"\0\0" + unicode8("売上推移", "<B")), (0x203, at(0, 0) + struct.pack("<d", 77)),
        (0x204, at(0, 0) + unicode8("April")), EOF,
    )  # fmt: skip
    assert lines(*chart, (0x203, at(0, 0) + struct.pack("<d", 5))) == ["5", "売上推移", "April"]


def test_alternative_texts_of_pictures_are_read() -> None:
    text = "富士山の写真\0".encode("utf-16-le")
    properties = struct.pack("<HIHI", 0x0104, 1, 0xC381, len(text)) + text
    shape = struct.pack("<HHI", 0x23, 0xF00B, len(properties)) + properties
    drawing = struct.pack("<HHI", 0x0F, 0xF004, len(shape)) + shape
    assert lines((0xEC, drawing)) == ["富士山の写真"]


def test_biff5_is_read_in_its_code_page() -> None:
    name = "売上".encode("cp932")
    stream = biff(
        bof(0x05, 0x0500), (0x42, struct.pack("<H", 932)), (0x85, struct.pack("<IHB", 0, 0, len(name)) + name),
        (0x41E, struct.pack("<HB", 200, 5) + b"0.000"), style(200), EOF, bof(0x10, 0x0500),
        (0x204, at(0, 0) + struct.pack("<H", len(name)) + name), (0x203, at(0, 1) + struct.pack("<d", 1.5)),
        (0x14, b"\3A&&"), (0x1C, struct.pack("<HHH", 0, 0, 8) + b"long"), (0x1C, struct.pack("<HHH", 0xFFFF, 0, 4) + b"note"), EOF,
    )  # fmt: skip
    assert read(stream).text.split("\n") == ["売上", "売上\t1.500", "longnote", "A&"]


def test_biff2_is_read() -> None:
    stream = biff(
        (0x09, struct.pack("<HH", 2, 0x10)), (0x42, struct.pack("<H", 932)), (0x1E, b"\7General"), (0x1E, b"\5#,##0"),
        (0x04, struct.pack("<HH3sB", 0, 0, b"\0\0\0", 4) + "大阪".encode("cp932")),
        (0x03, struct.pack("<HH3sd", 0, 1, b"\0\1\0", 1234567)), (0x02, struct.pack("<HH3sH", 0, 2, b"\0\0\0", 9)),
        (0x05, struct.pack("<HH3sBB", 0, 3, b"\0\0\0", 1, 0)),
        (0x06, struct.pack("<HH3s", 1, 0, b"\0\0\0") + b"\0\0\0\0\0\0\xff\xff\0\0"), (0x07, b"\3abc"), EOF,
    )  # fmt: skip
    assert read(stream).text.split("\n") == ["大阪\t1,234,567\t9\tTRUE", "abc", "1234567"]


def test_a_password_is_noticed() -> None:
    with pytest.raises(EncryptedError):
        read(biff(bof(0x05), (0x2F, b"\1\0\1\0\1\0"), EOF))


def test_what_is_no_workbook_is_refused() -> None:
    with pytest.raises(CorruptError):
        read(b"\xff\xff\0\0")


def test_a_broken_record_costs_only_itself() -> None:
    reading = read(biff(bof(0x05), EOF, bof(), (0x203, b"\0"), (0x203, at(0, 0) + struct.pack("<d", 5)), EOF)[:-6])
    assert (reading.text, len(reading.missed)) == ("5", 1) if reading.text else ("", 2)


def test_a_small_file_that_repeats_a_long_text_ends_quickly() -> None:
    text = struct.pack("<HB", 32_000, 0) + b"x" * 8000
    before = (sst(text)[0], sst(text)[1]), *((CONTINUE, b"\0" + b"x" * 8000) for _ in range(3))
    assert lines(*(label(row, 0, 0) for row in range(3000)), before=before) == ["x" * 32_000]


def test_reading_ends_when_there_is_enough() -> None:
    cells = biff(*(label(row, 0, 0) for row in range(60_000)))
    stream = biff(bof(0x05), sst(struct.pack("<HB", 900, 0) + b"y" * 900), EOF, bof()) + cells
    with pytest.raises(EnoughError):
        read(stream, max_chars=1_000_000)


def test_a_file_that_is_a_stream_without_a_compound_file_is_read() -> None:
    body = biff((0x09, struct.pack("<HH", 2, 0x10)), (0x04, struct.pack("<HH3sB", 0, 0, b"\0\0\0", 3) + b"old"), EOF)
    extracted = parse(body, kind_of(body, "folder/old.XLS", None), 1000)
    assert (extracted.status, extracted.mime_type, extracted.content) == ("ok", "application/vnd.ms-excel", "old")
