"""The queues to which dead letters can be sent, and the checks before anything is sent."""

from collections.abc import Mapping
from dataclasses import dataclass

import orjson

from recovery.operations.clients import DlqClients, attributes_of
from recovery.operations.transfer.sending import EntryOf, Rules
from worker.core.base.errors import ConfigError, PausedError
from worker.core.s3.state import State
from worker.core.sqs.queue import Queue


@dataclass(frozen=True, slots=True)
class Target:
    """A checked queue, and how to send dead letters to it."""

    queue: Queue
    attributes: Mapping[str, str]
    entry_of: EntryOf

    @property
    def url(self) -> str:
        """The queue's URL."""
        return self.queue.url


def dlq_target(clients: DlqClients) -> Target:
    """The DLQ itself, to which dead letters are sent unchanged. Raises ConfigError or DependencyError."""
    attributes = attributes_of(clients.dlq, called="DLQ_QUEUE_URL")
    return Target(clients.dlq, attributes, Rules(clients.dlq, attributes, clients.types).unchanged)


def redrive_target(
    clients: DlqClients, to: Queue, *, is_named: bool, force: bool = False, while_paused: bool = False
) -> Target:
    """The queue to which dead letters are redriven: each of them is checked, and its redrive counted.

    Unless the operator has named the queue (`is_named`), its redrive policy, if it has one, must lead to this DLQ. Raises
    ConfigError or DependencyError if it cannot be used, and PausedError while the fleet is paused.
    """
    attributes = attributes_of(to)
    arn = attributes.get("QueueArn")  # one queue may have several URLs
    if to.url == clients.dlq.url or (arn and arn == attributes_of(clients.dlq, called="DLQ_QUEUE_URL").get("QueueArn")):
        raise ConfigError(f"{to.url} is the DLQ itself; it must be the queue that the messages came from")
    if not is_named:
        _check_leads_here(clients, to, attributes)
    refuse_while_paused(clients.state, while_paused=while_paused)
    return Target(to, attributes, Rules(to, attributes, clients.types, force=force).redriven)


def refuse_while_paused(state: State | None, *, while_paused: bool) -> None:
    """Raises PausedError if the fleet is paused. Without a state bucket, it cannot be paused."""
    record = None if while_paused or state is None else state.pause_record()
    if record is not None:
        by = record.get("by", "?")
        raise PausedError(f"by {by}: {record['reason']}. Run `s3-index-worker resume` first, or use --while-paused")


def leads_to(attributes: Mapping[str, str]) -> str | None:
    """Return the ARN of the DLQ in a queue's redrive policy; None if it has no policy."""
    try:
        policy = orjson.loads(attributes.get("RedrivePolicy") or "{}")
    except ValueError:
        return None
    arn = policy.get("deadLetterTargetArn") if isinstance(policy, dict) else None
    return arn if isinstance(arn, str) else None


def _check_leads_here(clients: DlqClients, source: Queue, attributes: Mapping[str, str]) -> None:
    arn = leads_to(attributes)
    if arn and arn != attributes_of(clients.dlq, called="DLQ_QUEUE_URL").get("QueueArn"):
        raise ConfigError(
            f"SQS_QUEUE_URL={source.url} dead-letters to {arn}, not to DLQ_QUEUE_URL={clients.dlq.url}: "
            f"name the queue of these messages with --to QUEUE"
        )
