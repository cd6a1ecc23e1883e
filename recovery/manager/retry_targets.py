"""Where a dead letter is sent again by itself: to the queue in which it failed, if that is one whose failures come here.

Anyone who may send to the dead-letter queue can write any queue into a failure record. So a queue counts only if it is that of
SQS_QUEUE_URL, or one of the same account and endpoint whose redrive policy leads to this dead-letter queue. An S3 event that
names another queue, or none, goes to SQS_QUEUE_URL; no other message does, for only its own consumer can process it.
"""

import time
from collections.abc import Callable

from recovery.operations.clients import DlqClients
from recovery.operations.dead_letters.message_types import S3_EVENT
from recovery.operations.transfer.targets import Target, retry_target
from worker.core.base.errors import ConfigError
from worker.core.sqs.dead_letter import DeadLetter, Refused
from worker.core.sqs.queue import Queue

FRESH_S = 60.0
"""How long the attributes of a queue count as fresh, seconds."""


class RetryTargets:
    """The queues of one manager. For one thread."""

    def __init__(self, clients: DlqClients, own_url: str, queue_at: Callable[[str], Queue]) -> None:
        """`own_url` is SQS_QUEUE_URL; `queue_at` makes a queue of a URL."""
        self._clients = clients
        self._own_url = own_url
        self._queue_at = queue_at
        self._known: dict[str, tuple[float, Target | Refused]] = {}
        """By URL, with the time in monotonic seconds."""

    def of(self, dead_letter: DeadLetter) -> Target | Refused:
        """Where this one is to be sent. Raises ConfigError, DependencyError or PausedError where that cannot be said now."""
        url = dead_letter.source_queue
        is_event = self._clients.types.of(dead_letter.body) == S3_EVENT
        if url != self._own_url and self._is_beside_dlq(url):
            target = self._target(url)
            if not isinstance(target, Refused) or not is_event:
                return target
        if url == self._own_url or is_event:
            return self._own()
        named = f"of the queue in which it failed, {url}," if url else "of the queue in which it failed"
        return Refused(
            f"nothing is known {named} that would allow sending it there automatically: redrive it with --to QUEUE"
        )

    def _own(self) -> Target:
        target = self._target(self._own_url)
        if isinstance(target, Refused):
            raise ConfigError(f"SQS_QUEUE_URL: {target.reason}")
        return target

    def _target(self, url: str) -> Target | Refused:
        at, found = self._known.get(url, (float("-inf"), None))
        if found is None or time.monotonic() - at > FRESH_S:
            try:
                found = retry_target(self._clients, self._queue_at(url))
            except ConfigError as error:
                found = Refused(str(error))
            self._known[url] = time.monotonic(), found
        return found

    def _is_beside_dlq(self, url: str) -> bool:
        """Whether a URL has the endpoint and account of the dead-letter queue: no other is ever asked."""
        place, _, name = url.rpartition("/")
        return bool(name) and place == self._clients.dlq.url.rpartition("/")[0] and url != self._clients.dlq.url
