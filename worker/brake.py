"""The deploy brake: a worker that fails nearly everything stops receiving, and sends no more to the dead-letter queue.

It is applied when over half of the last 100 messages, and more than 30, have failed as SYSTEM_ERROR: configuration or code is at
fault, bugs of ours among it. Messages at fault themselves (USER_ERROR) never apply it, and what was released or skipped proves
nothing and is not counted. From then on the gate is shut: nothing is received, what waits is released, and what fails in this way
all the same is released, too. So exactly what was counted has gone to the dead-letter queue, whatever was in flight.

Each worker brakes alone. A bad deploy on one host must not stop the hosts that still run the last version, which go on with what
this one leaves in the queue; one on every host brakes every worker, each after 31 failures. But an operator ends all brakes at
once, with `s3-index-worker resume`, which every worker sees at its next look at the pause record.

A restart does not end it, nor does it reset the count: systemd starts a worker that dies again and again, and each time 30 more
messages would be dead-lettered. Both are in the worker's record (core/s3/brakes.py), under its host and instance, which is read
before anything is received. Each failure is stored at once, and what succeeded meanwhile at the next look and at the end. Neither
does a new version end it, for only an operator knows whether that is the correction.

Messages for a bucket that was deleted are SYSTEM_ERROR as well. If all that fails is in one bucket, the reason says so; an
operator who means them to fail says `resume --let-fail 1h`.
"""

import contextlib
import platform
import threading
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

from worker.core.base.classify import FailureKind
from worker.core.base.errors import StoreError
from worker.core.base.events import LogEvent
from worker.core.base.logs import emit
from worker.core.base.retry import release_delay_s
from worker.core.base.settings import Settings
from worker.core.base.text import shortened
from worker.core.s3.brakes import UNREADABLE, BrakeRecord, Cause, Resumption, brake_key, read_brake, read_resumption
from worker.core.s3.state import State
from worker.core.s3.workers import BRAKE
from worker.core.sqs.failure_record import fingerprint
from worker.core.sqs.in_flight import InFlightMessage
from worker.core.sqs.outcome import Done, Failed, Outcome, Release
from worker.pause_gate import PauseGate

WINDOW = 100
"""The number of messages that are looked at."""
MIN_FAILED = 30
"""More than so many of them must have failed, and more than half."""
MAX_CAUSE_CHARS = 70
"""So much that a worker's record has room for the whole reason."""


class Brake:
    """Judges each outcome before it is settled. May be used from any thread."""

    def __init__(self, settings: Settings, state: State, gate: PauseGate, *, now_ms: Callable[[], int]) -> None:
        """`now_ms` is S3's clock."""
        self._state = state
        self._gate = gate
        self._now_ms = now_ms
        self._lock = threading.Lock()
        self._looking = threading.Lock()
        self._storing_soon = False
        self._window: deque[Cause | None] = deque(maxlen=WINDOW)
        """The last messages; None for one that succeeded, or was at fault itself."""
        self._record = BrakeRecord(f"{platform.node()}@{settings.worker_instance}")
        """What is to be known after a restart; with a reason while it brakes."""
        self._mark: str | None = None
        """While it brakes: the last resumption's when it was applied; None until that has been read."""
        self._is_stored = True
        self.is_known = False
        """Whether the record of the time before the start has been read."""
        self._lets_fail_until_ms = 0

    @property
    def is_on(self) -> bool:
        """Whether it brakes."""
        return bool(self._record.reason)

    def judge(self, item: InFlightMessage, outcome: Outcome) -> Outcome:
        """What is to become of a message: its outcome, or its release while the brake is on. Never blocks."""
        cause = _cause(item, outcome)
        if cause is None and (isinstance(outcome, Release) or _is_skipped(outcome)):
            return outcome
        with self._lock:
            if not self.is_on:
                self._count(cause)
                return outcome
        if cause is None:
            return outcome
        return Release(release_delay_s(item.message.receives), f"the brake is on: {cause.text}")

    def look(self) -> None:
        """Read the record of the time before the start, store what has changed, and learn of `resume`. Raises StoreError."""
        with self._looking:
            if not self.is_known:
                self._restore()
            if self._is_stored and not self.is_on:
                return
            resumption = read_resumption(self._state)
            if self.is_on and self._is_ended_by(resumption):
                self._end()
            elif not self._is_stored:
                self._store(resumption.mark if self._mark is None else self._mark)

    def _is_ended_by(self, resumption: Resumption) -> bool:
        """Also while its record could not be written: what was first read after it was applied is the mark to compare with."""
        if resumption.lets_fail_until_ms > self._now_ms():
            self._lets_fail_until_ms = resumption.lets_fail_until_ms
            return True
        if self._mark is None:
            self._mark = resumption.mark
        return resumption.ends(self._mark)

    def store_soon(self) -> list[threading.Thread]:
        """Begin to store what has changed; the thread that does so, none where none can be started. Never raises."""
        thread = threading.Thread(target=self._store_soon, name="brake", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            self._storing_soon = False
            return []
        return [thread]

    # -- counting ------------------------------------------------------------------------------------------------

    def _count(self, cause: Cause | None) -> None:
        self._window.append(cause)
        failed = Counter(one for one in self._window if one is not None)
        record = BrakeRecord(self._record.worker, of=len(self._window), causes=dict(failed.most_common()))
        if cause is None:
            if self._record.causes:
                self._change(record)
            return
        is_due = record.failed > MIN_FAILED and 2 * record.failed > record.of
        if is_due and self._now_ms() >= self._lets_fail_until_ms:
            record = replace(record, reason=_reason(record), at=datetime.now(UTC).isoformat(timespec="seconds"))
            self._mark = None
            self._gate.shut(BRAKE, record.reason)
            emit(
                LogEvent.BRAKE_APPLIED, "critical", failed=record.failed, of=record.of, reason=record.reason,
                groups=record.groups, commands=["s3-index-worker resume", *record.commands],
            )  # fmt: skip
        if self._change(record) and not self._storing_soon:  # the process may die
            self._storing_soon = True
            self.store_soon()

    def _change(self, record: BrakeRecord) -> bool:
        """Have this stored at the next look, if it differs."""
        if replace(record, mark=self._record.mark) == self._record:
            return False
        self._record, self._is_stored = record, False
        return True

    def _store_soon(self) -> None:
        self._storing_soon = False
        with contextlib.suppress(StoreError):  # the next look tries again, and says what is wrong
            self.look()

    # -- the record ----------------------------------------------------------------------------------------------

    def _restore(self) -> None:
        found = read_brake(self._state, self._record.worker)
        is_readable = found is not None and found.reason != UNREADABLE
        if found is not None and is_readable and read_resumption(self._state).ends(found.mark):
            self._forget()
        elif found is not None:
            self._take_over(found, is_readable=is_readable)
        self.is_known = True

    def _take_over(self, found: BrakeRecord, *, is_readable: bool) -> None:
        with self._lock:
            failed = [one for cause, count in found.causes.items() for one in [cause] * min(count, WINDOW)]
            self._window.extend([*[None] * (min(found.of, WINDOW) - len(failed)), *failed])
            self._record, self._is_stored = found, is_readable
            self._mark = found.mark if found.reason and is_readable else None
        if found.reason:
            self._gate.shut(BRAKE, found.reason)

    def _store(self, mark: str) -> None:
        with self._lock:
            record = self._record = replace(self._record, mark=mark)
            self._is_stored = True
        try:
            if record.causes or record.reason:
                self._state.put(record.key, record.as_json())
            else:
                self._state.delete(record.key)
        except StoreError:
            self._is_stored = False
            raise

    def _end(self) -> None:
        """Begin to count afresh."""
        with self._lock:
            self._window.clear()
            self._record, self._is_stored, self._mark = BrakeRecord(self._record.worker), True, None
        self._gate.clear(BRAKE)
        self._forget()

    def _forget(self) -> None:
        with contextlib.suppress(StoreError):  # its mark tells that it has ended
            self._state.delete(brake_key(self._record.worker))


def _cause(item: InFlightMessage, outcome: Outcome) -> Cause | None:
    if not isinstance(outcome, Failed) or outcome.kind is not FailureKind.SYSTEM_ERROR:
        return None
    error = outcome.error
    is_refusal = isinstance(error, StoreError)
    name = error.code if isinstance(error, StoreError) else type(error).__name__
    bucket = str(item.subject.get("bucket", "")) if is_refusal else ""
    return Cause(fingerprint(error), shortened(f"{name}: {error}", MAX_CAUSE_CHARS), bucket)


def _is_skipped(outcome: Outcome) -> bool:
    return isinstance(outcome, Done) and outcome.note.startswith("skipped: ")


def _reason(record: BrakeRecord) -> str:
    """A sentence that says what failed, what it was, and what to type."""
    cause, count = next(iter(record.causes.items()))
    what = cause.text
    if cause.bucket:
        code = cause.text.partition(":")[0]
        alike = {
            one.bucket: many for one, many in record.causes.items() if one.bucket and one.text.startswith(f"{code}:")
        }
        count = sum(alike.values())
        what = f"{code} in {f's3://{cause.bucket}' if len(alike) == 1 else f'{len(alike)} buckets'}"
    redrive = f"`{record.commands[0]}`" if len(record.commands) == 1 else "what it prints"
    return (
        f"brake: {record.failed} of {record.of} messages went to the DLQ ({count} × {what}); "
        f"correct it, then `s3-index-worker resume`, then {redrive}"
    )
