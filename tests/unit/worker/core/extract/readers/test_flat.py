"""Office documents in one XML file."""

import base64

import pytest

from testing.packages import OOXML, R, paragraph, part
from worker.core.extract.faults import CorruptError
from worker.core.extract.kinds import kind_of
from worker.core.extract.parse import parse
from worker.core.extract.readers import flat
from worker.core.extract.reading import Reading

PKG = "http://schemas.microsoft.com/office/2006/xmlPackage"
PROLOG = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
RELS = '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">{}</Relationships>'
LINK = '<Relationship Id="r1" Type="' + R + '/{}" Target="{}"/>'
MAIN = part("w:document", "<w:body><w:p><w:r><w:t>東</w:t></w:r><w:r><w:t>京都庁</w:t></w:r></w:p></w:body>")


def pkg_part(name: str, content: str, content_type: str = "application/xml") -> str:
    return f'<pkg:part pkg:name="{name}" pkg:contentType="{content_type}">{content}</pkg:part>'


def xml_part(name: str, data: str, content_type: str = "application/xml") -> str:
    return pkg_part(name, f"<pkg:xmlData>{data.partition('?>')[2] or data}</pkg:xmlData>", content_type)


def package(*parts: str) -> bytes:
    made = [
        xml_part("/_rels/.rels", RELS.format(LINK.format("officeDocument", "word/document.xml"))),
        xml_part("/word/document.xml", MAIN, OOXML + "wordprocessingml.document.main+xml"),
        *parts,
    ]
    prolog = PROLOG + '<?mso-application progid="Word.Document"?>\n'
    return f'{prolog}<pkg:package xmlns:pkg="{PKG}">{"".join(made)}</pkg:package>'.encode()


WORD_2003 = (
    PROLOG
    + '<?mso-application progid="Word.Document"?><w:wordDocument xmlns:w="http://schemas.microsoft.com/office/word/2003/wordml"'
    ' xmlns:o="urn:schemas-microsoft-com:office:office" xmlns:wx="urn:wx"><o:DocumentProperties><o:Title>題名</o:Title>'
    "<o:Author>Mori</o:Author><o:Company>緑屋</o:Company><o:Created>2026-02-16T09:30:00Z</o:Created></o:DocumentProperties>"
    '<w:body><w:p><w:pPr><w:listPr><wx:t wx:val="1."/></w:listPr></w:pPr><w:r><w:t>見積</w:t></w:r><w:r><w:t>書</w:t></w:r>'
    f"</w:p><w:sectPr><w:hdr>{paragraph('header')}</w:hdr></w:sectPr></w:body>"
    "<w:bindata w:name='p'>iVBORw0KGgo=</w:bindata></w:wordDocument>"
).encode()


def test_a_flat_package_is_read_as_a_package() -> None:
    header = xml_part("/word/h.xml", part("w:hdr", paragraph("社外秘")))
    links = xml_part("/word/_rels/document.xml.rels", RELS.format(LINK.format("header", "h.xml")))
    picture = pkg_part("/word/media/a.png", f"<pkg:binaryData>{base64.b64encode(b'png').decode()}</pkg:binaryData>")
    body = package(header, links, picture, header, pkg_part("", ""), pkg_part("/empty", ""))
    container = flat.container_of(body)
    assert container is not None
    assert container.read("word/media/a.png") == b"png"
    kind = kind_of(body, "a.xml", None)
    assert kind.route == "flat"
    extracted = parse(body, kind, 1000)
    assert (extracted.status, extracted.mime_type) == ("ok", OOXML + "wordprocessingml.document")
    assert extracted.content == "東京都庁\n社外秘"


@pytest.mark.parametrize("name", ["a.xml", "a.doc", "a"])
def test_a_document_of_word_2003_is_read_whatever_its_name(name: str) -> None:
    extracted = parse(WORD_2003, kind_of(WORD_2003, name, None), 1000)
    assert (extracted.status, extracted.mime_type) == ("ok", flat.WORD_2003)
    assert extracted.content == "見積書\nheader\n題名\nMori\n緑屋"
    assert (extracted.title, extracted.author, extracted.created) == ("題名", "Mori", "2026-02-16T09:30:00+00:00")


def test_another_document_is_not_taken_for_one() -> None:
    assert kind_of(f"{PROLOG}<catalog/>".encode(), "a.xml", None).route == "xml"
    assert flat.container_of(b"<x/>") is None
    with pytest.raises(CorruptError):
        flat.read_word_2003(b"<x/>", Reading(10))
    broken = package()[:300]
    assert parse(broken, kind_of(broken, "a.xml", None), 1000).status == "corrupt"


def test_a_broken_picture_costs_only_itself() -> None:
    body = package(pkg_part("/word/media/a.png", "<pkg:binaryData>x</pkg:binaryData>"))
    assert parse(body, kind_of(body, "a.xml", None), 1000).content == "東京都庁"
