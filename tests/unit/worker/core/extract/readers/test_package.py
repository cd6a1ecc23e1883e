"""Packages: their main part, type, links and properties, found whatever their names are."""

import pytest

from testing.packages import OOXML, package, paragraph, part, zipped
from worker.core.extract.readers import package as opc
from worker.core.extract.readers.zipped import Container
from worker.core.extract.reading import Reading

MAIN = part("w:document", paragraph("main"))


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        (OOXML + "wordprocessingml.document.main+xml", OOXML + "wordprocessingml.document"),
        (OOXML + "wordprocessingml.template.main+xml", OOXML + "wordprocessingml.template"),
        ("application/vnd.ms-word.document.macroEnabled.main+xml", "application/vnd.ms-word.document.macroenabled.12"),
        (OOXML + "presentationml.slideshow.main+xml", OOXML + "presentationml.slideshow"),
        ("application/vnd.ms-powerpoint.presentation.macroEnabled.main+xml",
         "application/vnd.ms-powerpoint.presentation.macroenabled.12"),
        (OOXML + "spreadsheetml.sheet.main+xml", OOXML + "spreadsheetml.sheet"),
        ("application/vnd.ms-excel.sheet.binary.macroEnabled.main",
         "application/vnd.ms-excel.sheet.binary.macroenabled.12"),
        ("application/vnd.ms-package.3dmanufacturing-3dmodel+xml", None),
        ("application/xml", None),
    ],
)  # fmt: skip
def test_the_type_is_that_of_the_main_part(content_type: str, expected: str | None) -> None:
    body = package({"a/Main2.xml": MAIN}, {"": [("officeDocument", "/A/main2.xml")]}, {"a/main2.xml": content_type})
    assert Container(body).document_type() == expected
    assert opc.main_part(Container(body)).lower() == "a/main2.xml"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("word/document.xml", OOXML + "wordprocessingml.document"),
        ("word/document2.xml", OOXML + "wordprocessingml.document"),
        ("XL\\workbook.xml", OOXML + "spreadsheetml.sheet"),
        ("xl/workbook.bin", "application/vnd.ms-excel.sheet.binary.macroenabled.12"),
        ("ppt/presentation.xml", OOXML + "presentationml.presentation"),
    ],
)
def test_without_types_and_relationships_the_name_decides(name: str, expected: str) -> None:
    container = Container(zipped({"[Content_Types].xml": "broken", name: MAIN}))
    assert container.document_type() == expected
    assert opc.main_part(container) == name


def test_a_main_part_is_found_by_its_type_if_the_relationships_are_lost() -> None:
    body = package({"x/y.xml": MAIN}, {}, {"x/y.xml": OOXML + "wordprocessingml.document.main+xml"})
    assert opc.main_part(Container(body)) == "x/y.xml"


def test_an_archive_is_no_package() -> None:
    assert opc.document_type(Container(zipped({"word/document.xml": MAIN}))) is None


def test_targets_are_resolved_whatever_they_look_like() -> None:
    targets = ["b.xml", "./b.xml", "/a/b.xml", "..\\a\\B.XML", "%62.xml", "b.xml#part"]
    body = package({"a/b.xml": "<x/>"}, {"a/main.xml": [("x", target) for target in targets]}, {})
    found = opc.relationships(Container(body), "a/main.xml")
    assert {link.target.lower() for link in found} == {"a/b.xml"}


def test_missing_parts_are_noted_and_external_ones_are_not() -> None:
    links = [
        ("x", "none.xml"),
        ("x", "NULL"),
        ("x", "https://example.com/b.xml"),
        ("x", "b.xml"),
        ("x", "B.xml"),
        ("y", "b.xml"),
    ]
    reading = Reading(100)
    found = opc.related(Container(package({"b.xml": "<x/>"}, {"main.xml": links}, {})), "main.xml", reading, "x")
    assert [(link.id, link.target) for link in found] == [("r4", "b.xml")]
    assert reading.missed == ["none.xml is missing"]


def test_a_document_says_what_its_properties_say() -> None:
    core = (
        '<cp:coreProperties xmlns:cp="urn:cp" xmlns:dc="urn:dc" xmlns:dcterms="urn:t"><dc:title>題名</dc:title>'
        "<dc:creator>Mori</dc:creator><dcterms:created>2026-02-16T09:30:00Z</dcterms:created><dc:language>ja</dc:language>"
        "<cp:keywords>key words</cp:keywords><dc:description> about it </dc:description><dc:subject/></cp:coreProperties>"
    )
    app = (
        "<Properties><Company>株式会社緑屋</Company><Application>Word</Application><Manager>Ito</Manager></Properties>"
    )
    custom = (
        '<Properties xmlns:vt="urn:vt"><property name="案件"><vt:lpwstr>X-7741</vt:lpwstr></property>'
        '<property name="empty"><vt:lpwstr/></property></Properties>'
    )
    kinds = ("core-properties", "extended-properties", "custom-properties")
    body = package(
        dict(zip(("core.xml", "app.xml", "custom.xml"), (core, app, custom), strict=True)),
        {"": list(zip(kinds, ("core.xml", "app.xml", "custom.xml"), strict=True))},
        {},
    )
    reading = Reading(1000)
    texts = opc.properties(Container(body), reading)
    assert texts == ["題名", "Mori", "key words", "about it", "株式会社緑屋", "Ito", "案件\tX-7741"]
    said = reading.said
    assert (said.title, said.author, said.created, said.language) == ("題名", "Mori", "2026-02-16T09:30:00Z", "ja")
