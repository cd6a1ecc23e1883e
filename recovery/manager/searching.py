"""The search page: what the index finds for people, and the links by which they open a file. It is there if SEARCH_PAGE is on.

Every document is shown to everyone who may sign in, and every opening is recorded in the audit. Only a file of which the index
holds a document can be opened, so that the page leads to no other object that the manager may read.
"""

import time
from dataclasses import dataclass
from enum import StrEnum
from functools import partial

from recovery.manager.bounded import NO_ANSWER, Bounded, NoAnswerError, answer
from recovery.manager.sources import Sources
from worker.core.audit import AuditEvent, Run, write
from worker.core.base.errors import IndexUnavailableError, StoreError, WorkerError
from worker.core.index import MAX_HITS, Facets, Index, SearchResult
from worker.core.s3.links import ARCHIVED, Sign

PAGE = 20
"""Hits of one page."""
SEARCH_S = 20.0
"""How long the index is waited for."""
FACETS_S = 1.0
"""How much longer than for the hits, for their distribution: a page of hits is there without it."""
OPEN_S = 10.0
"""How long the index, and then S3, are waited for until a file can be opened."""
AT_ONCE = 6
"""Of each kind of call: an index or S3 that does not answer keeps no more than half of the threads that make pages."""
OPEN = "open"
"""The action in the audit."""
OFF = "the search page is off: SEARCH_PAGE=on turns it on, and shows every document to everyone who may sign in"


class Why(StrEnum):
    """Why a file cannot be opened."""

    NOT_INDEXED = "the index holds no document of this file, and only files that can be found can be opened"
    GONE = "the file has been deleted from S3 since it was indexed"
    DENIED = "the manager's role may not read this file: it needs s3:GetObject"
    ARCHIVED = "the file is in an archive of S3, from which it has to be restored first"


_WHY = {"NoSuchKey": Why.GONE, "AccessDenied": Why.DENIED, ARCHIVED: Why.ARCHIVED}


class NotOpenedError(WorkerError):
    """Raised when a file cannot be opened, and asking again does not help."""

    def __init__(self, why: Why) -> None:
        super().__init__(why.value)
        self.why = why


@dataclass(frozen=True, slots=True)
class Found:
    """One page of hits, and how all of them are distributed."""

    result: SearchResult
    facets: Facets | None
    """None if the index has not counted them in time, or at all."""
    offset: int
    """How many hits come before this page."""
    limit: int

    @property
    def next(self) -> int | None:
        """The offset of the next page; None if there is none, or searches do not reach so far."""
        following = self.offset + self.limit
        return following if following < min(self.result.total, MAX_HITS) else None


class Searching:
    """Searches, and opens files. May be used from any thread."""

    def __init__(self, sources: Sources, index: Index, sign: Sign) -> None:
        self._sources = sources
        self._index = index
        self._sign = sign
        self._searched, self._counted = Bounded(AT_ONCE, "search"), Bounded(AT_ONCE, "facets")
        self._opened = Bounded(AT_ONCE, "open")

    def search(self, query: str, *, limit: int = PAGE, offset: int = 0) -> Found:
        """One page of hits. Raises IndexUnavailableError, also where the index does not answer in time.

        The query should have no mistakes (worker/core/index/mistakes.py).
        """
        until = time.monotonic() + SEARCH_S
        hits = self._searched.start(partial(self._index.search, query, limit=limit, offset=offset))
        counts = self._counted.start(partial(self._index.facets, query))
        try:
            result = answer(hits, until=until)
        except NoAnswerError as error:
            raise IndexUnavailableError(error.naming(self._index.description)) from error
        try:
            facets = answer(counts, until=min(until, time.monotonic() + FACETS_S))
        except (NoAnswerError, IndexUnavailableError):
            facets = None
        return Found(result, facets, offset, limit)

    def open(self, bucket: str, key: str, *, by: str) -> str:
        """A link by which a browser downloads a file; that somebody opens it is recorded first.

        Raises NotOpenedError, IndexUnavailableError, and StoreError, also where it cannot be recorded, or nothing answers in time.
        """
        until = time.monotonic() + OPEN_S
        try:
            is_indexed = answer(self._opened.start(partial(self._is_indexed, bucket, key)), until=until)
        except NoAnswerError as error:
            raise IndexUnavailableError(error.naming(self._index.description)) from error
        if not is_indexed:
            raise NotOpenedError(Why.NOT_INDEXED)
        try:
            return answer(self._opened.start(partial(self._signed, bucket, key, by)), until=until)
        except NoAnswerError as error:
            raise StoreError(error.naming("S3"), code=NO_ANSWER) from error

    def _signed(self, bucket: str, key: str, by: str) -> str:
        try:
            link = self._sign(bucket, key, key.rsplit("/", 1)[-1])
        except StoreError as error:
            why = _WHY.get(error.code)
            if why is None:
                raise
            raise NotOpenedError(why) from error
        run = Run.new("dlq-manager search", action=OPEN, by=by)
        details = {"bucket": bucket, "key": key}
        write(self._sources.state, AuditEvent(run.action, run.name, run.by, (), {"opened": 1}, details))
        return link

    def bucket_of(self, bucket: str) -> str:
        """The bucket of a hit: a document that names none is one of the usual bucket's."""
        return bucket or self._sources.settings.s3_bucket or ""

    def _is_indexed(self, bucket: str, key: str) -> bool:
        if not bucket or not key:
            return False
        [document] = self._index.stored([(bucket, key)])
        return document is not None and self.bucket_of(document.bucket or "") == bucket
