"""Compares the new index with the buckets and with the old index, and repairs it until nothing is left to be repaired."""

import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import chain, islice
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
LOOK_AGAIN_S = 2.0
"""A write reaches the old index a moment before the new one: only a difference that lasts so long counts."""


@dataclass(slots=True)
class Compared:
    """What one comparison has found, and done about it."""

    worse: int = 0
    """Objects and documents that are right in the old index, or at least later, and not in the new one, in spite of repairs."""
    repaired: int = 0
    """Documents of the new index that were written or removed then."""
    is_unsettled: bool = False
    """Whether messages are waiting that may change both indexes: then there may be something to repair for ever."""
    examples: list[str] = field(default_factory=list)
    """Some of what could not be repaired, with the reasons."""

    @property
    def is_clean(self) -> bool:
        """Whether searches may read the new index: it is no worse than the old one, and nothing more can be repaired."""
        return not self.worse and (self.is_unsettled or not self.repaired)

    def note(self, example: str) -> None:
        """Keep an example, unless there are enough."""
        if len(self.examples) < EXAMPLES:
            self.examples.append(example)


_IsWorse = Callable[[Stored | None, Stored | None], bool]


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
        found.is_unsettled |= bool(result.unsettled)
        lacking, came_back = self._worse(request.place, work)
        if result.unaccounted:
            why = "" if self._request.removes_many else refusal(result)
            if why:
                raise DependencyError(f"{why}; if that is right, use --remove-many")
            self._fix(request, work, found)
        if lacking:
            self._index(request.place, lacking, found)
        found.worse += len(self._lasting(request.place, iter(lacking), _is_lacking))
        found.worse += len(self._lasting(request.place, iter(came_back), _came_back))

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

    # -- with the old index ------------------------------------------------------------------------------------------

    def _worse(self, place: Place, work: WorkFile) -> tuple[list[str], list[str]]:
        """The keys of what searches would find worse than they do now, among all that is wrong, young, or held elsewhere.

        Those that the new index lacks, and those that only came back.
        """
        lacking = self._lasting(place, chain(work.not_current(), work.lost_objects()), _is_lacking)
        return lacking, self._lasting(place, work.orphan_keys(), _came_back)

    def _lasting(self, place: Place, keys: Iterator[str], is_worse: _IsWorse) -> list[str]:
        found = list(self._asked(place, keys, is_worse))
        if found:
            self._stop.wait(LOOK_AGAIN_S)
        return list(self._asked(place, iter(found), is_worse))

    def _asked(self, place: Place, keys: Iterator[str], is_worse: _IsWorse) -> Iterator[str]:
        """Those of which both indexes together say so; the old one is asked first, because it gets every write first."""
        while batch := list(islice(keys, ASKED_AT_ONCE)):
            old, new = (self._stored(index, place, batch) for index in (self._old, self._clients.index))
            yield from (key for key, *both in zip(batch, old, new, strict=True) if is_worse(*both))

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


def _is_lacking(old: Stored | None, new: Stored | None) -> bool:
    """Whether the new index lacks a document, or has it in an older state."""
    return old is not None and (new is None or new.version < old.version)


def _came_back(old: Stored | None, new: Stored | None) -> bool:
    """Whether only the new index has a document, of an object that is gone."""
    return old is None and new is not None
