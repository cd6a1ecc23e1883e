"""The index in OpenSearch: version 2.19 and later, AWS domains and Serverless collections."""

import threading
from collections.abc import Sequence
from functools import partial
from typing import Any
from zlib import crc32

from worker.core.base.errors import IndexUnavailableError
from worker.core.base.jsontypes import JsonObject
from worker.core.base.throttle import Throttle
from worker.core.index import (
    ENTRIES_AT_ONCE,
    MAX_HITS,
    Entry,
    Facets,
    IndexState,
    SearchResult,
    Stored,
    WriteResult,
    bulk,
    earlier_system,
    passages,
    question,
)
from worker.core.index.client import Client, RefusedError, SlowError, reason_of
from worker.core.index.document import Write, document_id
from worker.core.index.facets_opensearch import ask_facets
from worker.core.index.layout import Layout
from worker.core.index.query import parse

TOO_LARGE = 413
TOO_MANY = 429
WRONG = 400
STOPPING_BLOCKS = ("write", "read_only", "read_only_allow_delete")
"""Index blocks that prevent writing. OpenSearch sets the last one when a disk exceeds the flood-stage watermark."""
STORED_FIELDS = "bucket,etag,last_modified,version_id,extraction.status"
MGET_IDS, LESS = 500, 8
"""Number of documents requested at once, and the part of it once that has taken too long."""


class OpenSearchIndex:
    """An index in OpenSearch under one name: an alias that we created, or an index or alias that existed before."""

    def __init__(
        self, client: Client, name: str, *, plain_key: bool | None, throttle: Throttle, creates: bool = True
    ) -> None:
        """`plain_key`: whether ids are plain keys; None: as in the existing documents. `throttle` hears of refusals (429).

        Without `creates`, an index that does not exist is unavailable.
        """
        self._client = client
        self._throttle = throttle
        self._name = name
        self._creates = creates
        self._layout = Layout(client, name, plain_key=plain_key, creates=creates)
        self._lock = threading.Lock()
        self._plain_key: bool | None = None
        self._ensured = False
        self._at_once = MGET_IDS
        self._large = threading.Lock()

    @property
    def description(self) -> str:
        """Where the index is, as shown to people."""
        return f"OpenSearch {self._client.shown}, index {self._name}"

    def ping(self) -> None:
        """Return if the index is open, complete and not blocked, or does not exist yet.

        A block on the whole cluster is not detected here, but by the next write. Of the two calls, one may be denied: what it
        would show is then found out by the next write too. If both are denied, nothing is known, and the error is raised.
        """
        try:
            found = self._request("GET", "_settings?filter_path=*.settings.index.blocks,*.settings.index.uuid")
        except RefusedError as error:
            if error.is_missing:
                return
            if not error.is_denial:
                raise
            found = None
        if found is not None:
            self._require_writable(found)
        try:
            self._request("GET", "_search?size=0&terminate_after=1&allow_partial_search_results=false")
        except RefusedError as error:
            if found is None or not error.is_denial:
                raise

    def _require_writable(self, found: JsonObject) -> None:
        self._layout.require_one_index(found)
        for index, settings in found.items():
            blocks = settings["settings"]["index"].get("blocks", {})
            stopping = [name for name in STOPPING_BLOCKS if blocks.get(name) == "true"]
            if stopping:
                raise IndexUnavailableError(f"{self.description}: {index} is blocked by index.blocks.{stopping[0]}")

    def ensure(self) -> IndexState:
        """Create template, first index and alias if nothing of the name exists; find out which form of ids is in use."""
        with self._lock:
            state = self._layout.ensure()
            self._plain_key, self._ensured = state.plain_key_ids, True
            return state

    def inspect(self) -> IndexState:
        """What exists, and how it differs from what we would create."""
        state = self._layout.inspect()
        self._plain_key = state.plain_key_ids
        return state

    def write(self, writes: Sequence[Write]) -> list[WriteResult]:
        """Write or remove documents; one result for each, in order.

        Raises IndexUnavailableError if a request as a whole failed.
        """
        plain_key = self._ready()
        entries = [bulk.entry(write, plain_key=plain_key) for write in writes]
        results: list[WriteResult] = []
        for chunk in bulk.chunks([one for one in entries if one is not None]):
            with bulk.turn(chunk, self._large):
                results += self._send(chunk)
        in_order = iter(results)
        return [bulk.NOT_UNICODE if one is None else next(in_order) for one in entries]

    def stored(self, objects: Sequence[tuple[str, str]]) -> list[Stored | None]:
        """The stored version for each (bucket, key), in order. Creates nothing."""
        self._has_plain_key()
        found: list[Stored | None] = []
        was_slow = False
        while len(found) < len(objects):
            try:
                found += self._stored(objects[len(found) : len(found) + self._at_once])
                was_slow = False
            except SlowError:
                if was_slow or self._at_once == 1:
                    raise
                was_slow = True
                self._at_once = max(1, self._at_once // LESS)  # it reads whole documents, which may be large
        return found

    def entries(self, bucket: str, prefix: str, *, after: str = "") -> list[Entry]:
        """The next entries of a bucket's documents."""
        plain_key = self._has_plain_key()
        exact = ""
        try:
            answer = self._request("POST", "_search", question.listing(bucket, prefix, after=after))
        except RefusedError as error:
            if error.status != WRONG:
                raise
            exact = earlier_system.EXACT
            answer = self._request("POST", "_search", question.listing(bucket, prefix, after=after, exact=exact))
        if answer.get("timed_out") or answer["_shards"]["failed"]:
            raise IndexUnavailableError(f"{self.description} did not search all of its shards")
        found = [_entry(hit, bucket, exact, plain_key=plain_key) for hit in answer["hits"]["hits"]]
        return _whole_keys(found)

    def nameless(self) -> int:
        """The number of documents without bucket or key."""
        return int(self._request("POST", "_search", question.nameless())["hits"]["total"]["value"])

    def search(self, query: str, *, limit: int = 10, offset: int = 0) -> SearchResult:
        """The best matches; see query.py for the language."""
        asked = parse(query)
        if asked.impossible:
            return SearchResult(0, [])
        first = min(max(0, offset), MAX_HITS)
        body = question.search(asked, limit=min(max(0, limit), MAX_HITS - first), offset=first)
        answer = self._request("POST", f"_search{self._same_copy(query)}", body)
        found = answer["hits"]["hits"]
        ask = partial(self._request, "POST", "_search")
        read = passages.read_passages(ask, found, asked.wanted) if asked.wanted else {}
        hits = [passages.hit_of(one, asked.words, read.get(one["_id"], [])) for one in found]
        return SearchResult(answer["hits"]["total"]["value"], hits)

    def _same_copy(self, query: str) -> str:
        """Asks every page of a query of the same copies of shards, which may order equal matches differently."""
        return "" if self._client.service == "aoss" else f"?preference={crc32(query.encode(errors='replace')):08x}"

    def facets(self, query: str) -> Facets:
        """How all matches of a query are distributed."""
        return ask_facets(partial(self._request, "POST", "_search"), parse(query))

    def refresh(self) -> None:
        """Make everything written so far searchable. Serverless collections have no such call, so there it does nothing."""
        if self._client.service != "aoss":
            self._request("POST", "_refresh")

    def close(self) -> None:
        """Close all connections."""
        self._client.close()

    def _ready(self) -> bool:
        """Make sure that the index exists; return whether its ids are plain keys."""
        if not self._ensured:
            self.ensure()
        return bool(self._plain_key)

    def _has_plain_key(self) -> bool:
        """Whether ids are plain keys. Creates nothing."""
        if self._plain_key is None:
            self.inspect()
        return bool(self._plain_key)

    def _send(self, entries: Sequence[bytes], *, first: bool = True) -> list[WriteResult]:
        # If the alias has been removed, a write without require_alias would create an index of that name beside the one that
        # the alias pointed to: the old documents would no longer be found, and the alias could not be restored.
        only_alias = self._layout.is_alias and self._client.service != "aoss"
        # A removal creates that index in spite of require_alias (docs/evidence.md, OpenSearch), so check the alias first.
        if only_alias and any(map(bulk.is_removal, entries)) and not self._layout.is_there():
            self.ensure()
        try:
            path = f"_bulk?{bulk.FILTER}{'&require_alias=true' if only_alias else ''}"
            answer = self._request("POST", path, b"".join(entries))
        except (RefusedError, SlowError) as error:
            return self._send_less(entries, error)
        found = bulk.results(answer, len(entries))
        if found is None:
            raise IndexUnavailableError(
                f"{self.description} did not return a result for each of the {len(entries)} documents"
            )
        if any(result.reason.startswith(f"{TOO_MANY}: ") for result in found):
            self._throttle.refused()
        known = {self._layout.index, self._name} if self._creates else {self._layout.index}
        if self._client.service != "aoss" and not bulk.written_to(answer) <= known:
            self.ensure()  # the name leads to another index now; raises if it leads to several
        if first and only_alias and any(bulk.NO_INDEX in result.reason for result in found):
            self.ensure()
            return self._send(entries, first=False)
        return found

    def _send_less(self, entries: Sequence[bytes], error: RefusedError | SlowError) -> list[WriteResult]:
        """Send again, in smaller requests, what was too large for one. Raises the error if it has another cause."""
        if isinstance(error, SlowError):
            # Sent whole again and again, it would make the index unavailable each time; unless that hangs, or has it by now.
            self.ping()
            if len(entries) == 1 and self._has_written(entries[0]):
                return [bulk.WRITTEN]
            is_large = len(entries) == 1 and len(entries[0]) > bulk.LARGE_BYTES
            shorter = bulk.shortened(entries[0], bulk.SLOW_BYTES) if is_large else None
            if shorter is None:
                raise error
            return self._send([shorter])
        if error.status == TOO_MANY:
            self._throttle.refused()
        if error.status != TOO_LARGE:
            raise error
        if len(entries) == 1:
            shorter = bulk.shortened(entries[0], bulk.SMALLEST_LIMIT_BYTES)
            return [bulk.TOO_LARGE] if shorter is None else self._send([shorter])
        half = len(entries) // 2
        return self._send(entries[:half]) + self._send(entries[half:])

    def _has_written(self, entry: bytes) -> bool:
        """Whether the index has the version of the document that an entry writes."""
        identity, version = bulk.written_by(entry)
        [found] = self._request("POST", "_mget?_source=false", {"ids": [identity]})["docs"]
        return bool(found.get("found")) and found.get("_version") == version

    def _stored(self, objects: Sequence[tuple[str, str]]) -> list[Stored | None]:
        ids = [document_id(bucket, key, plain_key=bool(self._plain_key)) for bucket, key in objects]
        answer = self._request("POST", f"_mget?_source_includes={STORED_FIELDS}", {"ids": ids})
        documents = answer["docs"]
        if len(documents) != len(ids):
            raise IndexUnavailableError(f"{self.description} did not return each of the {len(ids)} requested documents")
        return [self._as_stored(one, bucket) for one, (bucket, _) in zip(documents, objects, strict=True)]

    def _as_stored(self, document: JsonObject, bucket: str) -> Stored | None:
        if "error" in document:
            raise IndexUnavailableError(f"{self.description}: {reason_of(document)[1]}")
        source = document.get("_source") or {}
        # If ids are plain keys, the document may belong to an object with the same key in another bucket.
        if not document.get("found") or source.get("bucket", bucket) != bucket:
            return None
        return Stored.of(source, version=document["_version"])

    def _request(self, method: str, path: str, body: Any = None) -> Any:
        return self._client.request(method, f"/{self._name}/{path}", body)


def _entry(hit: JsonObject, bucket: str, exact: str, *, plain_key: bool) -> Entry:
    key: str = hit["sort"][0]
    etags = hit.get("fields", {}).get("etag" + exact) or [None]
    return Entry(key, etags[0], hit["_version"], hit["_id"] == document_id(bucket, key, plain_key=plain_key))


def _whole_keys(found: list[Entry]) -> list[Entry]:
    """A page up to its last complete key: the next one begins after a key, and others of that key would be left out.

    Several documents of one bucket have the same key only where DOCUMENT_IDS was changed.
    """
    if len(found) < ENTRIES_AT_ONCE:
        return found
    return [entry for entry in found if entry.key != found[-1].key] or found
