"""Compares the new index with the buckets and with the old index, and repairs it until nothing is left to be repaired."""

import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

from recovery.operations.progress import OnProgress
from recovery.operations.reconcile import reconcile, work_on
from recovery.operations.reconciling.fixing import Fixed, FixRequest, fix, refusal
from recovery.operations.reconciling.request import ReconcileRequest
from recovery.operations.reconciling.work_file import WorkFile
from recovery.operations.recovering.direct import direct_indexer
from recovery.operations.reindexing.request import ReindexRequest
from worker.core.base.classify import is_transient
from worker.core.base.errors import DependencyError
from worker.core.base.retry import retry_transient
from worker.core.base.settings import Settings
from worker.core.clients import Clients
from worker.core.index import Index, Stored
from worker.core.s3.objects import Place

EXAMPLES = 5
ASKED_AT_ONCE = 500


@dataclass(slots=True)
class Compared:
    """What one comparison has found, and done about it."""

    wrong: int = 0
    """Objects and documents of the new index that were not as they should be."""
    repaired: int = 0
    examples: list[str] = field(default_factory=list)
    """Some of what could not be repaired, with the reasons."""

    def note(self, example: str) -> None:
        """Keep an example, unless there are enough."""
        if len(self.examples) < EXAMPLES:
            self.examples.append(example)


class Comparison:
    """Compares, and repairs, one bucket after another."""

    def __init__(
        self, settings: Settings, clients: Clients, new: Index, request: ReindexRequest, folder: Path, *,
        stop: threading.Event, on_progress: OnProgress,
    ) -> None:  # fmt: skip
        """`folder` is for the work files of the reconciliations."""
        self._settings = settings
        self._old = clients.index
        self._clients = replace(clients, index=new)
        self._request = request
        self._folder = folder
        self._stop = stop
        self._on_progress = on_progress

    def run(self) -> Compared:
        """One round. Raises what `reconcile` and `fix` raise, and DependencyError where somebody has to look."""
        found = Compared()
        for place in self._request.buckets:
            if self._stop.is_set():
                break
            request = ReconcileRequest(self._request.run, place, of_new_index=True)
            with work_on(self._settings, self._clients, request, self._folder) as work:
                self._compare(request, work, found)
        return found

    def _compare(self, request: ReconcileRequest, work: WorkFile, found: Compared) -> None:
        result = reconcile(
            self._settings, self._clients, request, work, stop=self._stop, on_progress=self._on_progress
        )  # fmt: skip
        if result is None:
            return
        if result.unaccounted:
            found.wrong += result.unaccounted
            why = "" if self._request.force else refusal(result)
            if why:
                raise DependencyError(f"{why}; if that is right, use --force")
            self._fix(request, work, found)
        lacking = list(self._lacking(request.place, work))
        found.wrong += len(lacking)
        if lacking:
            self._index(request.place, lacking, found)

    def _fix(self, request: ReconcileRequest, work: WorkFile, found: Compared) -> None:
        how = FixRequest(direct=True, rate=self._request.rate, while_paused=self._request.while_paused)
        fixed: Fixed = fix(
            self._settings, self._clients, request, how, work, stop=self._stop, on_progress=self._on_progress
        )  # fmt: skip
        found.repaired += fixed.indexed + fixed.removed
        for reason, example in fixed.examples.items():
            found.note(f"{example}: {reason}")
        if fixed.ended_by:
            raise DependencyError(fixed.ended_by)

    def _lacking(self, place: Place, work: WorkFile) -> Iterator[str]:
        """Keys that are accounted for elsewhere, or young, but that the old index holds in a later state than the new one.

        Their documents would vanish from the searches. The old index is asked first: it gets every write first.
        """
        keys = work.not_current()
        while batch := list(islice(keys, ASKED_AT_ONCE)):
            old, new = (self._stored(index, place, batch) for index in (self._old, self._clients.index))
            for key, before, after in zip(batch, old, new, strict=True):
                if before is not None and (after is None or after.version < before.version):
                    yield key

    def _stored(self, index: Index, place: Place, keys: list[str]) -> list[Stored | None]:
        names = [(place.bucket, key) for key in keys]
        return retry_transient(lambda: index.stored(names), transient=is_transient, stop=self._stop)

    def _index(self, place: Place, keys: list[str], found: Compared) -> None:
        with direct_indexer(self._settings, self._clients, source="reindex", rate=self._request.rate) as indexer:
            groups = indexer.run(keys, lambda key: (place.bucket, key), stop=self._stop)
            with closing(groups):
                for group in groups:
                    for one in group:
                        if one.is_indexed:
                            found.repaired += 1
                        else:
                            found.note(f"s3://{place.bucket}/{one.item}: {one.reason}")
