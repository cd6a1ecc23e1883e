"""Texts of cells, which are shared by the three formats of workbooks."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

LONG_CHARS = 1000
"""A shared text of more characters is given once only: a small file can refer to it a million times."""
_ESCAPED = re.compile(r"_x([0-9A-Fa-f]{4})_")
_FIELD = re.compile(
    r'&(?:(?P<and>&)|"[^"]*"|\d{1,3}|K(?:[0-9A-Fa-f]{6}|\d\d[+-]\d{3})|(?P<part>[LCR])|(?P<name>A)|[A-Za-z]|$)',
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Text:
    """A text, and how its words are read (furigana)."""

    text: str
    reading: str = ""

    @classmethod
    def of(cls, text: str, readings: Sequence[tuple[int, int, str]]) -> "Text":
        """Take the readings of parts of the text, by their first character and the one after the last.

        The reading of the whole is what PHONETIC() returns: the parts are replaced by their readings.
        """
        if not readings:
            return cls(text)
        whole, place = [], 0
        for begin, end, reading in readings:
            if place <= begin <= end:
                whole += [text[place:begin], reading]
                place = end
        whole.append(text[place:])
        joined = "".join(whole)
        return cls(text, "" if joined == text else joined)


class Strings:
    """The shared texts of a workbook, by number."""

    def __init__(self) -> None:
        self._texts: list[Text] = []
        self._given: set[int] = set()

    def add(self, text: Text) -> None:
        """Add the next one."""
        self._texts.append(text)

    def get(self, number: int) -> Text:
        """A text, which is empty if there is none of this number, or if it is long and was given before."""
        if not 0 <= number < len(self._texts):
            return Text("")
        text = self._texts[number]
        if len(text.text) > LONG_CHARS:
            if number in self._given:
                return Text("")
            self._given.add(number)
        return text

    def __len__(self) -> int:
        return len(self._texts)


def unescaped(text: str) -> str:
    r"""A text of a cell with its escapes resolved: `_x000D_` is a carriage return ([ECMA-376] part 1, 22.9.2.19)."""
    if "_x" in text:
        text = _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text)
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def plain_header(text: str, sheet_name: str) -> str:
    """A header or footer as it is printed, but without dates and page numbers; its parts are lines.

    The codes are those of [ECMA-376] part 1, 18.3.1.46: for fonts, for fields, and `&A` for the name of the sheet.
    """

    def printed(code: re.Match[str]) -> str:
        return "&" if code["and"] else "\n" if code["part"] else sheet_name if code["name"] else ""

    return _FIELD.sub(printed, text).strip()
