"""Binary workbooks of Excel 2007 and later ([MS-XLSB]): parts as in other packages, but with records in place of XML."""

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from worker.core.extract.readers import package, sheet_parts
from worker.core.extract.readers.biff import phonetic_runs, rk
from worker.core.extract.readers.biff_cells import ERRORS
from worker.core.extract.readers.number_formats import NumberFormats
from worker.core.extract.readers.sheet_parts import Details, Sheet, with_author
from worker.core.extract.readers.sheet_text import Strings, Text
from worker.core.extract.readers.zipped import Container
from worker.core.extract.reading import Reading

_BUILT_IN = 0x20
"""The flag of a name that Excel has given ([MS-XLSB] 2.4.711)."""
_RICH, _PHONETIC = 0x01, 0x02
"""Flags of a rich text ([MS-XLSB] 2.5.121)."""
_NONE = 0xFFFFFFFF
"""The length of a text that is not there ([MS-XLSB] 2.5.166)."""
_ROW, _SHORT_CELLS = 0, range(12, 19)
_JAPANESE_CHARSET = 128


@dataclass(slots=True)
class _Book:
    strings: Strings = field(default_factory=Strings)
    formats: NumberFormats = field(default_factory=lambda: NumberFormats({}))
    styles: list[int] = field(default_factory=list)
    """The number format of each cell style."""
    sheets: list[Sheet] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    date1904: bool = False


def read(container: Container, reading: Reading) -> None:
    """Read a workbook. Raises CorruptError if it has no main part."""
    main = package.main_part(container)
    links = {link.id: link for link in package.relationships(container, main) if not link.external}
    book, details = _Book(), Details()
    with reading.part(main):
        _read_workbook(container.read(main), links, book)
    book.sheets = sheet_parts.complete(book.sheets, links)
    for link in package.related(container, main, reading, "styles", "sharedstrings"):
        with reading.part(link.target):
            _SHARED[link.kind](container.read(link.target), book)
    for sheet in book.sheets:
        reading.add(sheet.name)
        details.sheet_name = sheet.name
        if not sheet_parts.is_there(container, sheet, reading):
            continue
        with reading.part(sheet.part):
            _Cells(book, details, reading).read(container.read(sheet.part))
    reading.add("\t".join(book.formats.further))
    for sheet in book.sheets:
        for link in package.related(container, sheet.part, reading, "comments", "table", "pivottable"):
            with reading.part(link.target):
                _read_linked(container.read(link.target), link.kind, details)
    for name in book.names:
        details.add(name)
    sheet_parts.read(container, main, book.sheets, details, reading)


def _read_workbook(raw: bytes, links: dict[str, package.Relationship], book: _Book) -> None:
    for kind, body in records(raw):
        if kind == 153:  # BrtWbProp
            book.date1904 = bool(body[0] & 1)
        elif kind == 156:  # BrtBundleSh
            book.sheets.append(_sheet(body, links))
        elif kind == 39 and not body[0] & _BUILT_IN:  # BrtName
            book.names.append(_Fields(body, 9).text())


def records(raw: bytes) -> Iterator[tuple[int, bytes]]:
    """The records of a part ([MS-XLSB] 2.1.4), the numbers of which take up to two bytes, the sizes up to four."""
    place, end = 0, len(raw)
    while place < end:
        kind = raw[place]
        place += 1
        if kind & 0x80 and place < end:
            kind = (kind & 0x7F) | (raw[place] & 0x7F) << 7
            place += 1
        size = shift = 0
        while place < end:
            byte = raw[place]
            place += 1
            size |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80 or shift > 21:
                break
        yield kind, raw[place : place + size]
        place += size


class _Fields:
    """Reads the fields of a record."""

    def __init__(self, body: bytes, place: int = 0) -> None:
        self.body = body
        self.place = place

    def number(self, size: int = 4) -> int:
        self.place += size
        return int.from_bytes(self.body[self.place - size : self.place], "little")

    def text(self) -> str:
        """A text after its length; empty if there is none."""
        count = self.number()
        if count == _NONE:
            return ""
        begin = self.place
        self.place += 2 * count
        return self.body[begin : self.place].decode("utf-16-le", "replace")

    def rich(self) -> Text:
        """A text with its readings ([MS-XLSB] 2.5.121 and 2.5.103)."""
        flags = self.number(1)
        text = self.text()
        if flags & _RICH:
            runs = self.number()
            self.place += 4 * runs
        if not flags & _PHONETIC:
            return Text(text)
        reading, count = self.text(), self.number()
        return Text.of(text, phonetic_runs(self.body, self.place, count, reading))


def _sheet(body: bytes, links: dict[str, package.Relationship]) -> Sheet:
    """A sheet ([MS-XLSB] 2.4.311); the second beta of Excel 2007 wrote one more number before its texts."""
    for place in (8, 12):
        fields = _Fields(body, place)
        link, name = links.get(fields.text()), fields.text()
        if fields.place == len(body):
            break
    return sheet_parts.sheet(name, link)


def _read_styles(raw: bytes, book: _Book) -> None:
    codes: dict[int, str] = {}
    japanese = in_cells = False
    for kind, body in records(raw):
        if kind == 44:  # BrtFmt
            codes[int.from_bytes(body[:2], "little")] = _Fields(body, 2).text()
        elif kind == 43:  # BrtFont
            japanese = japanese or body[10:11] == bytes([_JAPANESE_CHARSET])
        elif kind in {617, 618}:  # BrtBeginCellXFs, BrtEndCellXFs
            in_cells = kind == 617
        elif kind == 47 and in_cells:  # BrtXF
            book.styles.append(int.from_bytes(body[2:4], "little"))
    japanese = japanese or any("年" in code for code in codes.values())
    book.formats = NumberFormats(codes, date1904=book.date1904, japanese=japanese)


def _read_strings(raw: bytes, book: _Book) -> None:
    for kind, body in records(raw):
        if kind == 19:  # BrtSSTItem
            book.strings.add(_Fields(body).rich())


_SHARED = {"styles": _read_styles, "sharedstrings": _read_strings}


class _Cells:
    """Reads the part of a sheet: its cells row by row, and what stands beside them."""

    def __init__(self, book: _Book, details: Details, reading: Reading) -> None:
        self._book, self._details, self._reading = book, details, reading
        self._row: list[str] = []
        self._readings: dict[str, None] = {}
        self._shown: dict[int, Callable[[float], str]] = {}

    def read(self, raw: bytes) -> None:
        for kind, body in records(raw):
            try:
                self._record(kind, body)
            except (struct.error, IndexError, ValueError, OverflowError) as error:
                self._reading.miss(f"a record of the sheet is broken ({kind}): {error}")
        self._end_row()
        self._reading.add("\n".join(self._readings))

    def _record(self, kind: int, body: bytes) -> None:
        if kind == _ROW:
            self._end_row()
        elif cell := _CELLS.get(kind):
            style = int.from_bytes(body[4:7], "little")
            self._row.append(cell(self, style, body[8:]))
        elif kind in _SHORT_CELLS:  # without a column
            style = int.from_bytes(body[:3], "little")
            self._row.append(_SHORT[kind](self, style, body[4:]))
        elif beside := _BESIDE.get(kind):
            beside(self._details, body)

    def _end_row(self) -> None:
        self._reading.add("\t".join(text for text in self._row if text))
        self._row.clear()

    def number(self, style: int, value: float) -> str:
        show = self._shown.get(style)
        if show is None:
            styles = self._book.styles
            show = self._shown[style] = self._book.formats.of(styles[style] if style < len(styles) else 0)
        return show(value)

    def text(self, style: int, text: Text) -> str:
        if text.reading:
            self._readings[text.reading] = None
        styles = self._book.styles
        show = self._book.formats.text_of(styles[style] if style < len(styles) else 0)
        return show(text.text) if show else text.text

    def shared(self, style: int, body: bytes) -> str:
        return self.text(style, self._book.strings.get(int.from_bytes(body[:4], "little")))


_Cell = Callable[[_Cells, int, bytes], str]


def _rk(cells: _Cells, style: int, body: bytes) -> str:
    return cells.number(style, rk(int.from_bytes(body[:4], "little")))


def _real(cells: _Cells, style: int, body: bytes) -> str:
    return cells.number(style, struct.unpack_from("<d", body)[0])


def _text(cells: _Cells, style: int, body: bytes) -> str:
    return cells.text(style, Text(_Fields(body).text()))


def _rich(cells: _Cells, style: int, body: bytes) -> str:
    return cells.text(style, _Fields(body).rich())


def _error(_cells: _Cells, _style: int, body: bytes) -> str:
    return ERRORS.get(body[0], "#N/A")


def _boolean(_cells: _Cells, _style: int, body: bytes) -> str:
    return "TRUE" if body[0] else "FALSE"


def _blank(_cells: _Cells, _style: int, _body: bytes) -> str:
    return ""


_CELLS: dict[int, _Cell] = {
    2: _rk, 3: _error, 4: _boolean, 5: _real, 6: _text, 7: _Cells.shared, 8: _text, 9: _real, 10: _boolean, 11: _error,
    62: _rich,
}  # fmt: skip
"""Cells by the numbers of their records: values from 2 on, results of formulas from 8 on ([MS-XLSB] 2.3.2)."""
_SHORT: dict[int, _Cell] = {
    12: _blank, 13: _rk, 14: _error, 15: _boolean, 16: _real, 17: _text, 18: _Cells.shared,
}  # fmt: skip


def _headers(details: Details, body: bytes) -> None:
    fields = _Fields(body, 2)
    for _ in range(6):
        details.add_header(fields.text())


def _validation(details: Details, body: bytes) -> None:
    """Hints for input ([MS-XLSB] 2.4.357): after the flags, the ranges come first."""
    fields = _Fields(body, 4)
    ranges = fields.number()
    fields.place += 16 * ranges
    details.add(*(fields.text() for _ in range(4)))


def _link(details: Details, body: bytes) -> None:
    fields = _Fields(body, 16)
    fields.text()  # the relationship
    fields.text()  # the place in the document
    tooltip = fields.text()
    details.add(fields.text(), tooltip)


_BESIDE: dict[int, Callable[[Details, bytes], None]] = {479: _headers, 64: _validation, 494: _link}
"""BrtBeginHeaderFooter, BrtDVal and BrtHLink."""


def _read_linked(raw: bytes, kind: str, details: Details) -> None:
    """Comments with their authors, names of tables, of their columns, and of pivot tables."""
    authors: list[str] = []
    author = ""
    for number, body in records(raw):
        if number == 632:  # BrtCommentAuthor
            authors.append(_Fields(body).text())
        elif number == 635:  # BrtBeginComment
            index = int.from_bytes(body[:4], "little")
            author = authors[index] if index < len(authors) else ""
        elif number == 637:  # BrtCommentText
            details.add(with_author(_Fields(body).rich().text, author))
        elif number == 347:  # BrtBeginListCol
            fields = _Fields(body, 24)
            details.add(fields.text(), fields.text())
        elif number == 343 and kind == "table":  # BrtBeginList
            details.add(_Fields(body, 64).text())
