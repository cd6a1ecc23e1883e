"""The requests in OpenSearch's query language: a search, its facets, a list of entries, and a count."""

from worker.core.base.jsontypes import JsonObject
from worker.core.index import ENTRIES_AT_ONCE, HIGHLIGHT_END, HIGHLIGHT_START, earlier_system
from worker.core.index.query import OneOf, Query, Within, Word

_TEXT_FIELDS = ["file_name.text^4", "title^3", "path.text^2", "file_key.text^2", "author^1.5", "content"]
JAPANESE_FIELD = "content.ja"

FRAGMENTS = 2
FRAGMENT_CHARS = 160
MOST_EXPANSIONS = 500
"""The number of longer words that the last word of a phrase is expanded to."""
FACET_TERMS = 100
"""Values of one field that are counted: several may be written differently, or be none that a filter can ask for."""
ANALYZED_CHARS = 100_000
"""How far into a text OpenSearch looks for other forms of a word: it analyses the text again. Without this limit, a search that
finds a text longer than `index.highlight.max_analyzer_offset` fails (docs/evidence.md, OpenSearch)."""


def search(query: Query, *, limit: int, offset: int = 0) -> JsonObject:
    """The body of a search request: each word as a phrase in any text field, and the filters."""
    asked: JsonObject = {
        "from": offset,
        "size": limit,
        "track_total_hits": True,
        "_source": {"excludes": ["content"]},
        "query": _matching(query),
    }
    if not query.wanted:
        asked["sort"] = [{"last_modified": {"order": "desc", "unmapped_type": "date", "missing": "_last"}}]
    return asked


def facets(query: Query, *, exact: str = "", has_dates: bool = True) -> JsonObject:
    """The body of a request for the counts of all matches; `exact` is added to the names of the fields that have words.

    Without `has_dates`, years are not asked for.
    """
    counted: JsonObject = {
        name: {"terms": {"field": field + exact, "size": FACET_TERMS, "shard_size": FACET_TERMS * 10}}
        for name, field in (("extensions", "file_extension"), ("buckets", "bucket"))
    }
    if has_dates:
        counted["years"] = {
            "date_histogram": {
                "field": "last_modified", "calendar_interval": "year", "format": "yyyy", "min_doc_count": 1
            }
        }  # fmt: skip
    return {"size": 0, "track_total_hits": False, "query": _matching(query), "aggs": counted}


def texts(ids: list[str]) -> JsonObject:
    """The body of a request for the texts of these documents."""
    return {"size": len(ids), "_source": ["content"], "query": {"ids": {"values": ids}}}


def other_forms(ids: list[str], words: list[Word]) -> JsonObject:
    """The body of a request for the passages of these documents in which other forms of the words stand.

    No word is expanded for them to those that begin with it.
    """
    return {
        "size": len(ids),
        "_source": False,
        "query": {"ids": {"values": ids}},
        "highlight": {
            "pre_tags": [HIGHLIGHT_START],
            "post_tags": [HIGHLIGHT_END],
            "number_of_fragments": FRAGMENTS,
            "fragment_size": FRAGMENT_CHARS,
            "max_analyzer_offset": ANALYZED_CHARS,
            "highlight_query": {"bool": {"should": [_other_form(word) for word in words]}},
            "fields": {JAPANESE_FIELD: {}},
        },
    }


def listing(bucket: str, prefix: str, *, after: str, exact: str = "") -> JsonObject:
    """The body of a request for the next entries of a bucket's documents; `exact` is added to the names of the fields.

    Sorting by `_id` too would need all ids in the heap. The etag is read from its column, because `_source` has the text.
    """
    key = "file_key" + exact
    wanted: list[JsonObject] = [{"term": {"bucket" + exact: bucket}}, {"prefix": {key: prefix}}]
    return {
        "size": ENTRIES_AT_ONCE,
        "_source": False,
        "docvalue_fields": ["etag" + exact],
        "version": True,
        "track_total_hits": False,
        "query": {"bool": {"filter": wanted}},
        "sort": [{key: {"order": "asc", "unmapped_type": "keyword"}}],  # an index that is empty may have no fields yet
        **({"search_after": [after]} if after else {}),
    }


def nameless() -> JsonObject:
    """The body of a request for the number of documents without bucket or key."""
    without: list[JsonObject] = [{"bool": {"must_not": {"exists": {"field": name}}}} for name in ("bucket", "file_key")]
    return {"size": 0, "track_total_hits": True, "query": {"bool": {"should": without}}}


def _matching(query: Query) -> JsonObject:
    return {
        "bool": {
            "must": [_word(word) for word in query.wanted],
            "filter": [_filter(one) for one in query.filters if not one.excluded],
            "must_not": [_word(word) for word in query.words if word.excluded]
            + [_filter(one) for one in query.filters if one.excluded],
        }
    }


def _word(word: Word) -> JsonObject:
    """Matches the word itself, a longer word that begins with it, or (if not quoted) another form of it in Japanese."""
    ways = [_match(word.text, "phrase", [*_TEXT_FIELDS, *earlier_system.TEXT_FIELDS])]
    if word.phrase.prefix:
        # For a single word, a prefix query finds all longer words; in a phrase their number is limited.
        kind = "bool_prefix" if len(word.phrase.tokens) == 1 else "phrase_prefix"
        ways.append(_match(word.text, kind, _TEXT_FIELDS, max_expansions=MOST_EXPANSIONS))
    if not word.exact:
        ways.append(_other_form(word))
    return {"dis_max": {"queries": ways, "tie_breaker": 0.3}}


def _other_form(word: Word) -> JsonObject:
    return {"match": {JAPANESE_FIELD: {"query": word.text, "operator": "and"}}}


def _match(text: str, kind: str, fields: list[str], **more: object) -> JsonObject:
    return {"multi_match": {"query": text, "type": kind, "fields": fields, "lenient": True, **more}}


def _filter(one: OneOf | Within) -> JsonObject:
    if isinstance(one, Within):
        bounds = {"gte": one.low, "lt": one.high}
        limits: JsonObject = {name: value for name, value in bounds.items() if value is not None}
        if one.field == "last_modified":
            limits["format"] = "epoch_millis"
        return {"range": {one.field: limits}}
    values = one.values
    if one.field == "file_extension":
        values = earlier_system.extensions(values)
    return {"bool": {"should": [{"match": {one.field: value}} for value in values]}}
