"""A search index in memory, without delay, whose calls can be made to fail."""

from collections.abc import Sequence
from typing import Any

import orjson

from testing.memory import NOW_MS, Faults
from worker.core.base.clock import FUTURE_MS
from worker.core.base.errors import IndexUnavailableError
from worker.core.index import (
    ENTRIES_AT_ONCE,
    Entry,
    Facets,
    IndexState,
    SearchResult,
    Stored,
    WriteResult,
    WriteStatus,
)
from worker.core.index.document import Write


class MemoryIndex:
    """An index with external versions, which can reject documents."""

    description = "an index in memory"

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self.documents: dict[tuple[str, str], tuple[int, dict[str, Any]]] = {}
        self.versions: dict[tuple[str, str], int] = {}
        self.rejects: set[str] = set()
        self.rejects_all = False
        self.unavailable: set[str] = set()
        """Keys whose documents it always answers as unavailable."""
        self.unreachable: set[str] = set()
        """Keys whose documents have another id than writes address."""
        self.without_names = 0
        self.exists = True

    def ping(self) -> None:
        self._faults.call("index.ping")

    def ensure(self) -> IndexState:
        self.exists = True
        return IndexState()

    def inspect(self) -> IndexState:
        return IndexState(exists=self.exists)

    def write(self, writes: Sequence[Write]) -> list[WriteResult]:
        self._faults.call("index.write")
        return [self._write(write) for write in writes]

    def _write(self, write: Write) -> WriteResult:
        name = write.bucket, write.key
        if write.key in self.unavailable:
            return WriteResult(WriteStatus.UNAVAILABLE, "429: rejected_execution_exception")
        if write.key in self.rejects or self.rejects_all:
            return WriteResult(WriteStatus.REJECTED, "mapper_parsing_exception: failed to parse")
        if self.versions.get(name, 0) > write.version:
            return WriteResult(WriteStatus.SUPERSEDED)
        self.versions[name] = write.version
        if write.source is None:
            self.documents.pop(name, None)
            if write.version > NOW_MS + FUTURE_MS:
                del self.versions[name]  # forgotten at once, as by SQLite
        else:
            self.documents[name] = write.version, orjson.loads(write.source)
        return WriteResult(WriteStatus.WRITTEN)

    def entries(self, bucket: str, prefix: str, *, after: str = "") -> list[Entry]:
        self._faults.call("index.entries")
        of_bucket = sorted(
            key for name, key in self.documents if name == bucket and key.startswith(prefix) and key > after
        )
        found = [(key, *self.documents[bucket, key]) for key in of_bucket[:ENTRIES_AT_ONCE]]
        return [
            Entry(key, document.get("etag"), version, key not in self.unreachable) for key, version, document in found
        ]

    def nameless(self) -> int:
        return self.without_names

    def stored(self, objects: Sequence[tuple[str, str]]) -> list[Stored | None]:
        self._faults.call("index.stored")
        if not self.exists:
            raise IndexUnavailableError("there is no such index")
        found = [self.documents.get(name) for name in objects]
        return [None if one is None else Stored.of(one[1], version=one[0]) for one in found]

    def search(self, query: str, *, limit: int = 10, offset: int = 0) -> SearchResult:
        self._faults.call("index.search")
        return SearchResult(0, [])

    def facets(self, query: str) -> Facets:
        self._faults.call("index.facets")
        return Facets({}, {}, {})

    def refresh(self) -> None:
        """Nothing to do: what is written can be found at once."""

    def close(self) -> None:
        """Nothing is open."""
