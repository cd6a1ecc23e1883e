"""Workbooks since Excel 2007 (SpreadsheetML, [ECMA-376] part 1, 18): what the sheets show, then their other parts."""

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from lxml import etree

from worker.core.extract.readers import package, sheet_parts, xlsb
from worker.core.extract.readers.number_formats import NumberFormats
from worker.core.extract.readers.sheet_parts import Details, Sheet
from worker.core.extract.readers.sheet_text import Strings, Text, unescaped
from worker.core.extract.readers.zipped import Container
from worker.core.extract.reading import Reading

_ROW_TAGS = tuple(f"{{*}}{name}" for name in ("row", "headerFooter", "dataValidation", "hyperlink"))
_JAPANESE_STYLE = re.compile(rb'charset val="128"|\xe3[\x81-\x83]|\xe5\xb9\xb4|Yu Gothic|Meiryo')
"""What the styles of a workbook from a Japanese system contain: its character set, kana in fonts' names, or 年."""


@dataclass(slots=True)
class Book:
    """What all sheets of a workbook share."""

    strings: Strings = field(default_factory=Strings)
    formats: NumberFormats = field(default_factory=lambda: NumberFormats({}))
    styles: list[int] = field(default_factory=list)
    """The number format of each cell style."""


def read(container: Container, reading: Reading) -> None:
    """Read a workbook. Raises CorruptError if it has no main part."""
    main = package.main_part(container)
    book, details = Book(), Details()
    root = None
    with reading.part(main):
        root = container.tree(main, reading)
    links = {link.id: link for link in package.relationships(container, main) if not link.external}
    _read_styles(container, main, root, book, reading)
    for link in package.related(container, main, reading, "sharedstrings"):
        with reading.part(link.target):
            _read_strings(container.read(link.target), link.target, book.strings, reading)
    sheets = _sheets(root, links)
    for sheet in sheets:
        reading.add(sheet.name)
        details.sheet_name = sheet.name
        if sheet_parts.is_there(container, sheet, reading):
            with reading.part(sheet.part):
                _read_sheet(container, sheet, book, details, reading)
    reading.add("\t".join(book.formats.further))
    sheet_parts.read(container, main, sheets, details, reading)
    with reading.part(main):
        reading.add("\n".join(_defined_names(root)))


def read_binary(container: Container, reading: Reading) -> None:
    """Read a binary workbook (.xlsb, [MS-XLSB])."""
    xlsb.read(container, reading)


def _sheets(root: etree._Element | None, links: dict[str, package.Relationship]) -> list[Sheet]:
    """The sheets in their order, hidden ones too; then those that the workbook does not list."""
    found: list[Sheet] = []
    for element in () if root is None else root.iterfind("{*}sheets/{*}sheet"):
        number = next((str(value) for name, value in element.attrib.items() if str(name).endswith("}id")), "")
        found.append(sheet_parts.sheet(element.get("name", ""), links.get(number)))
    return sheet_parts.complete(found, links)


def _defined_names(root: etree._Element | None) -> Iterator[str]:
    """The names that people gave to cells and constants, their comments, and the texts among these constants."""
    for element in () if root is None else root.iterfind("{*}definedNames/{*}definedName"):
        name, value = element.get("name", ""), (element.text or "").strip()
        if not name.startswith("_xl"):
            constant = value.strip('"') if value.startswith('"') else ""
            yield "\t".join(text for text in (name, constant, element.get("comment", "")) if text)


def _read_styles(container: Container, main: str, root: etree._Element | None, book: Book, reading: Reading) -> None:
    properties = None if root is None else root.find("{*}workbookPr")
    date1904 = properties is not None and properties.get("date1904", "") in {"1", "true", "on"}
    codes: dict[int, str] = {}
    japanese = False
    for link in package.related(container, main, reading, "styles"):
        with reading.part(link.target):
            japanese = _JAPANESE_STYLE.search(container.read(link.target)) is not None
            styles = container.tree(link.target, reading)
            if styles is None:
                continue
            for element in styles.iterfind("{*}numFmts/{*}numFmt"):
                codes[int(element.get("numFmtId", ""))] = element.get("formatCode", "")
            for element in styles.iterfind("{*}cellXfs/{*}xf"):
                book.styles.append(int(element.get("numFmtId", "0")))
    book.formats = NumberFormats(codes, date1904=date1904, japanese=japanese)


def _read_strings(raw: bytes, part: str, strings: Strings, reading: Reading) -> None:
    for element in _elements(raw, part, ("{*}si",), reading):
        strings.add(text_of(element))
        element.clear()


def _elements(raw: bytes, part: str, tags: tuple[str, ...], reading: Reading) -> Iterator[etree._Element]:
    """The elements of these names, one after the other; what follows a fault in the XML is read as far as possible."""
    events = etree.iterparse(
        io.BytesIO(raw), events=("end",), tag=tags, recover=True, resolve_entities=False, load_dtd=False,
        no_network=True, huge_tree=True, remove_comments=True, remove_pis=True,
    )  # fmt: skip
    for _, element in events:
        yield element
    if len(events.error_log):
        reading.miss(f"{part} is broken: {events.error_log[0].message}")


def text_of(element: etree._Element) -> Text:
    """A rich text: its runs joined, and the readings of its words ([ECMA-376] part 1, 18.4.8)."""
    if len(element) == 1 and not len(element[0]):
        return Text(unescaped(element[0].text or ""))
    runs: list[str] = []
    readings: list[tuple[int, int, str]] = []
    for child in element:
        name = child.tag.rpartition("}")[2]
        if name == "t":
            runs.append(child.text or "")
        elif name == "r":
            runs += [one.text or "" for one in child.iterfind("{*}t")]
        elif name == "rPh":
            text = "".join(one.text or "" for one in child.iterfind("{*}t"))
            readings.append((int(child.get("sb", "0")), int(child.get("eb", "0")), text))
    return Text.of(unescaped("".join(runs)), readings)


def _read_sheet(container: Container, sheet: Sheet, book: Book, details: Details, reading: Reading) -> None:
    rows = Rows(book, formulas="macro" in sheet.kind)
    for element in _elements(container.read(sheet.part), sheet.part, _ROW_TAGS, reading):
        name = element.tag.rpartition("}")[2]
        if name == "row":
            try:
                reading.add(rows.text(element))
            except (ValueError, OverflowError) as error:
                reading.miss(f"{sheet.part}: a row is broken: {error}")
            element.clear()
        else:
            details.note(name, element)
    reading.add("\n".join(rows.readings))


class Rows:
    """Makes the text of a sheet's rows, and collects the readings of its words."""

    def __init__(self, book: Book, *, formulas: bool) -> None:
        """Show the formulas of a macro sheet, but not those of others."""
        self._strings, self._formats = book.strings, book.formats
        self._formulas = formulas
        self._shown = {str(i): book.formats.of(number) for i, number in enumerate(book.styles)}
        self._texts = {str(i): show for i, number in enumerate(book.styles) if (show := book.formats.text_of(number))}
        self._general = book.formats.of(0)
        self.readings: dict[str, None] = {}
        """The readings of the texts of this sheet, each once."""

    def text(self, row: etree._Element) -> str:
        """The cells of a row as they are shown, with a tab between them; empty ones are left out."""
        value_tag = row.tag[:-3] + "v"
        texts = [self._cell(cell, value_tag) for cell in row if len(cell)]
        return "\t".join([text for text in texts if text])

    def _cell(self, cell: etree._Element, value_tag: str) -> str:
        last, kind = cell[-1], cell.get("t", "n")
        if last.tag != value_tag or kind == "inlineStr":
            return self._other(cell)
        return self._value(last.text, kind, cell)

    def _value(self, raw: str | None, kind: str, cell: etree._Element) -> str:
        if not raw:
            return ""
        match kind:
            case "n":
                return self._number(raw, cell.get("s", "0"))
            case "s":
                return self._text(self._strings.get(int(raw)), cell)
            case "b":
                return "TRUE" if raw.strip() == "1" else "FALSE"
            case "d":
                return self._date(raw, cell.get("s", "0"))
            case _:
                return self._text(Text(unescaped(raw)), cell)

    def _other(self, cell: etree._Element) -> str:
        """A cell whose value is not its last element: its value, its text, or in a macro sheet its formula."""
        children = {child.tag.rpartition("}")[2]: child for child in cell}
        if "is" in children:
            return self._text(text_of(children["is"]), cell)
        if "v" in children:
            return self._value(children["v"].text, cell.get("t", "n"), cell)
        return "=" + (children["f"].text or "") if self._formulas and "f" in children else ""

    def _number(self, raw: str, style: str) -> str:
        show = self._shown.get(style, self._general)
        if show is self._general and len(raw) < 11 and "E" not in raw:
            return raw
        try:
            return show(float(raw))
        except ValueError:
            return raw

    def _date(self, raw: str, style: str) -> str:
        """A date in ISO 8601, as strict workbooks have them, shown as its serial number would be."""
        try:
            when = datetime.fromisoformat(raw.strip())
        except ValueError:
            return raw
        return self._shown.get(style, self._general)(self._formats.serial(when.replace(tzinfo=None)))

    def _text(self, text: Text, cell: etree._Element) -> str:
        if text.reading:
            self.readings[text.reading] = None
        if self._texts and (show := self._texts.get(cell.get("s", "0"))):
            return show(text.text)
        return text.text
