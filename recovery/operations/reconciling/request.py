"""What a reconciliation is asked, and what it answers."""

from dataclasses import dataclass, field
from enum import StrEnum

from worker.core.audit import Run
from worker.core.base.errors import WorkerError
from worker.core.s3.objects import Place


class ReconcileState(StrEnum):
    """Where an object is. It is in exactly one of these states: the first in this list that applies."""

    SKIPPED = "skipped"
    """It is not to be in the index: by INCLUDE_KEYS or EXCLUDE_KEYS, as one of our own records, or as a folder."""
    YOUNG = "young"
    """It changed too recently to be expected in the index yet."""
    CURRENT = "current"
    """The index holds a document with its etag."""
    WAITING = "waiting"
    """A record in `retry-index/` is about it."""
    PARKED = "parked"
    """A record in `retry-index/parked/` is about its present state."""
    DEAD = "dead"
    """A dead letter, in the queue or in `dead-letters/`, is about its present state."""
    ARCHIVED = "archived"
    """A dead letter that was given up is about its present state: it is in `dlq-archive/`."""
    STALE = "stale"
    """The index holds another state of it, and nothing says that this will change."""
    MISSING = "missing"
    """The index does not hold it, and nothing says that this will change."""


STATES = tuple(ReconcileState)
"""The states; the work file has their positions in this list."""
LOST = (ReconcileState.STALE, ReconcileState.MISSING)
HELD_STATES = (ReconcileState.WAITING, ReconcileState.PARKED, ReconcileState.DEAD, ReconcileState.ARCHIVED)
"""Those of objects that are held elsewhere than in the index."""


class ReconcileError(WorkerError):
    """Raised when the states do not add up to the listing: a bug of ours, or a defective disk."""


@dataclass(frozen=True, slots=True)
class ReconcileRequest:
    """What to reconcile."""

    run: Run
    place: Place
    sample: int | None = None
    """Only so many objects, chosen at random; None for all."""
    since_s: int | None = None
    """Only objects modified in the last so many seconds; None for all."""
    of_new_index: bool = False
    """The index is one that `reindex_index` fills, and nobody searches yet."""

    @property
    def is_partial(self) -> bool:
        """Whether objects are left out: then nothing can be said of documents without one."""
        return self.sample is not None or self.since_s is not None

    @property
    def is_recorded(self) -> bool:
        """Whether the result is that of a whole bucket, for the record and the alerts."""
        return not (self.is_partial or self.place.prefix or self.of_new_index)


@dataclass(frozen=True, slots=True)
class Reconciled:
    """The result for one place."""

    place: Place
    states: dict[ReconcileState, int]
    objects: int
    size_bytes: int
    documents: int
    """Documents that were read of the place."""
    orphans: int = 0
    """Documents without an object."""
    future: int = 0
    """Documents with a version from the future, which keeps out all that follows."""
    current_dead: int = 0
    """Objects that are current and have a dead letter: files that cannot be read, and are found by name."""
    skipped_indexed: int = 0
    """Objects that are not to be in the index, and are."""
    unreachable: int = 0
    """Documents of the place with another id than writes address; they are never fixed."""
    nameless: int = 0
    """Documents of the whole index without bucket or key; they are never fixed."""
    unread: int = 0
    """Records of the state bucket that cannot be read, so that nobody knows which objects they are about."""
    unsettled: int = 0
    """Messages that were in the source queue, and dead letters that others were holding: they may be about what is lost."""
    seconds: float = 0.0
    examples: dict[str, list[str]] = field(default_factory=dict)
    """A few keys of what is lost, by state."""

    @property
    def unaccounted(self) -> int:
        """Objects and documents that are in no place where they should be."""
        return sum(self.states[state] for state in LOST) + self.orphans + self.future

    @property
    def is_accounted(self) -> bool:
        """Whether every object and every document is accounted for."""
        return not self.unaccounted

    def as_json(self) -> dict[str, object]:
        """Everything, by name."""
        return {
            "place": str(self.place),
            "objects": self.objects,
            "bytes": self.size_bytes,
            "documents": self.documents,
            "states": {state.value: self.states[state] for state in STATES},
            "orphans": self.orphans,
            "future": self.future,
            "current_dead": self.current_dead,
            "skipped_indexed": self.skipped_indexed,
            "unreachable": self.unreachable,
            "nameless": self.nameless,
            "unread": self.unread,
            "unsettled": self.unsettled,
            "accounted": self.is_accounted,
            "seconds": round(self.seconds, 1),
            "examples": self.examples,
        }
