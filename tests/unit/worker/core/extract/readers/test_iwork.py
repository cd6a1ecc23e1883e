"""Pages, Numbers and Keynote, before and after 2013."""

import io
import zipfile

import pytest

from worker.core.extract.faults import EncryptedError
from worker.core.extract.readers.iwork import is_iwork, read
from worker.core.extract.readers.zipped import Container
from worker.core.extract.reading import Reading

SF = 'xmlns:sf="http://developer.apple.com/namespaces/sf" xmlns:sfa="http://developer.apple.com/namespaces/sfa"'


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def field(number: int, value: bytes | int) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def message(kind: int, payload: bytes) -> bytes:
    header = field(1, 7) + field(2, field(1, kind) + field(2, b"\x01") + field(3, len(payload)))
    return varint(len(header)) + header + payload


def archive(*messages: bytes) -> bytes:
    data = b"".join(messages)
    block = varint(len(data)) + b"".join(
        bytes([(len(data[at : at + 60]) - 1) << 2]) + data[at : at + 60] for at in range(0, len(data), 60)
    )
    return b"\0" + len(block).to_bytes(3, "little") + block


def container(**members: bytes) -> Container:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as made:
        for name, body in members.items():
            made.writestr(name, body)
    return Container(out.getvalue())


def text_of(made: Container) -> str:
    reading = Reading(10_000)
    assert is_iwork(made)
    read(made, reading)
    assert reading.missed == []
    return reading.text


TODAY = {
    "Index/Document.iwa": archive(
        message(2, field(1, "売上".encode())),
        message(2001, field(1, 0) + field(3, "見積書の本文 Penelope".encode())),
        message(3056, field(1, b"a comment")),
    ),
    "Index/Tables/DataList.iwa": archive(
        message(6001, field(1, b"id") + field(8, "在庫表".encode())),
        message(
            6005, field(3, field(1, 1) + field(3, b"cell one")) + field(3, field(1, 2) + field(3, "東京".encode()))
        ),
    ),
    "Index/MasterSlide-1.iwa": archive(message(2001, field(3, b"Click to edit"))),
}


def test_the_archives_give_paragraphs_comments_names_and_cells_but_no_templates() -> None:
    assert text_of(container(**TODAY)).splitlines() == [
        "売上", "見積書の本文 Penelope", "a comment", "在庫表", "cell one", "東京"
    ]  # fmt: skip


def test_the_archives_may_be_in_a_zip_file_of_their_own() -> None:
    inner = container(**TODAY).body
    assert "見積書の本文" in text_of(container(**{"Presentation.key/Index.zip": inner}))


def test_a_broken_archive_costs_only_itself() -> None:
    reading = Reading(10_000)
    read(container(**{**TODAY, "Index/Document.iwa": TODAY["Index/Document.iwa"][:30]}), reading)
    assert "cell one" in reading.text
    assert [missed.partition(":")[0] for missed in reading.missed] == ["Index/Document.iwa"]


def test_the_xml_of_2009_is_read_with_its_tables() -> None:
    xml = (
        f'<document {SF}><sf:p>見積<sf:span>書</sf:span>の<sf:tab/>本文<sf:br/>次</sf:p><sf:tabular-model sf:name="在庫表">'
        '<sf:ct sfa:s="cell one"/><sf:n sf:v="4650"/></sf:tabular-model></document>'
    )
    assert text_of(container(**{"index.xml": xml.encode()})) == "見積書の\t本文\n次\n在庫表\ncell one\n4650"


def test_a_password_is_noticed_and_another_zip_file_is_no_document() -> None:
    with pytest.raises(EncryptedError):
        read(container(**{".iwph": b"hint", "Index/Document.iwa": b"\x01\x02"}), Reading(10))
    assert not is_iwork(container(**{"readme.txt": b"x"}))
