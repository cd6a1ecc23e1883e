"""Zip containers: whole, within bounds, and what they say they are."""

import io
import struct
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testing.corpus_bodies import DATA, SAMPLES
from worker.core.extract.faults import CorruptError, EncryptedError
from worker.core.extract.readers import zipped
from worker.core.extract.readers.zipped import Container
from worker.core.extract.reading import Reading

NDA = SAMPLES / "legal/NDA draft (v2+final).docx"


def zip_of(**members: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return out.getvalue()


def test_every_sample_is_known_by_its_content() -> None:
    types = {
        p.suffix: Container(p.read_bytes()).document_type() for p in SAMPLES.rglob("*.*") if p.read_bytes()[:2] == b"PK"
    }
    assert types.pop(".zip") is None
    assert {suffix for suffix, mime_type in types.items() if mime_type} == {
        ".docx", ".xlsx", ".pptx", ".odt", ".ods", ".odp", ".epub"
    }  # fmt: skip


@pytest.mark.parametrize("name", ["encrypted-zip.docx", "encrypted.odt", "encrypted.ods"])
def test_a_password_is_noticed(name: str) -> None:
    with pytest.raises(EncryptedError):
        Container((DATA / name).read_bytes()).document_type()


def test_a_bomb_is_not_inflated() -> None:
    with pytest.raises(CorruptError, match="zip bomb"):
        Container(zip_of(a=bytes(64 * 1024**2))).read("a")


def test_many_small_members_are_bounded_in_total(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zipped, "MAX_TOTAL_BYTES", 10_000)
    container = Container(zip_of(**{f"m{i}": bytes(3000) for i in range(5)}))
    for name in ("m0", "m1", "m2"):
        container.read(name)
    with pytest.raises(CorruptError, match="zip bomb"):
        container.read("m3")


def test_the_number_of_members_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zipped, "MAX_ENTRIES", 3)
    with pytest.raises(CorruptError, match="5 entries"):
        Container(zip_of(**{f"m{i}": b"" for i in range(5)}))


def test_a_header_that_lies_about_the_size_is_no_obstacle_and_no_danger() -> None:
    body = bytearray(zip_of(a=b"x" * 5000))
    at = body.rindex(b"PK\x01\x02")
    struct.pack_into("<I", body, at + 24, 10)
    assert Container(bytes(body)).read("a") == b"x" * 5000


def test_a_member_is_found_whatever_its_case_and_its_slashes() -> None:
    container = Container(zip_of(**{"Word\\Document.XML": b"text"}))
    assert container.read("word/document.xml") == container.read("/word/document.xml") == b"text"
    assert "WORD/document.xml" in container
    assert container.read("word/other.xml") == b""


def test_a_flipped_bit_is_found_out() -> None:
    body = bytearray(zip_of(a=bytes(range(256)) * 40, b=b"whole"))
    body[100] ^= 0xFF
    with pytest.raises(CorruptError):
        Container(bytes(body)).read("a")
    assert Container(bytes(body)).read("b") == b"whole"


def test_broken_xml_is_read_as_far_as_possible_and_this_is_noted() -> None:
    container, reading = Container(zip_of(a=b"<r><p>one</p><p>two</r>", b=b"not XML", c=b"<r>whole</r>")), Reading(1000)
    tree = container.tree("a", reading)
    assert tree is not None
    assert "".join(map(str, tree.itertext())) == "onetwo"
    assert len(reading.missed) == 1
    assert container.tree("c", reading) is not None
    assert container.tree("d", reading) is None
    with pytest.raises(CorruptError, match="b is not XML"):
        container.tree("b", reading)


@given(st.integers(0, 10_000), st.binary(min_size=1, max_size=40))
def test_whatever_is_overwritten_ends_in_a_known_fault_or_none(at: int, noise: bytes) -> None:
    body = bytearray(NDA.read_bytes())
    body[at % len(body) : at % len(body) + len(noise)] = noise
    try:
        container = Container(bytes(body))
        assert container.document_type() is None or "officedocument" in (container.document_type() or "")
        container.read("word/document.xml")
    except (CorruptError, EncryptedError):
        return
