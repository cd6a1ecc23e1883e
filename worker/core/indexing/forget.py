"""Remove the documents of objects that are gone, and of which no event said so: those of a deleted bucket, above all."""

import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field

from worker.core.base.errors import StoreError
from worker.core.base.settings import Settings
from worker.core.clients import Clients
from worker.core.index import Index
from worker.core.index.document import Write
from worker.core.indexing.reindexer import Observation, Reindexed, Reindexer, Status
from worker.core.s3.objects import Place, is_gone

NO_BUCKET = "NoSuchBucket"
WINDOW_PER_THREAD = 4


@dataclass(slots=True)
class Forgotten:
    """What became of the documents, in numbers."""

    removed: int = 0
    existing: int = 0
    """Kept, because the object exists."""
    undecided: Counter[str] = field(default_factory=Counter)
    """Kept, because S3 or the index did not answer as needed: the number of documents for each reason."""
    stopped_by: str = ""
    """Why the run ended before it had observed every object; empty if it did not."""

    @property
    def is_complete(self) -> bool:
        """Whether no document is left."""
        return not (self.existing or self.undecided or self.stopped_by)

    def as_json(self) -> dict[str, object]:
        """The numbers by name."""
        return {
            "removed": self.removed,
            "existing": self.existing,
            "undecided": dict(self.undecided),
            "stopped_by": self.stopped_by,
        }


def keys_in(index: Index, place: Place) -> Iterator[str]:
    """The keys of all documents of a place, in UTF-8 order. Raises IndexUnavailableError."""
    index.refresh()
    after = ""
    while page := index.entries(place.bucket, place.prefix, after=after):
        yield from (entry.key for entry in page)
        after = page[-1].key


class Forgetter:
    """Observes the object of each document, and removes the document if the object is gone."""

    def __init__(self, settings: Settings, clients: Clients, place: Place, *, existing: bool, dry_run: bool) -> None:
        """`existing`: remove the documents also of objects that exist, or about which S3 gives no answer."""
        self._settings = settings
        self._clients = clients
        self._place = place
        self._existing = existing
        self._dry_run = dry_run
        self.result = Forgotten()

    def run(self, *, stop: threading.Event) -> None:
        """Work through all documents, or until `stop` is set. `result` tells at any time what was done so far.

        Raises IndexUnavailableError.
        """
        index, threads = self._clients.index, self._settings.worker_concurrency
        with ThreadPoolExecutor(threads, "forget") as pool:
            window = threads * WINDOW_PER_THREAD
            reindexer = Reindexer(self._settings, self._clients, pool=pool, window=window)
            keys, name = keys_in(index, self._place), lambda key: (self._place.bucket, key)
            with closing(reindexer.run(keys, self._observe, object_of=name, stop=stop)) as groups:
                for group in groups:
                    for one in group:
                        self._count(one)
                    self.result.stopped_by = reindexer.skipped.why(self._place.bucket) or ""
                    if self.result.stopped_by:
                        return
            if stop.is_set():
                self.result.stopped_by = "a signal"

    def _observe(self, key: str) -> Observation[bool]:
        """Whether the document is to be removed, with its removal unless this is a dry run. Raises StoreError."""
        objects, bucket = self._clients.objects, self._place.bucket
        observed_ms = objects.clock.now_ms()
        try:
            gone = self._is_gone(key)
        except StoreError:
            if not self._existing:
                raise
            gone = True
        removed = gone or self._existing
        write = Write(bucket, key, observed_ms, None, None) if removed and not self._dry_run else None
        return Observation(removed, write)

    def _is_gone(self, key: str) -> bool:
        """Whether the object does not exist; that of a deleted bucket does not. Raises StoreError."""
        try:
            return is_gone(self._clients.objects, self._place.bucket, key)
        except StoreError as error:
            if error.code == NO_BUCKET:
                return True
            raise

    def _count(self, one: Reindexed[str, bool]) -> None:
        if one.status not in {Status.DECIDED, Status.WRITTEN}:
            self.result.undecided[one.reason] += 1
        elif one.value:
            self.result.removed += 1
        else:
            self.result.existing += 1
