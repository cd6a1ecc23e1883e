"""For other services: put an item that failed where this system's operators find it, with the reason.

    with DeadLetterClient(DLQ_URL, state_bucket="our-worker-state", region="eu-central-1") as dead_letters:
        try:
            handle(item)
        except Exception as error:
            dead_letters.publish(item, error=error, retry_count=3, source_service="maps")

It needs sqs:SendMessage on the queue and, with a state bucket, s3:PutObject on its `dead-letters/`.
"""

import json
import os
import platform
import tempfile
import threading
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from recovery.client_record import Circumstances, record_of
from worker.core.base.address import queue_url as checked_url
from worker.core.base.aws import Aws
from worker.core.base.classify import is_transient
from worker.core.base.errors import ConfigError, QueueError, StoreError, WorkerError
from worker.core.base.names import is_bucket_name
from worker.core.base.retry import retry_transient
from worker.core.base.text import sendable
from worker.core.s3.state import S3State, State
from worker.core.s3.store import S3ObjectStore
from worker.core.sqs import dead_letter_store
from worker.core.sqs.dead_letter import DeadLetter, Refused, SendEntry
from worker.core.sqs.failure_record import FailureRecord
from worker.core.sqs.queue import MAX_MESSAGE_BYTES, SqsQueue

CONNECTIONS = 16
"""Requests to one service that may be in progress at once, whatever the number of threads."""
FIFO = ".fifo"
_SPOOL_BYTES = 4 * 1024 * 1024


class ItemError(WorkerError):
    """Raised when an item cannot be written as a message: it is no text, and cannot be JSON. Nothing was sent."""


class NotPublishedError(WorkerError):
    """Raised when neither the queue nor the state bucket has accepted an item: it is still the caller's alone."""


@dataclass(frozen=True, slots=True)
class Published:
    """Where an item is now."""

    message_id: str = ""
    """Its id in the queue; empty if it is in the state bucket instead."""
    stored_key: str = ""
    """Its key in the state bucket; empty if it is in the queue."""
    why: str = ""
    """Why the queue did not accept it; empty if it did."""


class DeadLetterClient:
    """Publishes to one dead-letter queue. May be used from any thread; does not survive a fork."""

    def __init__(
        self, queue_url: str, *, state_bucket: str | None = None, region: str | None = None, aws: Aws | None = None
    ) -> None:
        """Make the clients; no request is sent yet.

        Args:
            queue_url: URL of the dead-letter queue.
            state_bucket: the bucket whose `dead-letters/` takes what the queue does not; None: nothing does.
            region: if it is not that of the environment (AWS_REGION, AWS_DEFAULT_REGION) or of the AWS profile.
            aws: clients to share with others; they stay open when this client is closed.

        Raises:
            ConfigError: the URL, the bucket's name or the region cannot be one.
        """
        try:
            self._url = checked_url(queue_url)
        except ValueError as error:
            raise ConfigError(f"queue_url={queue_url!r} {error}") from None
        if state_bucket is not None and not is_bucket_name(state_bucket):
            raise ConfigError(f"state_bucket={state_bucket!r} is not a bucket name; it should be one, without s3://")
        used = aws or Aws(
            region=region or os.environ.get("AWS_REGION"), connections=CONNECTIONS
        )  # boto3 ignores AWS_REGION
        self._owns_queue = aws is None
        self._queue = SqsQueue(used.sqs(self._url), self._url)
        self._objects = None if state_bucket is None else _objects(used)
        self._state: State | None = None
        if self._objects is not None and state_bucket is not None:
            self._state = S3State(self._objects, state_bucket)
        self._worker = f"{platform.node()}:{os.getpid()}"
        self._closed = threading.Event()

    def publish(
        self,
        item: object,
        *,
        error: BaseException | str,
        retry_count: int = 0,
        source_service: str = "",
        metadata: Mapping[str, Any] | None = None,
        correlation_id: str | None = None,
        routing_key: str | None = None,
    ) -> Published:
        """Put an item into the queue, with its failure beside it; into the state bucket if the queue does not take it.

        Args:
            item: the message: a text stays as it is, anything else becomes JSON.
            error: the exception, whose type, message and stack are recorded; or a text such as `TimeoutError: …`.
            retry_count: attempts so far.
            source_service: the service in which it failed.
            metadata: further facts, as JSON; cut to 4 KB, and left out first where there is no room for them.
            correlation_id: what joins it with the log lines of other services.
            routing_key: where the service had it from, in its own terms.

        Raises:
            ItemError: the item cannot be a message.
            NotPublishedError: neither the queue nor the state bucket has accepted it.
        """
        body = _body_of(item)
        if self._closed.is_set():
            raise NotPublishedError("the client is closed")
        name = str(uuid.uuid4())  # a copy that arrives although its answer was lost is known by it
        known = Circumstances(retry_count, source_service, correlation_id, routing_key, metadata or {})
        record = record_of(error, known, message_id=name, worker=self._worker)
        dead_letter = DeadLetter(name, body, {"SentTimestamp": str(time.time_ns() // 1_000_000)}, {}, failure=record)
        entry = dead_letter.entry(record, max_bytes=MAX_MESSAGE_BYTES, fifo=self._url.endswith(FIFO))
        if isinstance(entry, Refused):
            return self._store(dead_letter, record, entry.reason)
        try:
            return Published(message_id=self._send(entry))
        except QueueError as refused:
            return self._store(dead_letter, record, f"{refused.code}: {refused}")

    publish_to_dlq = publish
    """The name that clients of this kind have elsewhere."""

    def close(self) -> None:
        """Close the connections. What is being published in other threads is not tried again."""
        self._closed.set()
        if self._owns_queue:
            self._queue.close()
        if self._objects is not None:
            self._objects.s3.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _send(self, entry: SendEntry) -> str:
        return retry_transient(lambda: self._queue.send_one(entry), transient=is_transient, stop=self._closed)

    def _store(self, dead_letter: DeadLetter, record: FailureRecord, why: str) -> Published:
        state = self._state
        if state is None:
            raise NotPublishedError(f"the queue has not accepted it, and no state bucket is given: {why}")
        try:
            key = retry_transient(
                lambda: dead_letter_store.put(state, dead_letter, record), transient=is_transient, stop=self._closed
            )
        except StoreError as error:
            raise NotPublishedError(
                f"neither the queue nor s3://{state.bucket}/dead-letters/ has accepted it: {why}; {error.code}: {error}"
            ) from error
        return Published(stored_key=key, why=why)


DLQClient = DeadLetterClient
"""The name that clients of this kind have elsewhere."""


def _objects(aws: Aws) -> S3ObjectStore:
    return S3ObjectStore(
        aws, spool_bytes=_SPOOL_BYTES, max_object_bytes=_SPOOL_BYTES, temp_dir=Path(tempfile.gettempdir())
    )


def _body_of(item: object) -> str:
    """The item as a message's body. Raises ItemError."""
    if isinstance(item, str):
        try:
            item.encode()
        except UnicodeEncodeError as error:
            raise ItemError(f"the item is a text that cannot be UTF-8: {error.reason} at {error.start}") from None
        return item
    try:
        text = json.dumps(item, ensure_ascii=False, allow_nan=False)
        return text if sendable(text) == text else json.dumps(item)
    except (TypeError, ValueError, RecursionError) as error:
        raise ItemError(
            f"the item is a {type(item).__name__} that cannot be JSON: {error}; pass a text, or plain values"
        ) from None
