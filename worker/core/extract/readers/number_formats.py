"""Number formats of spreadsheets: a cell's number as the sheet shows it ([ECMA-376] part 1, 18.8.30 and 18.8.31)."""

import math
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from worker.core.extract.readers import number_codes, number_dates
from worker.core.extract.readers.number_codes import Section

GENERAL = "General"
MAX_FURTHER = 20_000
"""Further forms of numbers and dates that are kept for a workbook: about 200 kB of text."""
_MAX_MEMO = 20_000
_WIDTH = 11
"""Characters that General shows of a number, without its sign."""

_BUILT_IN = {
    1: "0", 2: "0.00", 3: "#,##0", 4: "#,##0.00", 9: "0%", 10: "0.00%", 11: "0.00E+00", 12: "# ?/?", 13: "# ??/??",
    14: "m/d/yy", 15: "d-mmm-yy", 16: "d-mmm", 17: "mmm-yy", 18: "h:mm AM/PM", 19: "h:mm:ss AM/PM", 20: "h:mm",
    21: "h:mm:ss", 22: "m/d/yy h:mm", 37: "#,##0_);(#,##0)", 38: "#,##0_);(#,##0)", 39: "#,##0.00_);(#,##0.00)",
    40: "#,##0.00_);(#,##0.00)", 45: "mm:ss", 46: "[h]:mm:ss", 47: "mm:ss.0", 48: "##0.0E+0", 49: "@",
    5: '"$"#,##0_);("$"#,##0)', 6: '"$"#,##0_);("$"#,##0)', 7: '"$"#,##0.00_);("$"#,##0.00)',
    8: '"$"#,##0.00_);("$"#,##0.00)', 41: "#,##0_);(#,##0);-_)", 42: '"$"#,##0_);("$"#,##0);"$"-_)',
    43: "#,##0.00_);(#,##0.00);-_)", 44: '"$"#,##0.00_);("$"#,##0.00);"$"-_)',
    27: "[$-411]ge.m.d", 28: '[$-411]ggge"年"m"月"d"日"', 29: '[$-411]ggge"年"m"月"d"日"', 30: "m/d/yy",
    31: 'yyyy"年"m"月"d"日"', 32: 'h"時"mm"分"', 33: 'h"時"mm"分"ss"秒"', 34: 'yyyy"年"m"月"', 35: 'm"月"d"日"',
    36: "[$-411]ge.m.d", 50: "[$-411]ge.m.d", 51: '[$-411]ggge"年"m"月"d"日"', 52: 'yyyy"年"m"月"', 53: 'm"月"d"日"',
    54: '[$-411]ggge"年"m"月"d"日"', 55: 'yyyy"年"m"月"', 56: 'm"月"d"日"', 57: "[$-411]ge.m.d",
    58: '[$-411]ggge"年"m"月"d"日"',
}  # fmt: skip
"""Formats that a workbook names by number only; 27–36 and 50–58 are those of Japan."""
_IN_JAPAN = {
    5: '"¥"#,##0;"¥"-#,##0', 6: '"¥"#,##0;"¥"-#,##0', 7: '"¥"#,##0.00;"¥"-#,##0.00', 8: '"¥"#,##0.00;"¥"-#,##0.00',
    14: "yyyy/m/d", 15: "d-mmm-yy", 22: "yyyy/m/d h:mm", 37: "#,##0;-#,##0", 38: "#,##0;-#,##0",
    39: "#,##0.00;-#,##0.00", 40: "#,##0.00;-#,##0.00", 42: '"¥"* #,##0;"¥"* -#,##0;"¥"* "-"',
    44: '"¥"* #,##0.00;"¥"* -#,##0.00;"¥"* "-"',
}  # fmt: skip
"""Those that are shown differently on a Japanese system."""
_LONG_DATE_IN_JAPAN, _LONG_TIME_IN_JAPAN = 'yyyy"年"m"月"d"日"', "h:mm:ss"
_LOCAL_DATES = frozenset({14, 22})
"""Dates that each system shows in its own way; the other ways are indexed as well."""
_ORIGIN_1900 = datetime(1899, 12, 30)  # noqa: DTZ001 (cells have no time zone)
_ORIGIN_1904 = datetime(1904, 1, 1)  # noqa: DTZ001
Show = Callable[[float], str]


def general(value: float) -> str:
    """A number as General shows it in a column that is wide enough: up to 11 characters (0.333333333, 1.23457E+11)."""
    if value.is_integer() and abs(value) < 1e11:
        return str(int(value))
    size = abs(value)
    if not math.isfinite(value):
        return str(value)
    sign = "-" if value < 0 else ""
    if 1e-4 <= size < 1:
        return sign + _stripped(f"{size:.9f}")
    if 1 <= size < 1e11:
        for text in (_stripped(f"{size:.12f}"), _stripped(f"{size:.{max(9 - int(math.log10(size)), 0)}f}")):
            if len(text) <= _WIDTH:
                return sign + text
    mantissa, _, power = f"{size:.5e}".partition("e")
    return f"{sign}{_stripped(mantissa)}E{power}"


def _stripped(text: str) -> str:
    return text.rstrip("0").rstrip(".") if "." in text else text


class NumberFormats:
    """The formats of one workbook, by number; numbers are shown by what `of` returns."""

    def __init__(self, codes: Mapping[int, str], *, date1904: bool = False, japanese: bool = False) -> None:
        """Take the workbook's own formats. On a Japanese system the built-in ones are shown in another way."""
        self._codes = {**_BUILT_IN, **(_IN_JAPAN if japanese else {}), **codes}
        self._own = codes
        self._date1904 = date1904
        self._japanese = japanese
        self._formats: dict[int, Show] = {}
        self._texts: dict[int, Show] = {}
        self.further: dict[str, None] = {}
        """Other forms that people search for: dates as 2025-04-14, and 1234567 for 1,234,567; each once, in order."""

    def of(self, number: int) -> Show:
        """What shows numbers in the format of this number."""
        found = self._formats.get(number)
        if found is None:
            found = self._formats[number] = self._compiled(number)
        return found

    def text_of(self, number: int) -> Callable[[str], str] | None:
        """What shows texts in this format; None if they are shown as they are."""
        code = self._codes.get(number, GENERAL)
        if "@" not in code or code == "@":
            return None
        section = next((section for section in number_codes.sections(code) if section.is_text), None)
        if section is None:
            return None
        pieces = [None if token == ("mark", "@") else token[1] for token in section.tokens]
        return lambda text: "".join(text if piece is None else piece for piece in pieces).strip()

    def serial(self, when: datetime) -> float:
        """The serial number of a date and time in this workbook's date system."""
        return (when - (_ORIGIN_1904 if self._date1904 else _ORIGIN_1900)) / timedelta(days=1)

    def _compiled(self, number: int) -> Show:
        code = self._codes.get(number, GENERAL)
        if len(code) > number_codes.MAX_CODE_CHARS or code in {GENERAL, "@"}:
            return self._general
        local = number in _LOCAL_DATES and number not in self._own
        try:
            choose = _chooser(number_codes.sections(code), self, local=local)
        except (ValueError, IndexError, KeyError):  # no code that Excel would accept
            return general
        memo: dict[float, str] = {}

        def show(value: float) -> str:
            text = memo.get(value)
            if text is None:
                text = choose(value)
                if len(memo) < _MAX_MEMO:
                    memo[value] = text
            return text

        return show

    def _general(self, value: float) -> str:
        text = general(value)
        if "E" in text:
            self._note_digits(text, abs(value))  # article numbers are often found in such cells
        return text

    def shower(self, section: Section, *, local: bool) -> Show:
        """What shows absolute values in one section of a format."""
        if section.is_date:
            return self._date_shower(section, local=local)
        if any(kind == "general" for kind, _ in section.tokens):
            return lambda value: "".join(general(value) if kind == "general" else text for kind, text in section.tokens)
        if section.is_text:
            return lambda value: "".join(general(value) if kind == "mark" else text for kind, text in section.tokens)
        show = number_codes.number_shower(section)

        def shown(value: float) -> str:
            text = show(value)
            self._note_digits(text, value)
            return text

        return shown

    def _note_digits(self, text: str, value: float) -> None:
        if len(self.further) >= MAX_FURTHER:
            return
        if "," in text:
            self.further["".join(c for c in text if c.isdecimal() or c == ".").strip(".")] = None
        if value.is_integer() and 1000 <= value < 1e15 and "%" not in text and str(int(value)) not in text:
            digits = "".join(c for c in text if c.isdecimal())  # 09012345678 for 090-1234-5678
            self.further[digits if digits.lstrip("0") == str(int(value)) else str(int(value))] = None

    def _date_shower(self, section: Section, *, local: bool) -> Show:
        if section.of_system and self._japanese:
            code = _LONG_TIME_IN_JAPAN if any(text[0] in "hs" for _, text in section.tokens) else _LONG_DATE_IN_JAPAN
            section = number_codes.sections(code)[0]
        codes = number_codes.date_codes(section)
        step = number_dates.step_of(codes)
        dated = any(code.letters[:1] in {"y", "m", "d", "g", "e", "a", "b"} for code in codes if code.letters)

        def show(value: float) -> str:
            when = number_dates.moment(value, date1904=self._date1904, step_ms=step)
            if when is None:
                return general(value)
            text = number_dates.shown(codes, when, language=section.language, kanji=section.kanji)
            if dated and len(self.further) < MAX_FURTHER:
                if when.iso not in text:
                    self.further[when.iso] = None
                if local:
                    month_first = f"{when.month}/{when.day}/"
                    self.further[f"{when.year}/{when.month}/{when.day}"] = None
                    self.further[f"{month_first}{when.year}"] = None
                    self.further[f"{month_first}{when.year % 100:02d}"] = None
            return text

        return show


def _chooser(sections: list[Section], formats: NumberFormats, *, local: bool) -> Show:
    """What shows a number in the section that its sign or the conditions choose."""
    if len(sections) > 3:
        sections = sections[:3]
    showers = [formats.shower(section, local=local) for section in sections]
    conditions = [section.condition for section in sections]
    dates = [section.is_date for section in sections]

    def show(value: float) -> str:
        place = _place(value, conditions)
        if dates[place]:
            return showers[place](value).strip()
        text = showers[place](abs(value)).strip()
        if value < 0 and (place == 0 or (conditions[0] is not None and place != 1)) and text.strip("0.,% "):
            return "-" + text
        if not text and value:
            return general(value)
        return text

    return show


def _place(value: float, conditions: list[Callable[[float], bool] | None]) -> int:
    count = len(conditions)
    if count == 1:
        return 0
    first, second = conditions[0], conditions[1]
    if first is None and second is None:
        return 1 if value < 0 else 2 if value == 0 and count > 2 else 0
    if (first or (lambda v: v > 0))(value):
        return 0
    if count == 2 or (second or (lambda v: v < 0))(value):
        return 1
    return 2
