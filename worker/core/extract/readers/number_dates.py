"""Dates and times as a spreadsheet shows them ([ECMA-376] part 1, 18.8.31; [MS-OI29500] 2.1.739 for the Japanese codes)."""

from dataclasses import dataclass
from datetime import date, timedelta

MAX_SERIAL = 2_958_466
"""The day after 9999-12-31, the last one that Excel shows as a date."""
_DAY_MS = 86_400_000
_1904_DAYS = 1462
"""The days between the origins of the 1900 and the 1904 date system."""
_ERAS = (
    (date(2019, 5, 1), "R", "令", "令和"),
    (date(1989, 1, 8), "H", "平", "平成"),
    (date(1926, 12, 25), "S", "昭", "昭和"),
    (date(1912, 7, 30), "T", "大", "大正"),
    (date(1868, 1, 25), "M", "明", "明治"),
)
"""The Japanese eras from their first days, with what `g`, `gg` and `ggg` show."""
_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_DAYS_JA = "月火水木金土日"
_DAYS_ZH = "一二三四五六日"
_DAYS_KO = "월화수목금토일"
_JAPANESE, _KOREAN, _CHINESE = 0x11, 0x12, 0x04
"""Primary language numbers: the low byte of a locale's number ([MS-LCID])."""
_KANJI = str.maketrans("0123456789", "〇一二三四五六七八九")


@dataclass(frozen=True, slots=True)
class Moment:
    """A serial number's date and time of day, in whole milliseconds since its beginning."""

    year: int
    month: int
    day: int
    weekday: int
    """0 is Monday."""
    ms: int
    serial_ms: int
    """Milliseconds since the origin of the date system, for elapsed times."""

    @property
    def iso(self) -> str:
        """The date as YYYY-MM-DD."""
        return f"{self.year:04d}-{self.month:02d}-{self.day:02d}"


@dataclass(frozen=True, slots=True)
class Code:
    """One element of a date's format: letters such as `yyyy`, `[h]`, `AM/PM` or `.00`; or a literal text."""

    letters: str
    literal: str = ""


def moment(serial: float, *, date1904: bool, step_ms: int) -> Moment | None:
    """The moment of a serial number, rounded to `step_ms` milliseconds; None if it is outside of what Excel shows."""
    if not 0 <= serial < MAX_SERIAL:
        return None
    total = int(serial * _DAY_MS / step_ms + 0.5) * step_ms
    days, ms = divmod(total, _DAY_MS)
    if date1904:
        days += _1904_DAYS
    weekday = (days + 5) % 7
    if days == 60:  # Excel takes 1900 for a leap year, as Lotus 1-2-3 did; its weekdays before that day are wrong, too
        return Moment(1900, 2, 29, weekday, ms, total)
    if days == 0:
        return Moment(1900, 1, 0, weekday, ms, total)
    try:
        when = date(1899, 12, 31 if days < 60 else 30) + timedelta(days)
    except OverflowError:
        return None
    return Moment(when.year, when.month, when.day, weekday, ms, total)


def step_of(codes: list[Code]) -> int:
    """To how many milliseconds a time of this format is rounded: to those that it shows, or to a second."""
    digits = max((len(code.letters) - 1 for code in codes if code.letters.startswith(".")), default=0)
    return int(10 ** (3 - min(digits, 3)))


def resolved(codes: list[Code]) -> list[Code]:
    """The same elements, with minutes told from months: `m` beside hours or seconds means minutes, which become `n`."""
    found = list(codes)
    times = [i for i, code in enumerate(codes) if code.letters and not code.letters.startswith(("AM", "A/", "."))]
    for place, i in enumerate(times):
        letters = codes[i].letters
        if letters.strip("m[]") or (len(letters) > 2 and letters[0] != "["):
            continue
        before = codes[times[place - 1]].letters.strip("[]")[:1] if place else ""
        after = codes[times[place + 1]].letters.strip("[]")[:1] if place + 1 < len(times) else ""
        if letters[0] == "[" or before == "h" or after == "s":
            found[i] = Code(letters.replace("m", "n"))
    return found


def shown(codes: list[Code], when: Moment, *, language: int, kanji: bool) -> str:
    """The date as the format shows it. `kanji` writes its numbers in kanji ([DBNum1])."""
    half = any(code.letters.startswith(("AM", "A/")) for code in codes)
    parts = []
    for i, code in enumerate(codes):
        if not code.letters:
            parts.append(code.literal)
            continue
        followed = codes[i + 1].literal[:1] if i + 1 < len(codes) else ""
        text = _part(code.letters, when, language, half=half, followed=followed)
        parts.append(_in_kanji(text) if kanji and text.isdecimal() else text)
    return "".join(parts)


def _part(letters: str, when: Moment, language: int, *, half: bool, followed: str) -> str:
    match letters[0]:
        case "y":
            return f"{when.year:04d}" if len(letters) > 2 else f"{when.year % 100:02d}"
        case "m":
            return _month(len(letters), when)
        case "d" | "a":
            return _day(letters, when, language)
        case "g" | "e":
            return _era(letters, when, language, followed)
        case "b":
            return f"{when.year + 543}" if len(letters) > 2 else f"{(when.year + 543) % 100:02d}"
        case _:
            return _time(letters, when, half=half)


def _month(length: int, when: Moment) -> str:
    if length < 3:
        return f"{when.month:0{length}d}"
    name = _MONTHS[when.month - 1]
    return name[:3] if length == 3 else name[0] if length == 5 else name


def _day(letters: str, when: Moment, language: int) -> str:
    length = len(letters)
    if length < 3:
        return f"{when.day:0{length}d}"
    if letters[0] == "a" or language == _JAPANESE:
        return _DAYS_JA[when.weekday] + ("曜日" if length > 3 else "")
    if language == _KOREAN:
        return _DAYS_KO[when.weekday] + ("요일" if length > 3 else "")
    if language == _CHINESE:
        return ("星期" if length > 3 else "周") + _DAYS_ZH[when.weekday]
    return _DAYS[when.weekday][: 3 if length == 3 else None]


def _era(letters: str, when: Moment, language: int, followed: str) -> str:
    if language == _CHINESE and letters[0] == "e":
        return str(when.year)
    era = next((era for era in _ERAS if (when.year, when.month, when.day) >= era[0].timetuple()[:3]), None)
    if letters[0] == "g":
        return era[min(len(letters), 3)] if era else ""  # type: ignore[return-value]  # the first item is a date
    year = when.year - era[0].year + 1 if era else when.year
    if year == 1 and followed == "年":
        return "元"
    return f"{year:0{min(len(letters), 2)}d}"


def _time(letters: str, when: Moment, *, half: bool) -> str:
    seconds, ms = divmod(when.ms, 1000)
    if letters[0] == "[":
        unit = {"h": 3_600_000, "n": 60_000, "s": 1000}[letters[1]]
        return f"{when.serial_ms // unit:0{len(letters) - 2}d}"
    if letters[0] == ".":
        return f".{ms:03d}"[: len(letters)]
    if letters[0] == "A":
        morning, evening = letters.split("/") if "/" in letters else ("AM", "PM")
        return morning if seconds < 43_200 else evening
    hours = seconds // 3600
    number = {"h": (hours % 12 or 12) if half else hours, "n": seconds // 60 % 60, "s": seconds % 60}[letters[0]]
    return f"{number:0{min(len(letters), 2)}d}"


def _in_kanji(digits: str) -> str:
    """A number below 100 in kanji (十四), a longer one digit by digit (二〇二五)."""
    if len(digits) > 2:
        return digits.translate(_KANJI)
    tens, ones = divmod(int(digits), 10)
    text = ("" if tens < 2 else str(tens)) + ("十" if tens else "") + (str(ones) if ones or not tens else "")
    return text.translate(_KANJI)
