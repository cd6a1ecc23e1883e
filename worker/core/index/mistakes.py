r"""What in a query is a mistake, with what would be right. `parse` takes any text; a person is told instead of searching in vain.

A part with a colon is a mistake
- if it names a field of ours, and what follows is no value for it: `size:>banana`, `after:yesterday`, `ext:`;
- if its name is nearly one, and what follows would be a value: `siez:>1mb`;
- if it looks like a filter of any search engine: three or more letters of a-z in lower case, and right after the colon a quoted
  phrase, a comparison, a date, or one word that begins with a letter: `foo:bar`, `author:"Ann Lee"`, `type:pdf`.

Everything else is text: times (12:30), addresses (http://x, localhost:9200, me@example.com), paths (C:\dir), headings
(Re: invoice, TODO:fix), names in other scripts (件名:請求書). Whoever means the text of a filter quotes it: "foo:bar".
"""

import difflib
import re
import unicodedata
from collections.abc import Iterator

from worker.core.base.names import is_bucket_name
from worker.core.index.query import FIELDS, MAX_CHARS, MAX_WORDS, OneOf, Query, Within, filter_of, parse, parts

_NAMED = re.compile(r"([^\s:：]+)[:：](.*)", re.DOTALL)
_FIELD_LIKE = re.compile(r"[a-z][a-z_]{2,}")
_VALUE_LIKE = re.compile(r"[<>=].*|[^\W\d][\w.,*-]*|\d{4}[-/]\d{1,2}([-/]\d{1,2})?|\d+[kmgt]i?b?", re.IGNORECASE)
_UNIT = re.compile(r"([kmgt]i?)?b|[kmgt]", re.IGNORECASE)
_MEANT = {
    "extension": "ext", "filetype": "ext", "type": "ext", "format": "ext", "mime": "ext", "kind": "ext",
    "since": "after", "from": "after", "newer": "after", "date": "after", "modified": "after",
    "until": "before", "to": "before", "older": "before", "length": "size", "larger": "size", "smaller": "size",
}  # fmt: skip
"""What others call our fields."""
_NEAR = 0.7
"""How similar a name must be to a field's, as difflib measures it, to be a slip of it."""
_RIGHT = {
    "ext": "give one or several, as in ext:pdf or ext:pdf,docx",
    "bucket": "give a bucket's name, as in bucket:our-files",
    "size": "give a number with b, kb, mb, gb or tb, as in size:>1mb or size:<=500kb",
    "after": "give a day, a month or a year, as in after:2026-01-31, after:2026-01 or after:2026",
    "before": "give a day, a month or a year, as in before:2026-01-31, before:2026-01 or before:2026",
}
_NO = {"ext": "is not an extension", "bucket": "is not a bucket's name", "size": "is not a size"}
_FIELDS = f"{', '.join(FIELDS[:-1])} and {FIELDS[-1]}"


def nearest_field(name: str) -> str | None:
    """The field that somebody meant who typed this name; None if none is near."""
    name = unicodedata.normalize("NFKC", name).casefold()
    near = difflib.get_close_matches(name, FIELDS, n=1, cutoff=_NEAR)
    return name if name in FIELDS else _MEANT.get(name) or (near[0] if near else None)


def mistakes(text: str) -> list[str]:
    """What is wrong with a query, each in one sentence; none if it can be searched for. Never raises."""
    if not text.strip():
        return ["nothing was asked for; give a word to search for, or a filter such as ext:pdf"]
    query = parse(text)
    found = list(dict.fromkeys([*_in_parts(text), *_in_filters(query)]))
    if found:
        return found
    if query.impossible:
        return [
            f"{text.strip()}: has nothing that can be searched for; give a word, a number or a filter such as ext:pdf"
        ]
    return list(_as_a_whole(text, query))


def _in_parts(text: str) -> Iterator[str]:
    every = list(parts(text))
    for part, following in zip(every, [*every[1:], None], strict=True):
        if part["quoted"] is not None:
            yield from _in_quotes(part)
        if part["field"] is not None:
            yield from _in_field(part["field"].lower(), part, following)
        elif part["quoted"] is None:
            adjoining = "" if following is None or following.start() != part.end() else following[0]
            yield from _in_bare(part, adjoining)


def _shown(part: re.Match[str], more: str = "") -> str:
    return re.sub("^－", "-", part[0] + more)


def _in_quotes(part: re.Match[str]) -> Iterator[str]:
    if part["closed"] is None:
        yield f"{_shown(part)}: the quotation mark has no other one; close it, or leave it out"
    elif not part["quoted"].strip() and part["field"] is None:
        yield f'{_shown(part)}: there is nothing between the quotation marks; write a phrase, as in "quarterly forecast"'


def _in_field(field: str, part: re.Match[str], following: re.Match[str] | None) -> Iterator[str]:
    value = part["bare"] or part["quoted"] or ""
    one = filter_of(part)
    if one is None or (isinstance(one, OneOf) and not all(can_be(field, each) for each in one.values)):
        yield f"{_shown(part)}: '{value}' {_NO.get(field, 'is not a date')}; {_RIGHT[field]}{_or_as_text(_shown(part))}"
    elif following is not None and _goes_on(field, value, following[0]):
        yield f"{_shown(part)} {following[0]}: write it without a space, {_shown(part)}{following[0]}"


def _goes_on(field: str, value: str, following: str) -> bool:
    """Whether the next word belongs to this value: `size:>1 mb`, `ext:pdf, docx`."""
    if field == "size":
        return value[-1:].isdigit() and _UNIT.fullmatch(following) is not None
    return field == "ext" and value.endswith(",") and following.isalnum()


def can_be(field: str, value: str) -> bool:
    """Whether any document can have this value."""
    return is_bucket_name(value) if field == "bucket" else value.isalnum()


def _in_bare(part: re.Match[str], adjoining: str) -> Iterator[str]:
    named = _NAMED.fullmatch(part["bare"])
    if named is None:
        return
    name, value = named[1], named[2] + adjoining
    field = nearest_field(name)
    shown = _shown(part, adjoining)
    if field is not None and unicodedata.normalize("NFKC", name).casefold() == field and not value:
        shell = " (in a shell, > and < need quotes: 'size:>1mb')" if field == "size" else ""
        yield f"{shown}: there is nothing right after the colon; {_RIGHT[field]}{shell}{_or_as_text(shown)}"
    elif value and (_is_slip(name, value, field) or _is_filter_like(name, value, adjoining)):
        meant = f"the nearest is {field}: {_RIGHT[field]}" if field else f"the fields are {_FIELDS}"
        yield f"{shown}: there is no field '{name}'; {meant}{_or_as_text(shown)}"


def _is_slip(name: str, value: str, field: str | None) -> bool:
    """Whether a name that is nearly a field's, in any case, is followed by a value that only such a field has."""
    if field is None or field in {"ext", "bucket"}:
        return name.casefold() not in FIELDS and unicodedata.normalize("NFKC", name).casefold() in FIELDS
    return any(filter_of(part) is not None for part in parts(f"{field}:{value}"))


def _is_filter_like(name: str, value: str, adjoining: str) -> bool:
    return _FIELD_LIKE.fullmatch(name) is not None and (
        (bool(adjoining) and value == adjoining) or _VALUE_LIKE.fullmatch(value) is not None
    )


def _or_as_text(shown: str) -> str:
    bare = shown.lstrip("-").replace('"', "")
    return f". To find this as text, put it in quotation marks: '\"{bare}\"'"


def _in_filters(query: Query) -> Iterator[str]:
    """Filters that exclude each other."""
    for field, names in (("last_modified", "after and before"), ("file_size", "the sizes")):
        ranges = [one for one in query.filters if isinstance(one, Within) and one.field == field and not one.excluded]
        lowest = max((one.low for one in ranges if one.low is not None), default=None)
        highest = min((one.high for one in ranges if one.high is not None), default=None)
        if lowest is not None and highest is not None and lowest >= highest:
            yield f"{names} leave nothing between them; the first must be below the second"


def _as_a_whole(text: str, query: Query) -> Iterator[str]:
    if not query.wanted and all(one.excluded for one in query.filters):
        yield f"{text.strip().replace('－', '-')}: only says what to leave out; add a word or a filter that a hit must have"
    if len(text) > MAX_CHARS:
        yield f"the query has {len(text):,} characters; the most are {MAX_CHARS:,}"
    elif len(query.words) == MAX_WORDS and sum(1 for _ in parts(text)) > MAX_WORDS + len(query.filters):
        yield f"the query has over {MAX_WORDS} words, of which only the first {MAX_WORDS} would count; leave some out"
