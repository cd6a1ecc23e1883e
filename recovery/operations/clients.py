"""The clients of the operations on a dead-letter queue."""

from collections.abc import Mapping
from dataclasses import dataclass

from recovery.operations.dead_letters.message_types import MessageTypes
from worker.core.base.classify import is_transient
from worker.core.base.errors import ConfigError, DependencyError, QueueError, StoreError
from worker.core.s3.objects import ObjectStore
from worker.core.s3.state import State
from worker.core.sqs.queue import Queue

RETENTION_S = 345_600
"""Default retention period of SQS in seconds, for a queue without this attribute."""


@dataclass(frozen=True, slots=True)
class DlqClients:
    """The clients of the operations on one dead-letter queue; each can be used from any thread."""

    dlq: Queue
    objects: ObjectStore
    state: State | None
    """The state bucket; None if none is set."""
    types: MessageTypes

    def need_state(self, command: str, why: str) -> State:
        """Return the state bucket. Raises ConfigError if it is not set (`why` states what `command` needs it for) or unusable."""
        if self.state is None:
            raise ConfigError(f"STATE_BUCKET is missing: `{command}` {why}")
        try:
            self.objects.check_bucket(self.state.bucket)
        except StoreError as error:
            if error.code in {"NoSuchBucket", "AccessDenied"}:
                raise ConfigError(f"STATE_BUCKET={self.state.bucket}: {error}") from error
            raise
        return self.state


def attributes_of(queue: Queue, *, called: str = "") -> dict[str, str]:
    """Return a queue's attributes. Raises ConfigError or DependencyError with the queue and, if given, its setting `called`."""
    try:
        return queue.attributes()
    except QueueError as error:
        kind = DependencyError if is_transient(error) else ConfigError
        raise kind(f"{called + '=' if called else ''}{queue.url}: {error}") from error


def retention_of(attributes: Mapping[str, str]) -> int:
    """Retention period of a queue in seconds, counted from when a message was first sent."""
    return int(attributes.get("MessageRetentionPeriod", RETENTION_S))
