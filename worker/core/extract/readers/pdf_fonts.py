"""The font that PDFium uses in place of the Chinese, Japanese and Korean ones that a file names but does not contain.

PDFium leaves out a text whose glyphs have no extent. On a machine without such fonts, as servers are, each character that
is written alone and every vertical line is lost. Only the extent of a glyph matters for reading, so that one box for all
characters is enough: the text does not depend on what is installed, and no file of the machine is opened.
"""

import ctypes
import struct
from typing import Any

_UNITS_PER_EM = 1000
_ASCENT, _DESCENT = 880, -120
"""The usual ones of Japanese fonts."""
_CJK_CHARSETS = frozenset({128, 129, 134, 136})
"""Shift JIS, Hangul, GB 2312 and Big5, as Windows numbers them (fpdf_sysfontinfo.h)."""
_HANDLE = 1
_installed: list[Any] = []
"""What PDFium points to: it must live as long as the process does."""


def install() -> None:
    """Let PDFium use this font from now on. PDFium must have been initialised; repeated calls do nothing."""
    import pypdfium2.raw as pdfium

    if _installed:
        return
    info = pdfium.FPDF_SYSFONTINFO(version=2)
    kinds = dict(pdfium.FPDF_SYSFONTINFO._fields_)
    font = box_font()

    def map_font(_this: Any, _weight: int, _italic: int, charset: int, *_: Any) -> int | None:
        return _HANDLE if charset in _CJK_CHARSETS else None

    def font_data(_this: Any, _font: Any, table: int, buffer: Any, size: int) -> int:
        if table:  # it asks whether this is a collection of fonts
            return 0
        if buffer and size >= len(font):
            ctypes.memmove(buffer, font, len(font))
        return len(font)

    callbacks = {
        "Release": lambda _this: None,
        "MapFont": map_font,
        "GetFont": lambda _this, _face: None,
        "GetFontData": font_data,
        "GetFaceName": lambda _this, _font, _buffer, _size: 0,
        "GetFontCharset": lambda _this, _font: 0,
        "DeleteFont": lambda _this, _font: None,
    }
    for name, function in callbacks.items():
        setattr(info, name, kinds[name](function))
    _installed.append(info)
    pdfium.FPDF_SetSystemFontInfo(info)


def box_font() -> bytes:
    """A TrueType font whose only glyph, a box, stands for every character (OpenType 1.9: cmap format 13)."""
    glyph = struct.pack(">5hHH4B", 1, 0, _DESCENT, _UNITS_PER_EM, _ASCENT, 3, 0, 1, 1, 1, 1) + struct.pack(
        ">8h", 0, _UNITS_PER_EM, 0, -_UNITS_PER_EM, _DESCENT, 0, _ASCENT - _DESCENT, 0
    )
    tables = {
        b"cmap": struct.pack(">HHHHI", 0, 1, 3, 10, 12) + struct.pack(">HHIII3I", 13, 0, 28, 0, 1, 0, 0x10FFFF, 1),
        b"glyf": glyph,
        b"head": struct.pack(
            ">4I2HQQ4h2H3h", 0x10000, 0x10000, 0, 0x5F0F3CF5, 0, _UNITS_PER_EM, 0, 0, 0, _DESCENT, _UNITS_PER_EM, _ASCENT,
            0, 8, 2, 1, 0,
        ),
        b"hhea": struct.pack(">I3hH11hH", 0x10000, _ASCENT, _DESCENT, 0, _UNITS_PER_EM, *(0,) * 11, 1),
        b"hmtx": struct.pack(">Hh2x", _UNITS_PER_EM, 0),
        b"loca": struct.pack(">3I", 0, 0, len(glyph)),
        b"maxp": struct.pack(">IH13H", 0x10000, 2, 4, 1, 0, 0, 1, *(0,) * 8),
    }  # fmt: skip
    head = struct.pack(">I4H", 0x10000, len(tables), 64, 2, 48)
    directory, body, at = b"", b"", len(head) + 16 * len(tables)
    for tag, table in tables.items():
        directory += struct.pack(">4s3I", tag, 0, at + len(body), len(table))
        body += table + b"\0" * (-len(table) % 4)
    return head + directory + body
