"""WordprocessingML: the words of each kind of element, once, in their order."""

import io
import json
import zipfile
from pathlib import Path

import pytest

from testing.packages import OOXML, R, docx, package, paragraph, part, zipped
from worker.core.extract.faults import CorruptError
from worker.core.extract.readers import word
from worker.core.extract.readers.zipped import Container
from worker.core.extract.reading import Reading

CASES = Path("tests/data/reach")
EXPECTED = {one["file"]: one["phrases"] for one in json.loads((CASES / "expect.json").read_text())}


def read(body: bytes) -> Reading:
    reading = Reading(100_000)
    word.read(Container(body), reading)
    return reading


def text_of(body: str) -> str:
    return read(docx(body)).text


def run(content: str) -> str:
    return f"<w:r>{content}</w:r>"


def text(value: str) -> str:
    return run(f"<w:t>{value}</w:t>")


FIELD = (
    '<w:r><w:fldChar w:fldCharType="begin"/></w:r><w:r><w:instrText>{}</w:instrText></w:r>'
    '<w:r><w:fldChar w:fldCharType="separate"/></w:r>{}<w:r><w:fldChar w:fldCharType="end"/></w:r>'
)
FRACTION = "<m:f><m:num><m:r><m:t>a</m:t></m:r></m:num><m:den><m:r><m:t>b</m:t></m:r></m:den></m:f>"
VML = '<v:shape alt="a crane"><v:imagedata o:title="photo"/><v:textpath string="DRAFT"/></v:shape>'
BOX = (
    "<w:r><mc:AlternateContent><mc:Choice Requires='wps'><w:drawing><wps:txbx><w:txbxContent>{0}</w:txbxContent></wps:txbx>"
    "</w:drawing></mc:Choice><mc:Fallback><w:pict><v:textbox><w:txbxContent>{0}</w:txbxContent></v:textbox></w:pict>"
    "</mc:Fallback></mc:AlternateContent></w:r>"
)


@pytest.mark.parametrize("name", [name for name in EXPECTED if name.endswith(".docx")])
def test_every_case_is_found(name: str) -> None:
    reading = read((CASES / name).read_bytes())
    assert not reading.missed
    assert [phrase for phrase in EXPECTED[name] if phrase not in reading.text] == []


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (text("AT&amp;T") + text("と") + text("R&amp;D"), "AT&TとR&D"),
        (run("<w:t>a</w:t><w:tab/><w:t>b</w:t><w:ptab/><w:t>c</w:t>"), "a\tb\tc"),
        (f'<w:pPr><w:tabs><w:tab w:val="left" w:pos="720"/></w:tabs></w:pPr>{text("a")}', "a"),
        (run("<w:t>a</w:t><w:br/><w:t>b</w:t><w:cr/><w:t>c</w:t>"), "a\nb\nc"),
        (run("<w:t>co</w:t><w:noBreakHyphen/><w:t>operation</w:t>"), "co-operation"),
        (run("<w:t>Donau</w:t><w:softHyphen/><w:t>dampf</w:t>"), "Donaudampf"),
        (run('<w:sym w:font="Symbol" w:char="F061"/><w:t>-test</w:t>'), "α-test"),
        (run('<w:sym w:font="Wingdings" w:char="F0FC"/><w:t>done</w:t>'), " done"),
        (run('<w:sym w:font="Arial" w:char="00A9"/><w:t>2026</w:t>'), "©2026"),
        (run('<w:sym w:font="Arial" w:char="ZZ"/><w:t>2026</w:t>'), "2026"),
        (text("東") + f"<w:ins>{text('京')}</w:ins><w:del>{run('<w:t>北</w:t>')}</w:del>" + text("都"), "東京都"),
        (f"<w:moveFrom>{text('gone ')}</w:moveFrom><w:moveTo>{text('here')}</w:moveTo>", "here"),
        (run("<w:rPr><w:vanish/></w:rPr><w:t>hidden</w:t>"), "hidden"),
        (f'<w:hyperlink r:id="r1">{text("a link")}</w:hyperlink>', "a link"),
        (f'<w:hyperlink r:id="r1" w:tooltip="a tip">{text("a link")}</w:hyperlink>', "a link\na tip"),
        (f'<w:fldSimple w:instr="DATE">{text("4 May")}</w:fldSimple>', "4 May"),
        (FIELD.format("PAGE", text("17")), "17"),
        (FIELD.format(' HYPERLINK "https://example.com/a" ', text("see")), "see\nhttps://example.com/a"),
        (FIELD.format(r"EQ \* jc2 \o\ad(\s\up 9(とう),東)", "") + text("京"), "東京\nとう"),
        (f"<m:oMath><m:r><m:t>x=</m:t></m:r>{FRACTION}</m:oMath>", "x=a/b"),
        (text("see") + '<w:bookmarkStart w:name="_GoBack"/><w:bookmarkStart w:name="annex_b"/>', "see\nannex_b"),
        ('<w:r><w:drawing><wp:docPr name="Picture 1" descr="a heron" title="鷺"/></w:drawing></w:r>' + text("bird"),
         "bird\n鷺\na heron"),
        (f"<w:r><w:pict>{VML}</w:pict></w:r>" + text("bird"), "bird\na crane\nphoto\nDRAFT"),
        (text("before ") + BOX.format(paragraph("in the box")) + text("after"), "before after\nin the box"),
    ],
)  # fmt: skip
def test_a_paragraph_is_read_as_it_is_shown(content: str, expected: str) -> None:
    assert text_of(f"<w:p>{content}</w:p>") == expected


def ruby(base: str, reading: str) -> str:
    return f"<w:r><w:ruby><w:rt>{text(reading)}</w:rt><w:rubyBase>{text(base)}</w:rubyBase></w:ruby></w:r>"


def test_ruby_keeps_the_words_together_and_its_readings_follow() -> None:
    content = ruby("東", "とう") + ruby("京", "きょう") + text("の") + ruby("紫陽花", "あじさい") + text("が咲く")
    assert text_of(f"<w:p>{content}</w:p>") == "東京の紫陽花が咲く\nとうきょう あじさい"


def test_a_paragraph_whose_mark_was_deleted_continues_in_the_next_one() -> None:
    mark = "<w:pPr><w:rPr><w:del/></w:rPr></w:pPr>"
    assert text_of(f"<w:p>{mark}{text('見積')}</w:p>" + paragraph("書") + paragraph("end")) == "見積書\nend"
    assert text_of(f"<w:p>{mark}{text('last')}</w:p>") == "last"


def cell(content: str) -> str:
    return f"<w:tc>{content}</w:tc>"


def row(*cells: str) -> str:
    return f"<w:tr>{''.join(cells)}</w:tr>"


def test_a_row_is_a_line_and_a_table_in_it_follows() -> None:
    inner = f"<w:tbl>{row(cell(paragraph('内')), cell(paragraph('側')))}</w:tbl>"
    outer = row(cell(paragraph("品名") + inner + paragraph("型番")), cell(paragraph("単価")))
    deleted = f"<w:tr><w:trPr><w:del/></w:trPr>{cell(paragraph('gone'))}</w:tr>"
    described = '<w:tblPr><w:tblCaption w:val="caption"/><w:tblDescription w:val="about"/></w:tblPr>'
    assert text_of(f"<w:tbl>{described}{outer}{deleted}</w:tbl>{paragraph('end')}") == (
        "caption\nabout\n品名\n型番\t単価\n内\t側\nend"
    )


def control(properties: str, content: str) -> str:
    return f"<w:sdt><w:sdtPr>{properties}</w:sdtPr><w:sdtContent>{content}</w:sdtContent></w:sdt>"


@pytest.mark.parametrize(
    ("properties", "content", "expected"),
    [
        ('<w:alias w:val="Owner"/>', "Mori", "Owner\nMori\nend"),
        ("<w:showingPlcHdr/>", "Click here to enter text.", "end"),
        ("<w:showingPlcHdr/>", "アイテムを選択してください。", "end"),
        ("<w:showingPlcHdr/>", "[会社名を入力]", "[会社名を入力]\nend"),
        ("", "Choose an item.", "Choose an item.\nend"),
        ('<w:dropDownList><w:listItem w:displayText="赤" w:value="1"/><w:listItem w:value="青"/></w:dropDownList>', "赤",
         "赤\t青\n赤\nend"),
    ],
)  # fmt: skip
def test_a_control_has_its_content_and_choices_but_not_the_prompt_of_word(
    properties: str, content: str, expected: str
) -> None:
    assert text_of(control(properties, paragraph(content)) + paragraph("end")) == expected


def test_form_fields_have_their_entries_defaults_and_help() -> None:
    drop_down = (
        '<w:r><w:fldChar w:fldCharType="begin"><w:ffData><w:helpText w:val="help"/><w:ddList><w:result w:val="1"/>'
        '<w:listEntry w:val="north"/><w:listEntry w:val="south"/></w:ddList></w:ffData></w:fldChar></w:r>'
    )
    given = "<w:r><w:fldChar><w:ffData><w:textInput><w:default w:val='write here'/></w:textInput></w:ffData></w:fldChar></w:r>"
    assert text_of(f"<w:p>{text('to the ')}{drop_down}{given}</w:p>") == (
        "to the south\nhelp\nnorth\tsouth\nwrite here"
    )


def test_what_stands_beside_the_text_follows_it_each_header_once() -> None:
    parts = {
        "word/h1.xml": part("w:hdr", paragraph("社外秘")),
        "word/h2.xml": part("w:hdr", paragraph("社外秘")),
        "word/f.xml": part("w:ftr", paragraph("page")),
        "word/n.xml": part("w:footnotes", f"<w:footnote>{paragraph('note')}</w:footnote>"),
        "word/e.xml": part("w:endnotes", f"<w:endnote>{paragraph('endnote')}</w:endnote>"),
        "word/c.xml": part("w:comments", f'<w:comment w:author="佐藤">{paragraph("要確認")}</w:comment>'),
    }
    links = [
        ("comments", "c.xml"), ("endnotes", "e.xml"), ("footnotes", "n.xml"), ("footer", "f.xml"), ("header", "h1.xml"),
        ("header", "/word/h2.xml"), ("hyperlink", "https://example.com/x"),
    ]  # fmt: skip
    reading = read(docx(paragraph("main"), parts, links))
    assert reading.text == "main\n社外秘\npage\nnote\nendnote\n佐藤\n要確認\nhttps://example.com/x"
    assert not reading.missed


def test_parts_are_found_by_their_names_if_there_are_no_relationships() -> None:
    body = zipped(
        {
            "[Content_Types].xml": "broken",
            "Word/Document.xml": part("w:document", paragraph("main")),
            "Word/footer1.xml": part("w:ftr", paragraph("footer")),
            "Word/header2.xml": part("w:hdr", paragraph("header")),
        }
    )
    assert Container(body).document_type() == OOXML + "wordprocessingml.document"
    assert read(body).text == "main\nheader\nfooter"


def test_a_strict_document_is_read() -> None:
    body = docx(paragraph("strict"), {"word/h.xml": part("w:hdr", paragraph("header"))}, [("header", "h.xml")])
    strict = zipped(
        {
            name: data.replace(R, "http://purl.oclc.org/ooxml/officeDocument/relationships").replace(
                "http://schemas.openxmlformats.org/wordprocessingml/2006/main",
                "http://purl.oclc.org/ooxml/wordprocessingml/main",
            )
            for name, data in _members(body).items()
        }
    )
    assert read(strict).text == "strict\nheader"


def _members(body: bytes) -> dict[str, str]:
    container = Container(body)
    return {name: container.read(name).decode() for name in container.names}


def test_a_broken_part_costs_only_itself() -> None:
    parts = {
        "word/h.xml": "no XML",
        "word/n.xml": part("w:footnotes", paragraph("note")).replace("</w:footnotes>", ""),
    }
    reading = read(
        docx(paragraph("main"), parts, [("header", "h.xml"), ("footer", "none.xml"), ("footnotes", "n.xml")])
    )
    assert reading.text == "main\nnote"
    assert [sentence.partition(".xml")[0] for sentence in reading.missed] == ["word/none", "word/h", "word/n"]


def test_a_flipped_bit_in_the_main_part_leaves_the_others() -> None:
    body = docx(paragraph("main " * 50), {"word/h.xml": part("w:hdr", paragraph("header"))}, [("header", "h.xml")])
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        at = archive.getinfo("word/document.xml").header_offset + 60
    broken = bytearray(body)
    broken[at] ^= 0xFF
    reading = read(bytes(broken))
    assert reading.text == "header"
    assert len(reading.missed) == 1


def test_an_unreadable_document_is_not_saved_by_its_properties() -> None:
    core = "<cp:coreProperties xmlns:cp='x' xmlns:dc='y'><dc:title>Title</dc:title></cp:coreProperties>"
    links = {"": [("officeDocument", "word/document.xml"), ("core-properties", "docProps/core.xml")]}
    for main, text_found in (("no XML", ""), (part("w:document", paragraph("main")), "main\nTitle")):
        reading = read(package({"word/document.xml": main, "docProps/core.xml": core}, links, {}))
        assert reading.text == text_found
        assert reading.said.title == "Title"
    with pytest.raises(CorruptError, match="no main part"):
        read(zipped({"[Content_Types].xml": "<Types/>"}))


@pytest.mark.parametrize(
    ("name", "chunk"),
    [
        ("c.html", "<html><body><p>taken in</p></body></html>"),
        ("c.txt", "taken in"),
        ("c.rtf", r"{\rtf1 taken in}"),
        ("c.mht", "MIME-Version: 1.0\r\nContent-Type: text/html\r\n\r\n<p>taken in</p>"),
        ("c.docx", docx(paragraph("taken in"))),
    ],
)
def test_a_chunk_of_another_format_is_read(name: str, chunk: bytes | str) -> None:
    reading = read(docx(paragraph("main"), {f"word/{name}": chunk}, [("aFChunk", name)]))
    assert reading.text == "main\ntaken in"


def test_a_document_that_contains_itself_ends() -> None:
    inner = docx(paragraph("in"))
    for _ in range(10):
        inner = docx(paragraph("in"), {"word/c.docx": inner}, [("aFChunk", "c.docx")])
    assert read(inner).text == "\n".join(["in"] * (word.MAX_DEPTH + 1))


def test_deep_nesting_ends_and_what_nests_deeper_than_any_document_is_noted() -> None:
    assert read(docx("<w:p><w:r><w:t>x</w:t>" * 900 + "</w:r></w:p>" * 900)).text == "\n".join("x" * 900)
    assert read(docx("<w:p><w:r><w:t>x</w:t>" * 1500)).missed
