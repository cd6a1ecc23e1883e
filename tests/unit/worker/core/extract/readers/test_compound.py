"""Compound files: the storage tree, and hostile ones."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testing.compound_files import compound
from worker.core.extract.faults import CorruptError, EncryptedError
from worker.core.extract.readers.compound import Compound

WORKBOOK = "application/vnd.ms-excel"


def test_only_the_streams_of_the_root_decide_what_the_document_is() -> None:
    file = Compound(compound({"MBD0018D4CE/WordDocument": b"an object", "Workbook": b"cells"}))
    assert file.document_type() == WORKBOOK


def test_names_are_compared_without_regard_to_case() -> None:
    file = Compound(compound({"WORKBOOK": b"cells", "Storage/STREAM": b"inside"}))
    assert file.document_type() == WORKBOOK
    assert file.stream("workbook") == b"cells"
    assert "storage/stream" in file
    assert file.stream("sTORAGE/Stream") == b"inside"


@pytest.mark.parametrize(
    ("stream", "mime_type"),
    [
        ("WordDocument", "application/msword"),
        ("Book", WORKBOOK),
        ("PP97_DUALSTORAGE/PowerPoint Document", "application/vnd.ms-powerpoint"),
        ("__properties_version1.0", "application/vnd.ms-outlook"),
        ("Contents", None),
    ],
)
def test_each_kind_of_document_is_known_by_its_stream(stream: str, mime_type: str | None) -> None:
    assert Compound(compound({stream: b"x"})).document_type() == mime_type


def test_a_document_under_rights_management_is_encrypted() -> None:
    with pytest.raises(EncryptedError):
        Compound(compound({"\tDRMContent": b"x", "WordDocument": b"y"})).document_type()


def test_large_and_small_streams_and_absent_ones_are_told_apart() -> None:
    file = Compound(compound({"small": b"s" * 100, "large": b"l" * 10_000, "none": b"", "storage/in": b"i"}))
    assert file.stream("small") == b"s" * 100
    assert file.stream("large") == b"l" * 10_000
    assert file.stream("none") == file.stream("absent") == file.stream("storage") == b""
    assert set(file.children()) == {"small", "large", "none", "storage"}
    assert file.children("storage") == ["in"]
    assert file.children("absent") == []


def test_a_storage_of_thousands_of_streams_in_a_chain_is_read() -> None:
    file = Compound(compound({f"s/{number:05}": b"%d" % number for number in range(3000)}))
    assert file.stream("s/02999") == b"2999"


def test_a_stream_that_claims_to_be_larger_than_the_file_ends_with_it() -> None:
    body = bytearray(compound({"large": b"l" * 10_000}))
    at = body.index("large".encode("utf-16-le"))
    struct.pack_into("<I", body, at + 120, 0xFFFFFFF0)
    assert len(Compound(bytes(body)).stream("large")) <= len(body)


def test_a_file_whose_last_sector_is_cut_short_is_read() -> None:
    file = Compound(compound({"Workbook": b"x" * 5000})[:-8])
    assert file.stream("Workbook") == b"x" * 5000


def test_a_chain_in_a_circle_ends() -> None:
    body = bytearray(compound({"large": b"l" * 10_000}))
    struct.pack_into("<I", body, len(body) - 512 + 4, 0)  # the second sector leads to the first
    assert len(Compound(bytes(body)).stream("large")) <= 10_000


def test_streams_that_share_their_sectors_do_not_multiply_what_is_read() -> None:
    body = bytearray(compound({f"s{number}": b"x" * 500_000 for number in range(8)}))
    for number in range(8):
        at = body.index(f"s{number}".encode("utf-16-le"))
        struct.pack_into("<II", body, at + 116, 0, len(body))
    file = Compound(bytes(body))
    with pytest.raises(CorruptError):
        [file.stream(f"s{number % 8}") for number in range(100)]


@pytest.mark.parametrize(
    ("at", "value"), [(0, 0), (30, 3), (30, 64_009), (32, 64_006), (44, 0x7FFFFFFF), (44, 100_000), (48, 0xFFFFFFF0)]
)
def test_a_header_that_cannot_be_true_is_corrupt(at: int, value: int) -> None:
    body = bytearray(compound({"Workbook": b"x" * 5000}))
    struct.pack_into("<I" if at >= 44 else "<H", body, at, value)
    with pytest.raises(CorruptError):
        Compound(bytes(body))


@pytest.mark.parametrize("size", [0, 8, 100, 511, 512, 1535])
def test_a_file_that_breaks_off_is_corrupt(size: int) -> None:
    with pytest.raises(CorruptError):
        Compound(compound({"Workbook": b"x" * 5000})[:size])


@given(st.integers(0, 20_000), st.binary(min_size=1, max_size=64))
def test_whatever_is_overwritten_ends_in_bytes_or_a_known_fault(at: int, noise: bytes) -> None:
    body = bytearray(compound({"Workbook": b"x" * 5000, "s/t": b"y" * 300, "u": b"z" * 3000}))
    body[at % len(body) : at % len(body) + len(noise)] = noise
    try:
        file = Compound(bytes(body))
        read = [file.stream(name) for name in ("Workbook", "s/t", "u")]
    except CorruptError:
        return
    assert sum(map(len, read)) <= 3 * len(body)


def test_a_directory_that_is_damaged_has_a_fault() -> None:
    body = bytearray(compound({"Workbook": b"x" * 5000}))
    assert not Compound(bytes(body)).fault
    body[body.index("Workbook".encode("utf-16-le")) + 66] = 77  # the kind of the entry
    assert "storage type" in Compound(bytes(body)).fault
