"""The demo's own index: where it is, what is in it, and how it is removed. No other index is ever touched.

Where INDEX_URL (or OPENSEARCH_ENDPOINT) is set, it is beside the user's: an index of its own in the same cluster, or a file of
its own in the same folder. Otherwise it is a file that is deleted with the demo, or kept in the present folder.
"""

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import orjson

from worker.core.base.errors import ConfigError, IndexUnavailableError
from worker.core.base.jsontypes import JsonObject
from worker.core.base.settings import Settings
from worker.core.index.client import Client, RefusedError
from worker.core.index.open import is_sqlite, name_of, open_exchange
from worker.core.index.template import template_name

INDEX_NAME = "s3-index-worker-demo"
"""The index, whatever OPENSEARCH_INDEX says; and the file's name, without its ending."""
SQLITE = "sqlite:///"
MAX_TEXTS, TEXTS_AT_ONCE, MAX_TEXT_CHARS = 200, 20, 200_000
"""How much is read in order to find words to search for."""
_NOT_FOUND = 404


def given_url() -> str:
    """The index that the user has set; empty if none is."""
    return os.environ.get("INDEX_URL") or os.environ.get("OPENSEARCH_ENDPOINT") or ""


def own_url(folder: Path) -> str:
    """The INDEX_URL of the demo: in the user's cluster, or as a file in the user's folder for it, else in this one."""
    given = given_url()
    if given and not given.startswith(SQLITE):
        return given
    beside = Path(given.removeprefix(SQLITE)).absolute().parent if given else folder.absolute()
    return f"{SQLITE}{beside / INDEX_NAME}.sqlite"


class OwnIndex:
    """The demo's index, behind settings that lead to it."""

    def __init__(self, settings: Settings, credentials: Callable[[], Any]) -> None:
        """No request is sent yet. Raises ConfigError if a setting cannot be used."""
        self._exchange = open_exchange(settings, credentials)
        self.file = Path(name_of(settings)) if is_sqlite(settings) else None
        """The file of an embedded index."""
        self._client = None if is_sqlite(settings) else Client(settings, credentials)

    def clear(self, bucket: str) -> bool:
        """Remove it, if it is there and holds documents of the demo's bucket only; whether it was there.

        Raises ConfigError if it holds others, and IndexUnavailableError.
        """
        if not self._is_there():
            return False
        others = self._exchange.buckets() - {bucket}
        if others:
            where = self.file or f"the index {INDEX_NAME}"
            raise ConfigError(
                f"{where} holds documents of other buckets ({', '.join(sorted(others)[:3])}), which the demo never removes; it "
                "should be given another name, or be deleted by its owner"
            )
        self._remove()
        return True

    def texts(self) -> list[str]:
        """The beginnings of some of its documents' texts. Raises IndexUnavailableError."""
        return [text[:MAX_TEXT_CHARS] for text in (self._in_file() if self._client is None else self._in_cluster())]

    def _is_there(self) -> bool:
        return self.file.exists() if self.file else bool(self._indexes())

    def _indexes(self) -> list[str]:
        try:
            return sorted(self._request("GET", f"/{INDEX_NAME}"))
        except RefusedError as error:
            if error.status == _NOT_FOUND:
                return []
            raise

    def _remove(self) -> None:
        if self.file:
            for ending in ("", "-wal", "-shm"):
                Path(f"{self.file}{ending}").unlink(missing_ok=True)
            return
        for path in (*(f"/{name}" for name in self._indexes()), f"/_index_template/{template_name(INDEX_NAME)}"):
            try:
                self._request("DELETE", path)
            except RefusedError as error:
                if error.status != _NOT_FOUND:
                    raise

    def _in_file(self) -> list[str]:
        try:
            with closing(sqlite3.connect(f"{self.file}")) as db:
                rows = db.execute("SELECT source FROM documents WHERE source IS NOT NULL LIMIT ?", (MAX_TEXTS,))
                return [str(orjson.loads(source).get("content") or "") for (source,) in rows]
        except sqlite3.Error as error:
            raise IndexUnavailableError(f"{self.file}: {error}") from error

    def _in_cluster(self) -> Iterator[str]:
        short: JsonObject = {"range": {"char_count": {"gt": 0, "lte": MAX_TEXT_CHARS}}}
        for start in range(0, MAX_TEXTS, TEXTS_AT_ONCE):
            asked = {"from": start, "size": TEXTS_AT_ONCE, "_source": ["content"], "query": short}
            found = self._request("POST", f"/{INDEX_NAME}/_search", asked)["hits"]["hits"]
            yield from (str(one["_source"].get("content") or "") for one in found)
            if len(found) < TEXTS_AT_ONCE:
                return

    def _request(self, method: str, path: str, body: Any = None) -> Any:
        if self._client is None:
            raise IndexUnavailableError(f"{self.file} is a file, to which no request is sent")
        return self._client.request(method, path, body)
