"""Office files that are encrypted with a password that their program knows by itself ([MS-OFFCRYPTO]).

Excel encrypts a workbook whose structure or sheets are protected with `VelvetSweatshop`, and PowerPoint a presentation that is
protected against changes with a password of its own; both open such files without asking. No other password is tried.
The ciphers are msoffcrypto's; its own handling of whole files is not used, because it writes temporary files.
"""

import io
import struct
from contextlib import suppress
from dataclasses import dataclass

from worker.core.extract.faults import CorruptError, EncryptedError
from worker.core.extract.readers.compound import Compound

EXCEL = "VelvetSweatshop"
POWERPOINT = "/01Hannes Ruescher/01"
MAX_SPINS = 1_000_000
"""Rounds of hashing a password; Office uses 100,000, which take 0.1 s."""
_FILE_PASS, _BOUND_SHEET = 0x2F, 0x85
_PLAIN = frozenset({0x0809, _FILE_PASS, 0x0194, 0x0195, 0xE1, 0x0196, 0x0138})
"""Records that are not encrypted: BOF, FilePass, UsrExcl, FileLock, InterfaceHdr, RRDInfo, RRDHead ([MS-XLS] 2.2.10)."""
_FIRST_RECORDS = 8
"""FilePass is among these."""
_XLS_BLOCK_BYTES = 1024
_LOCKED = "the document is encrypted"


@dataclass(frozen=True, slots=True)
class Rc4:
    """A key of RC4, in its first form ([MS-OFFCRYPTO] 2.3.6) or, with `bits`, in that of CryptoAPI (2.3.5)."""

    password: str
    salt: bytes
    bits: int | None

    def decrypt(self, data: bytes, block_bytes: int, first_block: int = 0) -> bytes:
        """The data, each block of which has a key of its own."""
        from msoffcrypto.method.rc4 import DocumentRC4  # type: ignore[import-untyped]
        from msoffcrypto.method.rc4_cryptoapi import DocumentRC4CryptoAPI  # type: ignore[import-untyped]

        if self.bits is None:
            return bytes(DocumentRC4.decrypt(self.password, self.salt, io.BytesIO(data), block_bytes).getbuffer())
        plain = DocumentRC4CryptoAPI.decrypt(
            self.password, self.salt, self.bits, io.BytesIO(data), block_bytes, first_block
        )
        return bytes(plain.getbuffer())


def rc4_key(info: bytes, password: str) -> Rc4:
    """The key in an EncryptionInfo structure or header. Raises EncryptedError if it is not that of this password."""
    from msoffcrypto.method.rc4 import DocumentRC4
    from msoffcrypto.method.rc4_cryptoapi import DocumentRC4CryptoAPI

    try:
        major, minor = struct.unpack_from("<HH", info)
        if (major, minor) == (1, 1):
            salt, verifier, digest = info[4:20], info[20:36], info[36:52]
            if DocumentRC4.verifypw(password, salt, verifier, digest):
                return Rc4(password, salt, None)
        elif major in {2, 3, 4} and minor == 2:
            size = struct.unpack_from("<I", info, 8)[0]
            bits = struct.unpack_from("<I", info, 12 + 16)[0] or 40
            at = 12 + size
            salt, verifier, digest = info[at + 4 : at + 20], info[at + 20 : at + 36], info[at + 40 : at + 60]
            if DocumentRC4CryptoAPI.verifypw(password, salt, bits, verifier, digest):
                return Rc4(password, salt, bits)
    except (struct.error, ValueError) as error:
        raise EncryptedError(_LOCKED) from error
    raise EncryptedError(_LOCKED)


def package(file: Compound) -> bytes:
    """The zip container in the stream EncryptedPackage. Raises EncryptedError, unless its password is a known one."""
    from msoffcrypto import exceptions  # type: ignore[import-untyped]
    from msoffcrypto.format.ooxml import OOXMLFile  # type: ignore[import-untyped]

    for password in (EXCEL, POWERPOINT):
        found = io.BytesIO()
        with suppress(
            exceptions.DecryptionError, exceptions.FileFormatError, exceptions.InvalidKeyError,
            ArithmeticError, AttributeError, LookupError, OSError, TypeError, ValueError, struct.error,
        ):  # fmt: skip
            document = OOXMLFile(io.BytesIO(file.body))
            if int(document.info.get("spinValue", 0)) <= MAX_SPINS:
                document.load_key(password=password, verify_password=True)
                document.decrypt(found)
                return found.getvalue()
    raise EncryptedError(_LOCKED)


def workbook(stream: bytes) -> bytes:
    """A workbook's stream, decrypted if it is encrypted with Excel's own password; its FilePass record becomes a blank one.

    Raises EncryptedError if it has another password, and CorruptError.
    """
    found = _file_pass(stream)
    if found is None:
        return stream
    at, info = found
    if len(info) < 6:  # BIFF5: XOR only, without the field that tells the methods apart
        kind, rest = 0, info
    else:
        kind, rest = struct.unpack_from("<H", info)[0], info[2:]
    plain = _without_xor(stream, rest) if kind == 0 else _without_rc4(stream, rc4_key(rest, EXCEL))
    plain[at : at + 2] = b"\0\0"
    return bytes(plain)


def _file_pass(stream: bytes) -> tuple[int, bytes] | None:
    """Where the record FilePass is, and what it holds. It follows the first BOF, perhaps after WriteProtect."""
    at = 0
    for _ in range(_FIRST_RECORDS):
        if at + 4 > len(stream):
            return None
        number, size = struct.unpack_from("<HH", stream, at)
        if number == _FILE_PASS:
            return at, stream[at + 4 : at + 4 + size]
        at += 4 + size
    return None


def _records(stream: bytes) -> list[tuple[int, int, int]]:
    """The encrypted bytes: where they begin and end in the stream, and the number of bytes of their whole record."""
    found, at = [], 0
    while at + 4 <= len(stream):
        number, size = struct.unpack_from("<HH", stream, at)
        if number not in _PLAIN:
            skip = 4 if number == _BOUND_SHEET else 0  # where the sheet begins
            found.append((at + 4 + min(skip, size), min(at + 4 + size, len(stream)), size))
        at += 4 + size
    return found


def _without_rc4(stream: bytes, key: Rc4) -> bytearray:
    plain, deciphered = bytearray(stream), key.decrypt(stream, _XLS_BLOCK_BYTES)
    for start, end, _ in _records(stream):
        plain[start:end] = deciphered[start:end]
    return plain


def _without_xor(stream: bytes, info: bytes) -> bytearray:
    """Undo the method 1 of obfuscation ([MS-OFFCRYPTO] 2.3.7.2): each byte is rotated, after a key by its place and record."""
    from msoffcrypto.method.xor_obfuscation import DocumentXOR  # type: ignore[import-untyped]

    if len(info) < 4:
        raise CorruptError("the record FilePass is too short")
    if not DocumentXOR.verifypw(EXCEL, struct.unpack_from("<H", info, 2)[0]):
        raise EncryptedError(_LOCKED)
    key = DocumentXOR.create_xor_array_method1(EXCEL)
    tables = [bytes(_rotated(byte ^ part) for byte in range(256)) for part in key]
    plain = bytearray(stream)
    for start, end, size in _records(stream):
        for place in range(start, min(start + 16, end)):
            plain[place:end:16] = plain[place:end:16].translate(tables[(place + size) % 16])
    return plain


def _rotated(byte: int) -> int:
    return (byte >> 5 | byte << 3) & 0xFF
