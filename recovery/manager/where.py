"""Where a file is: what S3, the index, `retry-index/`, the dead letters, the archive and the queues say of one object.

For people who ask why their file is not found. Nothing is changed, and what cannot be asked is said; `where_said.py` makes one
sentence of it.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from recovery.ledger.ledger import Ledger
from recovery.ledger.rows import Row
from recovery.manager.bounded import answer
from recovery.manager.present import LOOK_S, seen
from recovery.manager.sources import Sources
from recovery.operations.present import InIndex, InS3
from recovery.operations.records.archive import ArchivedDeadLetter
from recovery.operations.whereabouts import Looked, Retrying, in_archive, in_retry_index
from worker.core.base.errors import WorkerError
from worker.core.indexing.pipeline import excluded, is_current, is_folder
from worker.core.s3.events import ObjectRef
from worker.core.sqs.queue import Queue

MAX_ROWS = 20
T = TypeVar("T")
_COUNTS = (
    "ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible", "ApproximateNumberOfMessagesDelayed"
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Where:
    """All that is known of one object at one moment."""

    bucket: str
    key: str
    at_ms: int
    """On S3's clock."""
    s3: InS3
    index: InIndex
    excluded: str = ""
    """Why it is not to be in the index; empty if it is."""
    retrying: tuple[Retrying, ...] = ()
    """Writes of its document that wait in `retry-index/`, the latest first."""
    dead_letters: tuple[Row, ...] = ()
    """Of which it is the first object, those that were seen last first."""
    archived: tuple[ArchivedDeadLetter, ...] = ()
    """In `dlq-archive/`, the latest first, without those of `dead_letters`."""
    in_queue: int | None = None
    """Messages in the source queue, any of which may be about it; None if that is not known."""
    in_dlq: int | None = None
    """The same of the dead-letter queue: what is not taken in yet."""
    unknown: tuple[str, ...] = ()
    """What could not be asked, or not wholly, in sentences."""

    @property
    def is_indexed(self) -> bool:
        """Whether the index holds it as it is now, with its text."""
        return is_current(self.index.document, self.s3.state)


def where(sources: Sources, ledger: Ledger, bucket: str, key: str) -> Where:
    """Ask everywhere at once, for LOOK_S at most. Never raises WorkerError."""
    return _Asking(sources, ledger, bucket, key).ask()


class _Asking:
    """The questions about one object."""

    def __init__(self, sources: Sources, ledger: Ledger, bucket: str, key: str) -> None:
        self._sources = sources
        self._ledger = ledger
        self._bucket = bucket
        self._key = key
        self._now_ms = sources.clients.objects.clock.now_ms()
        self._until = time.monotonic() + LOOK_S
        self._unknown: list[str] = []

    def ask(self) -> Where:
        """Begin every question, then wait for the answers."""
        sources, name = self._sources, (self._bucket, self._key)
        default_bucket = sources.settings.s3_bucket
        retrying = self._asked(
            "retry-index/",
            lambda: in_retry_index(sources.state, *name, now_ms=self._now_ms, default_bucket=default_bucket),
            Looked(),
        )
        archived = self._asked(
            "dlq-archive/",
            lambda: in_archive(sources.state, *name, now_ms=self._now_ms, default_bucket=default_bucket),
            Looked(),
        )
        rows = self._asked(
            "the ledger", lambda: tuple(self._ledger.particular.of_object(*name, limit=MAX_ROWS)), tuple[Row, ...]()
        )
        queue = self._asked("the queue", partial(_depth, sources.source), None)
        dlq = self._asked("the dead-letter queue", partial(_depth, sources.clients.dlq), None)
        [(s3, index)] = seen(sources, [ObjectRef(*name)], until=self._until)
        self._say_of(s3, index)
        waiting, given_up, dead = retrying(), archived(), rows()
        self._say_unread(waiting, given_up)
        return Where(
            *name, self._now_ms, s3, index, self._excluded(s3), waiting.retrying, dead,
            _but(given_up.archived, dead), queue(), dlq(), tuple(self._unknown),
        )  # fmt: skip

    def _asked(self, what: str, call: Callable[[], T], otherwise: T) -> Callable[[], T]:
        """Begin a question; what waits for its answer."""
        future = self._sources.asked.start(call)

        def result() -> T:
            try:
                return answer(future, until=self._until)
            except WorkerError as error:
                self._unknown.append(f"{what} cannot be asked: {error}")
                return otherwise

        return result

    def _say_of(self, s3: InS3, index: InIndex) -> None:
        self._unknown += [f"S3 {s3.problem}"] if s3.problem else []
        self._unknown += [f"the index: {index.problem}"] if index.problem else []

    def _say_unread(self, waiting: Looked, archived: Looked) -> None:
        for what, looked in (("retry-index/", waiting), ("dlq-archive/", archived)):
            if not looked.is_all:
                self._unknown.append(f"{what} has more records than are looked through; those of the last month were")
        if self._sources.rows.redactor.is_active:
            self._unknown.append("dead letters whose keys REDACT_FIELDS hides are not found by their key")

    def _excluded(self, s3: InS3) -> str:
        if s3.state is not None and is_folder(self._key, s3.size):
            return "folder"
        return excluded(self._sources.settings, self._bucket, self._key) or ""


def _depth(queue: Queue) -> int:
    attributes = queue.attributes()
    return sum(int(attributes.get(name, 0)) for name in _COUNTS)


def _but(archived: tuple[ArchivedDeadLetter, ...], rows: tuple[Row, ...]) -> tuple[ArchivedDeadLetter, ...]:
    """Those of which the ledger has no row, nor that were sent again: these are wherever that has led."""
    known = {row.identity for row in rows}
    return tuple(
        one
        for one in archived
        if one.dead_letter.id not in known and not (one.restored is not None and one.restored.done)
    )
