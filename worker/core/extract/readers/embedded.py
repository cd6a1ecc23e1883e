"""Documents that are embedded in others as objects: a sheet in a report, a file behind an icon. Each is read as a file of its own.

They are bounded in depth, number and size, so that a file that contains itself ends, and one full of objects stays cheap.
"""

import posixpath
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from worker.core.extract.faults import CorruptError, EncryptedError
from worker.core.extract.kinds import Kind, kind_of
from worker.core.extract.plain import extract_text
from worker.core.extract.readers import code_pages, package
from worker.core.extract.readers.compound import Compound
from worker.core.extract.readers.zipped import Container
from worker.core.extract.reading import Reading

MAX_DEPTH = 3
"""Documents in documents are read up to this depth."""
MAX_BYTES = 64 * 1024**2
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

_UNNAMED = "an embedded object"
_OBJECT = Kind("application/x-ole-storage", "ole")


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
    _enter(name, len(body), reading, lambda: _read(body, name, reading))


def read_objects(file: Compound, storages: list[str], reading: Reading) -> None:
    """Add the texts of the objects in these storages of a document; each that is broken is noted."""
    for path in storages[:MAX_OBJECTS]:
        read_object(file, path, path, reading)


def read_object(file: Compound, path: str, name: str, reading: Reading) -> None:
    """Add the text of an object in a storage: a document, or a file in one of its streams."""
    inner = file.inside(path)
    if inner is not None:
        with reading.part(name):
            _enter(name, 0, reading, lambda: _read_storage(inner, reading))


def read_file(raw: bytes, reading: Reading, *, compressed: bool) -> None:
    """Add the text of an object that is a compound file, maybe compressed after four bytes for its size ([MS-PPT] 2.10.35)."""
    with reading.part(_UNNAMED):
        body = _inflated(raw[4:]) if compressed else raw
        _enter(_UNNAMED, len(body), reading, lambda: _read_storage(Compound(body), reading))


def _inflated(raw: bytes) -> bytes:
    try:
        return zlib.decompressobj().decompress(raw, MAX_BYTES)
    except zlib.error as error:
        raise CorruptError(f"it cannot be decompressed: {error}") from error


def _enter(name: str, size_bytes: int, reading: Reading, read_inner: Callable[[], None]) -> None:
    """Read an object, if there is room for it."""
    room = _ROOMS.setdefault(reading, _Room(MAX_DEPTH, MAX_OBJECTS, MAX_BYTES))
    room.objects -= 1
    room.size_bytes -= size_bytes
    if room.depth <= 0 or room.objects < 0 or room.size_bytes < 0:
        return
    said = reading.said
    room.depth -= 1
    try:
        read_inner()
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
            _read_files(Compound(body), reading)


def _read_storage(file: Compound, reading: Reading) -> None:
    from worker.core.extract import parse

    _, read_with = parse.reader_of_compound(file, _OBJECT)
    if read_with is not None:
        read_with(reading)
    else:
        _read_files(file, reading)


def _read_files(file: Compound, reading: Reading) -> None:
    if _NATIVE in file:
        try:
            label, body = _native(file.stream(_NATIVE))
        except (ValueError, struct.error) as error:
            raise CorruptError("a packaged file is truncated") from error
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
    return _wide_label(stream, at + 4 + size) or _narrow(stream[6:label_ends]), body


def _narrow(label: bytes) -> str:
    return code_pages.decoded(label, code_pages.WESTERN)


def _wide_label(stream: bytes, at: int) -> str:
    try:
        (length,) = struct.unpack_from("<I", stream, at)
        at += 4 + 2 * length
        (length,) = struct.unpack_from("<I", stream, at)
    except struct.error:
        return ""
    return stream[at + 4 : at + 4 + 2 * length].decode("utf-16-le", "replace").rstrip("\0")
