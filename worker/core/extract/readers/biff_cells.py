"""The cells of a binary workbook, row by row as they are shown ([MS-XLS] 2.1.7.20.5)."""

import struct
from collections.abc import Callable

from worker.core.extract.readers import biff
from worker.core.extract.readers.biff import Record
from worker.core.extract.readers.biff_book import Book
from worker.core.extract.readers.sheet_text import Text
from worker.core.extract.reading import Reading

ERRORS = {
    0x00: "#NULL!", 0x07: "#DIV/0!", 0x0F: "#VALUE!", 0x17: "#REF!", 0x1D: "#NAME?", 0x24: "#NUM!", 0x2A: "#N/A",
    0x2B: "#GETTING_DATA",
}  # fmt: skip
_MAX_PENDING_CHARS = 1_000_000
"""Rows are given before their sheet has ended if there are more characters."""
_HEAD = struct.Struct("<HHH")
_NUMBER = struct.Struct("<HHHd")
_NOT_A_NUMBER = b"\xff\xff"
"""What the last bytes of a formula's result are if it is no number ([MS-XLS] 2.5.133)."""


class Cells:
    """Collects the cells of a sheet, because they need not come in the order of rows, and adds them to the reading."""

    def __init__(self, book: Book, reading: Reading) -> None:
        self.book = book
        self._reading = reading
        self._rows: dict[int, list[tuple[int, str]]] = {}
        self._chars = 0
        self._readings: dict[str, None] = {}
        self._shown: dict[int, Callable[[float], str]] = {}
        self._texts: dict[int, Callable[[str], str] | None] = {}
        self.formula: tuple[int, int, int] | None = None
        """Row, column and style of a formula whose result is in the STRING record that follows."""

    def flush(self) -> None:
        """Add what was collected."""
        for row in sorted(self._rows):
            self._reading.add("\t".join(text for _, text in sorted(self._rows[row])))
        self._reading.add("\n".join(self._readings))
        self._rows.clear()
        self._readings.clear()
        self._chars = 0

    def add_further(self) -> None:
        """Add other forms of dates and numbers that people search for."""
        self._reading.add("\t".join(self.book.formats.further))

    def put(self, row: int, column: int, text: str) -> None:
        """Add a cell's text as it is shown."""
        if not text:
            return
        self._rows.setdefault(row, []).append((column, text))
        self._chars += len(text)
        if self._chars > _MAX_PENDING_CHARS:
            self.flush()

    def put_text(self, row: int, column: int, style: int, text: Text) -> None:
        """Add a cell's text, in the format of its style, and its reading."""
        if text.reading:
            self._readings[text.reading] = None
        if style not in self._texts:
            self._texts[style] = self.book.formats.text_of(self.book.format_of(style))
        show = self._texts[style]
        self.put(row, column, show(text.text) if show else text.text)

    def put_number(self, row: int, column: int, style: int, value: float) -> None:
        """Add a number in the format of its cell's style."""
        show = self._shown.get(style)
        if show is None:
            show = self._shown[style] = self.book.formats.of(self.book.format_of(style))
        self.put(row, column, show(value))

    def text_in(self, record: Record) -> str:
        """The text in a record of a cell with text."""
        if record.kind == 0xFD:
            return self.book.strings.get(int.from_bytes(record.body[6:10], "little")).text
        return self.book.reader(record, 6).text(2)


def _label(cells: Cells, record: Record) -> None:
    row, column, style = _HEAD.unpack_from(record.body)
    cells.put_text(row, column, style, Text(cells.text_in(record)))


def _label_sst(cells: Cells, record: Record) -> None:
    row, column, style = _HEAD.unpack_from(record.body)
    cells.put_text(row, column, style, cells.book.strings.get(int.from_bytes(record.body[6:10], "little")))


def _number(cells: Cells, record: Record) -> None:
    cells.put_number(*_NUMBER.unpack_from(record.body))


def _rk(cells: Cells, record: Record) -> None:
    row, column, style = _HEAD.unpack_from(record.body)
    cells.put_number(row, column, style, biff.rk(int.from_bytes(record.body[6:10], "little")))


def _several_rk(cells: Cells, record: Record) -> None:
    row, column = struct.unpack_from("<HH", record.body)
    for place in range(4, len(record.body) - 7, 6):
        style, value = struct.unpack_from("<HI", record.body, place)
        cells.put_number(row, column, style, biff.rk(value))
        column += 1


def _boolean_or_error(cells: Cells, record: Record) -> None:
    row, column, _ = _HEAD.unpack_from(record.body)
    cells.put(row, column, _shown(record.body[6], is_error=record.body[7] != 0))


def _shown(value: int, *, is_error: bool) -> str:
    return ERRORS.get(value, "#N/A") if is_error else "TRUE" if value else "FALSE"


def _formula(cells: Cells, record: Record) -> None:
    row, column, style = _HEAD.unpack_from(record.body)
    _result(cells, row, column, style, record.body[6:14])


def _result(cells: Cells, row: int, column: int, style: int, result: bytes) -> None:
    cells.formula = None
    if result[6:] != _NOT_A_NUMBER:
        cells.put_number(row, column, style, struct.unpack("<d", result)[0])
    elif result[0] == 0:
        cells.formula = row, column, style
    elif result[0] in {1, 2}:
        cells.put(row, column, _shown(result[2], is_error=result[0] == 2))


def _result_text(cells: Cells, record: Record) -> None:
    """The text that is the result of the last formula ([MS-XLS] 2.4.268); a long one is continued."""
    if cells.formula is None:
        return
    joined = record
    if record.rest:
        joined = record._replace(body=record.body + b"".join(_unflagged(cells, record)))
    length = 1 if cells.book.version == 2 else 2
    cells.put_text(*cells.formula, Text(cells.book.reader(joined).text(length)))
    cells.formula = None


def _unflagged(cells: Cells, record: Record) -> list[bytes]:
    """What continues a text, as wide as its beginning is."""
    if cells.book.version != 8:
        return list(record.rest)
    wide = record.body[2] & 1
    return [
        biff.decoded(part[1:], part[0]).encode("utf-16-le" if wide else "latin-1", "replace") for part in record.rest
    ]


def _old_head(record: Record) -> tuple[int, int, int]:
    """Row, column and format of a cell of BIFF2."""
    row, column = struct.unpack_from("<HH", record.body)
    return row, column, record.body[5] & 0x3F


def _old_integer(cells: Cells, record: Record) -> None:
    cells.put_number(*_old_head(record), float(int.from_bytes(record.body[7:9], "little")))


def _old_number(cells: Cells, record: Record) -> None:
    cells.put_number(*_old_head(record), struct.unpack_from("<d", record.body, 7)[0])


def _old_label(cells: Cells, record: Record) -> None:
    cells.put_text(*_old_head(record), Text(cells.book.reader(record, 7).text(1)))


def _old_boolean_or_error(cells: Cells, record: Record) -> None:
    row, column, _ = _old_head(record)
    cells.put(row, column, _shown(record.body[7], is_error=record.body[8] != 0))


def _formula_of_any(cells: Cells, record: Record) -> None:
    if cells.book.version == 2:
        _result(cells, *_old_head(record), record.body[7:15])
    else:
        _formula(cells, record)


CELLS: dict[int, Callable[[Cells, Record], None]] = {
    0x00FD: _label_sst, 0x0203: _number, 0x027E: _rk, 0x007E: _rk, 0x00BD: _several_rk, 0x0205: _boolean_or_error,
    0x0204: _label, 0x00D6: _label, 0x0006: _formula_of_any, 0x0206: _formula, 0x0406: _formula, 0x0207: _result_text,
    0x0007: _result_text, 0x0002: _old_integer, 0x0003: _old_number, 0x0004: _old_label, 0x0005: _old_boolean_or_error,
}  # fmt: skip
"""What is done with each record of a cell."""
