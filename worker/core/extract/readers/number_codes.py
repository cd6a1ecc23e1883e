"""Codes of number formats, such as `#,##0.00;[Red]-#,##0.00`, and numbers as they show them ([ECMA-376] part 1, 18.8.31)."""

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction

from worker.core.extract.readers import number_dates
from worker.core.extract.readers.number_dates import Code

MAX_CODE_CHARS = 255
"""A longer code is not valid ([MS-OI29500] 2.1.740); numbers are shown as General."""
_TOKEN = re.compile(
    r'"(?P<quoted>[^"]*)"?|\\(?P<escaped>.)|_(?P<gap>.)|\*(?P<fill>.)|\[(?P<bracket>[^\]]*)\]|(?P<end>;)'
    r"|(?P<half>AM/PM|A/P|上午/下午|午前/午後)|(?P<general>General|G/標準|標準|Standard)|(?P<exponent>E[+-])"
    r"|(?P<date>y+|m+|d+|h+|s+|g+|e+|b+|a{3,4})|(?P<second>\.0+)|(?P<number>[0#?])|(?P<mark>[,.%/@])|(?P<other>.)",
    re.IGNORECASE | re.DOTALL,
)
_CONDITION = re.compile(r"(<=|>=|<>|<|>|=)\s*(-?[\d.]+)")
_COMPARE = {
    "<=": operator.le, ">=": operator.ge, "<>": operator.ne, "<": operator.lt, ">": operator.gt, "=": operator.eq,
}  # fmt: skip
Condition = Callable[[float], bool]


@dataclass(slots=True)
class Section:
    """One of up to four parts of a code: for positive and negative numbers, zero, and text."""

    tokens: list[tuple[str, str]] = field(default_factory=list)
    """Kind and text: `literal`, `number` (0, # or ?), `mark` (, . % / @), `exponent`, `date`, `general`."""
    condition: Condition | None = None
    language: int = 0
    """The primary language of the locale; 0 if none is named."""
    kanji: bool = False
    """Whether numbers are written in kanji ([DBNum1])."""
    of_system: bool = False
    """Whether each system shows its own long date or time ([$-F800], [$-F400])."""

    @property
    def is_date(self) -> bool:
        """Whether it shows a date or time."""
        return any(kind == "date" for kind, _ in self.tokens)

    @property
    def is_text(self) -> bool:
        """Whether it has a place for text."""
        return ("mark", "@") in self.tokens


def sections(code: str) -> list[Section]:
    """The sections of a code."""
    found = [Section()]
    for token in _TOKEN.finditer(code[:MAX_CODE_CHARS]):
        kind, text = token.lastgroup or "", token[token.lastgroup or 0]
        if kind == "end":
            found.append(Section())
        else:
            _add(found[-1], kind, text)
    for section in found:
        _settle(section)
    return found


def _add(section: Section, kind: str, text: str) -> None:
    match kind:
        case "quoted" | "escaped" | "other":
            section.tokens.append(("literal", "¥" if text == "\\" else text))  # fonts of Japan show a backslash so
        case "gap":
            section.tokens.append(("literal", " "))
        case "bracket":
            _bracket(section, text)
        case "date":
            section.tokens.append(("date", text.lower()))
        case "half":
            section.tokens.append(("date", text.upper().replace("午前/", "AM/").replace("上午/", "AM/")))
        case "fill":
            pass
        case _:
            section.tokens.append((kind, text))


def _bracket(section: Section, text: str) -> None:
    low = text.lower()
    if low and not low.strip(low[0]) and low[0] in "hms":
        section.tokens.append(("date", f"[{low}]"))
    elif text.startswith("$"):
        symbol, _, locale = text[1:].rpartition("-") if "-" in text else (text[1:], "", "")
        if symbol:
            section.tokens.append(("literal", "¥" if symbol == "\\" else symbol))
        section.language = _language(locale)
        section.of_system = locale.upper() in {"F400", "F800"}
    elif low.startswith("dbnum1"):
        section.kanji = True
    elif condition := _CONDITION.match(text):
        compare, limit = _COMPARE[condition[1]], float(condition[2].rstrip(".") or 0)
        section.condition = lambda value: compare(value, limit)


def _language(locale: str) -> int:
    names = {"ja": 0x11, "zh": 0x04, "ko": 0x12}
    if locale[:2].lower() in names:
        return names[locale[:2].lower()]
    try:
        return int(locale.partition(",")[0] or "0", 16) & 0xFF
    except ValueError:
        return 0


def _settle(section: Section) -> None:
    """Take `.00` for a fraction of a second in a time, and for decimals elsewhere; in a date, marks are literals."""
    settled: list[tuple[str, str]] = []
    is_date = section.is_date
    for kind, text in section.tokens:
        if kind == "second" and is_date:
            settled.append(("date", text))
        elif kind == "second":
            settled.append(("mark", "."))
            settled += [("number", "0")] * (len(text) - 1)
        elif is_date and kind in {"mark", "number"}:
            settled.append(("literal", text))
        else:
            settled.append((kind, text))
    section.tokens = settled


def date_codes(section: Section) -> list[Code]:
    """The elements of a date's section."""
    return number_dates.resolved([Code(text) if kind == "date" else Code("", text) for kind, text in section.tokens])


def number_shower(section: Section) -> Callable[[float], str]:
    """What shows the absolute value of a number in this section, without its sign."""
    tokens = section.tokens
    percents = sum(token == ("mark", "%") for token in tokens)
    tokens = [("literal", "%") if token == ("mark", "%") else token for token in tokens]
    places = [i for i, (kind, _) in enumerate(tokens) if kind == "number"]
    if not places:
        fixed = "".join(text for kind, text in tokens if kind == "literal")
        return lambda _value: fixed
    if ("mark", "/") in tokens[places[0] :]:
        return _fraction_shower(tokens)
    tokens = [("literal", text) if (kind, text) == ("mark", "/") else (kind, text) for kind, text in tokens]
    scale, tokens, grouped = _commas(tokens, places)
    factor = 100.0**percents / 1000.0**scale
    show = _decimal_shower(tokens, grouped=grouped)
    return show if factor == 1 else lambda value: show(value * factor)


def _commas(tokens: list[tuple[str, str]], places: list[int]) -> tuple[int, list[tuple[str, str]], bool]:
    """How often a number is divided by 1000, the tokens without commas, and whether its digits are grouped."""
    point = next((i for i, token in enumerate(tokens) if token == ("mark", ".")), len(tokens))
    whole = [i for i in places if i < point]
    last = whole[-1] if whole else -1
    commas = [i for i, token in enumerate(tokens) if token == ("mark", ",")]
    ends = [i for i in commas if i > (last if point < len(tokens) and i < point else places[-1])]
    scale = 0
    for i in ends:  # only those that follow the last digit without a gap
        if tokens[i - 1][0] == "number" or tokens[i - 1] == ("mark", ","):
            scale += 1
    grouped = any(whole and whole[0] < i < last for i in commas)
    kept = [token for i, token in enumerate(tokens) if i not in commas or (i > places[-1] and i not in ends)]
    return scale, [token for token in kept if token != ("mark", ",")], grouped


def _decimal_shower(tokens: list[tuple[str, str]], *, grouped: bool) -> Callable[[float], str]:
    point = next((i for i, token in enumerate(tokens) if token == ("mark", ".")), None)
    exponent = next((i for i, (kind, _) in enumerate(tokens) if kind == "exponent"), None)
    if exponent is not None:
        return _exponent_shower(tokens, point, exponent)
    whole = tokens if point is None else tokens[:point]
    after = [] if point is None else tokens[point + 1 :]
    places = [text for kind, text in after if kind == "number"]
    digits, least = len(places), max((i + 1 for i, text in enumerate(places) if text == "0"), default=0)
    numbers = [i for i, (kind, _) in enumerate(whole) if kind == "number"]
    before = "".join(text for kind, text in whole[: numbers[0] if numbers else None] if kind == "literal")
    middle = whole[numbers[0] : numbers[-1] + 1] if numbers else []
    behind = "".join(text for kind, text in whole[numbers[-1] + 1 :] if kind == "literal") if numbers else ""
    tail = "".join(text for kind, text in after if kind == "literal")
    spec = f"{',' if grouped else ''}.{digits}f"
    zeros = [text for _, text in middle].count("0")
    simple = zeros <= 1 and all(kind == "number" for kind, _ in middle)
    dot = "." if point is not None else ""

    def show(value: float) -> str:
        text = format(_nudged(value), spec)
        whole_text, _, decimals = text.partition(".")
        while len(decimals) > least and decimals[-1] == "0":
            decimals = decimals[:-1]
        if not simple:
            whole_text = _filled(whole_text.replace(",", "").lstrip("0"), middle, grouped=grouped)
        elif whole_text == "0" and not zeros:
            whole_text = ""
        return f"{before}{whole_text}{dot}{decimals}{behind}{tail}" if dot else f"{before}{whole_text}{behind}"

    return show


def _nudged(value: float) -> float:
    """Rounds half up in decimal, as Excel does from 15 digits: 1.005 is shown as 1.01."""
    return value if value.is_integer() else value + value * 1e-15


def _filled(digits: str, places: list[tuple[str, str]], *, grouped: bool) -> str:
    """Digits in their places, from the right, with literals between them: 090-1234-5678."""
    out: list[str] = []
    count, first = 0, next(i for i, (kind, _) in enumerate(places) if kind == "number")
    for i in range(len(places) - 1, -1, -1):
        kind, text = places[i]
        if kind != "number":
            out.append(text)
            continue
        taken = digits if i == first else digits[-1:]
        digits = "" if i == first else digits[:-1]
        for digit in reversed(taken or ("0" if text == "0" else "")):
            if grouped and count and count % 3 == 0:
                out.append(",")
            out.append(digit)
            count += 1
    return "".join(reversed(out))


def _exponent_shower(tokens: list[tuple[str, str]], point: int | None, exponent: int) -> Callable[[float], str]:
    digits = sum(kind == "number" for kind, _ in tokens[point or exponent : exponent])
    width = sum(kind == "number" for kind, _ in tokens[exponent:])
    step = max(sum(kind == "number" for kind, _ in tokens[: point or exponent]), 1)
    plus = tokens[exponent][1][1]

    def show(value: float) -> str:
        mantissa, _, power = f"{value:.15e}".partition("e")
        shift = int(power) % step
        number, exp = float(mantissa) * 10**shift, int(power) - shift
        sign = "-" if exp < 0 else plus.replace("-", "")
        return f"{number:.{digits}f}E{sign}{abs(exp):0{width}d}"

    return show


def _fraction_shower(tokens: list[tuple[str, str]]) -> Callable[[float], str]:
    slash = tokens.index(("mark", "/"))
    below = "".join(text for _, text in tokens[slash + 1 :]).strip()
    digits = re.match(r"\d+", below)
    fixed = int(digits[0]) if digits and digits[0].strip("0") else None
    size = max(sum(kind == "number" for kind, _ in tokens[slash + 1 :]), 1)
    above = [text for kind, text in tokens[:slash] if kind in {"number", "literal"}]
    has_whole = " " in "".join(above).strip()

    def show(value: float) -> str:
        whole = int(value) if has_whole else 0
        rest = value - whole
        if fixed is None:
            part = Fraction(rest).limit_denominator(10 ** min(size, 7) - 1)
            top, bottom = part.numerator, part.denominator
        else:
            top, bottom = round(rest * fixed), fixed
        if has_whole and top == bottom:
            whole, top = whole + 1, 0
        if not top:
            return str(whole)
        return f"{whole} {top}/{bottom}" if whole else f"{top}/{bottom}"

    return show
