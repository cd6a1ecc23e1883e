import pytest

from benchmarks.recall.phrases import Block
from benchmarks.recall.programs import Tika, tools


@pytest.fixture
def tika(tmp_path, monkeypatch):
    """A Tika that says these documents are in every file."""

    def saying(*documents):
        server = Tika(tmp_path / "tika")
        answers = [{"X-TIKA:embedded_resource_path": path, "X-TIKA:content": content} for path, content in documents]
        monkeypatch.setattr(server, "_asked", lambda _path: answers)
        return server

    return saying


def test_lines_are_blocks_and_those_of_embedded_documents_say_where(tika, tmp_path):
    read = tika(("", "one\n\ntwo"), ("/a.txt", "three")).read(tmp_path / "a.eml")

    assert [block for block in read if block.text] == [Block("one"), Block("two"), Block("three", "/a.txt")]


def test_a_text_runs_on_over_its_lines(tika, tmp_path):
    assert tika(("", "one\ntwo")).read(tmp_path / "a.txt") == [Block("one\ntwo")]


@pytest.mark.parametrize(
    ("name", "line", "text"),
    [
        ("a.docx", "1. first item", "first item"),
        ("a.doc", "\t2.1.b) second item", "second item"),
        ("a.docx", "1234567 things", "1234567 things"),
        ("a.odt", "1. typed by hand", "1. typed by hand"),
        ("a.xls", '&C&"Times New Roman,Regular"&12Page &P', "   Page  "),
        ("a.xlsx", "R&D", "R&D"),
    ],
)
def test_what_tika_adds_to_a_line_is_not_text(tika, tmp_path, name, line, text):
    assert tika(("", line)).read(tmp_path / name) == [Block(text)]


def test_names_of_embedded_files_code_and_what_cameras_note_are_not_text(tika, tmp_path):
    read = tika(("", "text\nimage1.emf"), ("/a.js", "var x"), ("/b.jpg", "Camera"), ("/c.emf", "drawn")).read(
        tmp_path / "a.docx"
    )

    assert read == [Block("text"), Block("drawn", "/c.emf")]


def program(folder, name, script):
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def test_programs_that_are_not_installed_are_named_with_their_package(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))

    assert [tool.missing for tool in tools()] == [
        "pdftotext: apt-get install poppler-utils",
        "mutool: apt-get install mupdf-tools",
        "LibreOffice: apt-get install libreoffice-writer-nogui",
    ]


def test_pages_of_a_pdf_are_blocks(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    program(tmp_path, "pdftotext", "printf 'one\\ntwo\\fthree\\f'")
    pdftotext = tools()[0]

    assert pdftotext.reads("pdf")
    assert pdftotext.read(tmp_path / "a.pdf") == [Block("one\ntwo"), Block("three"), Block("")]


def test_libreoffice_converts_in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    program(tmp_path, "soffice", 'printf "\\357\\273\\277one\\r\\ntwo\\r\\n" > "$4/a b.txt"')
    libreoffice = tools()[2]

    assert libreoffice.read(tmp_path / "a b.doc") == [Block("one"), Block("two")]
