"""The index template, read from config/opensearch/ (in the wheel, it is installed beside this file)."""

import functools
from pathlib import Path

import orjson

from worker.core.base.jsontypes import JsonObject

FIRST_INDEX = "000001"
_HERE = Path(__file__).parent
_FOLDERS = (_HERE / "templates", _HERE.parents[2] / "config" / "opensearch")
_LOWEST_PRIORITY = 500


def template_name(index: str) -> str:
    """The template's name in the cluster. It differs from the index's name, which a template of another system may have."""
    return f"s3-index-worker-{index}"


def index_template(index: str, *, japanese: bool = True) -> JsonObject:
    """The composable template for an index name; not `japanese`: without `content.ja`, for clusters without kuromoji.

    Two templates with the same priority must not match the same names, so a longer name gets a higher priority: this
    allows `files-test` beside `files`.
    """
    template: JsonObject = orjson.loads(_text())
    template["index_patterns"] = [index, f"{index}-*"]
    template["priority"] = _LOWEST_PRIORITY + len(index)
    if not japanese:
        del template["template"]["mappings"]["properties"]["content"]["fields"]
        del template["template"]["settings"]["index"]["analysis"]["analyzer"]["forms"]
    return template


@functools.cache
def _text() -> bytes:
    for folder in _FOLDERS:
        path = folder / "index-template.json"
        if path.is_file():
            return path.read_bytes()
    raise FileNotFoundError(f"index-template.json was not found in any of {', '.join(map(str, _FOLDERS))}")
