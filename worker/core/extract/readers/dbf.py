"""Tables of dBASE and its successors (.dbf): rows of fields of fixed width; memo files are separate and not read.

Source: "Data File Header Structure for the dBASE Version 7 Table File"; the code pages are those of FoxPro and ArcGIS.
"""

import re
import struct
from collections.abc import Iterator

from worker.core.extract.decode import decode
from worker.core.extract.faults import CorruptError
from worker.core.extract.reading import Reading

_HEADER = struct.Struct("<xBBBIHH17xB2x")
_FIELD_BYTES = 32
_END_OF_FIELDS = 0x0D
_DELETED = 0x2A
_END_OF_FILE = 0x1A
_CODE_PAGES = {
    0x01: "cp437", 0x02: "cp850", 0x03: "cp1252", 0x13: "cp932", 0x4D: "gbk", 0x4E: "cp949", 0x4F: "cp950",
    0x57: "cp1252", 0x58: "cp1252", 0x64: "cp852", 0x65: "cp866", 0x78: "cp950", 0x79: "cp949", 0x7A: "gbk", 0x7B: "cp932",
    0x7C: "cp874", 0x7D: "cp1255", 0x7E: "cp1256", 0xC8: "cp1250", 0xC9: "cp1251", 0xCA: "cp1254", 0xCB: "cp1253",
}  # fmt: skip
"""The code page for each language driver. Many tables have none, and their text is decoded like any other."""
_TYPES = b"CNFDLGMB@IYTVX"
_IS_DATE = ord("D")
_DATE = re.compile(r"(\d{4})(\d\d)(\d\d)")


def read(body: bytes, reading: Reading) -> None:
    """Read the names of the columns, then the rows that are not deleted. Raises CorruptError."""
    try:
        _, _, _, rows, header_bytes, row_bytes, driver = _HEADER.unpack_from(body)
    except struct.error as error:
        raise CorruptError("the table has no header") from error
    names, kinds, widths = _columns(body[_FIELD_BYTES:header_bytes])
    if not widths or sum(widths) >= row_bytes:
        raise CorruptError("the columns of the table are wider than its rows")
    whole = body[header_bytes:]
    encoding = _CODE_PAGES.get(driver) or _guessed(whole[: 256 * row_bytes])
    reading.add("\t".join(name.decode(encoding, "replace") for name in names))
    for at in range(0, min(rows * row_bytes, len(whole)), row_bytes):
        if whole[at] == _END_OF_FILE:
            break
        if whole[at] != _DELETED:
            cells = _cells(whole[at + 1 : at + row_bytes], widths)
            texts = (cell.decode(encoding, "replace").strip(" \0") for cell in cells)
            reading.add(
                "\t".join(_DATE.sub(r"\1-\2-\3", t) if k == _IS_DATE else t for t, k in zip(texts, kinds, strict=True))
            )


def _columns(fields: bytes) -> tuple[list[bytes], list[int], list[int]]:
    """The names, types and widths in bytes of the columns."""
    names, kinds, widths = [], [], []
    for at in range(0, len(fields) - _FIELD_BYTES + 1, _FIELD_BYTES):
        if fields[at] == _END_OF_FIELDS:
            break
        kind = fields[at + 11]
        if kind not in _TYPES:
            raise CorruptError(f"the table has a column of the unknown type {kind:#x}")
        kinds.append(kind)
        names.append(fields[at : at + 11].split(b"\0")[0])
        width = fields[at + 16]
        widths.append(width + 256 * fields[at + 17] if kind == ord("C") else width)  # a long text
    return names, kinds, widths


def _cells(row: bytes, widths: list[int]) -> Iterator[bytes]:
    at = 0
    for width in widths:
        yield row[at : at + width]
        at += width


def _guessed(rows: bytes) -> str:
    found = decode(rows.replace(b"\0", b" "))
    return found.encoding if found else "cp1252"
