"""A query in OpenSearch's language."""

from typing import Any

from worker.core.index import HIGHLIGHT_END, HIGHLIGHT_START
from worker.core.index.query import OneOf, Query, Within, Word

NAME_FIELD = "file_name.text"
CONTENT_FIELDS = ("content", "content.ja")
_TEXT_FIELDS = [NAME_FIELD + "^4", "title^3", "path.text^2", "file_key.text^2", "author^1.5", "content"]
_OLD_FIELDS = ["file_name^2", "path", "file_key"]
"""Whole names in our indexes; text in those of the earlier system."""
_JAPANESE_FIELD = "content.ja"

FRAGMENTS = 2
FRAGMENT_CHARS = 160
MOST_EXPANSIONS = 500
"""Longer words that the last word of a phrase may go on to be."""
ANALYZED_CHARS = 1_000_000
"""How far into a text matches are marked; beyond `index.highlight.max_analyzer_offset` the search would fail (FACTS)."""


def question(query: Query, *, limit: int) -> dict[str, Any]:
    """The body of a search: words in any of the texts, each as a phrase; filters; what is to be marked."""
    asked: dict[str, Any] = {
        "size": limit,
        "track_total_hits": True,
        "_source": {"excludes": ["content"]},
        "query": {
            "bool": {
                "must": [_word(word) for word in query.words if not word.excluded],
                "filter": [_filter(one) for one in query.filters if not one.excluded],
                "must_not": [_word(word) for word in query.words if word.excluded]
                + [_filter(one) for one in query.filters if one.excluded],
            }
        },
        "highlight": _highlight(),
    }
    if not any(not word.excluded for word in query.words):
        asked["sort"] = [{"last_modified": {"order": "desc", "unmapped_type": "date", "missing": "_last"}}]
    return asked


def _word(word: Word) -> dict[str, Any]:
    """The word as it stands; or the beginning of a longer one; or, unquoted, another form of it in Japanese."""
    ways = [_match(word.text, "phrase", [*_TEXT_FIELDS, *_OLD_FIELDS])]
    if word.phrase.prefix:
        # A single word that goes on is complete as a prefix query; in a phrase it goes on to so many words at most.
        kind = "bool_prefix" if len(word.phrase.tokens) == 1 else "phrase_prefix"
        ways.append(_match(word.text, kind, _TEXT_FIELDS, max_expansions=MOST_EXPANSIONS))
    if not word.exact:
        ways.append({"match": {_JAPANESE_FIELD: {"query": word.text, "operator": "and"}}})
    return {"dis_max": {"queries": ways, "tie_breaker": 0.3}}


def _match(text: str, kind: str, fields: list[str], **more: Any) -> dict[str, Any]:
    return {"multi_match": {"query": text, "type": kind, "fields": fields, "lenient": True, **more}}


def _filter(one: OneOf | Within) -> dict[str, Any]:
    if isinstance(one, Within):
        bounds = {"gte": one.low, "lt": one.high}
        limits: dict[str, Any] = {name: value for name, value in bounds.items() if value is not None}
        if one.field == "last_modified":
            limits["format"] = "epoch_millis"
        return {"range": {one.field: limits}}
    values = one.values
    if one.field == "file_extension":
        values += tuple("." + value for value in values)  # as the earlier system may have them
    return {"bool": {"should": [{"match": {one.field: value}} for value in values]}}


def _highlight() -> dict[str, Any]:
    whole = {"number_of_fragments": 0}
    piece = {
        "number_of_fragments": FRAGMENTS,
        "fragment_size": FRAGMENT_CHARS,
        "max_analyzer_offset": ANALYZED_CHARS,
        # By sentences, a text with a match in each of 100,000 sentences took over 25 s (M, 3.8); by words, 1.5 s.
        "boundary_scanner": "word",
    }
    return {
        "pre_tags": [HIGHLIGHT_START],
        "post_tags": [HIGHLIGHT_END],
        "fields": {NAME_FIELD: whole, **dict.fromkeys(CONTENT_FIELDS, piece)},
    }
