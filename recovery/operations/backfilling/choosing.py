"""Tells which objects are to be sent or indexed: all but those that the index holds with their present etag."""

import threading
from collections.abc import Sequence
from concurrent.futures import Executor

from recovery.operations.backfilling.request import BackfillResult
from recovery.operations.backfilling.sources import Candidate
from recovery.operations.reconciling.first_look import ASKED_AT_ONCE
from worker.core.base.classify import is_transient
from worker.core.base.errors import StoreError
from worker.core.base.retry import retry_transient
from worker.core.base.settings import Settings
from worker.core.clients import Clients
from worker.core.indexing.pipeline import excluded, is_folder


class Chooser:
    """Decides on one page after another. For one thread."""

    def __init__(
        self, settings: Settings, clients: Clients, pool: Executor, stop: threading.Event, *, has_index: bool
    ) -> None:
        """`pool` asks S3 for the etags that a source does not tell; `has_index`: whether there is an index to compare with."""
        self._settings = settings
        self._clients = clients
        self._pool = pool
        self._stop = stop
        self._has_index = has_index
        self.asked = 0
        """Number of objects for whose etag S3 was asked."""

    def choose(self, candidates: Sequence[Candidate]) -> tuple[list[Candidate], dict[BackfillResult, int]]:
        """The objects that are to be done, and the number of those that are not, by reason.

        Raises IndexUnavailableError, and StoreError where S3 does not answer for the moment.
        """
        wanted = [one for one in candidates if not self._is_skipped(one)]
        chosen: list[Candidate] = []
        for start in range(0, len(wanted), ASKED_AT_ONCE):
            part = wanted[start : start + ASKED_AT_ONCE]
            chosen += [one for one, is_current in zip(part, self._are_current(part), strict=True) if not is_current]
        return chosen, {
            BackfillResult.SKIPPED: len(candidates) - len(wanted),
            BackfillResult.CURRENT: len(wanted) - len(chosen),
        }

    def _is_skipped(self, one: Candidate) -> bool:
        if one.size is not None and is_folder(one.key, one.size):
            return True
        return excluded(self._settings, one.bucket, one.key) is not None

    def _are_current(self, part: list[Candidate]) -> list[bool]:
        if not self._has_index:
            return [False] * len(part)
        names = [(one.bucket, one.key) for one in part]
        stored = retry_transient(lambda: self._clients.index.stored(names), transient=is_transient, stop=self._stop)
        known = [None if document is None else document.etag for document in stored]
        unclear = [one for one, etag in zip(part, known, strict=True) if etag is not None and one.etag is None]
        self.asked += len(unclear)
        present = dict(zip(unclear, self._pool.map(self._present_etag, unclear), strict=True))
        return [
            etag is not None and etag == (one.etag or present.get(one)) for one, etag in zip(part, known, strict=True)
        ]

    def _present_etag(self, one: Candidate) -> str | None:
        """The etag now; None if S3 does not tell, and whoever observes the object is to find out why."""
        try:
            state, _ = retry_transient(
                lambda: self._clients.objects.head(one.bucket, one.key), transient=is_transient, stop=self._stop
            )
        except StoreError as error:
            if is_transient(error):
                raise
            return None
        return None if state is None else state.etag
