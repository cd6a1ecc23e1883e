"""Documents that are embedded in others as objects: a sheet in a report, a file behind an icon. Each is read as a file of its own.

They are bounded in depth, number and size, so that a file that contains itself ends, and one full of objects stays cheap.
"""

import posixpath
import struct
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from worker.core.extract.faults import EncryptedError
from worker.core.extract.kinds import kind_of
from worker.core.extract.plain import extract_text
from worker.core.extract.readers import package
from worker.core.extract.readers.compound import Compound
from worker.core.extract.readers.zipped import Container
from worker.core.extract.reading import Reading

MAX_DEPTH = 3
"""Documents in documents are read up to this depth."""
MAX_BYTES = 16 * 1024**2
"""What is embedded beyond this size in all is not read."""
MAX_OBJECTS = 100
"""Further objects of a file are not read."""
MAX_TEXT_CHARS = 10_000_000

_ROUTES = frozenset({"pdf", "zip", "ole", "rtf", "mail"})
_TEXT_ROUTES = frozenset({"text", "html", "xml"})
_KINDS = frozenset({"package", "oleobject"})
_NATIVE = "\x01Ole10Native"
_PACKAGER = b"\x02\x00"
"""With what the data of the Packager begins."""
_CONTENTS = ("Package", "CONTENTS")
"""The streams in which the servers of OOXML and of PDF keep their files."""


@dataclass(slots=True)
class _Room:
    """What may still be read of the objects of one file."""

    depth: int
    objects: int
    size_bytes: int


_ROOMS: "WeakKeyDictionary[Reading, _Room]" = WeakKeyDictionary()


def linked(container: Container, part: str, reading: Reading) -> None:
    """Add the text of the documents that are embedded in a part; what is broken or encrypted is noted in the reading."""
    for link in package.relationships(container, part):
        if link.kind in _KINDS and not link.external and link.target in container:
            name = posixpath.basename(link.target)
            with reading.part(link.target):
                read(container.read(link.target), name, reading)


def read(body: bytes, name: str, reading: Reading) -> None:
    """Add the text of an embedded document, unless it is of another kind. What it says about itself is left out."""
    room = _ROOMS.setdefault(reading, _Room(MAX_DEPTH, MAX_OBJECTS, MAX_BYTES))
    room.objects -= 1
    room.size_bytes -= len(body)
    if room.depth <= 0 or room.objects < 0 or room.size_bytes < 0:
        return
    said = reading.said
    room.depth -= 1
    try:
        _read(body, name, reading)
    except EncryptedError as error:  # which must not count for the whole file
        reading.miss(f"{name}: {error}")
    finally:
        room.depth += 1
        reading.said = said


def _read(body: bytes, name: str, reading: Reading) -> None:
    from worker.core.extract import parse  # it imports the readers, which import this

    kind = kind_of(body[:4096], name, None)
    if kind.route in _TEXT_ROUTES:
        reading.add(extract_text(body, kind, MAX_TEXT_CHARS).content)
    elif kind.route in _ROUTES:
        _, read_with = parse.reader_of(body, kind)
        if read_with is not None:
            read_with(reading)
        elif kind.route == "ole":
            _read_object(Compound(body), reading)


def _read_object(file: Compound, reading: Reading) -> None:
    if _NATIVE in file:
        label, body = _native(file.stream(_NATIVE))
        reading.add(label)
        read(body, label, reading)
    for name in _CONTENTS:
        if name in file:
            read(file.stream(name), name, reading)


def _native(stream: bytes) -> tuple[str, bytes]:
    """The name and the content of a file behind an icon ([MS-OLEDS] 2.3.6; the layout of the data is the Packager's own).

    They are: the size, two bytes, the label, the path, eight bytes, of which four are the length of a further path, the size of
    the file and the file; then, since Windows 2000, the further path, the label and the path again in UTF-16.
    """
    if stream[4:6] != _PACKAGER:
        return "", stream[4:]  # the data of another server, such as a picture
    label_ends = stream.index(0, 6)
    path_ends = stream.index(0, label_ends + 1)
    (length,) = struct.unpack_from("<I", stream, path_ends + 5)
    at = path_ends + 9 + length
    (size,) = struct.unpack_from("<I", stream, at)
    body = stream[at + 4 : at + 4 + size]
    return _wide_label(stream, at + 4 + size) or stream[6:label_ends].decode("cp1252", "replace"), body


def _wide_label(stream: bytes, at: int) -> str:
    try:
        (length,) = struct.unpack_from("<I", stream, at)
        at += 4 + 2 * length
        (length,) = struct.unpack_from("<I", stream, at)
    except struct.error:
        return ""
    return stream[at + 4 : at + 4 + 2 * length].decode("utf-16-le", "replace").rstrip("\0")
