"""OpenDocument texts, spreadsheets, presentations: text in blocks, and what stands beside it."""

import io
import zipfile

import pytest

from testing.corpus_bodies import DATA
from worker.core.extract.kinds import kind_of
from worker.core.extract.parse import parse
from worker.core.extract.readers import opendocument
from worker.core.extract.readers.opendocument_text import MAX_REPEATED
from worker.core.extract.readers.zipped import Container
from worker.core.extract.reading import EnoughError, Reading

NAMES = " ".join(
    f'xmlns:{name}="urn:oasis:names:tc:opendocument:xmlns:{full}:1.0"'
    for name, full in {
        "office": "office", "text": "text", "table": "table", "draw": "drawing", "style": "style", "svg": "svg-compatible",
        "presentation": "presentation", "form": "form", "meta": "meta", "chart": "chart",
    }.items()
) + ' xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:math="http://www.w3.org/1998/Math/MathML"'  # fmt: skip


def root(content: str, name: str = "document-content") -> str:
    return f'<?xml version="1.0" encoding="UTF-8"?><office:{name} {NAMES}>{content}</office:{name}>'


def body(content: str, kind: str = "text") -> str:
    return root(f"<office:body><office:{kind}>{content}</office:{kind}></office:body>")


def packed(members: dict[str, str]) -> Container:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return Container(out.getvalue())


def read(members: dict[str, str], max_chars: int = 100_000) -> Reading:
    reading = Reading(max_chars)
    opendocument.read(packed(members), reading)
    return reading


def lines(content: str, kind: str = "text", **others: str) -> list[str]:
    reading = read({"content.xml": body(content, kind), **others})
    assert reading.missed == []
    return reading.text.splitlines()


def test_each_phrase_of_the_case_is_read() -> None:
    reading = Reading(100_000)
    opendocument.read(Container((DATA / "reach/odt_parts.odt").read_bytes()), reading)
    phrases = [
        "listheader words",
        "cell list words",
        "annotation words",
        "header words",
        "footer words",
        "紫陽花が咲く",
    ]
    assert [phrase for phrase in phrases if phrase not in reading.text] == []


def test_spans_tabs_and_breaks_are_parts_of_their_paragraph() -> None:
    content = (
        "<text:p>ordi<text:span>na<text:span>ry</text:span></text:span>\n   words<text:tab/>a<text:s text:c='3'/>b"
        "<text:line-break/>株式<text:soft-page-break/>会社</text:p>"
    )
    assert lines(content) == ["ordinary words\ta b", "株式会社"]


def test_notes_boxes_and_alternative_texts_follow_the_paragraph() -> None:
    content = (
        "<text:p>before<text:note><text:note-citation>1</text:note-citation><text:note-body><text:p>note</text:p>"
        "</text:note-body></text:note><draw:frame><draw:text-box><text:p>box</text:p></draw:text-box>"
        "<svg:title>picture</svg:title><svg:desc>of a <!-- x -->lighthouse</svg:desc></draw:frame> after</text:p>"
    )
    assert lines(content) == ["before after", "note", "box", "picture", "of a lighthouse"]


def test_a_comment_is_read_with_its_author() -> None:
    comment = "<office:annotation><dc:creator>花子</dc:creator><dc:date>2026</dc:date><text:p>要確認</text:p></office:annotation>"
    assert lines(f"<text:p>契約{comment}書</text:p>") == ["契約書", "花子", "要確認"]
    row = f"<table:table><table:table-row><table:table-cell>{comment}<text:p>1</text:p></table:table-cell>"
    row += "<table:table-cell><text:p>2</text:p></table:table-cell></table:table-row></table:table>"
    assert lines(row, "spreadsheet") == ["1\t2", "花子", "要確認"]


def test_readings_follow_the_paragraph() -> None:
    ruby = "<text:ruby><text:ruby-base>{}</text:ruby-base><text:ruby-text>{}</text:ruby-text></text:ruby>"
    content = f"<text:p>{ruby.format('紫陽花', 'あじさい')}が{ruby.format('咲', 'さ')}く</text:p>"
    assert lines(content) == ["紫陽花が咲く", "あじさい さ"]


def test_deleted_text_is_not_read_and_inserted_text_is() -> None:
    deleted = (
        "<text:tracked-changes><text:changed-region><text:deletion><text:p>old</text:p></text:deletion>"
        "</text:changed-region></text:tracked-changes>"
    )
    assert lines(deleted + "<text:p>a <text:change-start/>new<text:change-end/> word</text:p>") == ["a new word"]


def test_lists_sections_and_hidden_paragraphs_are_read() -> None:
    content = (
        "<text:list><text:list-header><text:p>head</text:p></text:list-header><text:list-item><text:p>item</text:p>"
        "</text:list-item></text:list><text:section text:display='none'><text:p>section</text:p></text:section>"
        "<text:p><text:hidden-text text:string-value='hidden'/></text:p>"
    )
    assert lines(content) == ["head", "item", "section", "hidden"]


def test_bookmarks_are_read_unless_a_program_named_them() -> None:
    content = (
        "<text:p>x<text:bookmark text:name='支払条件'/><text:bookmark-start text:name='__RefHeading__1'/></text:p>"
    )
    assert lines(content) == ["x", "支払条件"]


def test_rows_have_a_tab_between_cells_and_sheets_their_name() -> None:
    cells = "<table:table-cell><text:p>{}</text:p></table:table-cell>"
    content = (
        f"<table:table table:name='集計'><table:table-row>{cells.format('一')}<table:table-cell/>"
        "<table:table-cell office:value-type='float' office:value='7'/><table:covered-table-cell><text:p>a</text:p>"
        f"<text:p>b</text:p></table:covered-table-cell></table:table-row></table:table>"
    )
    assert lines(content, "spreadsheet") == ["集計", "一\t7\ta", "b"]
    assert lines(content.replace("集計", "Table1"))[0] == "一\t7\ta"


@pytest.mark.parametrize(("count", "times"), [("3", 3), ("1000000000", MAX_REPEATED), ("-1", 1), ("9" * 5000, 1)])
def test_repeated_cells_are_bounded(count: str, times: int) -> None:
    cell = f"<table:table-cell table:number-columns-repeated='{count}'><text:p>x</text:p></table:table-cell>"
    row = f"<table:table table:name='s'><table:table-row>{cell}</table:table-row></table:table>"
    assert lines(row, "spreadsheet") == ["s", "\t".join(["x"] * times)]


def test_what_can_be_entered_in_a_cell_is_read() -> None:
    content = (
        '<table:content-validations><table:content-validation table:condition=\'of:cell-content-is-in-list("東京";"大阪")\'>'
        "<table:help-message><text:p>選ぶ</text:p></table:help-message></table:content-validation></table:content-validations>"
        "<table:named-expressions><table:named-range table:name='売上'/></table:named-expressions>"
    )
    assert lines(content, "spreadsheet") == ["東京", "大阪", "選ぶ", "売上"]


def test_slides_are_read_with_notes_and_footers_but_without_placeholders() -> None:
    content = (
        "<presentation:footer-decl presentation:name='f'>社外秘</presentation:footer-decl>"
        "<draw:page draw:name='page1'><draw:frame><draw:text-box><text:p>slide</text:p></draw:text-box></draw:frame>"
        "<draw:frame presentation:placeholder='true'><draw:text-box><text:p>Click</text:p></draw:text-box></draw:frame>"
        "<presentation:notes><draw:frame><draw:text-box><text:p>spoken</text:p></draw:text-box></draw:frame>"
        "</presentation:notes></draw:page><draw:page draw:name='結論'/>"
    )
    assert lines(content, "presentation") == ["社外秘", "slide", "spoken", "結論"]


def test_headers_and_footers_are_read_and_outlines_of_master_pages_are_not() -> None:
    masters = (
        "<office:styles><style:style><text:p>style</text:p></style:style></office:styles><office:master-styles>"
        "<style:master-page><style:header><text:p>頁頭</text:p></style:header><style:footer><text:p>foot</text:p>"
        "</style:footer><draw:frame presentation:class='outline'><draw:text-box><text:p>Click to edit</text:p>"
        "</draw:text-box></draw:frame>"
        "<draw:frame presentation:class='footer'><draw:text-box><text:p>logo</text:p></draw:text-box></draw:frame>"
        "</style:master-page></office:master-styles>"
    )
    found = lines("<text:p>body</text:p>", **{"styles.xml": root(masters, "document-styles")})
    assert found == ["body", "頁頭", "foot", "logo"]


def test_charts_and_formulas_are_read() -> None:
    chart = (
        "<chart:chart><chart:title><text:p>売上の推移</text:p></chart:title><table:table table:name='local-table'>"
        "<table:table-row><table:table-cell><text:p>四月</text:p></table:table-cell></table:table-row></table:table></chart:chart>"
    )
    formula = (
        '<math xmlns="http://www.w3.org/1998/Math/MathML"><semantics><mrow><mi>E</mi><mo>=</mo><mi>m</mi></mrow>'
        '<annotation encoding="StarMath 5.0">E = m</annotation></semantics></math>'
    )
    others = {"Object 1/content.xml": body(chart, "chart"), "Object 2/content.xml": formula}
    assert lines("<text:p>x</text:p>", **others) == ["x", "売上の推移", "四月", "E=m"]


def test_controls_of_forms_are_read() -> None:
    content = (
        "<office:forms><form:form><form:checkbox form:label='同意する' form:value='1'/>"
        "<form:textarea form:current-value='山田'/><form:listbox><form:option form:label='東京'/></form:listbox></form:form>"
        "</office:forms><text:p><text:drop-down>選択<text:label text:value='大阪'/></text:drop-down></text:p>"
    )
    assert lines(content) == ["同意する", "1", "山田", "東京", "選択", "大阪"]


def test_properties_are_read() -> None:
    meta = (
        "<office:meta><dc:title>報告</dc:title><meta:initial-creator>Ann</meta:initial-creator><dc:creator>Bob</dc:creator>"
        "<meta:creation-date>2026-05-01T09:00:00</meta:creation-date><dc:language>ja-JP</dc:language>"
        "<dc:subject>四半期</dc:subject><dc:description>note</dc:description><meta:keyword>緑屋</meta:keyword>"
        "<meta:user-defined meta:name='Project'>Apollo</meta:user-defined></office:meta>"
    )
    reading = read({"content.xml": body("<text:p>x</text:p>"), "meta.xml": root(meta, "document-meta")})
    said = reading.said
    assert (said.title, said.author, said.created, said.language) == ("報告", "Ann", "2026-05-01T09:00:00", "ja-JP")
    assert reading.text.splitlines() == ["x", "Bob", "四半期", "note", "緑屋", "Apollo"]


def test_a_broken_part_loses_only_itself() -> None:
    reading = read({
        "content.xml": body("<text:p>body</text:p>"), "styles.xml": "\0", "meta.xml": "<a", "Object 1/content.xml": "none"
    })  # fmt: skip
    assert reading.text == "body"
    assert len(reading.missed) == 3


def test_text_before_a_fault_in_the_xml_is_read() -> None:
    reading = read({"content.xml": body("<text:p>one</text:p><text:p>two</text:p>")[:-70] + "<"})
    assert reading.text.startswith("one")
    assert "content.xml is broken" in reading.missed[0]


def test_deep_elements_are_read() -> None:
    deep = "<text:section>" * 1000 + "<text:p>深い</text:p>" + "</text:section>" * 1000
    assert lines(deep + "<text:p>next</text:p>") == ["深い", "next"]


def test_reading_ends_when_there_is_enough() -> None:
    with pytest.raises(EnoughError):
        read({"content.xml": body("<text:p>0123456789</text:p>" * 10)}, max_chars=50)


def test_a_document_of_openoffice_1_is_read() -> None:
    content = (
        '<office:document-content xmlns:office="http://openoffice.org/2000/office" xmlns:text="http://openoffice.org/2000/text">'
        "<office:body><text:p>a<text:tab-stop/>b<text:footnote><text:footnote-citation>1</text:footnote-citation>"
        "<text:footnote-body><text:p>note</text:p></text:footnote-body></text:footnote></text:p></office:body>"
        "</office:document-content>"
    )
    assert read({"content.xml": content}).text.splitlines() == ["a\tb", "note"]
    body = packed({"mimetype": "application/vnd.sun.xml.writer", "content.xml": content}).body
    found = parse(body, kind_of(body[:4096], "a.sxw", None), 1000)
    assert (found.status, found.mime_type, found.content) == ("ok", "application/vnd.sun.xml.writer", "a\tb\nnote")
