"""Files inside other files: objects embedded in a document ([MS-OLEDS]), and attachments of a message.

They are bounded in depth, number and size, so that a file that contains itself ends, and one full of objects stays cheap.
"""

import posixpath
import struct
import zlib

from worker.core.extract.faults import CorruptError, EncryptedError
from worker.core.extract.kinds import Kind, kind_of
from worker.core.extract.readers import code_pages, package
from worker.core.extract.readers.compound import Compound
from worker.core.extract.readers.zipped import Container
from worker.core.extract.reading import Reading

MAX_DEPTH = 3
"""A file that is inside of this many is not opened."""
MAX_OBJECTS = 500
"""Further files inside of one are not opened."""
MAX_OBJECT_BYTES = 128 * 1024**2
"""What is inside of a file beyond this size in all is not opened."""
_HEAD_BYTES = 4096
_NATIVE, _PACKAGE, _CONTENTS, _ENCRYPTED = "\x01Ole10Native", "Package", "CONTENTS", "EncryptedPackage"
_PACKAGER = b"\x02\x00"
"""With what the data of the Packager begins, after their size."""
_LINKS = frozenset({"package", "oleobject"})
_UNNAMED = "an embedded object"
_OBJECT = Kind("application/x-ole-storage", "ole")


def linked(container: Container, part: str, reading: Reading) -> None:
    """Add the texts of the files that are embedded in a part of a package."""
    for link in package.relationships(container, part):
        if link.kind in _LINKS and not link.external and link.target in container:
            with reading.part(link.target):
                read(container.read(link.target), posixpath.basename(link.target), reading)


def read(body: bytes, name: str, reading: Reading) -> None:
    """Add the text of a file inside another one. If it cannot be read, this is noted; a kind without text adds nothing."""
    reading.inside_files += 1
    reading.inside_bytes += len(body)
    if not body or reading.inside_files > MAX_OBJECTS or reading.inside_bytes > MAX_OBJECT_BYTES:
        return
    kind = kind_of(body[:_HEAD_BYTES], name, None)
    if kind.route == "ole":
        with reading.part(name or _UNNAMED):
            _read_storage(Compound(body), name, reading)
    elif kind.route != "nothing":
        _parse(body, kind, name, reading)


def read_objects(file: Compound, storages: list[str], reading: Reading) -> None:
    """Add the texts of the objects in these storages."""
    for path in storages[:MAX_OBJECTS]:
        read_object(file, path, path, reading)


def read_object(file: Compound, path: str, name: str, reading: Reading) -> None:
    """Add the text of an object that is embedded in a document: a document in a storage, or a file in a stream."""
    inner = file.inside(path)
    if inner is not None:
        _read_storage(inner, name, reading)


def read_file(raw: bytes, reading: Reading, *, compressed: bool) -> None:
    """Add the text of an object that is a compound file, maybe compressed after four bytes for its size ([MS-PPT] 2.10.35)."""
    room = MAX_OBJECT_BYTES - reading.inside_bytes
    if room <= 0:
        return
    with reading.part(_UNNAMED):
        body = _inflated(raw[4:], room) if compressed else raw
        reading.inside_bytes += len(body)
        _read_storage(Compound(body), _UNNAMED, reading)


def _inflated(raw: bytes, limit: int) -> bytes:
    try:
        return zlib.decompressobj().decompress(raw, limit)
    except zlib.error as error:
        raise CorruptError(f"it cannot be decompressed: {error}") from error


def _read_storage(storage: Compound, name: str, reading: Reading) -> None:
    with reading.part(name):
        if _NATIVE in storage:
            label, body = _native(storage.stream(_NATIVE))
            reading.add(label)
            read(body, label, reading)
        elif body := storage.stream(_PACKAGE) or storage.stream(_CONTENTS):
            read(body, "", reading)
        elif storage.document_type() is not None or _ENCRYPTED in storage:
            _parse(storage, _OBJECT, name, reading)


def _parse(source: bytes | Compound, kind: Kind, name: str, reading: Reading) -> None:
    from worker.core.extract.parse import parse_inside  # it chooses among all readers, this one's users too

    if reading.depth >= MAX_DEPTH:
        return
    reading.depth += 1
    try:
        with reading.part(name or _UNNAMED):
            parse_inside(source, kind, reading)
    except EncryptedError as error:
        reading.miss(f"{name or _UNNAMED}: {error}", error.reason)
    finally:
        reading.depth -= 1


def _native(raw: bytes) -> tuple[str, bytes]:
    """The name and the content of a file behind an icon ([MS-OLEDS] 2.3.6; the layout of the data is the Packager's own).

    They are: the size, two bytes, the label, the path, eight bytes, of which four are the length of a further path, the size of
    the file and the file; then, since Windows 2000, the further path, the label and the path again in UTF-16.
    Raises CorruptError.
    """
    if raw[4:6] != _PACKAGER:
        return "", raw[4:]  # the data of another program, such as a picture
    label, at = _string(raw, 6)
    _, at = _string(raw, at)  # the path from which it was taken
    at += 8 + int.from_bytes(raw[at + 4 : at + 8], "little")
    size = int.from_bytes(raw[at : at + 4], "little")
    body = raw[at + 4 : at + 4 + size]
    if len(body) < size or at + 4 > len(raw):
        raise CorruptError("a packaged file is truncated")
    return _wide_label(raw, at + 4 + size) or code_pages.decoded(label, code_pages.WESTERN), body


def _wide_label(raw: bytes, at: int) -> str:
    try:
        (length,) = struct.unpack_from("<I", raw, at)
        at += 4 + 2 * length
        (length,) = struct.unpack_from("<I", raw, at)
    except struct.error:
        return ""
    return raw[at + 4 : at + 4 + 2 * length].decode("utf-16-le", "replace").rstrip("\0")


def _string(raw: bytes, at: int) -> tuple[bytes, int]:
    end = raw.find(b"\0", at)
    if end < 0:
        raise CorruptError("a packaged file is truncated")
    return raw[at:end], end + 1
