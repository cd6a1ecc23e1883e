from email.message import EmailMessage

import pytest

from benchmarks.recall.independent import PanicError, Tool, TooLongError, format_of, read_by
from benchmarks.recall.packages import declared, tools
from benchmarks.recall.phrases import Block


def blocks(name, path):
    (tool,) = (tool for tool in tools() if tool.name == name)
    return read_by(tool, path)


def test_a_document_of_word_is_read_with_its_header_and_comments(tmp_path):
    docx = pytest.importorskip("docx")
    document = docx.Document()
    paragraph = document.add_paragraph("見積書の本文")
    document.add_table(1, 1).cell(0, 0).text = "in a cell"
    document.sections[0].header.paragraphs[0].text = "in the header"
    document.add_comment(paragraph.runs, "in a comment")
    document.save(tmp_path / "a.docx")

    assert blocks("python-docx", tmp_path / "a.docx") == [
        Block("見積書の本文"),
        Block("in a cell"),
        Block("in the header", "header"),
        Block("in a comment", "comment"),
    ]


def test_texts_of_a_workbook_are_read_and_numbers_are_not(tmp_path):
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    book.active.title = "経理"
    book.active.append(["請求書", 45761])
    book.active["A1"].comment = openpyxl.comments.Comment("in a comment", "someone")
    book.save(tmp_path / "a.xlsx")

    assert blocks("openpyxl", tmp_path / "a.xlsx") == [
        Block("経理", "sheet name"),
        Block("請求書"),
        Block("in a comment", "comment"),
    ]


def test_slides_are_read_with_their_notes(tmp_path):
    pptx = pytest.importorskip("pptx")
    show = pptx.Presentation()
    slide = show.slides.add_slide(show.slide_layouts[5])
    slide.shapes.title.text = "東京都庁舎"
    slide.notes_slide.notes_text_frame.text = "in the notes"
    show.save(tmp_path / "a.pptx")

    assert blocks("python-pptx", tmp_path / "a.pptx") == [Block("東京都庁舎"), Block("in the notes", "notes")]


def test_html_is_read_by_its_lines_without_code_and_without_readings(tmp_path):
    pytest.importorskip("bs4")
    (tmp_path / "a.html").write_text(
        "<title>Moon</title><script>var x</script><p>one <b>bo</b>ld\nword</p><ul><li>two<li>three</ul>"
        "<ruby>紫陽花<rt>あじさい</rt></ruby>が咲く"
    )

    texts = [block.text.strip() for block in blocks("beautifulsoup4", tmp_path / "a.html")]

    assert texts == ["Moon", "one bold word", "two", "three", "紫陽花が咲く"]


def test_a_mail_is_read_with_its_subject_and_without_attachments(tmp_path):
    mail = EmailMessage()
    mail["Subject"] = "会議のお知らせ"
    mail.set_content("first line\nsecond line\n")
    mail.add_attachment("attached", filename="a.txt")
    (tmp_path / "a.eml").write_bytes(mail.as_bytes())

    assert blocks("email (Python)", tmp_path / "a.eml") == [
        Block("会議のお知らせ", "subject"),
        Block("first line"),
        Block("second line"),
    ]


@pytest.mark.parametrize(
    ("folder", "name"), [("EUC-JP", "euc_jp"), ("Shift_JIS", "cp932"), ("EUC-KR", "cp949"), ("letters", None)]
)
def test_the_folder_may_name_the_charset(tmp_path, folder, name):
    tool = declared(tmp_path / folder / "a.txt")

    assert (tool and tool.name) == (name and f"Python's {name}")


def test_a_tool_that_takes_too_long_is_interrupted(tmp_path, monkeypatch):
    monkeypatch.setattr("benchmarks.recall.independent.READ_TIMEOUT_S", 1)

    def read(_path):
        while True:
            pass

    with pytest.raises(TooLongError, match="took longer than 1 s"):
        read_by(Tool("slow", None, read), tmp_path)


def test_a_panic_is_the_fault_of_one_file(tmp_path):
    class PanicException(BaseException):
        pass

    def read(_path):
        raise PanicException("no entry found")

    with pytest.raises(PanicError, match="no entry found"):
        read_by(Tool("rusty", None, read), tmp_path)


@pytest.mark.parametrize(
    ("name", "form"), [("a.DOCM", "docx"), ("a.htm", "html"), ("a.xlsb", "xlsb"), ("README", "none")]
)
def test_the_format_is_that_of_the_extension(tmp_path, name, form):
    assert format_of(tmp_path / name) == form
