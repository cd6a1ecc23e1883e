"""Files inside other files: objects embedded in a document ([MS-OLEDS]), and attachments of a message."""

import zlib

from worker.core.extract.faults import CorruptError, EncryptedError
from worker.core.extract.kinds import Kind, kind_of
from worker.core.extract.readers import code_pages
from worker.core.extract.readers.compound import Compound
from worker.core.extract.reading import Reading

MAX_DEPTH = 3
"""A file that is inside of this many is not opened."""
MAX_OBJECTS = 500
"""Further objects of a document are not opened."""
MAX_OBJECT_BYTES = 128 * 1024**2
_HEAD_BYTES = 4096
_NATIVE, _PACKAGE, _CONTENTS = "\x01Ole10Native", "Package", "CONTENTS"
_UNNAMED = "an embedded object"
_OBJECT = Kind("application/x-ole-storage", "ole")


def read(body: bytes, name: str, reading: Reading) -> None:
    """Add the text of a file inside another one. If it cannot be read, this is noted; a kind without text adds nothing."""
    if not body:
        return
    kind = kind_of(body[:_HEAD_BYTES], name, None)
    if kind.route != "nothing":
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
    with reading.part(_UNNAMED):
        _read_storage(Compound(_inflated(raw[4:]) if compressed else raw), _UNNAMED, reading)


def _inflated(raw: bytes) -> bytes:
    try:
        return zlib.decompressobj().decompress(raw, MAX_OBJECT_BYTES)
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
        elif storage.document_type() is not None:
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
        reading.miss(f"{name or _UNNAMED}: {error}")
    finally:
        reading.depth -= 1


def _native(raw: bytes) -> tuple[str, bytes]:
    """The name and the bytes of a file that was packaged ([MS-OLEDS] 2.3.6). Raises CorruptError."""
    at = 6  # the size and a type
    label, at = _string(raw, at)
    _, at = _string(raw, at)  # the path from which it was taken
    at += 4
    at += 4 + int.from_bytes(raw[at : at + 4], "little")
    size = int.from_bytes(raw[at : at + 4], "little")
    return code_pages.decoded(label, code_pages.WESTERN), raw[at + 4 : at + 4 + size]


def _string(raw: bytes, at: int) -> tuple[bytes, int]:
    end = raw.find(b"\0", at)
    if end < 0:
        raise CorruptError("a packaged file is truncated")
    return raw[at:end], end + 1
