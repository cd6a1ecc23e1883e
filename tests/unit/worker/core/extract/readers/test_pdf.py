"""PDF documents: pages, form fields, annotations, properties."""

import json
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest

from testing.corpus_bodies import DATA
from worker.core.extract.faults import CorruptError, EncryptedError
from worker.core.extract.readers import pdf, pdf_properties
from worker.core.extract.reading import EnoughError, Reading

REACH = DATA / "reach"
CASES = [case for case in json.loads((REACH / "expect.json").read_bytes()) if case["file"].endswith(".pdf")]
HELVETICA = b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>"
XMP = """<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:xmp="http://ns.adobe.com/xap/1.0/"
 xmlns:pdf="http://ns.adobe.com/pdf/1.3/" pdf:Producer="P"><xmp:CreateDate>2026-05-01T09:00:00+09:00</xmp:CreateDate>
<dc:title><rdf:Alt><rdf:li xml:lang="x-default">紫陽花通信</rdf:li></rdf:Alt></dc:title>
<dc:creator><rdf:Seq><rdf:li>緑屋</rdf:li><rdf:li>朝顔</rdf:li></rdf:Seq></dc:creator></rdf:Description></rdf:RDF></x:xmpmeta>"""


def japanese(vertical: bool) -> bytes:
    cmap = b"UniJIS-UCS2-V" if vertical else b"UniJIS-UCS2-H"
    return (
        b"<</Type/Font/Subtype/Type0/BaseFont/HeiseiMin-W3/Encoding/%s/DescendantFonts[<</Type/Font/Subtype/CIDFontType0"
        b"/BaseFont/HeiseiMin-W3/CIDSystemInfo<</Registry(Adobe)/Ordering(Japan1)/Supplement 2>>"
        b"/FontDescriptor<</Type/FontDescriptor/FontName/HeiseiMin-W3/Flags 4/FontBBox[0 -120 1000 880]/ItalicAngle 0"
        b"/Ascent 880/Descent -120/CapHeight 880/StemV 80>>>>]>>" % cmap
    )


def stream(data: bytes, entries: bytes = b"") -> bytes:
    return b"<</Length %d%s>>stream\n%s\nendstream" % (len(data), entries, data)


def document(
    *pages: bytes, page: bytes = b"", catalog: bytes = b"", info: bytes = b"", objects: dict[int, bytes] | None = None
) -> bytes:
    """A PDF without a cross-reference table, which PDFium makes itself. Further `objects` are numbered from 100."""
    numbers = [10 + 2 * n for n in range(len(pages))]
    all_objects = {
        1: b"<</Type/Catalog/Pages 2 0 R%s>>" % catalog,
        2: b"<</Type/Pages/Count %d/Kids[%s]/MediaBox[0 0 600 800]/Resources<</Font<</F 3 0 R/J 4 0 R/V 5 0 R>>>>>>"
        % (len(pages), b" ".join(b"%d 0 R" % number for number in numbers)),
        3: HELVETICA,
        4: japanese(vertical=False),
        5: japanese(vertical=True),
        6: b"<<%s>>" % info,
        **(objects or {}),
    }
    for number, content in zip(numbers, pages, strict=True):
        all_objects[number] = b"<</Type/Page/Parent 2 0 R/Contents %d 0 R%s>>" % (number + 1, page)
        all_objects[number + 1] = stream(content)
    body = b"".join(b"%d 0 obj\n%s\nendobj\n" % pair for pair in all_objects.items())
    return b"%%PDF-1.7\n%strailer<</Root 1 0 R/Info 6 0 R/Size 200>>\n%%%%EOF" % body


def shown(*lines: str, font: bytes = b"F", left: int = 50, top: int = 700, step: int = 14) -> bytes:
    """Each line as a text object of its own."""
    encoding = "latin-1" if font == b"F" else "utf-16-be"
    return b"".join(
        b"BT /%s 12 Tf 1 0 0 1 %d %d Tm <%s> Tj ET\n"
        % (font, left, top - step * at, line.encode(encoding).hex().encode())
        for at, line in enumerate(lines)
    )


def text(value: str) -> bytes:
    return b"<feff%s>" % value.encode("utf-16-be").hex().encode()


def read(body: bytes) -> Reading:
    reading = Reading(1_000_000)
    pdf.read(body, reading)
    return reading


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["file"])
def test_each_phrase_of_the_cases_is_read(case) -> None:
    reading = read((REACH / case["file"]).read_bytes())
    composed = unicodedata.normalize("NFKC", reading.text)
    assert [phrase for phrase in case["phrases"] if phrase not in composed] == []
    assert reading.missed == []


def test_characters_that_are_written_one_by_one_are_read_without_a_font_for_them() -> None:
    column = "株式会社緑屋"
    assert column in read(document(shown(*column, font=b"J"))).text


def test_vertical_writing_is_read_without_a_font_for_it() -> None:
    assert "縦書きの株式会社" in read(document(shown("縦書きの株式会社", font=b"V"))).text


def test_a_word_is_joined_across_lines_and_pages() -> None:
    found = read(document(shown("an inter-", "national mail-", "box", "a mid-"), shown("summer day", "end"))).text
    assert "an international mailbox" in found
    assert "mid-summer day" in found or "midsummer day" in found
    japanese_text = read(document(shown("担当の株式", "会社緑", font=b"J"), shown("屋の見積書", font=b"J"))).text
    assert "担当の株式会社緑" in japanese_text
    assert "会社緑屋の見積書" in japanese_text


def test_characters_with_spaces_between_them_are_also_put_together() -> None:
    title = b"".join(shown(character, font=b"J", left=50 + 40 * at) for at, character in enumerate("御請求書"))
    assert read(document(title)).text.splitlines() == ["御 請 求 書", "御請求書"]


def test_the_glyph_names_of_a_type_3_font_are_read() -> None:
    letters = sorted(set("a lighthouse quietly burned"))
    names = b"".join(b"/" + (b"space" if letter == " " else letter.encode()) for letter in letters)
    font = (
        b"<</Type/Font/Subtype/Type3/FontBBox[0 0 10 10]/FontMatrix[.1 0 0 .1 0 0]/FirstChar 1/LastChar %d/Widths[%s]"
        b"/Encoding<</Differences[1%s]>>/CharProcs<<%s>>/Resources<<>>>>"
        % (len(letters), b"10 " * len(letters), names, b"".join(b"/%s 101 0 R" % n for n in names.split(b"/")[1:]))
    )
    codes = bytes(1 + letters.index(letter) for letter in "a lighthouse quietly burned")
    content = b"BT /T 12 Tf 50 700 Td <%s> Tj ET" % codes.hex().encode()
    page = b"/Resources<</Font<</T 100 0 R>>>>"
    found = read(document(content, page=page, objects={100: font, 101: stream(b"10 0 0 0 9 9 d1 0 0 9 9 re f")})).text
    assert "a lighthouse quietly burned" in found


def test_text_outside_of_the_page_is_read() -> None:
    assert "far away" in read(document(shown("far away", left=2000), page=b"/CropBox[0 0 100 100]")).text


FIELD = b"<</Type/Annot/Subtype/Widget/Rect[0 0 100 20]/FT/%s/T(f)%s>>"
FORM = b"/AcroForm<</Fields[100 0 R]/DR<</Font<</F 3 0 R>>>>/DA(/F 12 Tf)>>"


def form(kind: bytes, entries: bytes) -> str:
    return read(
        document(
            shown("label"), page=b"/Annots[100 0 R]", catalog=FORM, objects={100: FIELD % (kind, b"/F 4" + entries)}
        )
    ).text


def test_values_of_form_fields_are_read() -> None:
    found = form(b"Tx", b"/DA(/F 12 Tf)/TU%s/V%s" % (text("氏名の欄"), text("山田花子")))
    assert found.splitlines()[0] == "label"
    assert "山田花子" in found
    assert "氏名の欄" in found


def test_what_can_be_chosen_in_a_field_is_read() -> None:
    found = form(b"Ch", b"/Ff 131072/V(b)/Opt[[(a)%s][(b)%s]]" % (text("東京支店"), text("大阪支店")))
    assert "東京支店" in found
    assert "大阪支店" in found


def annotated(annotation: bytes, **objects: bytes) -> str:
    return read(
        document(shown("body"), page=b"/Annots[100 0 R]", objects={100: annotation, 101: objects.get("shape", b"null")})
    ).text


def test_annotations_are_read_with_their_author() -> None:
    found = annotated(b"<</Type/Annot/Subtype/Text/Rect[0 0 9 9]/T%s/Contents%s>>" % (text("花子"), text("要確認です")))
    assert found.splitlines() == ["body", "花子", "要確認です"]


def test_what_a_stamp_shows_is_read_once() -> None:
    shape = stream(
        shown("APPROVED", left=0, top=0), b"/Type/XObject/Subtype/Form/BBox[0 0 100 20]/Resources<</Font<</F 3 0 R>>>>"
    )
    found = annotated(
        b"<</Type/Annot/Subtype/Stamp/F 4/Rect[50 50 150 70]/AP<</N 101 0 R>>/Contents(APPROVED)>>", shape=shape
    )
    assert found.splitlines() == ["body", "APPROVED"]


def test_a_page_that_flattening_garbles_has_its_own_text(monkeypatch) -> None:
    texts = iter(["body", "garbled"])
    monkeypatch.setattr(pdf, "page_text", lambda page: next(texts))
    shape = stream(b"", b"/Type/XObject/Subtype/Form/BBox[0 0 100 20]")
    found = annotated(b"<</Type/Annot/Subtype/Stamp/F 4/Rect[50 50 150 70]/AP<</N 101 0 R>>>>", shape=shape)
    assert found.splitlines() == ["body", "garbled"]


def test_the_alternative_text_of_a_picture_is_read() -> None:
    catalog = b"/MarkInfo<</Marked true>>/StructTreeRoot 100 0 R"
    objects = {
        100: b"<</Type/StructTreeRoot/K 101 0 R/ParentTree<</Nums[0[101 0 R]]>>>>",
        101: b"<</Type/StructElem/S/Figure/P 100 0 R/Pg 10 0 R/K 0/Alt%s>>" % text("灯台の写真"),
    }
    content = b"/Figure<</MCID 0>>BDC " + shown("1") + b"EMC"
    assert "灯台の写真" in read(document(content, page=b"/StructParents 0", catalog=catalog, objects=objects)).text


def test_labels_and_values_of_an_xfa_form_are_read() -> None:
    template = '<template xmlns="http://www.xfa.org/schema/xfa-template/3.3/"><text>申請者</text><script>if(a){}</script></template>'
    values = '<xfa:datasets xmlns:xfa="http://www.xfa.org/schema/xfa-data/1.0/"><name>緑屋</name></xfa:datasets>'
    objects = {100: stream(template.encode()), 101: stream(values.encode()), 102: stream(b"<config>no</config>")}
    catalog = b"/AcroForm<</Fields[]/XFA[(template)100 0 R(datasets)101 0 R(config)102 0 R]>>"
    assert read(document(shown("wait"), catalog=catalog, objects=objects)).text.splitlines() == [
        "wait",
        "申請者",
        "緑屋",
    ]


def test_bookmarks_and_names_of_attachments_are_read() -> None:
    objects = {
        100: b"<</Type/Outlines/First 101 0 R/Last 101 0 R/Count 1>>",
        101: b"<</Parent 100 0 R/Title%s/Dest[10 0 R/Fit]/First 102 0 R/Last 102 0 R>>" % text("第一章"),
        102: b"<</Parent 101 0 R/Title%s/Dest[10 0 R/Fit]/Next 102 0 R>>" % text("第一節"),
        103: b"<</Type/Filespec/F(a.csv)/UF%s/EF<</F 104 0 R>>>>" % text("明細.csv"),
        104: stream(b"1", b"/Type/EmbeddedFile"),
    }
    catalog = b"/Outlines 100 0 R/Names<</EmbeddedFiles<</Names[(a)103 0 R]>>>>"
    found = read(document(shown("body"), catalog=catalog, objects=objects)).text
    assert found.splitlines() == ["body", "第一章", "第一節", "明細.csv"]


def test_properties_are_read() -> None:
    info = b"/Title%s/Author(Ann)/CreationDate(D:20260501090000+09'00')/Subject(Quarter)/Keywords%s"
    reading = read(document(shown("x"), info=info % (text("報告"), text("紫陽花")), catalog=b"/Lang(ja-JP)"))
    said = reading.said
    assert (said.title, said.author, said.created, said.language) == ("報告", "Ann", "D:20260501090000+09'00'", "ja-JP")
    assert reading.text.splitlines() == ["x", "Quarter", "紫陽花"]


def test_a_nul_at_the_end_of_a_title_is_no_part_of_it() -> None:
    assert read(document(shown("x"), info=b"/Title(report.wpd\\000)")).said.title == "report.wpd"


def test_the_xmp_of_the_document_gives_what_the_information_dictionary_lacks() -> None:
    picture = XMP.replace("紫陽花通信", "photo").replace(
        'xmlns:pdf="http://ns.adobe.com/pdf/1.3/" pdf:Producer="P"', ""
    )
    objects = {100: stream(XMP.encode()), 101: stream(picture.encode())}
    said = read(document(shown("x"), info=b"/Author(Ann)", objects=objects)).said
    assert (said.title, said.author, said.created) == ("紫陽花通信", "Ann", "2026-05-01T09:00:00+09:00")
    assert pdf_properties.of_xmp(b"<x:xmpmeta http://ns.adobe.com/pdf/1.3/ <<</x:xmpmeta>").title is None


def test_a_title_in_shift_jis_is_repaired() -> None:
    raw = "御見積書（改訂版）".encode("cp932")
    assert read(document(shown("x"), info=b"/Title<%s>" % raw.hex().encode())).said.title == "御見積書（改訂版）"


@pytest.mark.parametrize("title", ["Généralités", "Über “Größe” – été", "naïve café", "Angström €5", "日本語"])
def test_another_title_is_kept(title: str) -> None:
    assert pdf_properties.repaired(title) == title


def test_a_page_that_cannot_be_read_loses_only_itself(monkeypatch) -> None:
    read_page = pdf._read_page

    def fails_on_the_second(document, number: int):
        if number == 1:
            raise RuntimeError("no such page")
        return read_page(document, number)

    monkeypatch.setattr(pdf, "_read_page", fails_on_the_second)
    reading = read(document(shown("one"), shown("two"), shown("three")))
    assert reading.text.splitlines() == ["one", "three"]
    assert reading.missed == ["page 2: no such page"]


def test_no_more_pages_are_read_than_are_kept() -> None:
    reading = Reading(10)
    with pytest.raises(EnoughError):
        pdf.read(document(shown("0123456789"), shown("more"), shown("never")), reading)
    assert "never" not in reading.text


def test_a_password_is_noticed() -> None:
    with pytest.raises(EncryptedError):
        read((DATA / "encrypted.pdf").read_bytes())


@pytest.mark.parametrize("body", [b"%PDF-1.7\n", b"%PDF-1.7\n" + bytes(range(256)) * 20])
def test_a_broken_file_is_said_to_be_broken(body: bytes) -> None:
    with pytest.raises(CorruptError, match="the PDF file is broken"):
        read(body)


READS_WITHOUT_DESCRIPTORS = """
import os, resource, sys
from worker.core.extract.readers import pdf
from worker.core.extract.reading import Reading
bodies = [open(path, "rb").read() for path in sys.argv[1:]]
pdf.read(bodies[0], Reading(100))  # for what is imported late
resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))
reading = Reading(100)
pdf.read(bodies[1], reading)
print(ascii(reading.text), reading.missed, flush=True)
os._exit(0)
"""


def test_it_opens_no_file_and_no_socket(tmp_path: Path) -> None:
    first, second = tmp_path / "1.pdf", tmp_path / "2.pdf"
    first.write_bytes(document(shown("x")))
    second.write_bytes(document(shown("縦", font=b"V"), shown("x")))
    done = subprocess.run(
        [sys.executable, "-c", READS_WITHOUT_DESCRIPTORS, first, second], capture_output=True, check=True, timeout=60
    )
    assert done.stdout.decode().strip() == r"'\u7e26\nx' []"
    assert sorted(tmp_path.iterdir()) == [first, second]
