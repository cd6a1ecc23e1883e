"""Compare an index in OpenSearch with the one that our template creates; `doctor` shows the differences."""

import re
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
LEAST_GC_DELETES_S = 3_600
"""A client waits for 25 s for a bulk request, but the index may serve it much later (docs/evidence.md, OpenSearch)."""
_DURATION = re.compile(r"(\d+)(ms|s|m|h|d)")
_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3_600, "d": 86_400}
ONE_INDEX = "copy the others' documents into it (_reindex), remove the alias from them, and end its rollover policy"
"""What to do about an alias of several indexes."""
GAPS = "gaps"
"""The part of the analyzer `parts` in our template for which white space between Japanese characters does not count."""
_IN_PAIRS = frozenset({"parts", "cjk"})
_REINDEX = "to get all features, run reindex_index --from-s3, which puts an index from our template in its place"


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
        findings.append(
            Finding("error", f"alias {name} points to {len(found)} indexes; only {index} is kept up to date", ONE_INDEX)
        )
    findings += _of_settings(index, found[index].get("settings", {}))
    findings += _of_mapping(index, found[index].get("mappings", {}))
    return [*findings, *_of_analyzer(index, found[index])]


def is_ours(found: JsonObject) -> bool:
    """Whether the only index behind a name has the mapping of our template, and so ids that we made."""
    ours = index_template("files")["template"]["mappings"]["properties"].keys()
    return all(ours <= one.get("mappings", {}).get("properties", {}).keys() for one in found.values())


def _of_settings(index: str, settings: JsonObject) -> Iterator[Finding]:
    """A removal's version is known for `gc_deletes`; a bulk request that is served later brings the document back."""
    nested = settings.get("index", {})
    kept = str(nested.get("gc_deletes", "60s"))
    if _seconds(kept) < LEAST_GC_DELETES_S:
        yield Finding(
            "warning",
            f"{index} forgets removals after {kept} (index.gc_deletes): a request served later would restore a document",
            f'set it: PUT /{index}/_settings {{"index.gc_deletes": "1h"}}',
        )


def _seconds(duration: str) -> float:
    """A duration as OpenSearch writes it; one that it would not write counts as long enough."""
    match = _DURATION.fullmatch(duration)
    return int(match[1]) * _UNITS[match[2]] if match else float("inf")


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


def _of_analyzer(index: str, found: JsonObject) -> Iterator[Finding]:
    """An index keeps the analyzers with which it was created."""
    if found.get("mappings", {}).get("properties", {}).get("content", {}).get("analyzer") not in _IN_PAIRS:
        return  # then there is a finding about its mapping
    analysis = found.get("settings", {}).get("index", {}).get("analysis", {})
    filters = analysis.get("analyzer", {}).get("parts", {}).get("char_filter", [])
    if GAPS not in filters:
        yield Finding(
            "warning", f"{index} does not find Japanese words in which a line ends or spaces stand (東 京)", _REINDEX
        )


def _type(field: JsonObject) -> str:
    return str(field.get("type", "object"))
