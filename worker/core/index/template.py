"""The index template, as it stands in config/opensearch/ (in the wheel: beside this file)."""

import functools
from pathlib import Path
from typing import Any

import orjson

FIRST_INDEX = "000001"
_HERE = Path(__file__).parent
_FOLDERS = (_HERE / "templates", _HERE.parents[2] / "config" / "opensearch")
_LOWEST_PRIORITY = 500


def template_name(index: str) -> str:
    """The template's own name in the cluster: not the index's, which a template of the earlier system may have."""
    return f"s3-index-worker-{index}"


def index_template(index: str, *, japanese: bool = True) -> dict[str, Any]:
    """The composable template for an index name; without `content.ja` where the cluster has no kuromoji.

    Two templates of one priority must not cover the same names, so the longer name has the higher one: `files-test`
    may live beside `files`.
    """
    template: dict[str, Any] = orjson.loads(_text())
    template["index_patterns"] = [index, f"{index}-*"]
    template["priority"] = _LOWEST_PRIORITY + len(index)
    if not japanese:
        del template["template"]["mappings"]["properties"]["content"]["fields"]
    return template


@functools.cache
def _text() -> bytes:
    for folder in _FOLDERS:
        path = folder / "index-template.json"
        if path.is_file():
            return path.read_bytes()
    raise FileNotFoundError(f"index-template.json is in none of {', '.join(map(str, _FOLDERS))}")
