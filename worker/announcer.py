"""Writes this worker's record to the state bucket: every minute, and soon after a change worth knowing.

It runs beside the worker's loops, not among them: a state bucket that refuses, or does not answer, delays nothing.
"""

import threading
from collections.abc import Callable

from worker.core.base.errors import StoreError
from worker.core.base.events import LogEvent
from worker.core.base.logs import Fields, emit
from worker.core.s3.brakes import forget_brakes
from worker.core.s3.state import State
from worker.core.s3.workers import INTERVAL_S, WorkerRecord, forget_workers, write_worker

MIN_GAP_S = 5.0
"""Changes are written at most so often."""
AT_ONCE = frozenset({
    LogEvent.GATE_SHUT, LogEvent.GATE_CLEARED, LogEvent.BREAKER_OPENED, LogEvent.BREAKER_CLOSED, LogEvent.WORKER_STOPPING,
    LogEvent.REINDEX_FOLLOWED,
})  # fmt: skip
"""Events after which the record is written without waiting for its minute."""


class Announcer:
    """Writes what `record` returns, on a thread of its own, from `start` to `close`."""

    def __init__(self, state: State, record: Callable[[], WorkerRecord]) -> None:
        self._state = state
        self._record = record
        self._due = threading.Event()
        self._closing = threading.Event()
        self._failing = ""
        """The code with which the last write failed; empty if it succeeded."""
        self._has_tidied = False
        self._thread = threading.Thread(target=self._run, name="record", daemon=True)

    def start(self) -> None:
        """Write the first record, and go on."""
        self._thread.start()

    def observe(self, event: LogEvent, _fields: Fields) -> None:
        """Write soon, if this event changes what a reader should know. Never blocks."""
        if event in AT_ONCE:
            self._due.set()

    def close(self, timeout_s: float) -> None:
        """Write the last record, and return after that, or after `timeout_s` if the state bucket does not answer by then."""
        self._closing.set()
        self._due.set()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)

    def _run(self) -> None:
        while not self._closing.is_set():
            self._announce()
            self._closing.wait(MIN_GAP_S)
            self._due.wait(INTERVAL_S - MIN_GAP_S)
        self._announce()

    def _announce(self) -> None:
        """Write once; what fails is logged once per change, and tried again at the next turn. Never raises."""
        self._due.clear()
        try:
            write_worker(self._state, self._record())
            self._tidy_once()
        except Exception as error:  # noqa: BLE001 (whatever it is, the worker goes on without its record)
            code = error.code if isinstance(error, StoreError) else type(error).__name__
            if code != self._failing:
                emit(LogEvent.WORKER_RECORD_FAILED, "warning", code=code, error=str(error))
            self._failing = code
            return
        if self._failing:
            emit(LogEvent.WORKER_RECORD_WRITTEN)
        self._failing = ""

    def _tidy_once(self) -> None:
        """Remove the records of long-silent workers and what their brakes had counted, once this worker's own is written."""
        if self._has_tidied or self._closing.is_set():
            return
        self._has_tidied = True
        now_ms = self._record().written_at_ms
        removed = forget_workers(self._state, now_ms) + forget_brakes(self._state, now_ms)
        if removed:
            emit(LogEvent.WORKER_RECORDS_REMOVED, count=removed)
