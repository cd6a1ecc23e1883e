"""An index in a file with a few documents, for the search page: in two languages, of other programs, and hostile ones."""

from pathlib import Path
from typing import Any

from testing.memory import BUCKET, NOW_MS
from worker.core.index.document import Write, encode
from worker.core.index.sqlite import SqliteIndex

HOSTILE = "<img src=x onerror=alert(1)>\u202efdp.exe"
_DOCUMENTS: dict[str, dict[str, Any]] = {
    "経理/2026/見積書.pdf": {
        "content": "東京支店に送る見積書です。合計は 1,200円。", "file_size": 48_213, "last_modified": "2026-04-01T00:30:00+00:00"
    },
    "sales/Quarterly forecast.pptx": {
        "content": "The quarterly forecast was revised. <script>alert(2)</script>", "file_size": 3 * 1024**2,
        "last_modified": "2025-12-31T23:30:00+00:00",
    },
    "sales/old forecast.pdf": {"content": "forecast", "file_size": 10, "last_modified": "2024-01-01T00:00:00+00:00"},
    f"tricks/{HOSTILE}": {"content": f"forecast {HOSTILE} ext:pdf", "file_extension": "exe"},
    "bare": {"content": "forecast of another program", "bucket": None, "file_extension": None},
}  # fmt: skip


def library(path: Path, *, copies: int = 0) -> SqliteIndex:
    """The index in this file; `copies`: so many more documents that have the word `copy`, of a day each."""
    index = SqliteIndex(path, timeout_s=5)
    index.ensure()
    more = {f"copies/{number:03}.txt": {"content": f"copy number {number}"} for number in range(copies)}
    index.write([_document(key, fields) for key, fields in {**_DOCUMENTS, **more}.items()])
    return index


def _document(key: str, fields: dict[str, Any]) -> Write:
    name = key.partition("/")[2] if key.startswith("tricks/") else key.rsplit("/", 1)[-1]
    source = {
        "bucket": BUCKET,
        "file_key": key,
        "file_name": name,
        "file_extension": name.rpartition(".")[2].lower(),
        **fields,
    }
    return Write(
        BUCKET, key, NOW_MS, "etag", encode({name: value for name, value in source.items() if value is not None})
    )
