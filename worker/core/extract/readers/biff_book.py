"""The globals of a binary workbook: sheets' names, shared texts, formats of numbers ([MS-XLS] 2.1.7.20.3)."""

from collections.abc import Callable
from dataclasses import dataclass, field

from worker.core.extract.faults import EncryptedError
from worker.core.extract.readers import biff
from worker.core.extract.readers.biff import Reader, Record, SharedStrings
from worker.core.extract.readers.number_formats import NumberFormats
from worker.core.extract.readers.sheet_text import Strings

_JAPAN = 81
"""The number of Japan in COUNTRY records."""
_JAPANESE_CODE_PAGES = frozenset({932, 10001})


@dataclass(slots=True)
class Book:
    """What is known of a workbook while its stream is read."""

    version: int = 8
    codec: str = "cp1252"
    date1904: bool = False
    japanese: bool = False
    strings: Strings = field(default_factory=Strings)
    codes: dict[int, str] = field(default_factory=dict)
    """Codes of number formats, by number."""
    styles: list[int] = field(default_factory=list)
    """The number format of each cell style."""
    names: dict[int, str] = field(default_factory=dict)
    """Sheets' names that were not met yet, by the place in the stream at which the sheet begins."""
    _formats: NumberFormats | None = None

    def reader(self, record: Record, place: int = 0) -> Reader:
        """What reads the fields of a record, from a place on."""
        return Reader(record.body, codec=None if self.version == 8 else self.codec, place=place)

    @property
    def formats(self) -> NumberFormats:
        """The workbook's number formats; its globals have been read when the first number is met."""
        if self._formats is None:
            self._formats = NumberFormats(self.codes, date1904=self.date1904, japanese=self.japanese)
        return self._formats

    def format_of(self, style: int) -> int:
        """The number format of a cell's style; in BIFF2, a cell names its format itself."""
        if self.version == 2:
            return style
        return self.styles[style] if style < len(self.styles) else 0

    def name_at(self, place: int) -> str:
        """The name of the sheet that begins here, or else of the next one that is listed."""
        if place not in self.names:
            place = next(iter(self.names), -1)
        return self.names.pop(place, "")


def _code_page(book: Book, record: Record) -> None:
    number = int.from_bytes(record.body[:2], "little")
    book.codec = biff.codec_of(number)
    book.japanese = book.japanese or number in _JAPANESE_CODE_PAGES


def _country(book: Book, record: Record) -> None:
    book.japanese = book.japanese or record.body[2] == _JAPAN


def _date_system(book: Book, record: Record) -> None:
    book.date1904 = record.body[:1] == b"\x01"


def _sheet(book: Book, record: Record) -> None:
    """A sheet's name ([MS-XLS] 2.4.28)."""
    if len(record.body) > 6:
        place = int.from_bytes(record.body[:4], "little")
        while place in book.names:
            place += 1  # two sheets at one place: neither name is lost
        book.names[place] = book.reader(record, 6).text(1)


def _shared_strings(book: Book, record: Record) -> None:
    SharedStrings([record.body, *record.rest]).read_into(book.strings)


def _format(book: Book, record: Record) -> None:
    """The code of a format ([MS-XLS] 2.4.126); up to BIFF4, they are numbered in their order."""
    if book.version >= 5:
        reader = book.reader(record)
        number = reader.number()
        book.codes[number] = reader.text(2 if book.version == 8 else 1)
    else:
        book.codes[len(book.codes)] = book.reader(record, 2 if book.version == 4 else 0).text(1)


def _style(book: Book, record: Record) -> None:
    if book.version >= 5:
        book.styles.append(int.from_bytes(record.body[2:4], "little"))
    else:
        book.styles.append(record.body[1])


def _encrypted(_book: Book, _record: Record) -> None:
    raise EncryptedError("the workbook is protected by a password")


GLOBALS: dict[int, Callable[[Book, Record], None]] = {
    0x0022: _date_system, 0x0042: _code_page, 0x0085: _sheet, 0x008C: _country, 0x00FC: _shared_strings,
    0x001E: _format, 0x041E: _format, 0x0243: _style, 0x0443: _style, 0x00E0: _style, 0x002F: _encrypted,
}  # fmt: skip
"""What is done with each record of the globals."""
