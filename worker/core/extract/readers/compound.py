"""Compound files (OLE, [MS-CFB]): the container of Office 97–2003 documents, Outlook messages and encrypted Office files."""

import copy
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import olefile  # type: ignore[import-untyped]

from worker.core.base.reasons import Reason
from worker.core.extract.faults import CorruptError, EncryptedError
from worker.core.extract.readers import property_sets
from worker.core.extract.result import Properties

MAX_READ = 8
"""The streams that are read may together be this many times as large as the file: sectors can be shared by streams."""
FREE_BYTES = 16 * 1024**2
"""Up to this many bytes are read of any file."""
_MAX_DEPTH = 20_000
"""The directory's tree is walked by recursion, and some writers chain the entries of a storage instead of balancing them."""
_MINI_SHIFT = b"\6\0"
_FAT_SLACK = 128
"""This many sectors of the file allocation table more than the file needs are accepted."""
_DOCUMENTS = (
    ("WordDocument", "application/msword"),
    ("Workbook", "application/vnd.ms-excel"),
    ("Book", "application/vnd.ms-excel"),
    ("PowerPoint Document", "application/vnd.ms-powerpoint"),
    ("PP97_DUALSTORAGE/PowerPoint Document", "application/vnd.ms-powerpoint"),
    ("__properties_version1.0", "application/vnd.ms-outlook"),
    ("Quill/QuillSub/CONTENTS", "application/x-mspublisher"),
    ("VisioDocument", "application/vnd.visio"),
    ("BodyText", "application/x-hwp"),
    ("ViewText", "application/x-hwp"),
)
"""What each kind of document has at the root; the streams of embedded objects are in storages of their own."""
_RIGHTS_MANAGED = ("\tDRMContent", "\tDRMViewerContent")


class _OleFile(olefile.OleFileIO):  # type: ignore[misc]
    def _check_duplicate_stream(self, first_sect: int, minifat: bool = False) -> None:
        """Nothing: olefile searches a list of all streams for each one, and then only logs what it has found."""


class Compound:
    """A compound file. Names of streams and storages are compared without regard to case; `/` separates a path's parts."""

    def __init__(self, body: bytes) -> None:
        """Read the directory. Raises CorruptError."""
        self.body = body
        """The whole file, also if this is an object inside of it."""
        self._room = max(FREE_BYTES, MAX_READ * len(body))
        try:
            _check_header(body)
            sector = 1 << body[30]
            with _deep_recursion():
                self._ole = _OleFile(body + bytes(-len(body) % sector))  # the last sector may be cut short
        except (OSError, ValueError, IndexError, AttributeError, TypeError, RecursionError) as error:
            raise CorruptError(f"the compound file is broken: {error}") from error
        self._ole.num_mini_fat_sectors = min(self._ole.num_mini_fat_sectors, self._ole.nb_sect + 1)
        self._ole.root.size = min(self._ole.root.size, len(body))
        self._root = self._ole.root

    @property
    def fault(self) -> str:
        """The first thing that is wrong with the directory or with what was read; empty if nothing is."""
        return next((str(message) for _, message in self._ole.parsing_issues), "")

    def inside(self, path: str) -> "Compound | None":
        """A storage as a file of its own, for an embedded object; None if there is no such storage."""
        entry = self._entry(path)
        if entry is None or entry.entry_type != olefile.STGTY_STORAGE:
            return None
        inner = copy.copy(self)
        inner._root = entry  # noqa: SLF001 (a copy of this object)
        return inner

    def __contains__(self, path: str) -> bool:
        return self._entry(path) is not None

    def children(self, path: str = "") -> list[str]:
        """The names of the streams and storages in a storage, by default the root; none if there is no such storage."""
        entry = self._entry(path)
        return [kid.name for kid in entry.kids] if entry is not None else []

    def stream(self, path: str) -> bytes:
        """The bytes of a stream, or what the file still has of them; empty if there is no such stream.

        Raises CorruptError if it is broken, or if more is read than a file of this size has.
        """
        entry = self._entry(path)
        if entry is None or entry.entry_type != olefile.STGTY_STREAM:
            return b""
        size = min(entry.size, len(self.body))
        self._room -= size
        if self._room < 0:
            raise CorruptError("the streams of the compound file are longer than the file", Reason.TOO_COMPLEX)
        try:
            return bytes(self._ole._open(entry.isectStart, size).getbuffer())  # noqa: SLF001 (`openstream` searches again)
        except (OSError, ValueError, IndexError, TypeError) as error:
            raise CorruptError(f"the compound file is broken: {path}: {error}") from error

    def document_type(self) -> str | None:
        """The MIME type of the document in this file; None if it is no document. Raises EncryptedError."""
        if any(name in self for name in _RIGHTS_MANAGED):
            raise EncryptedError("the document is protected by rights management", Reason.RIGHTS_MANAGEMENT)
        return next((mime_type for path, mime_type in _DOCUMENTS if path in self), None)

    def properties(self) -> Properties:
        """Title, author, date of creation and language, as the file states them."""
        return property_sets.said(self._property_streams())

    def property_texts(self) -> list[str]:
        """The properties in which people search, title and author among them: a line for each."""
        return property_sets.texts(self._property_streams())

    def code_page(self) -> int:
        """The code page in which the file states its properties; text of old versions is in it too."""
        return property_sets.code_page(self._property_streams()[0])

    def _property_streams(self) -> tuple[bytes, bytes]:
        try:
            return self.stream(property_sets.SUMMARY), self.stream(property_sets.DOCUMENT_SUMMARY)
        except CorruptError:
            return b"", b""

    def _entry(self, path: str) -> "olefile.OleDirectoryEntry | None":
        node = self._root
        for name in path.split("/") if path else ():
            node = node.kids_dict.get(name.lower())
            if node is None:
                return None
        return node


def _check_header(body: bytes) -> None:
    """Refuse a header whose counts olefile would follow further than the file reaches. Raises CorruptError."""
    if len(body) < olefile.MINIMAL_OLEFILE_SIZE or body[:8] != olefile.MAGIC:
        raise CorruptError("the header of a compound file is missing")
    shift = int.from_bytes(body[30:32], "little")
    if shift not in {9, 12}:
        raise CorruptError(f"the sector size of the compound file is 2^{shift} bytes; it must be 512 or 4096")
    if body[32:34] != _MINI_SHIFT:
        raise CorruptError("the sectors of the compound file's small streams must have 64 bytes")
    sectors = len(body) >> shift
    fat_sectors = int.from_bytes(body[44:48], "little")
    if fat_sectors > (sectors >> (shift - 2)) + _FAT_SLACK:
        raise CorruptError(
            f"the compound file claims {fat_sectors} sectors of its allocation table, more than it can need"
        )


@contextmanager
def _deep_recursion() -> Iterator[None]:
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(max(limit, _MAX_DEPTH))
    try:
        yield
    finally:
        sys.setrecursionlimit(limit)
