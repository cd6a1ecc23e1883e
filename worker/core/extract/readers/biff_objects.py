"""What belongs to the sheets of a binary workbook beside their cells: notes, text boxes, headers, links, hints for input."""

import re
import struct
from collections.abc import Callable

from worker.core.extract.readers import biff
from worker.core.extract.readers.biff import Record
from worker.core.extract.readers.biff_book import Book
from worker.core.extract.readers.sheet_parts import Details, with_author
from worker.core.extract.reading import Reading

_MAX_LINK_CHARS = 2084
_BUILT_IN = 0x20
"""The flag of a name that Excel has given ([MS-XLS] 2.4.150)."""
_CMO = 0x15
"""The part of an OBJ record that says its kind and number ([MS-XLS] 2.5.143)."""
_SHAPE_PROPERTIES = 0xF00B
_SHAPE_TEXTS = frozenset({0x0380, 0x0381, 0x00C0, 0x010D})
"""Properties of shapes that are texts ([MS-ODRAW] 2.3.4.2, 2.3.4.4 and 2.3.22.1): name, alternative text, WordArt."""
_AUTOMATIC_NAME = re.compile(r"[^\d]* ?\d+")
"""The name that Excel gives to a shape: Picture 3."""
_URL_MONIKER = bytes.fromhex("e0c9ea79f9bace118c8200aa004ba90b")
_TABLE_TEXT = 0x17
"""The token of a text in a formula (PtgStr)."""


class Objects:
    """Collects these texts, and adds them to the reading."""

    def __init__(self, book: Book, reading: Reading) -> None:
        self.book = book
        self._reading = reading
        self.details = Details()
        self.last_object = -1
        """The number of the object whose text follows."""
        self.boxes: dict[int, str] = {}
        self._box_chars = 0
        self.old_note: list[str] = []
        """The pieces of a note of BIFF5."""

    def add(self, text: str) -> None:
        """Add a text that stands alone."""
        self.details.add(text.replace("\0", "").replace("\r", "\n"))

    def put_box(self, number: int, text: str) -> None:
        """Keep the text of an object until it is known whether it is a note, and who wrote it."""
        if number in self.boxes or self._box_chars > 1_000_000:
            self._reading.add(text)
            return
        self.boxes[number] = text
        self._box_chars += len(text)

    def end_sheet(self) -> None:
        """The objects of the next sheet are numbered anew."""
        for text in ("".join(self.old_note), *self.boxes.values()):
            self._reading.add(text)
        self.old_note.clear()
        self.boxes.clear()
        self._box_chars = 0

    def flush(self) -> None:
        """Add what was collected."""
        self.end_sheet()
        self._reading.add("\n".join(self.details.texts))


def _header(objects: Objects, record: Record) -> None:
    if record.body:
        objects.details.add_header(objects.book.reader(record).text(2 if objects.book.version == 8 else 1))


def _more_headers(objects: Objects, record: Record) -> None:
    """Headers and footers of first and even pages ([MS-XLS] 2.4.137)."""
    reader = objects.book.reader(record, 30)
    lengths = [reader.number() for _ in range(4)]
    for length in lengths:
        if length:
            reader.number()
            objects.details.add_header(reader.characters(length))


def _object(objects: Objects, record: Record) -> None:
    if len(record.body) >= 8 and int.from_bytes(record.body[:2], "little") == _CMO:
        objects.last_object = int.from_bytes(record.body[6:8], "little")


def _box(objects: Objects, record: Record) -> None:
    """The text of an object, in the records that continue this one ([MS-XLS] 2.4.329)."""
    count = int.from_bytes(record.body[10:12], "little")
    pieces = []
    for part in record.rest:
        if count <= 0:
            break
        text = biff.decoded(part[1:], part[0])[:count] if part else ""
        pieces.append(text)
        count -= len(text)
    objects.put_box(objects.last_object, "".join(pieces).replace("\r", "\n"))
    objects.last_object = -1


def _note(objects: Objects, record: Record) -> None:
    """Who wrote a note ([MS-XLS] 2.4.179); up to BIFF5, its text, 2,048 bytes to a record."""
    if objects.book.version == 8:
        reader = objects.book.reader(record, 6)
        number = reader.number()
        author = reader.text().replace("\0", "")
        text = objects.boxes.pop(number, "")
        objects.put_box(-2 - number, with_author(text, author) if text else author)
        return
    row, _, count = struct.unpack_from("<HHH", record.body)
    if row != 0xFFFF:
        objects.put_box(-1 - len(objects.boxes), "".join(objects.old_note).replace("\r", "\n"))
        objects.old_note.clear()
    objects.old_note.append(record.body[6 : 6 + min(count, 2048)].decode(objects.book.codec, "replace"))


def _series_text(objects: Objects, record: Record) -> None:
    """A title or another text of a chart ([MS-XLS] 2.4.254)."""
    objects.add(objects.book.reader(record, 2).text(1))


def _validation(objects: Objects, record: Record) -> None:
    """The hints for the input of cells, and the entries to choose from ([MS-XLS] 2.4.91)."""
    reader = objects.book.reader(record, 4)
    for _ in range(4):
        objects.add(reader.text())
    reader.number(4)
    if reader.number(1) == _TABLE_TEXT:
        objects.add("\t".join(reader.text(1).split("\0")))


def _link(objects: Objects, record: Record) -> None:
    """The text and the address of a link ([MS-OSHARED] 2.3.7.1)."""
    reader = objects.book.reader(record, 28)
    flags = reader.number(4)
    if flags & 0x10:
        objects.add(_wide(record.body, reader.place + 4, 2 * reader.number(4)))
    place = record.body.find(_URL_MONIKER)
    if place >= 0:
        size = int.from_bytes(record.body[place + 16 : place + 20], "little")
        objects.add(_wide(record.body, place + 20, size).partition("\0")[0])


def _wide(body: bytes, place: int, size: int) -> str:
    return body[place : place + min(size, 2 * _MAX_LINK_CHARS)].decode("utf-16-le", "replace")


def _tooltip(objects: Objects, record: Record) -> None:
    objects.add(record.body[10:].decode("utf-16-le", "replace"))


def _name(objects: Objects, record: Record) -> None:
    """A name that people gave to cells ([MS-XLS] 2.4.150)."""
    if objects.book.version >= 5 and not record.body[0] & _BUILT_IN:
        objects.add(objects.book.reader(record, 14).characters(record.body[3]))


def _pivot_table(objects: Objects, record: Record) -> None:
    """The names of a pivot table and of its values ([MS-XLS] 2.4.313)."""
    reader = objects.book.reader(record, 40)
    for count in (reader.number(), reader.number()):
        objects.add(reader.characters(count))


def _shapes(objects: Objects, record: Record) -> None:
    """Names and alternative texts of shapes and pictures, which are in a tree of records ([MS-ODRAW] 2.2.9)."""
    raw = b"".join((record.body, *record.rest))
    place = 0
    while place + 8 <= len(raw):
        version, kind, size = struct.unpack_from("<HHI", raw, place)
        place += 8
        if version & 0xF == 0xF:
            continue  # what is in a container follows
        if kind == _SHAPE_PROPERTIES:
            _shape_texts(objects, raw[place : place + size], version >> 4)
        place += size


def _shape_texts(objects: Objects, raw: bytes, count: int) -> None:
    place = 6 * count
    for i in range(min(count, len(raw) // 6)):
        number, size = struct.unpack_from("<HI", raw, 6 * i)
        if not number & 0x8000:
            continue
        if number & 0x3FFF in _SHAPE_TEXTS:
            text = raw[place : place + size].decode("utf-16-le", "replace").rstrip("\0")
            if not _AUTOMATIC_NAME.fullmatch(text):
                objects.add(text)
        place += size


OBJECTS: dict[int, Callable[[Objects, Record], None]] = {
    0x0014: _header, 0x0015: _header, 0x089C: _more_headers, 0x005D: _object, 0x01B6: _box, 0x001C: _note,
    0x100D: _series_text, 0x01BE: _validation, 0x01B8: _link, 0x0800: _tooltip, 0x0018: _name, 0x0218: _name,
    0x00B0: _pivot_table, 0x00EC: _shapes,
}  # fmt: skip
"""What is done with each of these records."""
