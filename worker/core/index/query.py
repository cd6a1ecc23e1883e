"""The query language of `s3-index-worker search`, the same for both indexes. Any string is a valid query.

    東京 予算           both words, in name, path, title, author or content; a part of a Japanese word, or the
                        beginning of another, is enough (京都 finds 東京都, quart finds quarterly)
    "四半期 報告"        these whole words in this order
    -draft              without this word; a minus may also precede a filter
    経理/2026           a part of a path, as a phrase
    ext:pdf,docx        files with these extensions
    bucket:invoices     objects in this bucket
    size:>1mb           >, >=, <, <= or nothing (exactly); b, kb, mb, gb, tb, each 1,024 times the previous one
    after:2026-04-01    last modified on that day or later; also 2026-04 and 2026, always in UTC
    before:2027         last modified earlier

Quotes, colons, signs and spaces may be full-width, as input methods produce them. Text that looks like a filter but is
not a valid one (`10:30`, `size:big`) is a word to `parse`; mistakes.py knows what of it is a mistake. What does not matter in
texts (width, composition, invisible characters: see core/base/uniform.py) does not matter in words.
"""

import calendar
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from worker.core.base.text import scrub
from worker.core.base.uniform import uniform, visible
from worker.core.index.text import Phrase, phrase

MAX_WORDS = 32
"""Further words are ignored: each takes about 30 of the 1,024 clauses that a query may have in OpenSearch."""
MAX_WORD_CHARS = 256
MAX_CHARS = 16 * 1024
"""Of a query: more than so many words may have together."""

FIELDS = ("ext", "bucket", "size", "after", "before")
_QUOTES = '"“”„＂'
_PART = re.compile(
    rf"""
    (?P<minus>[-－](?![-－\s]))?
    (?:(?P<field>{"|".join(FIELDS)})[:：])?
    (?:[{_QUOTES}](?P<quoted>[^{_QUOTES}]*)(?P<closed>[{_QUOTES}])? | (?P<bare>[^\s{_QUOTES}]+))
    """,
    re.VERBOSE | re.IGNORECASE,
)
_SIZE = re.compile(r"(>=|<=|>|<|=|)(\d{1,15})(?:\.(\d{1,6}))?(?:([kmgt])i?)?b?", re.IGNORECASE)
_DATE = re.compile(r"(\d{4})(?:[-/](\d{1,2})(?:[-/](\d{1,2}))?)?")
_LARGEST = 2**62
_POWER = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}


@dataclass(frozen=True, slots=True)
class Word:
    """A word or a quoted phrase that a document must contain, or must not contain."""

    text: str
    """As it was typed, in the form in which texts are indexed (core/base/uniform.py)."""
    exact: bool
    """Whether it was quoted."""
    excluded: bool
    phrase: Phrase
    """Its tokens; there is at least one."""


@dataclass(frozen=True, slots=True)
class OneOf:
    """A filter: the field has one of these values, or (excluded) none of them."""

    field: str
    values: tuple[str, ...]
    excluded: bool


@dataclass(frozen=True, slots=True)
class Within:
    """A filter: low ≤ field < high (in bytes, or ms since the epoch), or (excluded) not."""

    field: str
    low: int | None
    high: int | None
    excluded: bool


@dataclass(frozen=True, slots=True)
class Query:
    """A parsed query: a document must match all words and all filters."""

    words: tuple[Word, ...]
    filters: tuple[OneOf | Within, ...]
    impossible: bool
    """The query cannot match anything (`!!!`). An empty query matches everything, newest first."""

    @property
    def wanted(self) -> list[Word]:
        """The words that a document must contain."""
        return [word for word in self.words if not word.excluded]


def parse(text: str) -> Query:
    """Parse a query. Never raises."""
    words: list[Word] = []
    filters: list[OneOf | Within] = []
    for part in parts(text):
        found = filter_of(part)
        if found is not None:
            filters.append(found)
        elif (word := _word(part)) is not None:
            words.append(word)
    impossible = bool(text.strip()) and not words and not filters
    return Query(tuple(words[:MAX_WORDS]), tuple(_merged(filters)), impossible)


def parts(text: str) -> Iterator[re.Match[str]]:
    """The parts of a query, in the groups `minus`, `field`, and `quoted` (and `closed`, if its end is quoted, too) or `bare`."""
    return _PART.finditer(normal(text))


def normal(text: str) -> str:
    """A query as it is read: the text in which its parts stand."""
    return visible(scrub(text[:MAX_CHARS]))


def _word(part: re.Match[str]) -> Word | None:
    field, quoted = part["field"], part["quoted"]
    text = part["bare"] if quoted is None else quoted
    if field is not None:
        text = f"{field}:{text}"
    text = uniform(text[:MAX_WORD_CHARS], MAX_WORD_CHARS)
    wanted = phrase(text, exact=quoted is not None)
    if not wanted.tokens:
        return None
    return Word(text, exact=quoted is not None, excluded=part["minus"] is not None, phrase=wanted)


def filter_of(part: re.Match[str]) -> OneOf | Within | None:
    """The filter that a part of a query is; None if it is none, or not a valid one."""
    if part["field"] is None:
        return None
    field = part["field"].lower()
    value = uniform(part["bare"] or part["quoted"] or "").strip()
    excluded = part["minus"] is not None
    if field == "ext":
        kinds = tuple(kind.strip().lstrip(".").lower() for kind in value.split(",") if kind.strip(" ."))
        return OneOf("file_extension", kinds, excluded) if kinds else None
    if field == "bucket":
        return OneOf("bucket", (value,), excluded) if value else None
    return _size(value, excluded) if field == "size" else _date(field, value, excluded)


def _size(value: str, excluded: bool) -> Within | None:
    found = _SIZE.fullmatch(value.replace(" ", ""))
    if found is None:
        return None
    sign, whole, fraction, unit = found.groups("")
    size = min(int(float(f"{whole}.{fraction or 0}") * 1024 ** _POWER[unit.lower()]), _LARGEST)
    low = {">": size + 1, ">=": size, "=": size, "": size}.get(sign)
    high = {"<": size, "<=": size + 1, "=": size + 1, "": size + 1}.get(sign)
    return Within("file_size", low, high, excluded)


def _date(field: str, value: str, excluded: bool) -> Within | None:
    found = _DATE.fullmatch(value)
    if found is None:
        return None
    year, month, day = (int(number) for number in found.groups("1"))
    try:
        at_ms = calendar.timegm(date(year, month, day).timetuple()) * 1000
    except ValueError:
        return None
    low, high = (at_ms, None) if field == "after" else (None, at_ms)
    return Within("last_modified", low, high, excluded)


def _merged(filters: list[OneOf | Within]) -> list[OneOf | Within]:
    """Join filters of one field: `ext:pdf ext:docx` means either of them, as `ext:pdf,docx` does."""
    values: dict[tuple[str, bool], tuple[str, ...]] = {}
    for one in filters:
        if isinstance(one, OneOf):
            values[one.field, one.excluded] = values.get((one.field, one.excluded), ()) + one.values
    ranges: list[OneOf | Within] = [one for one in filters if isinstance(one, Within)]
    return ranges + [OneOf(field, found, excluded) for (field, excluded), found in values.items()]
