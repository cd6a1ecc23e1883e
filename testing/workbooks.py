"""Workbooks made from their parts or records, as input of tests: .xlsx, .xlsb and .xls."""

import struct
from collections.abc import Mapping, Sequence

from testing.packages import zipped

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
R = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_RELATIONSHIPS = "http://schemas.openxmlformats.org/package/2006/relationships"
_TYPES = "http://schemas.openxmlformats.org/package/2006/content-types"
_SHEET = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"
_BINARY = "application/vnd.ms-excel.sheet.binary.macroEnabled.main"
_OUTSIDE = ' TargetMode="External"'

Links = Sequence[tuple[str, str]]
"""The end of a relationship's type, and its target."""


def relationships(links: Links) -> str:
    """A part of relationships, with the ids r1, r2, …; a target with a colon is outside of the package."""
    rows = (
        f'<Relationship Id="r{number}" Type="{R}/{kind}" Target="{target}"{_OUTSIDE if ":" in target else ""}/>'
        for number, (kind, target) in enumerate(links, start=1)
    )
    return f'<Relationships xmlns="{_RELATIONSHIPS}">{"".join(rows)}</Relationships>'


def sheet(content: str, root: str = "worksheet") -> str:
    """The part of a sheet."""
    return f'<{root} xmlns="{MAIN}" xmlns:r="{R}">{content}</{root}>'


def rows(*cells: str) -> str:
    """The part of a sheet with one row for each of these."""
    return sheet(f"<sheetData>{''.join(f'<row>{row}</row>' for row in cells)}</sheetData>")


def cell(value: str, kind: str = "n", style: int = 0) -> str:
    """A cell."""
    return f'<c r="A1" s="{style}" t="{kind}"><v>{value}</v></c>'


def xlsx(
    sheets: Mapping[str, str],
    *,
    strings: Sequence[str] = (),
    formats: Sequence[str | int] = (),
    workbook: str = "",
    links: Links = (),
    parts: Mapping[str, str | bytes] | None = None,
) -> bytes:
    """A workbook with these sheets by their names, shared strings (`si` without its tag) and formats of the styles 0, 1, …

    A format is a code, or the number of a built-in one. `links` are further relationships of the workbook, and `workbook`
    further elements of it.
    """
    names = list(sheets)
    listed = "".join(f'<sheet name="{name}" sheetId="{i}" r:id="r{i}"/>' for i, name in enumerate(names, start=1))
    first = [("worksheet", f"worksheets/sheet{i}.xml") for i in range(1, len(names) + 1)]
    return zipped(
        {
            "[Content_Types].xml": _content_types("/xl/workbook.xml", _SHEET),
            "_rels/.rels": relationships([("officeDocument", "xl/workbook.xml")]),
            "xl/workbook.xml": sheet(f"{workbook}<sheets>{listed}</sheets>", "workbook"),
            "xl/_rels/workbook.xml.rels": relationships(
                [*first, ("styles", "styles.xml"), ("sharedStrings", "sharedStrings.xml"), *links]
            ),
            "xl/styles.xml": styles(formats),
            "xl/sharedStrings.xml": sheet("".join(f"<si>{text}</si>" for text in strings), "sst"),
            **{f"xl/worksheets/sheet{i}.xml": part for i, part in enumerate(sheets.values(), start=1)},
            **(parts or {}),
        }
    )


def _content_types(main: str, content_type: str) -> str:
    return f'<Types xmlns="{_TYPES}"><Override PartName="{main}" ContentType="{content_type}"/></Types>'


def styles(formats: Sequence[str | int]) -> str:
    """The part of styles."""
    codes = {code: 164 + i for i, code in enumerate(code for code in formats if isinstance(code, str))}
    quoted = {code: code.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;") for code in codes}
    own = "".join(f'<numFmt numFmtId="{number}" formatCode="{quoted[code]}"/>' for code, number in codes.items())
    numbers = (codes[code] if isinstance(code, str) else code for code in formats)
    xfs = "".join(f'<xf numFmtId="{number}"/>' for number in numbers)
    return sheet(f"<numFmts>{own}</numFmts><cellXfs>{xfs}</cellXfs>", "styleSheet")


def xlsb(parts: Mapping[str, str | bytes], links: Links) -> bytes:
    """A binary workbook with these parts below xl/; `links` are the relationships of its main part, workbook.bin."""
    return zipped(
        {
            "[Content_Types].xml": _content_types("/xl/workbook.bin", _BINARY),
            "_rels/.rels": relationships([("officeDocument", "xl/workbook.bin")]),
            "xl/_rels/workbook.bin.rels": relationships(links),
            **{f"xl/{name}": data for name, data in parts.items()},
        }
    )


def binary(*records: tuple[int, bytes]) -> bytes:
    """A part of a binary workbook ([MS-XLSB] 2.1.4)."""
    return b"".join(_varint(kind) + _varint(len(body)) + body for kind, body in records)


def _varint(number: int) -> bytes:
    return bytes([number]) if number < 0x80 else bytes([number & 0x7F | 0x80, number >> 7])


def wide(text: str) -> bytes:
    """A text of a binary workbook ([MS-XLSB] 2.5.168)."""
    return struct.pack("<I", len(text)) + text.encode("utf-16-le")


def biff(*records: tuple[int, bytes]) -> bytes:
    """A stream of records ([MS-XLS] 2.1.4)."""
    return b"".join(struct.pack("<HH", kind, len(body)) + body for kind, body in records)


def bof(kind: int = 0x10, version: int = 0x0600) -> tuple[int, bytes]:
    """The record with which a substream begins: 0x05 globals, 0x10 a sheet, 0x20 a chart."""
    return 0x0809, struct.pack("<HHHHII", version, kind, 0, 1997, 0, 0)


EOF = (0x000A, b"")


def unicode8(text: str, length: str = "<H") -> bytes:
    """A text of BIFF8, two bytes for each character."""
    return struct.pack(length, len(text)) + b"\x01" + text.encode("utf-16-le")


def at(row: int, column: int, style: int = 0) -> bytes:
    """The beginning of a cell's record."""
    return struct.pack("<HHH", row, column, style)
