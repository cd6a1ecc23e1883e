"""One client for each service that the worker, the recovery commands and `doctor` use."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from worker.core.base.aws import Aws
from worker.core.base.events import LogEvent
from worker.core.base.kernel import give_back_large_blocks
from worker.core.base.logs import emit
from worker.core.base.settings import Settings
from worker.core.index import Index
from worker.core.index.open import name_of, open_index, open_named
from worker.core.index.paired import PairedIndex
from worker.core.s3.objects import ObjectStore
from worker.core.s3.reindexing import ReindexWatch
from worker.core.s3.state import S3State, State
from worker.core.s3.store import S3ObjectStore
from worker.core.sqs.queue import Queue, SqsQueue

if TYPE_CHECKING:
    from worker.core.extract.extractor import Extractor


@dataclass(frozen=True, slots=True)
class Clients:
    """One client for each service outside this process; each may be used from any thread."""

    aws: Aws
    source: Queue
    dlq: Queue
    objects: ObjectStore
    state: State
    index: Index
    reindex: ReindexWatch
    """What this process knows of a reindex, during which its writes go to two indexes."""

    @classmethod
    def of(cls, settings: Settings, aws: Aws, *, source: Queue, dlq: Queue, objects: ObjectStore, state: State) -> Self:
        """These clients, and that of the index of the settings. No request is sent yet. Raises ConfigError."""
        watch = ReindexWatch(state, name_of(settings))

        def named(name: str, plain_key: bool) -> Index:
            return open_named(
                settings, name, plain_key=plain_key, credentials=aws.credentials, throttle=aws.throttles.index
            )

        index = PairedIndex(open_index(settings, aws.credentials, aws.throttles.index), named, watch)
        return cls(aws, source, dlq, objects, state, index, watch)


def connect(settings: Settings) -> Clients:
    """Make the clients; no request is sent yet. Raises ConfigError."""
    aws = Aws(region=settings.aws_region, connections=settings.worker_concurrency + settings.receivers + 16)
    objects = open_objects(settings, aws, max_object_bytes=settings.max_object_bytes)
    return Clients.of(
        settings,
        aws,
        source=SqsQueue(aws.sqs(settings.sqs_queue_url), settings.sqs_queue_url),
        dlq=SqsQueue(aws.sqs(settings.dlq_queue_url), settings.dlq_queue_url),
        objects=objects,
        state=S3State(objects, settings.state),
    )


def open_objects(settings: Settings, aws: Aws, *, max_object_bytes: int) -> S3ObjectStore:
    """S3, from which objects of up to so many bytes are read."""
    return S3ObjectStore(
        aws, spool_bytes=settings.spool_bytes, max_object_bytes=max_object_bytes, temp_dir=settings.temp_dir
    )


def make_extractor(settings: Settings) -> "Extractor":
    """The extractor, with the limits that the settings give it; it starts no child process yet.

    Whoever extracts texts holds some of many MiB, for seconds each: their memory is given back from now on.
    """
    give_back_large_blocks()
    from worker.core.extract.extractor import Extractor  # takes 50 ms, and few commands read files

    return Extractor(
        processes=settings.extract_processes,
        timeout_s=settings.extract_timeout_s,
        memory_bytes=settings.extract_memory_bytes,
        max_chars=settings.max_content_chars,
        temp_dir=settings.temp_dir,
    )


def ensure_index(index: Index) -> None:
    """Create what the index lacks, and log what differs from our template. Raises IndexUnavailableError."""
    state = index.ensure()
    for name in state.created:
        emit(LogEvent.INDEX_CREATED, "info", name=name)
    for finding in state.findings:
        if finding.level != "ok":
            emit(LogEvent.INDEX_FINDING, "warning", what=finding.what, hint=finding.hint)
