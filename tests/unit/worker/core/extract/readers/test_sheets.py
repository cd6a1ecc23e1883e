"""Workbooks since Excel 2007: cells as they are shown, and every other part that people can see."""

import pytest

from testing.workbooks import cell, relationships, rows, sheet, xlsx
from worker.core.extract.readers import sheets
from worker.core.extract.readers.zipped import Container
from worker.core.extract.reading import EnoughError, Reading


def read(body: bytes, max_chars: int = 1_000_000) -> Reading:
    reading = Reading(max_chars)
    sheets.read(Container(body), reading)
    return reading


def lines(body: bytes) -> list[str]:
    reading = read(body)
    assert reading.missed == []
    return reading.text.split("\n")


def test_the_cells_of_a_row_are_separated_by_tabs_below_the_name_of_their_sheet() -> None:
    first, second = cell("0", "s") + '<c r="B1"/>' + cell("12"), cell("1", "s")
    assert lines(xlsx({"売上": rows(first, second), "空": rows()}, strings=["<t>東京</t>", "<t>大阪</t>"])) == [
        "売上", "東京\t12", "大阪", "空"
    ]  # fmt: skip


def test_numbers_and_dates_are_shown_in_the_format_of_their_cells() -> None:
    row = cell("45761") + cell("45761", style=1) + cell("1234567", style=2) + cell("0.30000000000000004")
    assert lines(xlsx({"s": rows(row)}, formats=[0, 'yyyy"年"m"月"d"日"', 3])) == [
        "s", "45761\t2025年4月14日\t1,234,567\t0.3", "2025-04-14\t1234567"
    ]  # fmt: skip


def test_the_date_system_of_1904_is_noticed() -> None:
    book = xlsx({"s": rows(cell("44299", style=0))}, formats=["yyyy/m/d"], workbook='<workbookPr date1904="1"/>')
    assert lines(book)[1] == "2025/4/14"


def test_a_date_in_iso_8601_is_shown_in_the_format_of_its_cell() -> None:
    book = xlsx({"s": rows(cell("2025-04-14T12:00:00", "d"))}, formats=["yyyy/m/d h:mm"])
    assert lines(book)[1] == "2025/4/14 12:00"


def test_runs_are_joined_and_readings_follow_the_rows() -> None:
    rich = "<r><t>株式</t></r><r><rPr/><t>会社</t></r>"
    read_as = '<t>渡り鳥</t><rPh sb="0" eb="1"><t>ワタ</t></rPh><rPh sb="2" eb="3"><t>ドリ</t></rPh>'
    book = xlsx({"s": rows(cell("0", "s") + cell("1", "s"), cell("1", "s"))}, strings=[rich, read_as])
    assert lines(book) == ["s", "株式会社\t渡り鳥", "渡り鳥", "ワタりドリ"]


def test_every_kind_of_cell_is_read() -> None:
    row = (
        '<c t="inlineStr"><is><r><t>in</t></r><r><t>line</t></r></is></c><c t="inlineStr"><is><t>plain</t></is></c>'
        '<c t="str"><f>A1&amp;B1</f><v>resul_x0074_</v></c><c t="b"><v>1</v></c><c t="b"><v>0</v></c>'
        '<c t="e"><f>1/0</f><v>#DIV/0!</v></c><c><f>1+1</f><v>2</v></c><c><f>2+2</f></c><c><v>3</v><extLst/></c>'
        '<c t="s"><v>99</v></c><c><v/></c>'
    )
    assert lines(xlsx({"s": rows(row)}))[1] == "inline\tplain\tresult\tTRUE\tFALSE\t#DIV/0!\t2\t3"


def test_a_text_has_the_format_of_its_cell() -> None:
    assert lines(xlsx({"s": rows(cell("0", "s"))}, strings=["<t>山田</t>"], formats=['@"様"']))[1] == "山田様"


def test_headers_hints_and_links_are_read() -> None:
    beside = (
        '<hyperlinks><hyperlink ref="A1" r:id="r1" display="shown link" tooltip="tip"/></hyperlinks>'
        '<dataValidations><dataValidation promptTitle="title" prompt="hint" error="wrong"><formula1>"赤,青"</formula1>'
        "</dataValidation></dataValidations>"
        "<headerFooter><oddHeader>&amp;L&amp;&quot;Arial,Bold&quot;&amp;12R&amp;&amp;D&amp;C極秘"
        "&amp;R&amp;A: Page &amp;P</oddHeader>"
        "<firstFooter>&amp;K01+000last</firstFooter></headerFooter>"
    )
    links = relationships([("hyperlink", "https://example.com/見積")])
    book = xlsx({"s": sheet(beside)}, parts={"xl/worksheets/_rels/sheet1.xml.rels": links})
    assert lines(book) == [
        "s", "shown link\ttip", "title\thint\twrong", "赤\t青", "R&D", "極秘", "s: Page", "last", "https://example.com/見積"
    ]  # fmt: skip


def test_comments_and_their_threads_are_read_with_their_authors() -> None:
    old = (
        "<authors><author>田中</author><author>tc={1}</author></authors><commentList>"
        '<comment ref="A1" authorId="0"><text><r><t>値下</t></r><r><t>げ済</t></r></text></comment>'
        '<comment ref="A2" authorId="1"><text><t>[Threaded comment] Your version</t></text></comment></commentList>'
    )
    new = '<threadedComment personId="p"><text>確認済</text></threadedComment>'
    book = xlsx(
        {"s": rows()},
        links=[("person", "persons/person.xml")],
        parts={
            "xl/worksheets/_rels/sheet1.xml.rels": relationships(
                [("comments", "../comments1.xml"), ("threadedComment", "../threaded.xml")]
            ),
            "xl/comments1.xml": sheet(old, "comments"),
            "xl/threaded.xml": sheet(new, "ThreadedComments"),
            "xl/persons/person.xml": sheet('<person displayName="佐藤" id="p"/>', "personList"),
        },
    )
    assert lines(book) == ["s", "田中\t値下げ済", "佐藤\t確認済"]


def test_tables_pivot_tables_and_defined_names_are_read() -> None:
    names = (
        '<definedNames><definedName name="税率" comment="remark">"ten percent"</definedName>'
        '<definedName name="_xlnm.Print_Area">s!A1</definedName></definedNames>'
    )
    book = xlsx(
        {"s": rows()},
        workbook=names,
        parts={
            "xl/worksheets/_rels/sheet1.xml.rels": relationships([("table", "/xl/t.xml"), ("pivotTable", "/xl/p.xml")]),
            "xl/t.xml": '<table name="Orders"><tableColumns><tableColumn name="品名"/></tableColumns></table>',
            "xl/p.xml": '<pivotTableDefinition name="Pivot" rowHeaderCaption="地域"><x name="total"/></pivotTableDefinition>',
        },
    )
    assert lines(book) == ["s", "Orders\t品名", "Pivot\t地域\ttotal", "税率\tten percent\tremark"]


def test_a_macro_sheet_shows_its_formulas() -> None:
    macro = sheet("<sheetData><row><c><f>ALERT(&quot;hi&quot;)</f></c></row></sheetData>", "macrosheet")
    book = xlsx({}, links=[("xlMacrosheet", "macro.xml")], parts={"xl/macro.xml": macro})
    assert lines(book) == ['=ALERT("hi")']


def test_a_sheet_that_is_missing_or_broken_costs_only_itself() -> None:
    book = xlsx({"good": rows(cell("1")), "broken": "<worksheet><sheetData><row><c><v>2</v></c></row><row", "gone": ""})
    reading = read(book)
    assert reading.text.split("\n") == ["good", "1", "broken", "2", "gone"]
    assert any("sheet2.xml is broken" in sentence for sentence in reading.missed)


def test_a_sheet_that_is_listed_twice_is_read_once() -> None:
    book = xlsx(
        {"one": rows(cell("1"))},
        workbook='<sheets><sheet name="other" r:id="r1"/><sheet name="none" r:id="r9"/></sheets>',
    )
    assert lines(book) == ["other", "1", "none", "one"]


def test_a_broken_cell_costs_only_its_row() -> None:
    reading = read(xlsx({"s": rows(cell("x", "s"), cell("1e999", style=0) + cell("2"))}, formats=["# ?/?"]))
    assert (reading.text, len(reading.missed)) == ("s", 2)
    reading = read(xlsx({"s": rows(cell("x", "s"), cell("1e999") + cell("2"))}))
    assert (reading.text, len(reading.missed)) == ("s\n1e999\t2", 1)


def test_broken_shared_strings_do_not_lose_the_numbers() -> None:
    book = xlsx({"s": rows(cell("0", "s") + cell("7"))}, parts={"xl/sharedStrings.xml": "\0"})
    reading = read(book)
    assert (reading.text, len(reading.missed)) == ("s\n7", 1)


def test_a_long_text_to_which_many_cells_refer_is_read_once() -> None:
    book = xlsx({"s": rows(*[cell("0", "s") + cell("1", "s")] * 1000)}, strings=[f"<t>{'x' * 1001}</t>", "<t>ab</t>"])
    text = read(book).text
    assert (text.count("x"), text.count("ab")) == (1001, 1000)


def test_reading_ends_when_there_is_enough() -> None:
    with pytest.raises(EnoughError):
        read(xlsx({"s": rows(*[cell("0", "s")] * 1000)}, strings=["<t>abc</t>"]), max_chars=100)


def test_entities_are_not_expanded() -> None:
    bomb = '<!DOCTYPE x [<!ENTITY a "secret">]><worksheet><sheetData><row><c t="str"><v>&a;</v></c></row></sheetData></worksheet>'
    assert "secret" not in read(xlsx({"s": bomb})).text


def test_a_strict_workbook_with_other_names_is_read() -> None:
    strict = "http://purl.oclc.org/ooxml/spreadsheetml/main"
    page = '<x:sheetData><x:row><x:c t="str"><x:v>strict</x:v></x:c></x:row></x:sheetData>'
    page = f'<x:worksheet xmlns:x="{strict}">{page}</x:worksheet>'
    assert lines(xlsx({"s": page})) == ["s", "strict"]
