"""The index as it is written to while `reindex_index` replaces it: each write goes to two, and is done when both have taken it."""

import threading
import time
from collections.abc import Callable, Sequence

from worker.core.base.errors import IndexUnavailableError
from worker.core.base.events import LogEvent
from worker.core.base.logs import emit
from worker.core.index import Entry, Facets, Index, IndexState, SearchResult, Stored, WriteResult, WriteStatus
from worker.core.index.document import Write
from worker.core.s3.reindexing import Phase, Reindex, ReindexWatch

REST_S, REST_FACTOR = 10.0, 10
"""After a failed request to the second index, it is not asked for so many seconds, or so many times as long as that took: the first
must not wait for it."""
TAKEN = frozenset({WriteStatus.WRITTEN, WriteStatus.SUPERSEDED})
"""What becomes of a write that an index need not be sent again."""

OpenNamed = Callable[[str, bool], Index]
"""Opens one index by its own name; the second argument says whether its ids are plain keys."""


class PairedIndex:
    """An index of the settings' name, and, during a reindex, the two that stand in its place.

    Reads go to the one that searches read. Writes go to both by their own names, so it does not matter at which moment the
    searches are switched from one to the other.
    """

    def __init__(self, index: Index, open_named: OpenNamed, watch: ReindexWatch) -> None:
        """`index` is the one of the settings' name; `watch` tells whether there are two."""
        self._index = index
        self._open_named = open_named
        self._watch = watch
        self._lock = threading.Lock()
        self._named: dict[tuple[str, bool], Index] = {}
        self._rests_until = 0.0

    @property
    def description(self) -> str:
        """Where the index is, as shown to people."""
        return self._index.description

    def ping(self) -> None:
        """Return if the index answers."""
        self._index.ping()

    def ensure(self) -> IndexState:
        """Create what is missing. Raises IndexUnavailableError also where it is not known whether there are two."""
        self._watch.look()
        return self._index.ensure()

    def inspect(self) -> IndexState:
        """What exists, and how it differs from what we would create."""
        return self._index.inspect()

    def write(self, writes: Sequence[Write]) -> list[WriteResult]:
        """Write to the index, or to both. BEHIND is what only the second did not take.

        Raises IndexUnavailableError where the one that searches read fails as a whole, or where it is not known whether
        there are two.
        """
        reindex = self._watch.look()
        if reindex is None or not reindex.writes_to_both:
            self._close_named()
            return self._index.write(writes)
        try:
            results = self._write_to_both(reindex, writes)
        except IndexUnavailableError:
            if self._has_changed(reindex):  # ended, and the index that does not answer is not there any more
                return self.write(writes)
            raise
        if any(result.status not in TAKEN for result in results) and self._has_changed(reindex):
            return self.write(writes)
        return results

    def stored(self, objects: Sequence[tuple[str, str]]) -> list[Stored | None]:
        """The stored version for each (bucket, key), in order."""
        return self._index.stored(objects)

    def entries(self, bucket: str, prefix: str, *, after: str = "") -> list[Entry]:
        """The next entries of a bucket's documents."""
        return self._index.entries(bucket, prefix, after=after)

    def nameless(self) -> int:
        """The number of documents without bucket or key."""
        return self._index.nameless()

    def search(self, query: str, *, limit: int = 10, offset: int = 0) -> SearchResult:
        """The best matches."""
        return self._index.search(query, limit=limit, offset=offset)

    def facets(self, query: str) -> Facets:
        """How all matches of a query are distributed."""
        return self._index.facets(query)

    def refresh(self) -> None:
        """Make everything written so far searchable."""
        self._index.refresh()

    def close(self) -> None:
        """Close all connections."""
        self._close_named()
        self._index.close()

    def _close_named(self) -> None:
        """Let go of the indexes of a reindex that is over: the disk space of a deleted file is free only then."""
        with self._lock:
            over = list(self._named.values())
            self._named.clear()
        for index in over:
            index.close()

    def _has_changed(self, reindex: Reindex) -> bool:
        return self._watch.look(at_most_s=0) != reindex

    def _write_to_both(self, reindex: Reindex, writes: Sequence[Write]) -> list[WriteResult]:
        # One that has no other name than the settings' leaves it to the new one, when it is deleted by the switch.
        index = self._by_name(reindex.searched, reindex) if reindex.is_alias else self._index
        first = index.write(writes)
        second = self._write_to_second(reindex, writes)
        return [_of_both(*each, reindex) for each in zip(writes, first, second, strict=True)]

    def _write_to_second(self, reindex: Reindex, writes: Sequence[Write]) -> list[WriteResult]:
        """What became of each in the index that searches do not read; never raises for that index."""
        error, began = "it failed a moment ago", time.monotonic()
        if began >= self._rests_until:
            try:
                return self._by_name(reindex.other, reindex).write(writes)
            except IndexUnavailableError as failed:
                took_s = time.monotonic() - began
                self._rests_until, error = time.monotonic() + max(REST_S, REST_FACTOR * took_s), str(failed)
        return [WriteResult(WriteStatus.UNAVAILABLE, error)] * len(writes)

    def _by_name(self, name: str, reindex: Reindex) -> Index:
        wanted = name, reindex.plain_key
        with self._lock:
            if wanted not in self._named:
                self._named[wanted] = self._open_named(*wanted)
            return self._named[wanted]


def _of_both(write: Write, first: WriteResult, second: WriteResult, reindex: Reindex) -> WriteResult:
    """What became of a write: the first index's answer, unless only the second has not taken it.

    What the old index rejects for ever after the switch is only logged: that may be why it was replaced.
    """
    if first.status not in TAKEN or second.status in TAKEN:
        return first
    if second.status is WriteStatus.REJECTED:
        if reindex.phase is Phase.SWITCHED:
            emit(
                LogEvent.REINDEX_REJECTED_BY_OLD, "warning", bucket=write.bucket, key=write.key, index=reindex.other,
                reason=second.reason,
            )  # fmt: skip
            return first
        return WriteResult(WriteStatus.REJECTED, f"{reindex.other}, which is being filled, rejects it: {second.reason}")
    return WriteResult(WriteStatus.BEHIND, f"{reindex.other} of the reindex did not take it: {second.reason}")
