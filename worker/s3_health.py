"""Tells an outage of S3 from one object's own fault. An outage pauses the worker; it dead-letters nothing."""

from worker.core.base.breaker import Breaker
from worker.core.base.errors import StoreError
from worker.core.s3.objects import ObjectStore
from worker.pause_gate import PauseGate

FAILURES = 5
"""Failures in a row, over all messages, that make an outage."""
PROBE_S = 5.0


class S3Health:
    """Shuts the gate while S3, our credentials or our permissions fail; probes without messages."""

    def __init__(self, objects: ObjectStore, gate: PauseGate) -> None:
        self._objects = objects
        self._gate = gate
        self._failed: tuple[str, str] = ("", "")
        self.breaker = Breaker("s3", failures=FAILURES, probe=self._probe, interval_s=PROBE_S)
        self.breaker.on_change(self._changed)

    def is_object_fault(self, error: StoreError, bucket: str, key: str) -> bool:
        """Whether the object (or its event) is at fault: never by the code alone where another key would tell."""
        return self._objects.is_object_fault(error, bucket, key)

    def failed(self, error: StoreError, bucket: str, key: str) -> None:
        """Count one failure that is not the object's own."""
        self._failed = (bucket, key)
        self.breaker.failed(error)

    def _probe(self) -> None:
        bucket, key = self._failed
        if not self._objects.answers_for(bucket, key):
            raise StoreError(f"s3://{bucket}: neither the key that failed nor any other can be read", code="Probe")

    def _changed(self, is_open: bool) -> None:
        if is_open:
            self._gate.shut("s3", "S3 does not answer, or refuses everything")
        else:
            self._gate.clear("s3")
