"""Compound files (OLE, [MS-CFB]): the container of Office 97–2003 documents, Outlook messages and encrypted Office files."""

import struct
import sys
from array import array
from collections.abc import Iterator

from worker.core.extract.faults import CorruptError, EncryptedError

MAGIC = bytes.fromhex("d0cf11e0a1b11ae1")
_END = 0xFFFFFFFA
"""Sector numbers from here on are special markers, not sectors."""
_STREAMS = (
    ("WordDocument", "application/msword"),
    ("Workbook", "application/vnd.ms-excel"),
    ("Book", "application/vnd.ms-excel"),
    ("PowerPoint Document", "application/vnd.ms-powerpoint"),
    ("__properties_version1.0", "application/vnd.ms-outlook"),
)
_ENCRYPTED_POWERPOINT = bytes.fromhex("dfc4d1f3")
_MINI_SECTOR_BYTES = 64
_ENTRY_BYTES = 128


class Compound:
    """A compound file: a set of named streams. Every chain is bounded by the file's size. Raises CorruptError."""

    def __init__(self, data: bytes) -> None:
        if data[:8] != MAGIC or len(data) < 512:
            raise CorruptError("the header of a compound file is missing")
        self._data = data
        self.body = data
        """The whole file."""
        shift = struct.unpack_from("<H", data, 30)[0]
        if shift not in {9, 12}:
            raise CorruptError(f"the sector size of the compound file is 2^{shift} bytes; it must be 512 or 4096")
        self._sector = 1 << shift
        self._sectors = len(data) // self._sector + 1
        (_, fat_count, root, _, self._cutoff, mini_fat, _, difat, _) = struct.unpack_from("<9I", data, 40)
        self._fat = self._table(self._fat_sectors(difat)[: min(fat_count, self._sectors)])
        self._mini_fat = self._table(list(self._walk(mini_fat, self._fat)))
        self._entries = self._directory(root)
        start, size = self._entries.get("Root Entry", (_END, 0))
        self._mini = self._chain(start)[:size]

    def __contains__(self, name: str) -> bool:
        return name in self._entries

    def document_type(self) -> str | None:
        """The MIME type of the document in this file; None if it is no document. Raises EncryptedError."""
        if "EncryptedPackage" in self or self.stream("Current User")[12:16] == _ENCRYPTED_POWERPOINT:
            raise EncryptedError("the document is encrypted")
        return next((mime_type for stream, mime_type in _STREAMS if stream in self), None)

    def stream(self, name: str) -> bytes:
        """The bytes of a stream; empty if there is no stream of that name."""
        start, size = self._entries.get(name, (_END, 0))
        if size >= self._cutoff:
            return self._chain(start)[:size]
        walk = self._walk(start, self._mini_fat)
        return b"".join(self._mini[n * _MINI_SECTOR_BYTES : (n + 1) * _MINI_SECTOR_BYTES] for n in walk)[:size]

    def _fat_sectors(self, difat: int) -> list[int]:
        numbers = list(struct.unpack_from("<109I", self._data, 76))
        while difat < _END and len(numbers) <= self._sectors:
            more = struct.unpack(f"<{self._sector // 4}I", self._at(difat))
            numbers += more[:-1]
            difat = more[-1]
        return numbers

    def _at(self, number: int) -> bytes:
        block = self._data[(number + 1) * self._sector : (number + 2) * self._sector]
        if not block:
            raise CorruptError("the compound file is truncated: a sector lies beyond its end")
        return block.ljust(self._sector, b"\0")

    def _table(self, numbers: list[int]) -> "array[int]":
        table = array("I", b"".join(self._at(number) for number in numbers if number < _END))
        if sys.byteorder == "big":
            table.byteswap()
        return table

    def _walk(self, start: int, table: "array[int]") -> Iterator[int]:
        limit = max(self._sectors, self._sectors * self._sector // _MINI_SECTOR_BYTES if table is not self._fat else 0)
        for _ in range(limit):
            if start >= _END:
                return
            if start >= len(table):
                raise CorruptError("a sector chain of the compound file points outside the file")
            yield start
            start = table[start]
        if start < _END:
            raise CorruptError("a sector chain of the compound file is circular")

    def _chain(self, start: int) -> bytes:
        return b"".join(self._at(number) for number in self._walk(start, self._fat))

    def _directory(self, root: int) -> dict[str, tuple[int, int]]:
        raw = self._chain(root)
        entries: dict[str, tuple[int, int]] = {}
        for offset in range(0, len(raw) - _ENTRY_BYTES + 1, _ENTRY_BYTES):
            length = struct.unpack_from("<H", raw, offset + 64)[0]
            name = raw[offset : offset + max(min(length, 64) - 2, 0)].decode("utf-16-le", "replace")
            if name:
                entries.setdefault(name, struct.unpack_from("<II", raw, offset + 116))
        return entries
