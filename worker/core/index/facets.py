"""Facets: how all matches of a query are distributed, and the same query, narrowed to one value or without one of its filters."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from worker.core.index import Facets
from worker.core.index.mistakes import can_be
from worker.core.index.query import OneOf, filter_of, normal, parts

FIELDS = ("extensions", "buckets", "years")
"""The names of the facets."""
VALUES = 12
"""Of one facet."""
_FILTERS = {"extensions": "ext", "buckets": "bucket"}
Counts = Iterable[tuple[object, int]]


def facets_of(counted: Mapping[str, Counts]) -> Facets:
    """The facets from what an index has counted, by the names in FIELDS; what is written differently is counted together."""
    extensions: Counter[str] = Counter()
    for value, count in counted.get("extensions", ()):
        extensions[str(value or "").lstrip(".").lower()] += count
    buckets = Counter({str(value or ""): count for value, count in counted.get("buckets", ())})
    years = {str(value): count for value, count in counted.get("years", ()) if _is_year(str(value))}
    return Facets(
        _first((value, count) for value, count in extensions.most_common() if _is_value("ext", value)),
        _first((value, count) for value, count in buckets.most_common() if _is_value("bucket", value)),
        _first(sorted(years.items(), reverse=True)),
    )


def _first(counted: Iterable[tuple[str, int]]) -> dict[str, int]:
    return dict([(value, count) for value, count in counted if count][:VALUES])


def _is_value(field: str, value: str) -> bool:
    """Whether a filter can ask for just this value."""
    [*asked] = parts(f"{field}:{value}")
    if len(asked) != 1 or not value:
        return False
    found = filter_of(asked[0])
    return isinstance(found, OneOf) and found.values == (value,) and can_be(field, value)


def _is_year(value: str) -> bool:
    """Whether `after:` and `before:` can ask for this year."""
    return len(value) == 4 and value.isdecimal() and 0 < int(value) < 9999


@dataclass(frozen=True, slots=True)
class Filter:
    """A filter that stands in a query."""

    text: str
    """As it is written there: `ext:pdf`, `-size:>1mb`."""
    rest: str
    """The query without it."""


def filters_in(query: str) -> list[Filter]:
    """The filters of a query, in order."""
    whole = normal(query)
    spans = [part.span() for part in parts(query) if filter_of(part) is not None]
    return [Filter(whole[start:end], _without(whole, [(start, end)])) for start, end in spans]


def narrowed(query: str, facet: str, value: str) -> str:
    """The query, narrowed to one value of a facet; an extension or a bucket replaces those that it asked for."""
    whole = normal(query)
    if facet == "years":
        return f"{whole.strip()} after:{value} before:{int(value) + 1:04}".strip()
    field = _FILTERS[facet]
    asked = [
        part.span()
        for part in parts(query)
        if filter_of(part) is not None and part["minus"] is None and part["field"].lower() == field
    ]
    return f"{_without(whole, asked)} {field}:{value}".strip()


def _without(text: str, spans: Iterable[tuple[int, int]]) -> str:
    """A query without these parts of it."""
    for start, end in sorted(spans, reverse=True):
        text = f"{text[:start].rstrip()} {text[end:].lstrip()}"
    return text.strip()
