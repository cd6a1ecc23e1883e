"""Drawings: the texts of shapes, charts, SmartArt and VML, and of what they refer to."""

import pytest

from testing.packages import docx, package, paragraph, part
from worker.core.extract.readers import drawing, word
from worker.core.extract.readers.zipped import Container
from worker.core.extract.reading import Reading

XDR = 'xmlns:xdr="http://schemas.openxmlformats.org/drawingml/2006/spreadsheetDrawing"'
NAME = "xl/drawings/d.xml"


def line(text: str) -> str:
    return f"<a:p><a:r><a:t>{text}</a:t></a:r></a:p>"


def cache(kind: str, *values: str) -> str:
    points = "".join(f'<c:pt idx="{place}"><c:v>{value}</c:v></c:pt>' for place, value in enumerate(values))
    return f"<c:{kind}><c:ptCount val='{len(values)}'/>{points}</c:{kind}>"


def chart(title: str) -> str:
    series = "".join(
        f"<c:ser><c:tx><c:strRef>{cache('strCache', name)}</c:strRef></c:tx>"
        f"<c:cat><c:strRef>{cache('strCache', '東京', '大阪')}</c:strRef></c:cat>"
        f"<c:val><c:numRef>{cache('numCache', '4.3', number)}</c:numRef></c:val></c:ser>"
        for name, number in (("north", "17"), ("south", "18.199999999999999"))
    )
    literal = "<c:ser><c:tx><c:v>typed name</c:v></c:tx></c:ser>"
    body = f"<c:title><c:tx><c:rich>{line(title)}</c:rich></c:tx></c:title>{series}{literal}"
    return part("c:chartSpace", f"<c:chart>{body}</c:chart>")


def read(parts: dict[str, str], links: dict[str, list[tuple[str, str]]], name: str = NAME) -> Reading:
    reading = Reading(100_000)
    drawing.read(Container(package(parts, links, {})), name, reading)
    return reading


CHART = "sales 2026\nnorth\n東京\t大阪\n4.3\t17\nsouth\n4.3\t18.2\ntyped name"


def test_a_chart_has_its_titles_names_categories_once_and_numbers() -> None:
    assert read({NAME: chart("sales 2026")}, {}).text == CHART


def test_only_so_many_numbers_of_a_chart_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawing, "MAX_NUMBERS", 3)
    assert "4.3\t17" in read({NAME: chart("sales")}, {}).text
    assert "18" not in read({NAME: chart("sales")}, {}).text


def test_a_chart_of_the_newer_kind_is_read() -> None:
    body = (
        '<cx:chartSpace xmlns:cx="http://schemas.microsoft.com/office/drawing/2014/chartex"><cx:chartData><cx:data><cx:strDim>'
        '<cx:lvl ptCount="2"><cx:pt idx="0">rain</cx:pt><cx:pt idx="1">snow</cx:pt></cx:lvl></cx:strDim></cx:data></cx:chartData>'
        "<cx:series><cx:tx><cx:txData><cx:v>days</cx:v></cx:txData></cx:tx></cx:series></cx:chartSpace>"
    )
    assert read({NAME: body}, {}).text == "rain\tsnow\ndays"


def test_a_drawing_of_a_sheet_has_its_shapes_pictures_charts_and_diagrams() -> None:
    shapes = (
        f"<xdr:sp {XDR}><xdr:txBody>{line('in a box')}</xdr:txBody></xdr:sp>"
        f'<xdr:pic {XDR}><xdr:nvPicPr><xdr:cNvPr id="1" name="P" descr="a heron"/></xdr:nvPicPr></xdr:pic>'
    )
    diagram = part("dgm:dataModel", f"<dgm:ptLst><dgm:pt><dgm:t>{line('step one')}</dgm:t></dgm:pt></dgm:ptLst>")
    parts = {
        NAME: part("xdr:wsDr", shapes).replace("<xdr:wsDr", f"<xdr:wsDr {XDR}", 1),
        "xl/charts/c.xml": chart("sales 2026"),
        "xl/diagrams/data.xml": diagram,
        "xl/drawings/u.xml": part("c:userShapes", line("drawn over it")),
    }
    links = {
        NAME: [
            ("diagramData", "../diagrams/data.xml"),
            ("chart", "../charts/c.xml"),
            ("image", "https://example.com/a.png"),
        ],
        "xl/charts/c.xml": [("chartUserShapes", "../drawings/u.xml"), ("chart", "c.xml")],
    }
    reading = read(parts, links)
    assert reading.text == f"in a box\na heron\nstep one\n{CHART}\ndrawn over it"
    assert not reading.missed


def test_vml_is_read_even_where_it_is_no_xml() -> None:
    body = (
        '<xml xmlns:v="urn:schemas-microsoft-com:vml"><v:shape alt="a button"><v:textbox><div>Press<br>me</div>'
        '<div>now &nbsp;!</div></v:textbox></v:shape><v:shape><v:textpath string="DRAFT"/></v:shape></xml>'
    )
    reading = read({"xl/drawings/v.vml": body}, {}, "xl/drawings/v.vml")
    assert "Press" in reading.text
    assert "DRAFT" in reading.text
    assert "a button" in reading.text
    assert not reading.missed


def test_what_a_document_draws_follows_its_text_and_a_broken_chart_costs_only_itself() -> None:
    parts = {"word/charts/1.xml": "no XML", "word/charts/2.xml": chart("sales 2026")}
    links = [("chart", "charts/1.xml"), ("chart", "charts/2.xml"), ("chart", "charts/none.xml")]
    reading = Reading(100_000)
    word.read(Container(docx(paragraph("main"), parts, links)), reading)
    assert reading.text == f"main\n{CHART}"
    assert len(reading.missed) == 2
