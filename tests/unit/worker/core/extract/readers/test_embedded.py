"""Objects embedded in documents: each is read as a file of its own, within bounds."""

import struct

import pytest

from testing.compound_files import compound
from testing.corpus_bodies import DATA
from testing.packages import docx, package, paragraph, part, shape, slide
from worker.core.extract.readers import embedded, slides, word
from worker.core.extract.readers.zipped import Container
from worker.core.extract.reading import Reading


def native(label: str, body: bytes, *, wide: str = "") -> bytes:
    """A file behind an icon, as the Packager of Windows writes it."""
    path = b"C:\\tmp\\x\0"
    data = struct.pack("<H", 2) + label.encode("cp932") + b"\0" + path + struct.pack("<II", 0x30000, len(path)) + path
    data += struct.pack("<I", len(body)) + body
    if wide:
        for text in ("C:\\tmp\\x", wide):
            data += struct.pack("<I", len(text)) + text.encode("utf-16-le")
    return struct.pack("<I", len(data)) + data


def with_objects(*objects: tuple[str, bytes], kind: str = "package") -> bytes:
    parts = {f"word/embeddings/{name}": body for name, body in objects}
    return docx(paragraph("outer"), parts, [(kind, f"embeddings/{name}") for name, _ in objects])


def read(body: bytes) -> Reading:
    reading = Reading(100_000)
    word.read(Container(body), reading)
    return reading


def test_a_document_in_a_document_is_read_but_does_not_speak_for_it() -> None:
    core = "<c xmlns:dc='y'><dc:title>inner title</dc:title></c>"
    inner = package(
        {"word/document.xml": part("w:document", paragraph("inner")), "core.xml": core},
        {"": [("officeDocument", "word/document.xml"), ("core-properties", "core.xml")]},
        {},
    )
    reading = read(with_objects(("a.docx", inner)))
    assert reading.text == "outer\ninner\ninner title"
    assert reading.said.title is None


@pytest.mark.parametrize(
    ("streams", "expected"),
    [
        ({"\x01Ole10Native": native("note.txt", "見積書の控え".encode())}, "outer\nnote.txt\n見積書の控え"),
        ({"\x01Ole10Native": native("控え.txt", b"text")}, "outer\n控え.txt\ntext"),
        ({"\x01Ole10Native": native("?.txt", b"text", wide="控え.txt")}, "outer\n控え.txt\ntext"),
        ({"\x01Ole10Native": native("a.png", b"\x89PNG\r\n\x1a\n")}, "outer\na.png"),
        ({"\x01Ole10Native": b"\x30\0\0\0BM" + bytes(48)}, "outer"),
        ({"Package": docx(paragraph("in a package"))}, "outer\nin a package"),
        ({"CONTENTS": b"{\\rtf1 contents}"}, "outer\ncontents"),
        ({"other": b"nothing"}, "outer"),
    ],
)
def test_an_object_of_ole_is_opened(streams: dict[str, bytes], expected: str) -> None:
    reading = read(with_objects(("oleObject1.bin", compound(streams)), kind="oleObject"))
    assert reading.text == expected
    assert not reading.missed


def test_an_object_on_a_slide_is_read() -> None:
    body = package(
        {
            "ppt/presentation.xml": part("p:presentation", ""),
            "ppt/slides/slide1.xml": slide(shape("shown")),
            "ppt/a.docx": docx(paragraph("embedded")),
        },
        {
            "": [("officeDocument", "ppt/presentation.xml")],
            "ppt/presentation.xml": [("slide", "slides/slide1.xml")],
            "ppt/slides/slide1.xml": [("package", "../a.docx"), ("oleObject", "https://example.com/linked.xlsx")],
        },
        {},
    )
    reading = Reading(1000)
    slides.read(Container(body), reading)
    assert reading.text == "shown\nembedded"
    assert not reading.missed


@pytest.mark.parametrize(
    "body",
    [
        (DATA / "encrypted.docx").read_bytes(),
        b"PK\x03\x04 broken",
        compound({"\x01Ole10Native": b"\x00\x00\x00\x00\x02\x00"}),
        compound({"\x01Ole10Native": native("a.txt", b"x" * 100)[:30]}),
    ],
)
def test_an_encrypted_or_broken_object_costs_only_itself(body: bytes) -> None:
    reading = read(with_objects(("a.docx", body), ("b.docx", docx(paragraph("whole")))))
    assert reading.text == "outer\nwhole"
    assert len(reading.missed) == 1


def test_a_file_that_contains_itself_ends() -> None:
    body = docx(paragraph("in"))
    for _ in range(10):
        body = docx(paragraph("in"), {"word/a.docx": body}, [("package", "a.docx")])
    assert read(body).text == "\n".join(["in"] * (embedded.MAX_DEPTH + 1))


def test_only_so_many_objects_and_bytes_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    inner = docx(paragraph("inner"))
    monkeypatch.setattr(embedded, "MAX_OBJECTS", 2)
    assert read(with_objects(*((f"{n}.docx", inner) for n in range(5)))).text.count("inner") == 2
    monkeypatch.setattr(embedded, "MAX_OBJECTS", 9)
    monkeypatch.setattr(embedded, "MAX_OBJECT_BYTES", 3 * len(inner))
    assert read(with_objects(*((f"{n}.docx", inner) for n in range(5)))).text.count("inner") == 3
