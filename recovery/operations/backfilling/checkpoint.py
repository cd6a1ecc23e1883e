"""`s3-index-worker/backfill/`: how far each interrupted backfill has come, so that the next run goes on from there."""

import hashlib
import time

import orjson

from worker.core.audit import Run
from worker.core.base.clock import S3Clock
from worker.core.base.errors import DependencyError, StoreError
from worker.core.base.events import LogEvent
from worker.core.base.jsontypes import JsonObject
from worker.core.base.logs import emit
from worker.core.s3.state import CONTROL_PREFIX, NO_CONDITIONS, State, dated

SCHEMA = 1
BACKFILL_PREFIX = CONTROL_PREFIX + "backfill/"
SAVE_EVERY_S = 1.0
"""How often the position is stored, at most: an index that holds most objects already is compared with thousands a second."""


class Checkpoint:
    """The record of one source and index. Two runs at once would only do the work twice: the one that is overtaken ends.

    Where the store has no conditional writes, both go on. For one thread; every method raises StoreError.
    """

    def __init__(self, state: State, clock: S3Clock, run: Run, *, source: str, index: str) -> None:
        """`source` and `index` say what is read and filled."""
        self._state = state
        self._clock = clock
        self._run = run
        self._about = {"source": source, "index": index}
        digest = hashlib.sha256(orjson.dumps([source, index])).hexdigest()
        self.key = f"{BACKFILL_PREFIX}{digest[:32]}.json"
        self.position: JsonObject = {}
        """Where to go on; empty at the beginning."""
        self.done = 0
        """The number of objects before that position."""
        self.left_by = ""
        """Which run has stored it: when, and whose."""
        self._etag: str | None = None
        self._exists = False
        self._saved_at = float("-inf")

    def load(self, *, restart: bool) -> None:
        """Take over the record that an interrupted run has left, if there is one; with `restart`, to begin anew."""
        found = self._state.get_with_etag(self.key)
        if found is None:
            return
        raw, self._etag = found
        self._exists = True
        try:
            record = orjson.loads(raw)
            position, done = record["position"], record["done"]
        except (ValueError, TypeError, KeyError):
            return
        if not restart and isinstance(position, dict) and isinstance(done, int):
            self.position, self.done = position, done
            self.left_by = f"of {_day(record.get('at_ms'))} by {record.get('by')}"

    def advance(self, position: JsonObject, done: int) -> None:
        """Note that everything before a position is done, and store that if the last time is long enough ago. Raises as `save`."""
        self.position, self.done = position, done
        if time.monotonic() - self._saved_at >= SAVE_EVERY_S:
            self.save()

    def save(self) -> None:
        """Store the position. Raises DependencyError if another run has stored its own meanwhile.

        An empty one replaces what is stored, so that no later run goes on from where this one has not been.
        """
        if not self.position and not self._exists:
            return
        record = orjson.dumps(
            {
                "schema": SCHEMA, **self._about, "position": self.position, "done": self.done, "run": self._run.name,
                "by": self._run.by, "at_ms": self._clock.now_ms(),
            }
        )  # fmt: skip
        try:
            etag = self._state.claim(self.key, record, instead_of=self._etag)
        except StoreError as error:
            if error.code not in NO_CONDITIONS:
                raise
            emit(
                LogEvent.STATE_FALLBACK, "warning", what="conditional writes", instead="plain writes", error=str(error)
            )
            self._state.put(self.key, record)
            etag = None
        else:
            etag = etag or self._own(record)
        self._etag, self._exists, self._saved_at = etag, True, time.monotonic()

    def _own(self, record: bytes) -> str:
        """The etag, if it was this run that stored the record, and only the answer was lost. Raises DependencyError."""
        found = self._state.get_with_etag(self.key)
        if found is None or found[0] != record:
            raise DependencyError("another run of the same backfill has gone on from here: see its progress instead")
        return found[1]

    def finish(self) -> None:
        """Remove the record: everything is done."""
        if self._exists:
            self._state.delete(self.key)


def _day(at_ms: object) -> str:
    return dated(at_ms) if isinstance(at_ms, int) else "an unknown day"
