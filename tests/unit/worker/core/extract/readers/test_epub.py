"""Books in EPUB: chapters in reading order, tables of contents, properties, encryption."""

import io
import zipfile
from collections.abc import Mapping

import pytest

from testing.corpus_bodies import DATA
from worker.core.extract.faults import CorruptError, EncryptedError
from worker.core.extract.readers import epub
from worker.core.extract.readers.zipped import Container
from worker.core.extract.reading import Reading

CONTAINER = (
    '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
    '<rootfile full-path="OEBPS/book.opf"/></rootfiles></container>'
)
METADATA = """<dc:title>紫陽花通信</dc:title><dc:title>第二版</dc:title>
<dc:creator opf:file-as="ミドリヤ">緑屋</dc:creator><dc:creator>朝顔</dc:creator><dc:date>2026-05-01</dc:date>
<dc:language>ja</dc:language><dc:publisher>灯台社</dc:publisher>
<dc:description>&lt;p&gt;An &lt;b&gt;in&lt;/b&gt;troduction&lt;/p&gt;</dc:description>
<dc:identifier>978-4-0000-0000-0</dc:identifier>
<meta property="belongs-to-collection">海辺叢書</meta><meta property="x">no</meta>"""
ENCRYPTION = """<encryption xmlns="urn:oasis:names:tc:opendocument:xmlns:container" xmlns:enc="http://www.w3.org/2001/04/xmlenc#">
<enc:EncryptedData><enc:EncryptionMethod Algorithm="{}"/><enc:CipherData><enc:CipherReference URI="{}"/></enc:CipherData>
</enc:EncryptedData></encryption>"""
AES = "http://www.w3.org/2001/04/xmlenc#aes256-cbc"


def page(text: str) -> str:
    head = '<html xmlns="http://www.w3.org/1999/xhtml"><head><title/><script src="a.js"/></head>'
    return f'<?xml version="1.0"?>{head}<body>{text}</body></html>'


def package(manifest: dict[str, tuple[str, str]], spine: list[str], metadata: str = "") -> str:
    items = "".join(f'<item id="{key}" href="{href}" media-type="{kind}"/>' for key, (href, kind) in manifest.items())
    refs = "".join(f'<itemref idref="{key}"/>' for key in spine)
    return (
        '<package xmlns="http://www.idpf.org/2007/opf" xmlns:dc="http://purl.org/dc/elements/1.1/" '
        f'xmlns:opf="http://www.idpf.org/2007/opf"><metadata>{metadata}</metadata><manifest>{items}</manifest>'
        f"<spine>{refs}</spine></package>"
    )


XHTML = "application/xhtml+xml"
BOOK = {
    "META-INF/container.xml": CONTAINER,
    "OEBPS/book.opf": package({"b": ("b.xhtml", XHTML), "a": ("text/a%20%E4%B8%80.xhtml", XHTML)}, ["a", "b"]),
    "OEBPS/text/a 一.xhtml": page("<p>first</p>"),
    "OEBPS/b.xhtml": page("<p>second</p>"),
}


def read(members: Mapping[str, str | bytes]) -> Reading:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    reading = Reading(100_000)
    epub.read(Container(out.getvalue()), reading)
    return reading


def lines(members: Mapping[str, str | bytes]) -> list[str]:
    reading = read(members)
    assert reading.missed == []
    return reading.text.splitlines()


def test_a_link_after_white_space_is_read() -> None:
    reading = Reading(100_000)
    epub.read(Container((DATA / "reach/epub_link_nl.epub").read_bytes()), reading)
    assert "公式案内をご覧ください。紫陽花通信" in reading.text
    assert (reading.said.title, reading.said.language) == ("本", "ja")


def test_readings_stand_beside_the_text() -> None:
    reading = Reading(100_000)
    epub.read(Container((DATA / "reach/epub_ruby.epub").read_bytes()), reading)
    assert "紫陽花が咲く" in reading.text
    assert "あじさい" in reading.text


def test_chapters_are_read_in_the_order_of_the_spine() -> None:
    assert lines(BOOK) == ["first", "second"]


def test_pages_outside_of_the_spine_follow_by_their_type_or_name() -> None:
    manifest = {
        "a": ("b.xhtml", XHTML), "n": ("note.html", "text/html"), "x": ("extra.xml", XHTML), "v": ("cc.vtt", "text/vtt"),
        "t": ("cc.xml", "application/ttml+xml"), "s": ("style.css", "text/css"), "i": ("map.svg", "image/svg+xml"),
    }  # fmt: skip
    members = {
        "OEBPS/note.html": "<p>note", "OEBPS/extra.xml": page("extra"), "OEBPS/cc.vtt": "spoken", "OEBPS/cc.xml": "<tt>字幕</tt>",
        "OEBPS/style.css": "p {}", "OEBPS/map.svg": '<svg xmlns="http://www.w3.org/2000/svg"><text>地図</text></svg>',
    }  # fmt: skip
    found = lines({**BOOK, "OEBPS/book.opf": package(manifest, ["a", "a"]), **members})
    assert found == ["second", "note", "extra", "spoken", "字幕", "地図"]


def test_titles_that_only_the_table_of_contents_has_are_read() -> None:
    ncx = (
        '<ncx xmlns="http://www.daisy.org/z3986/2005/ncx/"><navMap><navPoint><navLabel><text>second</text></navLabel></navPoint>'
        "<navPoint><navLabel><text>第一章\n 灯台</text></navLabel></navPoint></navMap></ncx>"
    )
    manifest = {"a": ("b.xhtml", XHTML), "n": ("toc.ncx", "application/x-dtbncx+xml")}
    assert lines({**BOOK, "OEBPS/book.opf": package(manifest, ["a"]), "OEBPS/toc.ncx": ncx}) == [
        "second",
        "第一章 灯台",
    ]


def test_properties_are_read() -> None:
    reading = read({**BOOK, "OEBPS/book.opf": package({"a": ("b.xhtml", XHTML)}, ["a"], METADATA)})
    said = reading.said
    assert (said.title, said.author, said.created, said.language) == ("紫陽花通信", "緑屋, 朝顔", "2026-05-01", "ja")
    assert reading.text.splitlines() == [
        "second", "紫陽花通信", "第二版", "ミドリヤ", "緑屋", "朝顔", "灯台社", "An introduction", "978-4-0000-0000-0", "海辺叢書",
    ]  # fmt: skip


def test_properties_of_old_books_begin_with_a_capital_letter() -> None:
    metadata = '<dc-metadata xmlns:dc="http://purl.org/dc/elements/1.0/"><dc:Title>Old</dc:Title></dc-metadata>'
    assert read({**BOOK, "OEBPS/book.opf": package({"a": ("b.xhtml", XHTML)}, ["a"], metadata)}).said.title == "Old"


def test_entities_and_other_encodings_are_read() -> None:
    chapter = '<?xml version="1.0" encoding="Shift_JIS"?>' + page("<p>緑屋&nbsp;caf&eacute;&hellip;</p>")[21:]
    assert lines({**BOOK, "OEBPS/b.xhtml": chapter.encode("cp932")})[1:] == ["緑屋 café…"]


@pytest.mark.parametrize("path", ["OEBPS/b.xhtml", "OEBPS/text/a%20%E4%B8%80.xhtml"])
def test_encrypted_chapters_are_noticed(path: str) -> None:
    with pytest.raises(EncryptedError):
        read({**BOOK, "META-INF/encryption.xml": ENCRYPTION.format(AES, path)})


@pytest.mark.parametrize(
    ("algorithm", "path"),
    [
        (AES, "OEBPS/video.mp4"),
        ("http://www.idpf.org/2008/embedding", "OEBPS/b.xhtml"),
        ("http://ns.adobe.com/pdf/enc#RC", "f.ttf"),
    ],
)
def test_encrypted_fonts_and_pictures_do_not_matter(algorithm: str, path: str) -> None:
    assert lines({**BOOK, "META-INF/encryption.xml": ENCRYPTION.format(algorithm, path)}) == ["first", "second"]


def test_a_broken_or_missing_chapter_loses_only_itself() -> None:
    manifest = {"z": ("gone.xhtml", XHTML), "y": ("noise.xhtml", XHTML), "b": ("b.xhtml", XHTML)}
    noise = bytes(range(256)) * 8
    reading = read({**BOOK, "OEBPS/book.opf": package(manifest, ["z", "y", "b"]), "OEBPS/noise.xhtml": noise})
    assert reading.text == "second"
    assert reading.missed == ["OEBPS/gone.xhtml: it is missing", "OEBPS/noise.xhtml: it is not text"]


@pytest.mark.parametrize("name", ["META-INF/container.xml", "OEBPS/book.opf"])
def test_pages_are_found_without_the_container_or_the_package(name: str) -> None:
    reading = read({**BOOK, name: "\0"})
    assert sorted(reading.text.splitlines()) == ["first", "second"]
    assert len(reading.missed) >= 1
    assert lines({key: data for key, data in BOOK.items() if key != "META-INF/container.xml"}) == ["first", "second"]


def test_a_book_without_chapters_is_broken() -> None:
    with pytest.raises(CorruptError, match="no chapters"):
        read({"META-INF/container.xml": CONTAINER})
