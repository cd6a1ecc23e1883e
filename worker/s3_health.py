"""Tells an outage of S3 from the fault of one object. An outage pauses the worker; it dead-letters nothing."""

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
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
"""Failures in a row, over all messages, that make an outage."""
PROBE_S = 5.0


class S3Health:
    """Shuts the gate while S3, our credentials or our permissions fail; probes without messages."""

    def __init__(self, objects: ObjectStore, gate: PauseGate) -> None:
        self._objects = objects
        self._gate = gate
        self._failed: tuple[str, str] = ("", "")
        self._breaker = Breaker("s3", failures=FAILURES, probe=self._probe, interval_s=PROBE_S)
        self._breaker.on_change(self._changed)

    def read(
        self, read: Callable[[], T], *, bucket: str, key: str, until: float, stop: threading.Event,
        waiting: Callable[[], AbstractContextManager[object]] = nullcontext,
    ) -> T | Failed:  # fmt: skip
        """What `read` returns for one object, waiting for an outage of S3 to end; Failed where the object is at fault.

        `waiting` is entered while it waits for that.
        Raises OutageError when S3 is still unavailable at `until` (monotonic seconds) or when `stop` is set, and StoreError
        for a failure that is neither an outage yet nor the object's fault.
        """
        while True:
            with waiting():
                is_open = self._gate.wait_open(until, stop)
            if not is_open:
                raise OutageError(f"held back: {'; '.join(self._gate.reasons.values())}")
            try:
                found = retry_transient(read, transient=is_transient, stop=stop)
            except StoreError as error:
                if self._objects.is_object_fault(error, bucket, key):
                    self._breaker.succeeded()
                    return Failed(error)
                self._failed = (bucket, key)
                self._breaker.failed(error)
                if not self._breaker.is_open:
                    raise
            else:
                self._breaker.succeeded()
                return found

    def close(self) -> None:
        """End the probing."""
        self._breaker.stop()

    def _probe(self) -> None:
        bucket, key = self._failed
        if not self._objects.answers_for(bucket, key):
            raise StoreError(f"s3://{bucket}: neither the key that failed nor any other can be read", code="Probe")

    def _changed(self, is_open: bool) -> None:
        if is_open:
            self._gate.shut("s3", "S3 does not answer, or refuses everything")
        else:
            self._gate.clear("s3")
