"""The queues to which dead letters can be sent, and the checks before anything is sent."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import orjson

from recovery.operations.clients import DlqClients, attributes_of
from recovery.operations.transfer.sending import EntryOf, Rules
from worker.core.base.errors import ConfigError, PausedError
from worker.core.s3.state import State
from worker.core.sqs.queue import Queue

SHORTEST_TRY_S = 900
"""Even a queue that tries only once, and briefly, may have a backlog: nothing is expected of it in less than 15 minutes."""
DEFAULT_RECEIVES = 1
DEFAULT_VISIBILITY_S = 30
"""SQS's default for a queue without the attribute (SQS API reference, SetQueueAttributes)."""


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

    @property
    def unconfirmed_s(self) -> float:
        """After how many seconds a message sent there should have been processed or have returned: then it may be sent again.

        Twice the longest time in which the queue lets workers try, and half an hour at least.
        """
        receives = redrive_policy(self.attributes).get("maxReceiveCount", DEFAULT_RECEIVES)
        tries_s = int(receives) * int(self.attributes.get("VisibilityTimeout", DEFAULT_VISIBILITY_S))
        return 2.0 * max(SHORTEST_TRY_S, tries_s + int(self.attributes.get("DelaySeconds", 0)))


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


def retry_target(clients: DlqClients, to: Queue) -> Target:
    """A queue to which dead letters are sent by themselves: no redrive is counted, and a record must fit.

    Its redrive policy must lead to this DLQ: which queue it is may come from a forged failure record. Raises ConfigError or
    DependencyError if it cannot be used, and PausedError while the fleet is paused.
    """
    target = redrive_target(clients, to, is_named=False)
    if leads_to(target.attributes) is None:
        raise ConfigError(f"{to.url} has no redrive policy that leads to DLQ_QUEUE_URL={clients.dlq.url}")
    return replace(target, entry_of=Rules(to, target.attributes, clients.types).retried)


def refuse_while_paused(state: State | None, *, while_paused: bool = False) -> None:
    """Raises PausedError if the fleet is paused. Without a state bucket, it cannot be paused."""
    record = None if while_paused or state is None else state.pause_record()
    if record is not None:
        raise PausedError(str(record.get("by", "?")), str(record["reason"]))


def redrive_policy(attributes: Mapping[str, str]) -> dict[str, Any]:
    """Return a queue's redrive policy; empty if it has none, or none that can be read."""
    try:
        policy = orjson.loads(attributes.get("RedrivePolicy") or "{}")
    except ValueError:
        return {}
    return policy if isinstance(policy, dict) else {}


def leads_to(attributes: Mapping[str, str]) -> str | None:
    """Return the ARN of the DLQ in a queue's redrive policy; None if it has no policy."""
    arn = redrive_policy(attributes).get("deadLetterTargetArn")
    return arn if isinstance(arn, str) else None


def _check_leads_here(clients: DlqClients, source: Queue, attributes: Mapping[str, str]) -> None:
    arn = leads_to(attributes)
    if arn and arn != attributes_of(clients.dlq, called="DLQ_QUEUE_URL").get("QueueArn"):
        raise ConfigError(
            f"SQS_QUEUE_URL={source.url} dead-letters to {arn}, not to DLQ_QUEUE_URL={clients.dlq.url}: "
            f"name the queue of these messages with --to QUEUE"
        )
