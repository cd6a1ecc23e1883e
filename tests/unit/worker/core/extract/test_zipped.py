"""Zip containers: whole, within bounds, and what they say they are."""

import io
import struct
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testing.corpus_bodies import DATA, SAMPLES
from worker.core.extract import zipped
from worker.core.extract.faults import CorruptError, EncryptedError
from worker.core.extract.zipped import Container, open_document_properties, open_document_text

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
        Container(zip_of(a=bytes(64 * 1024**2)))


def test_many_small_members_are_bounded_in_total(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zipped, "MAX_TOTAL_BYTES", 10_000)
    with pytest.raises(CorruptError, match="zip bomb"):
        Container(zip_of(**{f"m{i}": bytes(3000) for i in range(5)}))


def test_the_number_of_members_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zipped, "MAX_ENTRIES", 3)
    with pytest.raises(CorruptError, match="5 entries"):
        Container(zip_of(**{f"m{i}": b"" for i in range(5)}))


def test_a_header_that_lies_about_the_size_is_found_out() -> None:
    body = bytearray(zip_of(a=b"x" * 5000))
    at = body.rindex(b"PK\x01\x02")
    struct.pack_into("<I", body, at + 24, 10)
    with pytest.raises(CorruptError, match="broken"):
        Container(bytes(body))


def test_a_flipped_bit_is_found_out() -> None:
    body = bytearray(NDA.read_bytes())
    body[len(body) // 2] ^= 0xFF
    with pytest.raises(CorruptError):
        Container(bytes(body))


@given(st.integers(0, 10_000), st.binary(min_size=1, max_size=40))
def test_whatever_is_overwritten_ends_in_a_known_fault_or_none(at: int, noise: bytes) -> None:
    body = bytearray(NDA.read_bytes())
    body[at % len(body) : at % len(body) + len(noise)] = noise
    try:
        container = Container(bytes(body))
    except (CorruptError, EncryptedError):
        return
    assert container.document_type() is None or "officedocument" in (container.document_type() or "")


def test_a_presentation_s_text_and_properties_are_read() -> None:
    container = Container((SAMPLES / "sales/Product overview.odp").read_bytes())
    assert "Miyakodori Archive Search" in open_document_text(container).splitlines()
    said = open_document_properties(container)
    assert (said.title, said.author, said.language) == ("Product overview", "Sales, M. Suzuki", "en")


def test_broken_properties_do_not_cost_the_document() -> None:
    assert open_document_properties(Container(zip_of(**{"meta.xml": b"<<<"}))).title is None
