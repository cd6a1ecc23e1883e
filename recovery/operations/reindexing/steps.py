"""The record of a reindex, moved from phase to phase by one command at a time; and that all writers follow it."""

import threading
import time
from collections.abc import Callable
from dataclasses import replace

from worker.core.base.clock import S3Clock
from worker.core.base.errors import ConfigError, DependencyError
from worker.core.index.exchange import Exchange
from worker.core.s3.reindexing import MAX_AGE_S, REINDEX_KEY, Phase, Reindex, read_reindex, write_reindex
from worker.core.s3.state import State
from worker.core.s3.workers import read_workers

PATIENCE_S = 300.0
"""How long every worker may take to follow. One that died is not waited for once its record is three minutes old."""
ASK_EVERY_S = 2.0
MAX_NAMED = 5
_CHANGED = "another command has changed the reindex meanwhile: see `reindex_index --status`"


class Steps:
    """The reindex that is under way, as this command has read or written it. For one thread."""

    def __init__(self, state: State, clock: S3Clock, reindex: Reindex, etag: str) -> None:
        """See `begun` and `under_way`."""
        self._state = state
        self._clock = clock
        self._etag = etag
        self.reindex = reindex

    def move(self, phase: Phase, *, left_over: str = "") -> None:
        """Note that the next phase begins. Raises StoreError, and DependencyError if another command was faster."""
        if self.reindex.phase is phase and self.reindex.left_over == left_over:
            return
        moved = replace(self.reindex, phase=phase, left_over=left_over, written_ms=self._clock.now_ms())
        etag = write_reindex(self._state, moved, instead_of=self._etag)
        if etag is None:
            raise DependencyError(_CHANGED)
        self.reindex, self._etag = moved, etag

    def check(self) -> None:
        """Raises DependencyError if another command has moved or ended it, and StoreError."""
        found = self._state.get_with_etag(REINDEX_KEY)
        if found is None or found[1] != self._etag:
            raise DependencyError(_CHANGED)

    def note_switch(self) -> None:
        """Note that searches read the new index. One without another name than the settings' is gone by that."""
        self.move(Phase.SWITCHED if self.reindex.is_alias else Phase.ENDING)

    def forget(self) -> None:
        """Note that no reindex is under way any more. Raises StoreError."""
        self._state.delete(REINDEX_KEY)

    def wait_until_followed(self, *, stop: threading.Event, say: Callable[[str], None]) -> None:
        """Wait until every worker that is alive writes as the present phase says, and no other process writes as before.

        Raises StoreError, and DependencyError with the names of the workers that do not.
        """
        wanted = self.reindex.run if self.reindex.writes_to_both else ""
        began, was_said = time.monotonic(), False
        while not stop.is_set():
            self.check()
            now_ms = self._clock.now_ms()
            others = [one for one in read_workers(self._state, now_ms) if one.is_alive and one.reindex != wanted]
            if not others and now_ms - self.reindex.written_ms > MAX_AGE_S * 1000:
                return
            if time.monotonic() - began > PATIENCE_S:
                names = ", ".join(f"{one.name} (version {one.version})" for one in others[:MAX_NAMED])
                raise DependencyError(
                    f"{len(others)} workers do not write to both indexes yet: {names}. A version from before `reindex_index` "
                    "cannot; update or stop them, and run this again: it goes on from here"
                )
            if not was_said:
                say("waiting until every worker writes to both indexes")
            was_said = True
            stop.wait(ASK_EVERY_S)


def under_way(state: State, clock: S3Clock, exchange: Exchange) -> Steps | None:
    """The reindex that is under way, as far as it has come in truth; None if there is none.

    Raises StoreError, IndexUnavailableError, and DependencyError if the record cannot be understood.
    """
    try:
        found = read_reindex(state)
    except ValueError as error:
        raise DependencyError(
            f"s3://{state.bucket}/{REINDEX_KEY} cannot be read, and workers write nothing until it can: {error}"
        ) from error
    if found is None:
        return None
    steps = Steps(state, clock, *found)
    if steps.reindex.phase is Phase.FILLING and _reads_new(exchange, steps.reindex):
        steps.note_switch()  # the command that has switched was killed before it could note that
    return steps


def _reads_new(exchange: Exchange, reindex: Reindex) -> bool:
    try:
        return exchange.current().name == reindex.new
    except ConfigError:  # somebody has deleted the index or its alias; the reindex can be ended nevertheless
        return False


def begun(state: State, clock: S3Clock, reindex: Reindex) -> Steps:
    """A new one. Raises StoreError, and DependencyError if another command has begun one."""
    now_ms = clock.now_ms()
    new = replace(reindex, begun_ms=now_ms, written_ms=now_ms)
    etag = write_reindex(state, new, instead_of=None)
    if etag is None:
        raise DependencyError(_CHANGED)
    return Steps(state, clock, new, etag)
