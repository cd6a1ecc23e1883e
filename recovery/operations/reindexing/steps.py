"""The record of a reindex, moved from phase to phase by one command at a time; and that all writers follow it."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

from worker.core.audit import Run
from worker.core.base.clock import S3Clock
from worker.core.base.errors import ConfigError, DependencyError, StoreError
from worker.core.index.exchange import Exchange
from worker.core.s3.lease import LEASE_S, Lease
from worker.core.s3.reindexing import MAX_AGE_S, REINDEX_KEY, Phase, Reindex, read_reindex, write_reindex
from worker.core.s3.state import CONTROL_PREFIX, State
from worker.core.s3.workers import WorkerRecord, read_fresh_workers

PATIENCE_S = 300.0
"""How long every worker may take to follow. One that died is not waited for once its record is three minutes old."""
ASK_EVERY_S = 2.0
LEASE_KEY = CONTROL_PREFIX + "reindex-lease.json"
RENEW_EVERY_S = 5.0
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

    @property
    def age_s(self) -> float:
        """How long ago the present phase began."""
        return (self._clock.now_ms() - self.reindex.written_ms) / 1000

    def move(self, phase: Phase, *, left_over: str = "") -> None:
        """Note that the next phase begins. Raises StoreError, and DependencyError if another command was faster."""
        if self.reindex.phase is phase and self.reindex.left_over == left_over:
            return
        self._write(replace(self.reindex, phase=phase, left_over=left_over, written_ms=self._clock.now_ms()))

    def _write(self, changed: Reindex) -> None:
        etag = write_reindex(self._state, changed, instead_of=self._etag)
        if etag is None:
            raise DependencyError(_CHANGED)
        self.reindex, self._etag = changed, etag

    def keep_for(self, grace_s: int) -> None:
        """Note for how long the old index is to be kept. Raises StoreError, and DependencyError if another command was faster."""
        if self.reindex.grace_s != grace_s:
            self._write(replace(self.reindex, grace_s=grace_s))

    def forget(self) -> None:
        """Note that no reindex is under way any more. Raises StoreError."""
        self._state.delete(REINDEX_KEY)

    def wait_until_followed(self, *, stop: threading.Event, say: Callable[[str], None]) -> None:
        """Wait until every worker that is alive writes as the present phase says, and no other process writes as before.

        Raises StoreError, and DependencyError with the names of the workers that do not.
        """
        began, was_said = time.monotonic(), False
        while not stop.is_set():
            others = self.others()
            if not others and self.age_s > MAX_AGE_S:
                return
            if time.monotonic() - began > PATIENCE_S:
                ends = self.reindex.phase is Phase.ENDING
                then = "use --finish then, which completes it" if ends else "run this again then: it goes on from here"
                raise DependencyError(f"{_named(others)}; {then}")
            if not was_said:
                count = "both indexes" if self.reindex.writes_to_both else "one index"
                say(f"waiting until every worker writes to {count}")
            was_said = True
            stop.wait(ASK_EVERY_S)

    def others(self) -> list[WorkerRecord]:
        """The workers that are alive and do not write as the present phase says. Raises StoreError."""
        wanted = self.reindex.run if self.reindex.writes_to_both else ""
        workers = read_fresh_workers(self._state, self._clock.now_ms())
        return [one for one in workers if one.is_unread or (one.is_alive and one.reindex != wanted)]

    def require_followed(self) -> None:
        """Raises DependencyError where a worker has come that does not write to both indexes, and StoreError."""
        others = self.others()
        if others:
            raise DependencyError(_named(others))


def _named(others: list[WorkerRecord]) -> str:
    names = ", ".join(f"{one.name} ({one.problem or f'version {one.version}'})" for one in others[:MAX_NAMED])
    return (
        f"{len(others)} workers do not write as this reindex needs: {names}. Those of a version from before `reindex_index`, or "
        "with another INDEX_URL or OPENSEARCH_INDEX, cannot: update, correct or stop them"
    )


def under_way(state: State, clock: S3Clock) -> Steps | None:
    """The reindex that is under way, as its record says; None if there is none.

    Raises StoreError, and DependencyError if the record cannot be understood.
    """
    try:
        found = read_reindex(state)
    except ValueError as error:
        raise DependencyError(
            f"s3://{state.bucket}/{REINDEX_KEY} cannot be read, and workers write nothing until it can: {error}. If no version of "
            "this program can read it, delete it, and compare the index with reconcile_index"
        ) from error
    return None if found is None else Steps(state, clock, *found)


def phase_in_truth(reindex: Reindex, exchange: Exchange) -> Phase:
    """The phase, also where the command that has switched, or gone back, was killed before it could note that.

    Raises IndexUnavailableError.
    """
    try:
        searched = exchange.current().name
    except ConfigError:  # somebody has deleted the index or its alias; the reindex can be ended nevertheless
        return reindex.phase
    if reindex.phase is Phase.FILLING and searched == reindex.new:
        return after_switch(reindex)
    if reindex.phase is Phase.SWITCHED and searched == reindex.old:
        return Phase.FILLING
    return reindex.phase


def after_switch(reindex: Reindex) -> Phase:
    """The phase that follows the switch: an index without another name than the settings' is gone by that."""
    return Phase.SWITCHED if reindex.is_alias else Phase.ENDING


def begun(state: State, clock: S3Clock, reindex: Reindex) -> Steps:
    """A new one. Raises StoreError, and DependencyError if another command has begun one."""
    now_ms = clock.now_ms()
    new = replace(reindex, begun_ms=now_ms, written_ms=now_ms)
    etag = write_reindex(state, new, instead_of=None)
    if etag is None:
        raise DependencyError(_CHANGED)
    return Steps(state, clock, new, etag)


@contextmanager
def alone(state: State, clock: S3Clock, run: Run, stop: threading.Event) -> Iterator[None]:
    """Within this context, no other command changes the reindex. Sets `stop` if that cannot be guaranteed any more.

    Raises DependencyError if another command is at work, and StoreError.
    """
    lease = Lease(state, LEASE_KEY, holder=run.name, clock=clock)
    lease.__enter__()
    if not lease.is_held:
        raise DependencyError(
            "another `reindex_index` is at work: stop it first (Ctrl-C); if it was killed, try again in a minute"
        )
    over, lost = threading.Event(), threading.Event()
    keeper = threading.Thread(target=_keep, args=(lease, over, lost, stop), name="reindex-lease", daemon=True)
    keeper.start()
    try:
        yield
    finally:
        over.set()
        keeper.join()
        with suppress(StoreError):  # then it ends by itself, in a minute
            lease.__exit__(None, None, None)
    if lost.is_set():
        raise DependencyError(
            f"s3://{state.bucket}/{LEASE_KEY} could not be kept, so this was stopped: run it again, it goes on from here"
        )


def _keep(lease: Lease, over: threading.Event, lost: threading.Event, stop: threading.Event) -> None:
    """Renew the lease; it is lost once that fails for a third of its time, or another has it."""
    failed_at = None
    while not over.wait(RENEW_EVERY_S):
        try:
            is_held, failed_at = lease.renew() or lease.__enter__().is_held, None  # our own write's answer may be lost
        except StoreError:
            failed_at = failed_at or time.monotonic()
            is_held = time.monotonic() - failed_at < LEASE_S / 3
        if not is_held:
            lost.set()
            stop.set()
            return
