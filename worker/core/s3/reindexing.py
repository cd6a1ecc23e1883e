"""`s3-index-worker/reindex.json`: the two indexes to which everything is written while `reindex_index` replaces one by the other.

Every process that writes to the index reads this record every few seconds. One that could not read it for MAX_AGE_S writes
nothing to any index: so MAX_AGE_S after the record has changed, nobody writes as it was before.
"""

import threading
import time
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from typing import Self

import orjson

from worker.core.base.errors import IndexUnavailableError, StoreError
from worker.core.base.events import LogEvent
from worker.core.base.logs import emit
from worker.core.s3.conditional import write_instead
from worker.core.s3.state import CONTROL_PREFIX, State

SCHEMA = 1
REINDEX_KEY = CONTROL_PREFIX + "reindex.json"
READ_EVERY_S = 5.0
"""A writer that read the record longer ago reads it again first."""
MAX_AGE_S = 15.0
"""How long what was read holds if it cannot be read again."""
RETRY_S = 2.0
"""After it could not be read for too long, it is read again after so long, at the earliest."""


class Phase(StrEnum):
    """How far a reindex has come."""

    PREPARING = "preparing"
    """The new index is being made; nothing is written to it yet."""
    FILLING = "filling"
    """Everything is written to both; searches read the old index."""
    SWITCHED = "switched"
    """Everything is written to both; searches read the new index."""
    ENDING = "ending"
    """Nothing is written to both any more; the index that is not needed is being removed."""


class Source(StrEnum):
    """From where the new index is filled."""

    S3 = "s3"
    """Every object is read again."""
    INDEX = "index"
    """The documents of the old index are copied."""


@dataclass(frozen=True, slots=True)
class Reindex:
    """The replacement of one index by another. Times are ms since the epoch on S3's clock; 0: not yet."""

    run: str
    """The run of `reindex_index` that began it."""
    by: str
    """The operator who began it: user@host."""
    index: str
    """The index in whose place they stand, as the settings name it: others are not concerned."""
    old: str
    """The name of an index, or the path of an SQLite file."""
    new: str
    source: Source
    plain_key: bool
    """Whether ids of documents are plain keys, in both."""
    is_alias: bool
    """Whether searches reach the old index by another name than its own; only then can it be kept."""
    phase: Phase = Phase.PREPARING
    begun_ms: int = 0
    written_ms: int = 0
    """When this phase began."""
    grace_s: int = 0
    """Seconds for which the old index is kept after the switch."""
    left_over: str = ""
    """The index that is being removed, in the last phase."""

    @property
    def writes_to_both(self) -> bool:
        """Whether every document is written to both indexes."""
        return self.phase in {Phase.FILLING, Phase.SWITCHED}

    @property
    def searched(self) -> str:
        """The one of the two that searches read."""
        return self.new if self.phase is Phase.SWITCHED else self.old

    @property
    def other(self) -> str:
        """The other one."""
        return self.old if self.phase is Phase.SWITCHED else self.new

    def as_json(self) -> bytes:
        """The record as it is stored."""
        return orjson.dumps({"schema": SCHEMA, **asdict(self)})

    @classmethod
    def from_json(cls, raw: bytes) -> Self:
        """Read a stored record; fields of newer versions are left out. Raises ValueError if it is none."""
        found = orjson.loads(raw)
        if not isinstance(found, dict) or found.pop("schema", None) != SCHEMA:
            raise ValueError(f"it is not a record of a reindex of schema {SCHEMA}")
        try:
            known = {one.name: found[one.name] for one in fields(cls) if one.name in found}
            return cls(**{**known, "source": Source(found["source"]), "phase": Phase(found["phase"])})
        except (TypeError, KeyError) as error:
            raise ValueError(f"it is not a record of a reindex: {error}") from None


def read_reindex(state: State) -> tuple[Reindex, str] | None:
    """The record and its etag; None if no reindex is under way. Raises StoreError, and ValueError if it cannot be understood."""
    found = state.get_with_etag(REINDEX_KEY)
    return None if found is None else (Reindex.from_json(found[0]), found[1])


def write_reindex(state: State, reindex: Reindex, *, instead_of: str | None) -> str | None:
    """Store the record in place of the one with this etag, None for none: the new etag; None if another command was first.

    Raises StoreError.
    """
    return write_instead(state, REINDEX_KEY, reindex.as_json(), instead_of=instead_of)


@dataclass(frozen=True, slots=True)
class _Known:
    """What one read has found."""

    reindex: Reindex | None
    read_at: float
    """When the read began, in monotonic seconds."""

    @property
    def age_s(self) -> float:
        return time.monotonic() - self.read_at

    @property
    def run(self) -> str:
        return self.reindex.run if self.reindex is not None and self.reindex.writes_to_both else ""


class ReindexWatch:
    """What this process knows of the record. May be used from any thread."""

    def __init__(self, state: State, index: str) -> None:
        """`index` is the one that this process writes to, as its settings name it."""
        self._state = state
        self._index = index
        self._reading = threading.Lock()
        self._known = _Known(None, float("-inf"))
        self._refusal: tuple[float, IndexUnavailableError | None] = 0.0, None
        """When the record could not be read for too long, and why: nobody waits for that again within RETRY_S."""

    @property
    def run(self) -> str:
        """The run of the reindex for which this process writes to both indexes; empty if it does not."""
        return self._known.run

    def look(self, *, at_most_s: float = READ_EVERY_S) -> Reindex | None:
        """The reindex under way, as read at most so many seconds ago, or a little longer ago while another thread reads it.

        Raises IndexUnavailableError where the record cannot be read, and could not be for MAX_AGE_S: nothing may be written.
        """
        known = self._known
        if known.age_s < at_most_s:
            return known.reindex
        if not self._reading.acquire(blocking=not at_most_s or known.age_s > MAX_AGE_S):
            return known.reindex
        try:
            if self._known is known:  # otherwise another thread has read it meanwhile
                self._read()
            return self._known.reindex
        finally:
            self._reading.release()

    def _read(self) -> None:
        began = time.monotonic()
        refused_at, refusal = self._refusal
        if refusal is not None and began - refused_at < RETRY_S:
            raise refusal
        try:
            raw = self._state.get(REINDEX_KEY)
            if time.monotonic() - began > MAX_AGE_S:
                raise StoreError("the answer took too long", code="Timeout")  # noqa: TRY301 (it is as good as none)
            found = None if raw is None else Reindex.from_json(raw)
        except (StoreError, ValueError) as error:
            if self._known.age_s > MAX_AGE_S:
                where = f"s3://{self._state.bucket}/{REINDEX_KEY}"
                refusal = IndexUnavailableError(
                    f"it is not known whether two indexes are to be written to: {where}: {error}"
                )
                self._refusal = time.monotonic(), refusal
                raise refusal from error
            return
        was, known = self.run, _Known(found if found is not None and found.index == self._index else None, began)
        self._known, self._refusal = known, (0.0, None)
        if known.run != was:
            both = f"{known.reindex.old} and {known.reindex.new}" if known.reindex and known.run else ""
            emit(LogEvent.REINDEX_FOLLOWED, run=known.run or was, writes_to=both or "one index again")
