"""Tells the outage of a bucket, or of all of S3, from the fault of one object. An outage dead-letters nothing.

While nothing in a bucket can be read, its messages go back to the queue with a long delay, and the other buckets are served.
Only if no bucket can be read, and the state bucket does not answer either, is all of S3 unavailable: then the worker pauses.
"""

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from typing import TypeVar

from worker.core.base.breaker import Breaker
from worker.core.base.classify import is_transient
from worker.core.base.errors import OutageError, StoreError
from worker.core.base.retry import retry_transient
from worker.core.s3.objects import ObjectStore
from worker.core.sqs.outcome import Failed
from worker.pause_gate import PauseGate

T = TypeVar("T")

FAILURES = 5
"""Failures in a row in one bucket, over all its messages, that make an outage of it."""
PROBE_S = 5.0
MAX_BUCKETS = 256
"""Number of buckets remembered as readable, and as failing: messages may name any number of them."""
ASKED_BUCKETS = 3
"""Number of readable buckets that are asked again before all of S3 counts as unavailable."""


class S3Health:
    """Holds back the messages of a bucket that cannot be read, and shuts the gate while none can; probes without messages."""

    def __init__(self, objects: ObjectStore, gate: PauseGate, *, ask_state: Callable[[], object]) -> None:
        """`ask_state` makes a request to the state bucket. Raises StoreError."""
        self._objects = objects
        self._gate = gate
        self._ask_state = ask_state
        self._lock = threading.Lock()
        self._assessing = threading.Lock()
        self._failing: dict[str, Breaker] = {}
        """By bucket: those with a failure since the last success."""
        self._held_back: dict[str, str] = {}
        self._readable: dict[str, str] = {}
        """By bucket: a key that was read."""
        self._closed = False

    @property
    def held_back(self) -> dict[str, str]:
        """Why messages are held back: bucket → the last error. Empty while every bucket can be read."""
        return dict(self._held_back)

    def read(
        self, read: Callable[[], T], *, bucket: str, key: str, until: float, stop: threading.Event,
        waiting: Callable[[], AbstractContextManager[object]],
    ) -> T | Failed:  # fmt: skip
        """What `read` returns for one object, waiting for an outage of S3 to end; Failed where the object is at fault.

        `waiting` is entered while it waits for that.
        Raises OutageError when S3 is still unavailable at `until` (monotonic seconds), when `stop` is set, or when the bucket
        is held back; and StoreError for a failure that is neither an outage yet nor the object's fault.
        """
        while True:
            with waiting():
                is_open = self._gate.wait_open(until, stop)
            if not is_open:
                raise OutageError(f"held back: {'; '.join(self._gate.reasons.values())}")
            if (why := self._held_back.get(bucket)) is not None:
                raise OutageError(f"held back: nothing in s3://{bucket} can be read: {why}")
            try:
                found = retry_transient(read, transient=is_transient, stop=stop)
            except StoreError as error:
                if self._objects.is_object_fault(error, bucket, key):
                    self._answered(bucket)
                    return Failed(error)
                self._failed(bucket, key, error)
                if self._gate.is_open:
                    raise
            else:
                self._answered(bucket)
                self._note_readable(bucket, key)
                return found

    def close(self) -> None:
        """End the probing."""
        with self._lock:
            self._closed = True
            for breaker in self._failing.values():
                breaker.stop()

    # -- one bucket ----------------------------------------------------------------------------------------------

    def _answered(self, bucket: str) -> None:
        breaker = self._failing.get(bucket)
        if breaker is not None:
            breaker.succeeded()

    def _note_readable(self, bucket: str, key: str) -> None:
        if bucket not in self._readable:
            with self._lock:
                self._readable[bucket] = key
                if len(self._readable) > MAX_BUCKETS:
                    del self._readable[next(iter(self._readable))]

    def _failed(self, bucket: str, key: str, error: StoreError) -> None:
        with self._lock:
            breaker = self._failing.get(bucket) or self._new_breaker(bucket, key)
        if breaker is not None:
            breaker.failed(error)

    def _new_breaker(self, bucket: str, key: str) -> Breaker | None:
        """None where as many buckets are held back as may be: then each of its messages is tried, and released."""
        if len(self._failing) >= MAX_BUCKETS:
            forgotten = next((name for name, one in self._failing.items() if not one.is_open), None)
            if forgotten is None:
                return None
            del self._failing[forgotten]
        if self._closed:
            return None
        breaker = Breaker(
            f"s3://{bucket}", failures=FAILURES, probe=partial(self._probe, bucket, key), interval_s=PROBE_S
        )
        breaker.on_change(partial(self._changed, bucket, breaker))
        self._failing[bucket] = breaker
        return breaker

    def _changed(self, bucket: str, breaker: Breaker, error: BaseException | None) -> None:
        with self._lock:
            if error is not None:
                self._failing[bucket] = breaker  # it may have been forgotten just before it opened
                self._held_back[bucket] = str(error)
                self._readable.pop(bucket, None)
            elif not breaker.is_open:  # it may have opened again since
                self._failing.pop(bucket, None)
                self._held_back.pop(bucket, None)
        self._assess()

    def _probe(self, bucket: str, key: str) -> None:
        if not self._objects.answers_for(bucket, key):
            self._assess()
            raise StoreError(f"s3://{bucket}: neither the key that failed nor any other can be read", code="Probe")

    # -- all of S3 -----------------------------------------------------------------------------------------------

    def _assess(self) -> None:
        """Shut the gate if S3 as a whole is unavailable, or clear it. One at a time: an older answer must not come last."""
        with self._assessing:
            with self._lock:
                held_back, readable = bool(self._held_back), list(self._readable.items())[-ASKED_BUCKETS:]
            is_away = (
                held_back
                and not self._state_answers()
                and not any(self._objects.answers_for(bucket, key) for bucket, key in readable)
            )
            if is_away and self._held_back:
                self._gate.shut("s3", "S3 does not answer, or refuses everything")
            else:
                self._gate.clear("s3")

    def _state_answers(self) -> bool:
        try:
            self._ask_state()
        except StoreError:
            return False
        return True
