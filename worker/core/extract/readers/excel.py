"""Excel workbooks before 2007: BIFF8 ([MS-XLS]) and BIFF 2–5 (OpenOffice.org's documentation of the Excel file format)."""

import struct

from worker.core.extract.faults import CorruptError, EncryptedError
from worker.core.extract.readers import biff, embedded, encryption
from worker.core.extract.readers.biff import Record
from worker.core.extract.readers.biff_book import GLOBALS, Book
from worker.core.extract.readers.biff_cells import CELLS, Cells
from worker.core.extract.readers.biff_objects import OBJECTS, Objects
from worker.core.extract.readers.compound import Compound
from worker.core.extract.reading import Reading

_EOF = 0x0A
_FOREIGN = (0x0005, 0x0006, 0x0100)
"""Kinds of substreams that are no sheets: globals, Visual Basic, workspace ([MS-XLS] 2.4.21)."""
_IN_CHARTS = frozenset({0x204, 0xFD, 0xD6})
"""Of the values that a chart keeps, only texts are read: its numbers are those of the sheet."""
_CHART = 0x0020
_OBJECT = "MBD"
"""With what the names of the storages of embedded objects begin."""


def read(file: Compound, reading: Reading) -> None:
    """Read a workbook. Raises CorruptError and EncryptedError."""
    reading.said = file.properties()
    read_stream(file.stream("Workbook") or file.stream("Book"), reading)
    for text in file.property_texts():
        reading.add(text)
    embedded.read_objects(file, [name for name in file.children() if name.startswith(_OBJECT)], reading)


def is_stream(body: bytes) -> bool:
    """Whether a file is the stream of a workbook, without a compound file around it, as files up to Excel 4 are."""
    return int.from_bytes(body[:2], "little") in biff.VERSIONS


def read_stream(stream: bytes, reading: Reading) -> None:
    """Read the stream of a workbook; up to Excel 4, the file is nothing else. Raises CorruptError and EncryptedError."""
    if not is_stream(stream):
        raise CorruptError("the stream of the workbook does not begin as one")
    _Stream(reading).read(encryption.workbook(stream))


class _Stream:
    """Reads the records in their order: the globals first, then sheet after sheet, in which there may be charts."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._book = Book()
        self._cells = Cells(self._book, reading)
        self._objects = Objects(self._book, reading)
        self._open: list[int] = []
        """The kinds of the substreams that have begun and not ended."""

    def read(self, stream: bytes) -> None:
        for record in biff.records(stream):
            if record.kind in biff.VERSIONS:
                self._begin(record)
            elif record.kind == _EOF:
                self._end()
            else:
                self._handle(record)
        self._end_sheet()
        self._objects.flush()
        self._cells.add_further()

    def _begin(self, record: Record) -> None:
        if record.start == 0:
            self._book.version = biff.version_of(record)
        kind = int.from_bytes(record.body[2:4], "little")
        if not self._open and kind not in _FOREIGN:
            self._end_sheet()
            self._objects.details.sheet_name = self._book.name_at(record.start)
            self._reading.add(self._objects.details.sheet_name)
        self._open.append(kind)

    def _end(self) -> None:
        if self._open:
            self._open.pop()
        if not self._open:
            self._end_sheet()

    def _end_sheet(self) -> None:
        self._cells.flush()
        self._objects.end_sheet()

    def _handle(self, record: Record) -> None:
        try:
            if handle := CELLS.get(record.kind):
                if self._open[-1:] != [_CHART]:
                    handle(self._cells, record)
                elif record.kind in _IN_CHARTS:
                    self._objects.add(self._cells.text_in(record))
            elif handle_globals := GLOBALS.get(record.kind):
                handle_globals(self._book, record)
            elif handle_object := OBJECTS.get(record.kind):
                handle_object(self._objects, record)
        except EncryptedError:
            raise
        except (struct.error, IndexError, ValueError, OverflowError) as error:
            self._reading.miss(f"a record of the workbook is broken ({record.kind:#06x}): {error}")
