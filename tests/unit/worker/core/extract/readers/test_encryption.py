"""Passwords that Office knows by itself."""

import hashlib
import struct

import pytest

from testing.compound_files import compound
from testing.corpus_bodies import DATA
from worker.core.extract.faults import EncryptedError
from worker.core.extract.readers import encryption, excel
from worker.core.extract.readers.compound import Compound
from worker.core.extract.readers.zipped import Container
from worker.core.extract.reading import Reading

BOF = struct.pack("<HHHHHHII", 0x809, 16, 0x600, 5, 0, 0, 0, 0)
SALT = bytes(range(16))
LABEL = struct.pack("<HH", 0x204, 40) + "見積書".encode("utf-16-le").ljust(40)
SHEET = struct.pack("<HHI", 0x85, 12, 0x1234) + b"Sheet 12"
PROTECTED = DATA / "reach" / "poi_protect.xlsx"


def rc4_workbook(password: str) -> bytes:
    key = encryption.Rc4(password, SALT, None)
    verifier = key.decrypt(b"v" * 16 + hashlib.md5(b"v" * 16, usedforsecurity=False).digest(), 1024)
    info = struct.pack("<HHH", 1, 1, 1) + SALT + verifier
    plain = BOF + struct.pack("<HH", 0x2F, len(info)) + info + SHEET + 40 * LABEL
    deciphered = bytearray(key.decrypt(plain, 1024))
    at = 0
    while at < len(plain):
        number, size = struct.unpack_from("<HH", plain, at)
        kept = 4 + size if number in {0x809, 0x2F} else 8 if number == 0x85 else 4
        deciphered[at : at + kept] = plain[at : at + kept]
        at += 4 + size
    return bytes(deciphered)


def xor_workbook(verifier: int, size_of_info: int) -> bytes:
    """A workbook whose label is obfuscated: the key of a byte is chosen by its place and the size of its record."""
    from msoffcrypto.method.xor_obfuscation import DocumentXOR  # type: ignore[import-untyped]

    info = struct.pack("<HHH", 0, 0, verifier)[6 - size_of_info :]
    head = BOF + struct.pack("<HH", 0x2F, len(info)) + info + LABEL[:4]
    key, size = DocumentXOR.create_xor_array_method1(encryption.EXCEL), len(LABEL) - 4
    hidden = (
        ((byte << 5 | byte >> 3) & 0xFF) ^ key[(at + size) % 16] for at, byte in enumerate(LABEL[4:], start=len(head))
    )
    return head + bytes(hidden)


def test_a_workbook_encrypted_with_excels_own_password_is_read() -> None:
    plain = encryption.workbook(rc4_workbook(encryption.EXCEL))
    assert plain.endswith(SHEET + 40 * LABEL)
    assert struct.unpack_from("<H", plain, len(BOF))[0] == 0


def test_the_reader_of_workbooks_opens_one_with_excels_own_password() -> None:
    reading = Reading(1000)
    excel.read(Compound(compound({"Workbook": rc4_workbook(encryption.EXCEL)})), reading)
    assert not reading.missed
    with pytest.raises(EncryptedError):
        excel.read(Compound(compound({"Workbook": rc4_workbook("secret")})), reading)


@pytest.mark.parametrize("size_of_info", [6, 4])
def test_a_workbook_obfuscated_with_excels_own_password_is_read(size_of_info: int) -> None:
    assert encryption.workbook(xor_workbook(0x9A0A, size_of_info)).endswith(LABEL)


def test_a_workbook_with_another_password_is_encrypted() -> None:
    with pytest.raises(EncryptedError):
        encryption.workbook(rc4_workbook("secret"))
    with pytest.raises(EncryptedError):
        encryption.workbook(xor_workbook(0x1111, 6))


def test_a_workbook_that_is_not_encrypted_stays_as_it_is() -> None:
    plain = BOF + SHEET + LABEL
    assert encryption.workbook(plain) is plain
    assert encryption.workbook(b"") == b""


def test_a_package_encrypted_with_excels_own_password_is_read() -> None:
    body = encryption.package(Compound(PROTECTED.read_bytes()))
    assert "xl/workbook.xml" in Container(body)


@pytest.mark.parametrize("info", [b"", b"\4\0\4\0\x40\0\0\0<encryption/>", b"\3\0\2\0" + b"\xff" * 300])
def test_a_package_whose_password_is_not_known_is_encrypted(info: bytes) -> None:
    with pytest.raises(EncryptedError):
        encryption.package(Compound(compound({"EncryptionInfo": info, "EncryptedPackage": b"x" * 5000})))
