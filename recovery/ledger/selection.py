"""Which dead letters are meant: a Selection, and the one line of text in which people and programs write it.

kind:RECOVERABLE error:Timeout bucket:invoices key:契約 older:2h state:open,sent text:"access denied"
"""

import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from recovery.ledger.bigrams import folded
from recovery.ledger.errors import AskedWronglyError
from recovery.ledger.rows import WAITING, Outcome, State
from worker.core.base.classify import FailureKind

MAX_QUERY_CHARS = 2_000
MAX_TERM_CHARS = 1_024
"""As long as the longest key of S3."""
_UNITS_S = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_DURATION = re.compile(r"(\d{1,9})([smhdw])")
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,3})?Z", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TERM = re.compile(r'\s*(?:([^\s:"]+):(?:"((?:[^"\\]|\\.)*)"|([^\s"]*))|(\S+))(?=\s|$)')
_ESCAPE = re.compile(r"\\(.)")
_NEEDS_QUOTES = re.compile(r'[\s"\\]')


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Conditions that must all hold; None: no condition."""

    states: tuple[State, ...] = WAITING
    kind: FailureKind | None = None
    error_type: str | None = None
    """Without regard to case; behind `=`: exactly; empty: dead letters without one."""
    type: str | None = None
    bucket: str | None = None
    group: str | None = None
    """What the fingerprint begins with; behind `=`: the whole; `-`: dead letters without one."""
    source_service: str | None = None
    source_queue: str | None = None
    owner: str | None = None
    """Empty: those that nobody owns."""
    held: bool | None = None
    correlation_id: str | None = None
    outcome: str | None = None
    """An Outcome."""
    sent_before_ms: int | None = None
    """Dead letters that arrived, the last time, at this moment or before."""
    sent_after_ms: int | None = None
    """After it."""
    seen_until_ms: int | None = None
    """Dead letters that were taken in, the last time, at this moment or before: what has joined since is left out."""
    seen_after_ms: int | None = None
    """After it: what has joined since."""
    key_contains: str | None = None
    """A substring of the object's key, without regard to case."""
    text_contains: str | None = None
    """One of the error message, or of what the dead letter is about."""

    def __post_init__(self) -> None:
        """Texts are searched for as they are stored; an empty one is no condition."""
        for name in ("key_contains", "text_contains"):
            object.__setattr__(self, name, folded(getattr(self, name) or "") or None)


def without_texts(selection: Selection) -> Selection:
    """The same without its substrings."""
    return replace(selection, key_contains=None, text_contains=None)


def term(name: str, value: str) -> str:
    """A filter as `parse_query` reads it, whatever the value has in it."""
    if value and not _NEEDS_QUOTES.search(value):
        return f"{name}:{value}"
    quoted = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'{name}:"{quoted}"'


def instant(at_ms: int) -> str:
    """A moment as the filters `until` and `since` read it."""
    return (_EPOCH + timedelta(milliseconds=at_ms)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Mistake(StrEnum):
    """What can be wrong with a query."""

    FORM = "form"
    """It is not made of NAME:VALUE."""
    NAME = "name"
    """There is no such filter."""
    VALUE = "value"
    """The filter cannot be that."""
    TWICE = "twice"
    LONG = "long"
    """One value has more than MAX_TERM_CHARS, or all have more than MAX_QUERY_CHARS."""


class WrongQueryError(AskedWronglyError):
    """Raised for a query that is wrong."""

    def __init__(self, mistake: Mistake, name: str, value: str, expected: str) -> None:
        super().__init__(name, value, expected)
        self.mistake = mistake


def parse_query(query: str, *, now_ms: int | None = None) -> Selection:
    """The selection in a line of text. Raises WrongQueryError, which says what would be right."""
    now_ms = time.time_ns() // 1_000_000 if now_ms is None else now_ms
    found: dict[str, Any] = {}
    for name, value in _terms(query):
        if name not in FILTERS:
            raise WrongQueryError(Mistake.NAME, name, value, f"a filter: {', '.join(FILTERS)}")
        if len(value) > MAX_TERM_CHARS:
            right = f"at most {MAX_TERM_CHARS:,} characters long"
            raise WrongQueryError(Mistake.LONG, name, f"{value[:40]}…", right)
        known = FILTERS[name]
        if known.field in found:
            raise WrongQueryError(Mistake.TWICE, name, value, "given once")
        try:
            found[known.field] = known.read(name, value, now_ms)
        except AskedWronglyError as error:
            raise WrongQueryError(Mistake.VALUE, name, value, error.expected) from None
    return Selection(**found)


def names_in(query: str) -> frozenset[str]:
    """The names of the filters that a query has. Raises WrongQueryError where it is not made of filters."""
    return frozenset(name for name, _ in _terms(query))


def _terms(query: str) -> Iterator[tuple[str, str]]:
    if len(query) > MAX_QUERY_CHARS:
        right = f"at most {MAX_QUERY_CHARS:,} characters long"
        raise WrongQueryError(Mistake.LONG, "query", f"{query[:40]}…", right)
    at, query = 0, query.rstrip()
    while at < len(query):
        found = _TERM.match(query, at)
        if found is None or found[1] is None:
            rest = query[at:].strip()
            right = 'NAME:VALUE or NAME:"a value", separated by spaces'
            raise WrongQueryError(Mistake.FORM, "query", rest[:80], right)
        yield found[1], found[3] if found[2] is None else _ESCAPE.sub(r"\1", found[2])
        at = found.end()


def _text(name: str, value: str, _now_ms: int) -> str:
    if not value:
        raise AskedWronglyError(name, value, f'not empty, such as {name}:x or {name}:"a b"')
    return value


def _owner(_name: str, value: str, _now_ms: int) -> str:
    return "" if value == "-" else value


def _error(name: str, value: str, now_ms: int) -> str:
    return "" if value == "-" else _text(name, value, now_ms)


def _kind(name: str, value: str, _now_ms: int) -> FailureKind:
    try:
        return FailureKind(value.upper())
    except ValueError:
        raise AskedWronglyError(name, value, f"one of {', '.join(FailureKind)}") from None


def _states(name: str, value: str, _now_ms: int) -> tuple[State, ...]:
    if "any" in value.split(","):
        return tuple(State)
    try:
        return tuple(dict.fromkeys(State(one) for one in value.split(",")))
    except ValueError:
        raise AskedWronglyError(name, value, f"any, or some of {','.join(State)}, separated by commas") from None


def _outcome(name: str, value: str, _now_ms: int) -> str:
    if value not in set(Outcome):
        raise AskedWronglyError(name, value, f"one of {', '.join(Outcome)}")
    return value


def _held(name: str, value: str, _now_ms: int) -> bool:
    if value not in {"yes", "no"}:
        raise AskedWronglyError(name, value, "yes or no")
    return value == "yes"


def _moment(name: str, value: str, now_ms: int) -> int:
    found = _DURATION.fullmatch(value)
    if found is None:
        raise AskedWronglyError(name, value, f"a number and one of {' '.join(_UNITS_S)}, such as {name}:2h")
    return now_ms - int(found[1]) * _UNITS_S[found[2]] * 1000


def _instant(name: str, value: str, _now_ms: int) -> int:
    right = f"a moment in UTC as ISO 8601 writes it, such as {name}:2026-11-01T09:30:00.000Z"
    if _INSTANT.fullmatch(value) is None:
        raise AskedWronglyError(name, value, right)
    try:
        return (datetime.fromisoformat(value) - _EPOCH) // timedelta(milliseconds=1)
    except ValueError:
        raise AskedWronglyError(name, value, right) from None


@dataclass(frozen=True, slots=True)
class Filter:
    """A name in a query."""

    field: str
    """Of a Selection."""
    read: Callable[[str, str, int], object]
    """Reads a value, from the name, the text and the present in ms. Raises AskedWronglyError."""
    values: tuple[str, ...] = ()
    """All that it can be; empty: any text, or too many to name."""
    examples: tuple[str, ...] = ()
    """Some of what it can be, where that is no text."""
    takes_several: bool = False
    """Whether it takes several values, separated by commas."""


FILTERS: Mapping[str, Filter] = {
    "kind": Filter("kind", _kind, tuple(FailureKind)),
    "error": Filter("error_type", _error, examples=("-",)),
    "type": Filter("type", _text),
    "state": Filter("states", _states, (*State, "any"), takes_several=True),
    "bucket": Filter("bucket", _text),
    "group": Filter("group", _text, examples=("-",)),
    "service": Filter("source_service", _text),
    "queue": Filter("source_queue", _text),
    "owner": Filter("owner", _owner, examples=("-",)),
    "hold": Filter("held", _held, ("yes", "no")),
    "correlation": Filter("correlation_id", _text),
    "outcome": Filter("outcome", _outcome, tuple(Outcome)),
    "older": Filter("sent_before_ms", _moment, examples=("1h", "1d", "1w")),
    "newer": Filter("sent_after_ms", _moment, examples=("15m", "1h", "1d")),
    "until": Filter("seen_until_ms", _instant, examples=("2026-11-01T09:30:00.000Z",)),
    "since": Filter("seen_after_ms", _instant, examples=("2026-11-01T09:30:00.000Z",)),
    "key": Filter("key_contains", _text),
    "text": Filter("text_contains", _text),
}
"""By the names in a query."""
