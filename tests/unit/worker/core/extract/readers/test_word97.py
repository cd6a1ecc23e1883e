"""Word 97 to 2003."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testing.compound_files import compound
from testing.corpus_bodies import DATA, SAMPLES
from testing.property_sets import FILETIME_2024, filetime, page, property_stream, text
from worker.core.extract.faults import CorruptError, EncryptedError
from worker.core.extract.readers import word97
from worker.core.extract.readers.compound import Compound
from worker.core.extract.reading import Reading
from worker.core.extract.result import Properties

VISIT = SAMPLES / "議事録/2026-04 東京都 訪問記録.doc"
START = 1024
"""Where the text begins: after the header, and on a page boundary."""


def reading_of(body: bytes) -> Reading:
    reading = Reading(10**6)
    word97.read(Compound(body), reading)
    return reading


def document(
    *pieces: str | bytes,
    structures: dict[int, bytes] | None = None,
    streams: dict[str, bytes] | None = None,
    tail: bytes = b"",
) -> bytes:
    """A document of pieces, each in UTF-16 or in one byte a character, and structures of the table stream by their number."""
    word, table, positions, places = bytearray(START), b"", [0], b""
    for piece in pieces:
        at = len(word) if isinstance(piece, str) else 2 * len(word) | 0x4000_0000
        places += struct.pack("<HIH", 0, at, 0)
        word += piece.encode("utf-16-le") if isinstance(piece, str) else piece
        positions.append(positions[-1] + len(piece))
    word += bytes(-len(word) % 512)
    plc = struct.pack(f"<{len(positions)}I", *positions) + places
    for number, raw in ({33: b"\2" + struct.pack("<I", len(plc)) + plc} | (structures or {})).items():
        struct.pack_into("<II", word, 0x9A + 8 * number, len(table), len(raw))
        table += raw
    struct.pack_into("<HHHHHH", word, 0, 0xA5EC, 0xC1, 0, 0x411, 0, 0x200)
    return compound({"WordDocument": bytes(word) + tail, "1Table": table, **(streams or {})})


def names(*values: str) -> bytes:
    return b"".join(struct.pack("<H", len(value)) + value.encode("utf-16-le") for value in values)


def test_japanese_is_read() -> None:
    assert reading_of(VISIT.read_bytes()).text.startswith("訪問記録 (2026年4月21日)\n訪問先: 東京都")


def test_english_is_read() -> None:
    assert "Miyakodori" in reading_of((DATA / "correspondence.doc").read_bytes()).text


def test_ruby_is_read() -> None:
    assert reading_of((DATA / "reach" / "tika_testWORD_phonetic.doc").read_bytes()).text.startswith(
        "東京\nとうきょう\n"
    )


def test_pieces_of_both_widths_are_joined() -> None:
    assert reading_of(document("見積", b"er\xfc\x93quote\x94\r", "書")).text == "見積erü“quote”\n書"


def test_what_was_deleted_while_changes_were_tracked_is_not_read() -> None:
    run = struct.pack("<4I", START, START + 12, START + 17, START + 21) + bytes([0, 240, 0])
    page_of_runs = run.ljust(480, b"\0") + bytes([3]) + b"\x00\x08\x01"
    table = struct.pack("<III", START, START + 21, (START + 512) // 512)
    body = document(
        b"September 17" + b"kept?" + b"28th", structures={12: table}, tail=page_of_runs.ljust(511, b"\0") + b"\3"
    )
    assert reading_of(body).text == "September 1728th"


def test_names_of_commenters_and_bookmarks_are_read() -> None:
    structures = {36: names("佐藤", "佐藤", "Ann"), 21: struct.pack("<HHH", 0xFFFF, 2, 0) + names("_Toc1", "Summary")}
    assert reading_of(document("text\r", structures=structures)).text == "text\n佐藤\nAnn\nSummary"


def test_an_alternative_text_is_read() -> None:
    alt = "地図".encode("utf-16-le") + b"\0\0"
    options = struct.pack("<HI", 0x8381, len(alt)) + alt
    record = struct.pack("<HHI", 0x13, 0xF00B, len(options)) + options
    container = struct.pack("<HHI", 0xF, 0xF004, len(record)) + record
    assert reading_of(document("text\r", structures={50: container})).text == "text\n地図"


def test_the_entries_of_a_drop_down_field_are_read() -> None:
    strings = b"\1\0N\0\0\0" + struct.pack("<H", 0) + 5 * b"\0\0\0\0"
    choices = struct.pack("<HHH", 0xFFFF, 2, 0) + names("赤", "Blue")
    data = struct.pack("<IH62x", 400, 0x44) + b"\xff\xff\xff\xff\2\0\0\0\0\0" + strings + choices
    body = document("\x13 FORMDROPDOWN \x15", streams={"Data": data})
    assert reading_of(body).text == "赤\nBlue"


def test_properties_are_read() -> None:
    summary = property_stream({1: page(932), 2: text("見積".encode("cp932")), 12: filetime(FILETIME_2024)})
    reading = reading_of(document("text\r", streams={"\x05SummaryInformation": summary}))
    assert reading.said == Properties("見積", None, "2024-01-01T00:00:00+00:00", None)
    assert reading.text == "text\n見積"


def test_a_table_stream_with_the_other_name_is_found() -> None:
    body = document("text").replace("1Table".encode("utf-16-le"), "0Table".encode("utf-16-le"))
    assert reading_of(body).text == "text"


def test_a_password_is_noticed() -> None:
    with pytest.raises(EncryptedError):
        reading_of((DATA / "encrypted.doc").read_bytes())


def test_pieces_that_repeat_the_text_without_end_are_bounded() -> None:
    pieces = 2000
    plc = struct.pack(f"<{pieces + 1}I", *range(0, 1000 * (pieces + 1), 1000))
    plc += pieces * struct.pack("<HIH", 0, 2 * START | 0x4000_0000, 0)
    body = document(b"x" * 1000, structures={33: b"\2" + struct.pack("<I", len(plc)) + plc})
    assert len(reading_of(body).text) <= len(body)


@given(st.integers(0, 60_000), st.binary(min_size=1, max_size=64))
def test_whatever_is_overwritten_ends_in_text_or_a_known_fault(at: int, noise: bytes) -> None:
    body = bytearray(VISIT.read_bytes())
    body[at % len(body) : at % len(body) + len(noise)] = noise
    try:
        found = reading_of(bytes(body)).text
    except (CorruptError, EncryptedError):
        return
    assert len(found) <= 2 * len(body)
