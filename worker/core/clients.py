"""The clients of everything outside: what worker, recovery and doctor stand on."""

from collections.abc import Sequence
from dataclasses import dataclass

from worker.core.base.aws import Aws
from worker.core.base.errors import IndexUnavailableError
from worker.core.base.events import LogEvent
from worker.core.base.logs import emit
from worker.core.base.settings import Settings
from worker.core.extract.extractor import Extractor
from worker.core.index import Index, WriteResult, WriteStatus
from worker.core.index.document import Write
from worker.core.index.open import open_index
from worker.core.indexing.pipeline import MAX_OBSERVATION_AGE_MS, MAX_WRITE_AGE_MS
from worker.core.s3.objects import ObjectStore
from worker.core.s3.state import S3State, State
from worker.core.s3.store import S3ObjectStore
from worker.core.sqs.queue import Queue, SqsQueue

UNAVAILABLE_TOGETHER = 10
"""So many documents of one request, and none taken: the index is away. Fewer may have a fault that it does not own up to."""


@dataclass(frozen=True, slots=True)
class Clients:
    """One client for each thing outside; each may be used from any thread."""

    aws: Aws
    source: Queue
    dlq: Queue
    objects: ObjectStore
    state: State
    index: Index

    def write(self, writes: Sequence[Write]) -> list[WriteResult]:
        """One attempt to write what was looked at; what became of each, in order.

        Raises IndexUnavailableError where the request as a whole failed, where none of many documents was taken, or where a
        look has become too old before or meanwhile: an attempt that is made again must not write that.
        """
        oldest_observed_at_ms = min(write.version for write in writes)
        if oldest_observed_at_ms < self.objects.clock.now_ms() - MAX_OBSERVATION_AGE_MS:
            raise IndexUnavailableError(f"{self.index.description} took too long to answer")
        results = self.index.write(writes)
        if oldest_observed_at_ms < self.objects.clock.now_ms() - MAX_WRITE_AGE_MS:
            raise IndexUnavailableError(f"{self.index.description} was written to too late to be trusted")
        if len(results) >= UNAVAILABLE_TOGETHER and all(result.status is WriteStatus.UNAVAILABLE for result in results):
            raise IndexUnavailableError(results[0].reason)
        return results


def connect(settings: Settings) -> Clients:
    """Make the clients; nothing is asked of anyone yet. Raises ConfigError."""
    aws = Aws(region=settings.aws_region, connections=settings.worker_concurrency + settings.receivers + 16)
    sqs = aws.sqs()
    objects = S3ObjectStore(
        aws,
        spool_bytes=settings.spool_bytes,
        max_object_bytes=settings.max_object_bytes,
        temp_dir=settings.temp_dir,
    )
    return Clients(
        aws,
        SqsQueue(sqs, settings.sqs_queue_url),
        SqsQueue(sqs, settings.dlq_queue_url),
        objects,
        S3State(objects, settings.state),
        open_index(settings, aws.credentials),
    )


def make_extractor(settings: Settings) -> Extractor:
    """What reads files, within the limits that the settings give it; it starts no child yet."""
    return Extractor(
        processes=settings.extract_processes,
        timeout_s=settings.extract_timeout_s,
        memory_bytes=settings.extract_memory_bytes,
        max_chars=settings.max_content_chars,
        temp_dir=settings.temp_dir,
    )


def ensure_index(index: Index) -> None:
    """Create what the index lacks, and log what differs. Raises IndexUnavailableError."""
    state = index.ensure()
    for name in state.created:
        emit(LogEvent.INDEX_CREATED, "info", name=name)
    for finding in state.findings:
        if finding.level != "ok":
            emit(LogEvent.INDEX_FINDING, "warning", what=finding.what, hint=finding.hint)
