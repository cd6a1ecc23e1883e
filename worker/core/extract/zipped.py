"""Inspect zip containers: which document it is, whether it is complete, and whether it is a zip bomb.

To find this out, every member is inflated.
"""

import copy
import io
import zipfile
import zlib

from lxml import etree

from worker.core.extract.faults import CorruptError, EncryptedError
from worker.core.extract.markup import xml_parser, xml_text
from worker.core.extract.result import Properties

MAX_ENTRIES = 20_000
MAX_ENTRY_BYTES = 512 * 1024**2
MAX_TOTAL_BYTES = 1024**3
MAX_RATIO = 250
"""The largest ratio of inflated to stored bytes. Deflate reaches 1032 for zeros; spreadsheets rarely exceed 50."""
FREE_BYTES = 16 * 1024**2
"""The ratio is not checked below this inflated size."""
_CHUNK_BYTES = 1024**2
_ENCRYPTED = 0x1

_OOXML = "application/vnd.openxmlformats-officedocument."
_MAIN_PARTS = (
    ("word/document", _OOXML + "wordprocessingml.document"),
    ("xl/workbook.bin", "application/vnd.ms-excel.sheet.binary.macroenabled.12"),
    ("xl/workbook", _OOXML + "spreadsheetml.sheet"),
    ("ppt/presentation", _OOXML + "presentationml.presentation"),
)
_DC = "{http://purl.org/dc/elements/1.1/}"
_META = "{urn:oasis:names:tc:opendocument:xmlns:meta:1.0}"


class Container:
    """A zip file that is complete and within the limits. Raises CorruptError or EncryptedError if it is not."""

    def __init__(self, body: bytes) -> None:
        try:
            self._zip = zipfile.ZipFile(io.BytesIO(body))
            self._names = set(self._zip.namelist())
            self._inspect()
        except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, NotImplementedError, OSError) as error:
            if isinstance(error, CorruptError | EncryptedError):
                raise
            raise CorruptError(f"the zip container is broken: {error}") from error

    def document_type(self) -> str | None:
        """The MIME type of the document in this container; None if it is an archive of arbitrary files."""
        declared = self.read("mimetype", 200).decode("ascii", "replace").strip()
        if declared.startswith("application/vnd.oasis.opendocument.") and "content.xml" in self._names:
            if b"encryption-data" in self.read("META-INF/manifest.xml"):
                raise EncryptedError("the document is encrypted")
            return declared
        if declared in {"", "application/epub+zip"} and "META-INF/container.xml" in self._names:
            return "application/epub+zip"
        if "[Content_Types].xml" in self._names:
            for prefix, mime_type in _MAIN_PARTS:
                if any(name.startswith(prefix) for name in self._names):
                    return mime_type
        return None

    def read(self, name: str, limit: int = MAX_ENTRY_BYTES) -> bytes:
        """The first `limit` bytes of a member; empty if there is no member of that name."""
        if name not in self._names:
            return b""
        with self._zip.open(name) as member:
            return member.read(limit)

    def _inspect(self) -> None:
        entries = self._zip.infolist()
        if len(entries) > MAX_ENTRIES:
            raise CorruptError(f"the zip container has {len(entries)} entries; at most {MAX_ENTRIES} are allowed")
        if any(entry.flag_bits & _ENCRYPTED for entry in entries):
            raise EncryptedError("the zip container is protected by a password")
        total = 0
        for entry in entries:
            total += self._inflated(entry, MAX_TOTAL_BYTES - total)

    def _inflated(self, entry: zipfile.ZipInfo, room: int) -> int:
        """The actual size of a member; the size in its header may be wrong. Reading it also checks its CRC."""
        limit = min(room, MAX_ENTRY_BYTES, max(FREE_BYTES, MAX_RATIO * entry.compress_size))
        probe = copy.copy(entry)
        probe.file_size = limit + 2 * _CHUNK_BYTES  # zipfile stops at the size in the header, so make that large enough
        size = 0
        with self._zip.open(probe) as member:
            while chunk := member.read(_CHUNK_BYTES):
                size += len(chunk)
                if size > limit:
                    raise CorruptError("the file is a zip bomb: it inflates to more than is allowed")
        if size != entry.file_size:
            raise CorruptError("the zip container is broken: a member does not have the size given in its header")
        return size


def open_document_text(container: Container) -> str:
    """The text of a presentation or drawing, which kreuzberg 4.10 cannot read."""
    return xml_text(container.read("content.xml").decode("utf-8", "replace"))


def open_document_properties(container: Container) -> Properties:
    """The properties in meta.xml, which kreuzberg 4.10 omits for some kinds of documents."""
    raw = container.read("meta.xml", FREE_BYTES)
    try:
        root = etree.fromstring(raw, xml_parser()) if raw else None
    except (etree.XMLSyntaxError, ValueError):
        root = None
    if root is None:
        return Properties()
    return Properties(
        title=root.findtext(f".//{_DC}title"),
        author=root.findtext(f".//{_META}initial-creator") or root.findtext(f".//{_DC}creator"),
        created=root.findtext(f".//{_META}creation-date"),
        language=root.findtext(f".//{_DC}language"),
    )
