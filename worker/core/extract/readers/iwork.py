"""Pages, Numbers and Keynote documents: the XML of iWork '09, and the archives of 2013 and later.

Apple does not document the latter. Each `.iwa` is a sequence of chunks in Snappy's raw format, which together are a sequence
of protocol buffers; those of a few types hold the text (measured: docs/evidence.md, Reading documents). The values of
numeric cells are not read.
"""

import zlib
from collections.abc import Iterator

from lxml import etree

from worker.core.extract.faults import CorruptError, EncryptedError
from worker.core.extract.readers.snappy import MAX_BLOCK_BYTES, decompressed
from worker.core.extract.readers.zipped import Container, parsed
from worker.core.extract.reading import Reading

_XML = ("index.xml", "index.apxl", "index.xml.gz", "index.apxl.gz")
_INDEX = "index.zip"
_TEMPLATES = ("masterslide", "templateslide")
_BREAKS = {"br", "lnbr", "crbr", "pgbr"}
_SF = "{http://developer.apple.com/namespaces/sf}"
_SFA = "{http://developer.apple.com/namespaces/sfa}"
_ATTRIBUTES = {
    _SF + "ct": _SFA + "s",
    _SF + "n": _SF + "v",
    _SF + "tabular-model": _SF + "name",
    "{http://developer.apple.com/namespaces/ls}workspace": "{http://developer.apple.com/namespaces/ls}workspace-name",
}
"""The attribute that holds the text of a cell, of a number, and of the names of a table and a sheet."""

_SHEET, _STORAGE, _COMMENT, _TABLE, _STRINGS = 2, 2001, 3056, 6001, 6005
_TEXT_FIELDS = {_SHEET: 1, _STORAGE: 3, _COMMENT: 1, _TABLE: 8}
"""The field that holds the text, for each type of message."""
_ENTRIES, _STRING = 3, 3
"""In a list of a table's strings: the entries, and the string of each."""
_LENGTH_DELIMITED = 2
_FIXED_BYTES = {1: 8, 5: 4}


def is_iwork(container: Container) -> bool:
    """Whether the container is a document of iWork, and not some other zip file."""
    names = [name.lower() for name in container.names]
    return any(name in _XML for name in names) or any(
        name.endswith((".iwa", ".iwph")) or name.rpartition("/")[2] == _INDEX for name in names
    )


def read(container: Container, reading: Reading) -> None:
    """Read the document. Raises CorruptError, and EncryptedError if there is a password."""
    for name in _XML:
        if name in container:
            _read_xml(container, name, reading)
            return
    if any(name.lower().endswith(".iwph") for name in container.names):  # the hint for the password
        raise EncryptedError("the document is encrypted")
    inner = next((name for name in container.names if name.lower().rpartition("/")[2] == _INDEX), None)
    archives = container if inner is None else Container(container.read(inner))
    for name in archives.names:
        lower = name.lower()
        if lower.endswith(".iwa") and not lower.rpartition("/")[2].startswith(_TEMPLATES):
            with reading.part(name):
                for text in _texts(archives.read(name)):
                    reading.add(text)


def _read_xml(container: Container, name: str, reading: Reading) -> None:
    raw = container.read(name)
    if name.endswith(".gz"):
        try:
            raw = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16).decompress(raw, 512 * 1024**2)
        except zlib.error as error:
            raise CorruptError(f"{name} is broken: {error}") from error
    root = parsed(name, raw, reading)
    for element in root.iter():
        if element.tag == _SF + "p":
            reading.add("".join(_inline(element)))
        elif wanted := _ATTRIBUTES.get(str(element.tag)):
            reading.add(element.get(wanted) or "")


def _inline(paragraph: etree._Element) -> Iterator[str]:
    for event, element in etree.iterwalk(paragraph, events=("start", "end")):
        name = str(element.tag).rpartition("}")[2]
        if event == "start":
            yield element.text or ""
            yield "\n" if name in _BREAKS else "\t" if name == "tab" else ""
        elif element is not paragraph:
            yield element.tail or ""


def _texts(archive: bytes) -> Iterator[str]:
    for kind, message in _messages(_unpacked(archive)):
        if kind == _STRINGS:
            entries = (value for number, value in _fields(message) if number == _ENTRIES)
            found = [text for entry in entries for number, text in _fields(entry) if number == _STRING]
        else:
            wanted = _TEXT_FIELDS.get(kind)
            found = [value for number, value in _fields(message) if number == wanted] if wanted else []
        for value in found:
            text = value.decode("utf-8", "replace").replace("\ufffc", " ")
            if kind != _SHEET or text.isprintable():  # in Keynote, this type is another one
                yield text


def _unpacked(archive: bytes) -> bytes:
    """The chunks of an archive: each a zero byte, the length in three bytes, and a block of Snappy."""
    blocks, at = [], 0
    while at + 4 <= len(archive):
        length = int.from_bytes(archive[at + 1 : at + 4], "little")
        blocks.append(decompressed(archive[at + 4 : at + 4 + length], MAX_BLOCK_BYTES))
        at += 4 + length
    return b"".join(blocks)


def _messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The type and the bytes of each message. A header precedes those of one object, with the type and length of each."""
    at = 0
    while at < len(data):
        length, at = _varint(data, at)
        header = data[at : at + length]
        at += length
        for number, info in _fields(header):
            if number != 2:
                continue
            kind, size = (value for _, value in sorted(_numbers(info, (1, 3)).items()))
            yield kind, data[at : at + size]
            at += size


def _numbers(data: bytes, wanted: tuple[int, ...]) -> dict[int, int]:
    found = dict.fromkeys(wanted, 0)
    for number, value in _values(data):
        if number in found and isinstance(value, int):
            found[number] = value
    return found


def _fields(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The fields that hold text, bytes or another message, with their numbers."""
    return ((number, value) for number, value in _values(data) if isinstance(value, bytes))


def _values(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The fields of a message in the wire format of protocol buffers, as far as it is valid."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        number, wire = tag >> 3, tag & 7
        if wire == 0:
            value, at = _varint(data, at)
            yield number, value
        elif wire == _LENGTH_DELIMITED:
            length, at = _varint(data, at)
            yield number, data[at : at + length]
            at += length
        elif wire in _FIXED_BYTES:
            at += _FIXED_BYTES[wire]
        else:
            return


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(data) and shift < 64:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
    raise CorruptError("an archive breaks off")
