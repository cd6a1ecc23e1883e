"""Text as Word stores it before 2007: with fields, cell marks and other special characters in it ([MS-DOC] 2.8.25)."""

import itertools
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from worker.core.extract.faults import CorruptError

MAX_DEPTH = 50
"""Fields that are nested deeper are not told apart."""
_BEGIN, _SEPARATOR, _END = "\x13", "\x14", "\x15"
_FIELD_MARK = re.compile("([\x13-\x15])")
_READING = re.compile("\x13([^\x15]*)\x15")
_RUBY = re.compile(r"\\o\W*\\a[a-z]\s*\(\s*\\s\\up\s*[\d.]*\s*\((?P<reading>[^()]*)\)\s*[,;](?P<base>.*)\)", re.DOTALL)
_SWITCH = re.compile(r'\\\*\s*(?:"[^"]*"|\S+)|\\[a-z]+\s?[\d.]*|[()\\]', re.IGNORECASE)
_BUTTONS = frozenset({"MACROBUTTON", "GOTOBUTTON"})
_ROW_END = "\x07\x07"
_PARAGRAPH = re.compile("[\r\x0c\x0e\n]")
_CONTROLS = str.maketrans(
    {"\x07": "\t", "\x0b": "\n", "\x1e": "-", "\x1f": None, "\0": None}
    | {chr(code): None for code in (*range(1, 7), 8, *range(0x10, 0x1A))}
)


@dataclass(slots=True)
class _Field:
    code: list[str] = field(default_factory=list)
    result: list[str] | None = None

    @property
    def open(self) -> list[str]:
        """What text that follows is added to."""
        return self.code if self.result is None else self.result


def paragraphs(text: str) -> Iterator[str]:
    """The paragraphs and the rows of tables as they are shown; readings of kanji follow the paragraph that they are in."""
    for line in _PARAGRAPH.split(_without_codes(text).replace(_ROW_END, "\r")):
        readings = _READING.findall(line) if _BEGIN in line else []
        if readings:
            line = _READING.sub("", line)  # noqa: PLW2901
        yield line.translate(_CONTROLS).strip("\t \n")
        yield from readings


def piece_table(clx: bytes) -> list[tuple[int, int]]:
    """The pieces of a text ([MS-DOC] 2.9.38): where each is, as it is stored, and how many characters it has.

    Raises CorruptError.
    """
    at = 0
    while clx[at : at + 1] == b"\1":  # property modifiers precede the pieces
        at += 3 + int.from_bytes(clx[at + 1 : at + 3], "little")
    table = clx[at + 5 : at + 5 + int.from_bytes(clx[at + 1 : at + 5], "little")]
    count = (len(table) - 4) // 12
    if clx[at : at + 1] != b"\2" or count < 1:
        raise CorruptError("the Word document has no piece table")
    positions = struct.unpack_from(f"<{count + 1}I", table)
    places = (struct.unpack_from("<I", table, 4 * (count + 1) + 8 * number + 2)[0] for number in range(count))
    lengths = (max(end - start, 0) for start, end in itertools.pairwise(positions))
    return list(zip(places, lengths, strict=True))


def _without_codes(text: str) -> str:
    """The text with each field replaced by what is shown of it; a reading stands between the marks of a field."""
    if _BEGIN not in text:
        return text
    out: list[str] = []
    fields: list[_Field] = []
    for token in _FIELD_MARK.split(text):
        if token == _BEGIN:
            if len(fields) < MAX_DEPTH:
                fields.append(_Field())
        elif token == _SEPARATOR:
            if fields and fields[-1].result is None:
                fields[-1].result = []
        elif token == _END:
            if fields:
                done = fields.pop()
                (fields[-1].open if fields else out).append(_shown(done))
        else:
            (fields[-1].open if fields else out).append(token)
    for unclosed in fields:
        out += [*unclosed.code, *(unclosed.result or [])]
    return "".join(out)


def _shown(done: _Field) -> str:
    result = "".join(done.result or [])
    if result and not result.isspace():
        return result
    code = "".join(done.code).strip()
    keyword = code.split(maxsplit=1)[0].upper() if code else ""
    if keyword == "EQ":
        return _formula(code[2:])
    if keyword in _BUTTONS:
        return "".join(code.split(maxsplit=2)[2:])
    return ""


def _formula(code: str) -> str:
    r"""The text in a field EQ, such as `\o\ad(\s\up 9(とう),東)`: Word keeps ruby in such fields, and characters in circles."""
    ruby = _RUBY.search(code)
    if ruby is None:
        return _SWITCH.sub(" ", code).replace(",", "").replace(" ", "")
    return f"{ruby['base']}{_BEGIN}{ruby['reading']}{_END}"
