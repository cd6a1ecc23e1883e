"""Zip containers: their members by name, each read within bounds, so that a zip bomb is not inflated."""

import copy
import io
import zipfile
import zlib
from collections.abc import Iterator

from lxml import etree

from worker.core.base.reasons import Reason
from worker.core.extract.faults import CorruptError, EncryptedError
from worker.core.extract.mended import mended
from worker.core.extract.readers import package
from worker.core.extract.reading import Reading

MAX_ENTRIES = 20_000
MAX_ENTRY_BYTES = 512 * 1024**2
MAX_TOTAL_BYTES = 1024**3
MAX_RATIO = 250
"""The largest ratio of inflated to stored bytes. Deflate reaches 1032 for zeros; spreadsheets rarely exceed 50."""
FREE_BYTES = 16 * 1024**2
"""The ratio is not checked below this inflated size."""
_CHUNK_BYTES = 1024**2
_ENCRYPTED = 0x1
_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, ValueError, NotImplementedError, OSError)

OPEN_DOCUMENTS = ("application/vnd.oasis.opendocument.", "application/vnd.sun.xml.")
"""How the types of OpenDocument begin, and those of OpenOffice.org 1."""


class Container:
    """A zip file. Names of members are compared without regard to case, and with `/` for a backslash ([ECMA-376] part 2)."""

    def __init__(self, body: bytes) -> None:
        """Read the directory. Raises CorruptError, and EncryptedError if there is a password."""
        self.body = body
        """The whole file."""
        try:
            self._zip = zipfile.ZipFile(io.BytesIO(body))
            entries = self._zip.infolist()
        except _BROKEN as error:
            raise CorruptError(f"the zip container is broken: {error}", Reason.BROKEN_ZIP) from error
        if len(entries) > MAX_ENTRIES:
            sentence = f"the zip container has {len(entries)} entries; at most {MAX_ENTRIES} are allowed"
            raise CorruptError(sentence, Reason.TOO_COMPLEX)
        if any(entry.flag_bits & _ENCRYPTED for entry in entries):
            raise EncryptedError("the zip container is protected by a password")
        self._entries = {_folded(entry.filename): entry for entry in reversed(entries)}
        self._in_pieces = {
            name.rpartition("/")[0] for name in self._entries if name.endswith(("/[0].piece", "/[0].last.piece"))
        }
        self._room = MAX_TOTAL_BYTES

    @property
    def names(self) -> list[str]:
        """The members' names, in the order of the archive, as they are written there."""
        return self._zip.namelist()

    def __contains__(self, name: str) -> bool:
        return _folded(name) in self._entries or _folded(name) in self._in_pieces

    def document_type(self) -> str | None:
        """The MIME type of the document in this container; None if it is an archive of arbitrary files."""
        declared = self.read("mimetype").decode("ascii", "replace").strip()
        if declared.startswith(OPEN_DOCUMENTS) and "content.xml" in self:
            if b"encryption-data" in self.read("META-INF/manifest.xml"):
                raise EncryptedError("the document is encrypted")
            return declared
        if declared in {"", "application/epub+zip"} and "META-INF/container.xml" in self:
            return "application/epub+zip"
        return package.document_type(self)

    def read(self, name: str) -> bytes:
        """A member; empty if there is none of that name. Raises CorruptError if it is broken or larger than is allowed."""
        folded = _folded(name)
        entry = self._entries.get(folded)
        if entry is not None:
            return self._inflated(entry)
        return b"".join(map(self._inflated, self._pieces(folded))) if folded in self._in_pieces else b""

    def _pieces(self, name: str) -> Iterator[zipfile.ZipInfo]:
        """The pieces of a member that was written bit by bit, between others ([ISO/IEC 29500-2] 6.2.4): printers do so."""
        for number in range(len(self._entries)):
            if piece := self._entries.get(f"{name}/[{number}].piece"):
                yield piece
            elif piece := self._entries.get(f"{name}/[{number}].last.piece"):
                yield piece
                return
            else:
                return

    def _inflated(self, entry: zipfile.ZipInfo) -> bytes:
        limit = min(self._room, MAX_ENTRY_BYTES, max(FREE_BYTES, MAX_RATIO * entry.compress_size))
        probe = copy.copy(entry)
        probe.file_size = limit + 2 * _CHUNK_BYTES  # zipfile stops at the size in the header, which may be wrong
        inflated = bytearray()
        try:
            with self._zip.open(probe) as member:
                while chunk := member.read(_CHUNK_BYTES):
                    inflated += chunk
                    if len(inflated) > limit:
                        sentence = "the file is a zip bomb: it inflates to more than is allowed"
                        raise CorruptError(sentence, Reason.ZIP_BOMB)
        except _BROKEN as error:
            if isinstance(error, CorruptError):
                raise
            sentence = f"the zip container is broken: {entry.filename}: {error}"
            raise CorruptError(sentence, Reason.BROKEN_ZIP) from error
        self._room -= len(inflated)
        return bytes(inflated)

    def tree(self, name: str, reading: Reading) -> etree._Element | None:
        """The XML of a member; None if there is no such member. Broken XML is read as far as possible, which is noted.

        Raises CorruptError if nothing of it can be read.
        """
        raw = self.read(name)
        return parsed(name, raw, reading) if raw else None


def parsed(name: str, raw: bytes, reading: Reading) -> etree._Element:
    """The XML in `raw`. Broken XML is read as far as possible, which is noted. Raises CorruptError if nothing can be read."""
    try:
        return etree.fromstring(raw, _parser(recover=False))
    except etree.XMLSyntaxError as error:
        root = etree.fromstring(mended(raw), _parser(recover=True))
        if root is None:
            raise CorruptError(f"{name} is not XML: {error}") from error
        reading.miss(f"{name} is broken: {error}")
        return root


def _folded(name: str) -> str:
    return name.replace("\\", "/").lstrip("/").lower()


def _parser(*, recover: bool) -> etree.XMLParser:
    """A parser for untrusted files: no DTD is loaded and no entity expanded. Long texts and deep trees are read all the same."""
    return etree.XMLParser(
        resolve_entities=False,
        load_dtd=False,
        no_network=True,
        huge_tree=True,
        remove_comments=True,
        remove_pis=True,
        recover=recover,
    )
