"""Looks again at what seems to be lost: only what persists counts, because listing and index were not read at one moment."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from recovery.operations.reconciling.request import ReconcileState
from recovery.operations.reconciling.work_file import Suspect, WorkFile
from recovery.operations.reconciling.work_tables import ORPHAN, POSITION, RESOLVED
from worker.core.base.classify import is_transient
from worker.core.base.errors import StoreError
from worker.core.base.retry import retry_transient
from worker.core.clients import Clients
from worker.core.index import Stored
from worker.core.s3.objects import ObjectState, is_gone

OBSERVERS = 16
"""Number of objects that are observed at once."""
_CURRENT, _YOUNG = POSITION[ReconcileState.CURRENT], POSITION[ReconcileState.YOUNG]


def look_again(
    work: WorkFile, clients: Clients, bucket: str, *, stop: threading.Event, tick: Callable[[int], None]
) -> None:
    """Decide on every suspect, or until `stop` is set; `tick` is called with the number of each batch.

    Raises StoreError or IndexUnavailableError where one of them does not answer.
    """

    def observe(suspect: Suspect) -> tuple[Suspect, ObjectState | None, bool]:
        return suspect, *retry_transient(lambda: _observed(clients, bucket, suspect), transient=is_transient, stop=stop)

    with ThreadPoolExecutor(OBSERVERS, "second-look") as pool:
        after = ""
        while not stop.is_set() and (batch := work.suspects(after)):
            after = batch[-1].key
            names = [(bucket, suspect.key) for suspect in batch]
            observed = list(pool.map(observe, batch))
            stored = retry_transient(lambda names=names: clients.index.stored(names), transient=is_transient, stop=stop)  # type: ignore[misc]
            work.conclude(
                (suspect.key, final(suspect, state, document, is_sure=is_sure))
                for (suspect, state, is_sure), document in zip(observed, stored, strict=True)
            )
            tick(len(batch))


def _observed(clients: Clients, bucket: str, suspect: Suspect) -> tuple[ObjectState | None, bool]:
    """The object's state now, and whether it is certain: S3 may refuse this object, and the listing has shown it."""
    try:
        state, _ = clients.objects.head(bucket, suspect.key)
        return state, state is not None or suspect.state == ORPHAN or is_gone(clients.objects, bucket, suspect.key)
    except StoreError as error:
        if is_transient(error):
            raise
        return None, False


def final(suspect: Suspect, state: ObjectState | None, stored: Stored | None, *, is_sure: bool) -> int:
    """What becomes of a suspect, given what S3 and the index say now; `is_sure`: whether `state` is what S3 says.

    The object is looked at before its document, so that a write between the two cannot make the document seem too old.
    """
    version = None if stored is None else stored.version
    if suspect.state == ORPHAN:
        return ORPHAN if state is None and version == suspect.version else RESOLVED
    if not is_sure:
        return suspect.state
    if state is None or state.etag != suspect.etag or _seconds(state) != (suspect.modified_ms or 0) // 1000:
        return _YOUNG
    if stored is not None and stored.etag == state.etag:
        return _CURRENT
    return suspect.state if version == suspect.version else _YOUNG


def _seconds(state: ObjectState) -> int:
    """LastModified, which a HEAD tells to the second."""
    return int(state.last_modified.timestamp())
