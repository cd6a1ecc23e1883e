"""Compare an index in OpenSearch with the one that our template creates; `doctor` shows the differences."""

from collections.abc import Iterator

from worker.core.base.jsontypes import JsonObject
from worker.core.index import Finding
from worker.core.index.template import index_template

_NUMBERS = frozenset(
    {"long", "integer", "short", "byte", "double", "float", "half_float", "unsigned_long", "scaled_float"}
)
_SERVES = {
    "keyword": frozenset({"keyword", "text", "wildcard", "constant_keyword"}),
    "text": frozenset({"text", "match_only_text"}),
    "date": frozenset({"date", "date_nanos"}),
    "long": _NUMBERS,
    "float": _NUMBERS,
    "flat_object": frozenset({"flat_object", "object"}),
    "object": frozenset({"object", "flat_object"}),
}
"""For each type in our template, the types that serve the same purpose."""
_IN_PAIRS = frozenset({"parts", "cjk"})
_REINDEX = "to get all features, create an index from our template, _reindex into it, and point the alias to it"


def compare(name: str, found: JsonObject) -> list[Finding]:
    """The findings about the indexes behind a name."""
    index = _write_index(name, found)
    if index is None:
        hint = "set is_write_index: true for one of its indexes, or let it point to a single index"
        return [Finding("error", f"alias {name} has no write index among {', '.join(sorted(found))}", hint)]
    findings = []
    if index == name:
        findings.append(Finding("ok", f"{name} is an index, not an alias; it is used as it is"))
    else:
        findings.append(Finding("ok", f"alias {name} points to {index}"))
    if len(found) > 1:
        hint = "copy the documents of the other indexes into this one, then remove the alias from them"
        findings.append(
            Finding("warning", f"alias {name} points to {len(found)} indexes; only {index} is kept up to date", hint)
        )
    return [*findings, *_of_mapping(index, found[index].get("mappings", {}))]


def _write_index(name: str, found: JsonObject) -> str | None:
    marked = [index for index, one in found.items() if one.get("aliases", {}).get(name, {}).get("is_write_index")]
    if marked:
        return marked[0]
    only = next(iter(found))
    forbidden = found[only].get("aliases", {}).get(name, {}).get("is_write_index") is False
    return only if len(found) == 1 and not forbidden else None


def _of_mapping(index: str, mapping: JsonObject) -> Iterator[Finding]:
    ours = index_template(index)["template"]["mappings"]["properties"]
    theirs = mapping.get("properties", {})
    missing = sorted(ours.keys() - theirs.keys())
    if missing and mapping.get("dynamic") == "strict":
        yield Finding(
            "error",
            f"{index} is dynamic: strict and has no mapping for {', '.join(missing)}: it rejects every document",
            _REINDEX,
        )
    elif missing:
        yield Finding("warning", f"{index} has no mapping for {', '.join(missing)}", _REINDEX)
    for field in sorted(ours.keys() & theirs.keys()):
        has, wants = _type(theirs[field]), _type(ours[field])
        if has not in _SERVES.get(wants, {wants}):
            yield Finding("warning", f"{index}: {field} has the type {has}; it should be {wants}", _REINDEX)
    yield from _of_values(index, ours, theirs)


def _of_values(index: str, ours: JsonObject, theirs: JsonObject) -> Iterator[Finding]:
    careless = sorted(
        field
        for field, one in theirs.items()
        if ours.get(field, {}).get("ignore_malformed") and str(one.get("ignore_malformed")).lower() != "true"
    )
    if careless:
        yield Finding("warning", f"{index} rejects a document with a malformed {' or '.join(careless)}", _REINDEX)
    content = theirs.get("content", {})
    if _type(content) == "text" and content.get("analyzer") not in _IN_PAIRS:
        yield Finding(
            "warning", f"{index} does not find parts of Japanese words: content is not indexed as bigrams", _REINDEX
        )
    if content.get("analyzer") in _IN_PAIRS and "ja" not in content.get("fields", {}):
        yield Finding("ok", f"{index} has no content.ja: kuromoji was not installed when the index was created")


def _type(field: JsonObject) -> str:
    return str(field.get("type", "object"))
