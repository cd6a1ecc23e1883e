"""Files inside other files."""

import struct
import zlib

import pytest

from testing.compound_files import compound
from testing.corpus_bodies import DATA, SAMPLES
from testing.messages import attachment, message
from testing.presentations import presentation, record
from worker.core.extract.readers import embedded, excel, powerpoint, word97
from worker.core.extract.readers.compound import Compound
from worker.core.extract.reading import Reading
from worker.core.extract.result import Properties

VISIT = SAMPLES / "議事録/2026-04 東京都 訪問記録.doc"
INNER = message({0x0037: "内部"})
"""A document that any reader of compound files can read: a message with a subject."""


def native(name: bytes, body: bytes) -> bytes:
    head = b"\2\0" + name + b"\0" + b"C:\\" + name + b"\0" + bytes(4) + struct.pack("<I", 3) + b"C:\0"
    return bytes(4) + head + struct.pack("<I", len(body)) + body


def inside(streams: dict[str, bytes]) -> Reading:
    reading = Reading(10**6)
    body = compound({f"ObjectPool/_1/{path}": stream for path, stream in streams.items()})
    embedded.read_object(Compound(body), "ObjectPool/_1", "_1", reading)
    return reading


def test_a_document_in_a_storage_is_read() -> None:
    assert inside(INNER).text == "Subject: 内部\n内部"


def test_a_packaged_file_is_read_with_its_name() -> None:
    assert (
        inside({"\x01Ole10Native": native("メモ.txt".encode("cp932"), "覚え書き".encode())}).text
        == "メモ.txt\n覚え書き"
    )


def test_a_package_is_read() -> None:
    package = (DATA / "reach" / "docx_tabs.docx").read_bytes()
    assert "Penelope" in inside({"package": package}).text
    assert "Penelope" in inside({"Package": package}).text


def test_what_an_object_says_about_itself_is_not_said_of_the_whole_file() -> None:
    assert inside(INNER).said == Properties()


def test_an_object_that_is_broken_is_noted() -> None:
    reading = inside({"\x01Ole10Native": b"\0\0\0\0\2\0name without an end"})
    assert reading.missed == ["_1: a packaged file is truncated"]


def test_objects_of_a_word_document_are_read() -> None:
    outer = Compound(VISIT.read_bytes())
    streams = {name: outer.stream(name) for name in ("WordDocument", "1Table")}
    pool = {f"ObjectPool/_12/{path}": body for path, body in INNER.items()}
    reading = Reading(10**6)
    word97.read(Compound(compound(streams | pool)), reading)
    assert reading.text.endswith("Subject: 内部\n内部")


def test_objects_of_a_workbook_are_read() -> None:
    book = struct.pack("<HHHHHHII", 0x809, 16, 0x600, 5, 0, 0, 0, 0) + struct.pack("<HH", 0x0A, 0)
    streams = {"Workbook": book} | {f"MBD0018D4CE/{path}": body for path, body in INNER.items()}
    reading = Reading(10**6)
    excel.read(Compound(compound(streams)), reading)
    assert reading.text.startswith("Subject: 内部")


def test_objects_of_a_presentation_are_read() -> None:
    body = compound(INNER)
    packed = record(0x1011, struct.pack("<I", len(body)) + zlib.compress(body), instance=1)
    stream, user = presentation({1: packed, 2: record(0x1011, body)})
    reading = Reading(10**6)
    powerpoint.Presentation(stream, user).read(reading)
    assert reading.text.split("\n") == 2 * ["Subject: 内部", "内部"]


def test_files_are_opened_to_a_depth() -> None:
    body = compound(message({0x0037: "level 0"}))
    for level in range(1, 7):
        body = compound(message({0x0037: f"level {level}"}) | attachment(0, "a.msg", body))
    reading = Reading(10**6)
    embedded.read(body, "a.msg", reading)
    assert "level 4" in reading.text
    assert "level 3" not in reading.text


def test_what_is_inflated_is_bounded_for_all_objects_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "MAX_OBJECT_BYTES", 5000)
    body = compound(INNER)
    packed = struct.pack("<I", len(body)) + zlib.compress(body)
    reading = Reading(10**6)
    for _ in range(9):
        embedded.read_file(packed, reading, compressed=True)
    assert reading.inside_bytes == 5000
