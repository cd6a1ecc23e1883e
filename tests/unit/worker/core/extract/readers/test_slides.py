"""PresentationML: slides in their order, with their notes and comments, and the texts that layouts show."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from testing.packages import OOXML, Links, package, part, shape, slide, zipped
from worker.core.extract.readers import slides
from worker.core.extract.readers.zipped import Container
from worker.core.extract.reading import Reading

CASES = Path("tests/data/reach")
EXPECTED = {one["file"]: one["phrases"] for one in json.loads((CASES / "expect.json").read_text())}
MAIN = "ppt/presentation.xml"


def read(body: bytes) -> Reading:
    reading = Reading(100_000)
    slides.read(Container(body), reading)
    return reading


def pptx(main: str, parts: Mapping[str, bytes | str], links: Links) -> bytes:
    return package(
        {MAIN: part("p:presentation", main), **parts},
        {"": [("officeDocument", MAIN)], **links},
        {MAIN: OOXML + "presentationml.presentation.main+xml"},
    )


def one_slide(content: str, parts: Mapping[str, str] | None = None, *links: tuple[str, str]) -> Reading:
    made = {"ppt/slides/slide1.xml": slide(content), **(parts or {})}
    return read(pptx("", made, {MAIN: [("slide", "slides/slide1.xml")], "ppt/slides/slide1.xml": links}))


@pytest.mark.parametrize("name", [name for name in EXPECTED if name.endswith(".pptx")])
def test_every_case_is_found(name: str) -> None:
    reading = read((CASES / name).read_bytes())
    assert not reading.missed
    assert [phrase for phrase in EXPECTED[name] if phrase not in reading.text] == []


def test_slides_come_in_the_order_of_the_presentation_hidden_ones_too_and_sections_have_names() -> None:
    main = (
        '<p:sldIdLst><p:sldId id="256" r:id="r2"/><p:sldId id="257" r:id="r1"/></p:sldIdLst>'
        '<p:extLst><p14:sectionLst><p14:section name="導入"/></p14:sectionLst></p:extLst>'
    )
    made = {
        "ppt/slides/slide1.xml": slide(shape("second")),
        "ppt/slides/slide2.xml": slide(shape("first")).replace("<p:sld ", '<p:sld show="0" '),
        "ppt/slides/slide3.xml": slide(shape("unlisted")),
    }
    links = [("slide", f"slides/slide{number}.xml") for number in (1, 2, 3)]
    assert read(pptx(main, made, {MAIN: links})).text == "first\nsecond\nunlisted\n導入"


def test_runs_of_a_paragraph_are_joined_without_blanks() -> None:
    runs = "<a:r><a:t>extra</a:t></a:r><a:r><a:t>ordinary</a:t></a:r><a:br/><a:r><a:t>line</a:t></a:r><a:fld><a:t>7</a:t></a:fld>"
    assert one_slide(f"<p:sp><p:txBody><a:p>{runs}</a:p></p:txBody></p:sp>").text == "extraordinary\nline7"


def test_tables_groups_and_descriptions_are_read() -> None:
    cells = "".join(f"<a:tc><a:txBody><a:p><a:r><a:t>{t}</a:t></a:r></a:p></a:txBody></a:tc>" for t in ("品名", "単価"))
    content = (
        f"<p:grpSp>{shape('in a group')}</p:grpSp><p:graphicFrame><a:tbl><a:tr>{cells}</a:tr></a:tbl></p:graphicFrame>"
        '<p:pic><p:nvPicPr><p:cNvPr id="4" name="Picture 3" descr="a heron" title="鷺"><a:hlinkClick tooltip="go there"/>'
        "</p:cNvPr></p:nvPicPr></p:pic>"
    )
    assert one_slide(content).text == "in a group\n品名\t単価\n鷺\na heron\ngo there"


def body(text: str) -> str:
    return f"<p188:txBody><a:p><a:r><a:t>{text}</a:t></a:r></a:p></p188:txBody>"


def test_notes_and_comments_of_both_kinds_follow_their_slide() -> None:
    made = {
        "ppt/notesSlides/n.xml": slide(shape("say this"), "p:notes"),
        "ppt/commentAuthors.xml": part(
            "p:cmAuthorLst", '<p:cmAuthor id="0" name="佐藤"/><p:cmAuthor id="1" name="unused"/>'
        ),
        "ppt/authors.xml": part("p188:authorLst", '<p188:author id="{A}" name="Kestrel"/>'),
        "ppt/comments/old.xml": part("p:cmLst", '<p:cm authorId="0"><p:text>差し替え</p:text></p:cm>'),
        "ppt/comments/new.xml": part(
            "p188:cmLst",
            f'<p188:cm authorId="{{A}}"><p188:replyLst><p188:reply authorId="{{A}}">{body("agreed")}</p188:reply></p188:replyLst>'
            f"{body('check it')}</p188:cm>",
        ),
        "ppt/slides/slide1.xml": slide(shape("shown")),
    }
    links = {
        MAIN: [("slide", "slides/slide1.xml"), ("commentAuthors", "commentAuthors.xml"), ("authors", "authors.xml")],
        "ppt/slides/slide1.xml": [
            ("notesSlide", "../notesSlides/n.xml"), ("comments", "../comments/old.xml"), ("comments", "../comments/new.xml"),
            ("image", "https://example.com/linked.png"), ("hyperlink", "https://example.com/x"),
        ],
    }  # fmt: skip
    reading = read(pptx("", made, links))
    assert reading.text == "shown\nsay this\n佐藤\n差し替え\nKestrel\nagreed\ncheck it\nhttps://example.com/x"
    assert not reading.missed


def test_of_layouts_and_masters_only_what_they_show_is_read_once() -> None:
    prompt, footer = shape("Click to edit", '<p:ph type="title"/>'), shape("for internal use", '<p:ph type="ftr"/>')
    made = {
        "ppt/slideLayouts/l.xml": slide(prompt + shape("社外秘") + footer, "p:sldLayout"),
        "ppt/slideMasters/m.xml": slide(prompt + shape("社外秘\nlogo text"), "p:sldMaster"),
        "ppt/handoutMasters/h.xml": slide(shape("page", '<p:ph type="sldNum"/>') + shape("handout"), "p:handoutMaster"),
        "ppt/slides/slide1.xml": slide(shape("shown", '<p:ph type="title"/>')),
    }
    links = {
        MAIN: [("slide", "slides/slide1.xml"), ("handoutMaster", "handoutMasters/h.xml")],
        "ppt/slides/slide1.xml": [("slideLayout", "../slideLayouts/l.xml")],
        "ppt/slideLayouts/l.xml": [("slideMaster", "../slideMasters/m.xml")],
    }
    assert read(pptx("", made, links)).text == "shown\n社外秘\nfor internal use\nhandout\nlogo text"


def test_a_broken_slide_costs_only_itself() -> None:
    made = {"ppt/slides/slide1.xml": "no XML", "ppt/slides/slide2.xml": slide(shape("whole"))}
    reading = read(pptx("", made, {MAIN: [("slide", f"slides/slide{number}.xml") for number in (1, 2, 3)]}))
    assert reading.text == "whole"
    assert len(reading.missed) == 2


def test_slides_without_relationships_are_found_by_their_names() -> None:
    numbers = (10, 2)
    body = zipped({MAIN: part("p:presentation", ""), "[Content_Types].xml": "broken"} | {
        f"PPT/Slides/slide{number}.xml": slide(shape(str(number))) for number in numbers
    })  # fmt: skip
    assert Container(body).document_type() == OOXML + "presentationml.presentation"
    assert read(body).text == "2\n10"
