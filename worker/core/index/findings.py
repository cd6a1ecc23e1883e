"""What `doctor` says of an index in OpenSearch: how it differs from the one that our template makes."""

from collections.abc import Iterator
from typing import Any

from worker.core.index import Finding
from worker.core.index.document import document_id
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
"""For each type of ours, those that do as well."""
_IN_PAIRS = frozenset({"parts", "cjk"})
_REINDEX = "to have all of it: make an index from our template, _reindex into it, and let the alias lead there"


def compare(name: str, found: dict[str, Any]) -> list[Finding]:
    """What to say of the indexes behind a name."""
    index = _write_index(name, found)
    if index is None:
        hint = "give one of its indexes is_write_index: true, or leave it a single one"
        return [Finding("error", f"alias {name} has no index to write to among {', '.join(sorted(found))}", hint)]
    findings = []
    if index == name:
        findings.append(Finding("ok", f"{name} is an index, not an alias; used as it is"))
    else:
        findings.append(Finding("ok", f"alias {name} leads to {index}"))
    if len(found) > 1:
        hint = "remove the alias from the others, once what they hold is in this one"
        findings.append(
            Finding("warning", f"alias {name} spans {len(found)} indexes; only {index} is kept up to date", hint)
        )
    return [*findings, *_of_mapping(index, found[index].get("mappings", {}))]


def ids_in_use(sample: list[dict[str, Any]], *, wanted: bool | None) -> tuple[bool, list[Finding]]:
    """Whether an index's ids are plain keys, by some of its documents; `wanted`: what DOCUMENT_IDS says, if it does."""
    plain, paired = 0, 0
    for hit in sample:
        source = hit.get("_source", {})
        bucket, key = source.get("bucket", ""), source.get("file_key", "")
        plain += hit["_id"] == document_id(bucket, key, plain_key=True)
        paired += hit["_id"] == document_id(bucket, key)
    seen = plain > paired
    if wanted is None:
        said = [Finding("ok", "its document ids are plain keys, and stay so")] if seen else []
        return seen, said
    if plain + paired and wanted != seen:
        there = "plain keys" if seen else "bucket/key"
        hint = "objects would be held twice; leave DOCUMENT_IDS at auto"
        return wanted, [
            Finding("warning", f"DOCUMENT_IDS differs from the ids that are there, which are {there}", hint)
        ]
    return wanted, []


def _write_index(name: str, found: dict[str, Any]) -> str | None:
    marked = [index for index, one in found.items() if one.get("aliases", {}).get(name, {}).get("is_write_index")]
    if marked:
        return marked[0]
    only = next(iter(found))
    forbidden = found[only].get("aliases", {}).get(name, {}).get("is_write_index") is False
    return only if len(found) == 1 and not forbidden else None


def _of_mapping(index: str, mapping: dict[str, Any]) -> Iterator[Finding]:
    ours = index_template(index)["template"]["mappings"]["properties"]
    theirs = mapping.get("properties", {})
    missing = sorted(ours.keys() - theirs.keys())
    if missing and mapping.get("dynamic") == "strict":
        yield Finding(
            "error", f"{index} is dynamic: strict and lacks {', '.join(missing)}: it refuses every document", _REINDEX
        )
    elif missing:
        yield Finding("warning", f"{index} has no mapping for {', '.join(missing)}", _REINDEX)
    for field in sorted(ours.keys() & theirs.keys()):
        has, wants = _type(theirs[field]), _type(ours[field])
        if has not in _SERVES.get(wants, {wants}):
            yield Finding("warning", f"{index}: {field} is {has}, and would be {wants}", _REINDEX)
    yield from _of_values(index, ours, theirs)


def _of_values(index: str, ours: dict[str, Any], theirs: dict[str, Any]) -> Iterator[Finding]:
    careless = sorted(
        field
        for field, one in theirs.items()
        if ours.get(field, {}).get("ignore_malformed") and str(one.get("ignore_malformed")).lower() != "true"
    )
    if careless:
        yield Finding("warning", f"{index} refuses a document for a malformed {' or '.join(careless)}", _REINDEX)
    content = theirs.get("content", {})
    if _type(content) == "text" and content.get("analyzer") not in _IN_PAIRS:
        yield Finding(
            "warning", f"{index} does not find parts of Japanese words: content is not cut in pairs", _REINDEX
        )
    if content.get("analyzer") in _IN_PAIRS and "ja" not in content.get("fields", {}):
        yield Finding("ok", f"{index} has no content.ja: no kuromoji was there when it was made")


def _type(field: dict[str, Any]) -> str:
    return str(field.get("type", "object"))
