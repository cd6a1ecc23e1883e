"""Reading a DLQ without using it up: everything that can be received, each message once, kept invisible, then released."""

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from worker.core.base.classify import is_transient
from worker.core.base.retry import retry_transient
from worker.core.sqs.dead_letter import DeadLetter
from worker.core.sqs.queue import MAX_BATCH, Queue
from worker.core.sqs.visibility import VisibilityExtender

EMPTY_POLL_S = 1
"""An empty poll of so many seconds counts as one that found nothing."""
INVISIBLE_S = 60
"""Visibility timeout of what a scan receives, extended while an operation lasts; after a kill -9 it is back that soon."""
LANES = 8
"""Receives at once: SQS is far away."""
MAX_SEEN = 100_000
"""SQS lets about 120,000 messages be in flight."""
EMPTY_ROUNDS = 2
"""So many rounds of receives without a message end a scan; one is enough where as much was seen as SQS says is there."""


@dataclass(slots=True)
class Scan:
    """What was found, and how much of the queue that is."""

    attributes: Mapping[str, str]
    """The queue's, before the first receive."""
    dead_letters: list[DeadLetter] = field(default_factory=list)
    seen: int = 0
    ended_early: bool = False
    """It found as many as were wanted, or was interrupted."""

    @property
    def visible(self) -> int:
        """Messages that could be received when the scan began; SQS knows it approximately."""
        return int(self.attributes.get("ApproximateNumberOfMessages", 0))

    @property
    def in_flight(self) -> int:
        """Messages that others kept invisible when the scan began; SQS knows it approximately."""
        return int(self.attributes.get("ApproximateNumberOfMessagesNotVisible", 0))

    @property
    def about(self) -> int:
        """Messages in the queue when the scan began, those in flight elsewhere included."""
        return self.visible + self.in_flight

    @property
    def coverage(self) -> str:
        """For a person: how much of the queue was seen."""
        said = f"saw {self.seen:,} of about {max(self.about, self.seen):,}"
        if self.ended_early or self.seen >= self.about:
            return said
        return f"{said}; the rest is in flight elsewhere, or came later"


def receive(queue: Queue, count: int, *, visibility_s: int) -> list[DeadLetter]:
    """Up to `count` dead letters, by as many receives of ten as it takes; fewer once one of them finds nothing.

    Raises QueueError only where nothing was received: what is in flight must not be forgotten.
    """
    dead_letters: list[DeadLetter] = []
    while len(dead_letters) < count:
        at_most = min(MAX_BATCH, count - len(dead_letters))
        try:
            found = queue.receive(wait_s=EMPTY_POLL_S, visibility_s=visibility_s, count=at_most)
        except Exception:
            if dead_letters:
                break
            raise
        dead_letters += map(DeadLetter.received, found)
        if not found:
            break
    return dead_letters


def scan(
    queue: Queue,
    extender: VisibilityExtender,
    *,
    stop: threading.Event,
    wanted: Callable[[DeadLetter], bool] = lambda _: True,
    at_most: int = MAX_SEEN,
    told: Callable[[int], None] = lambda _: None,
) -> Scan:
    """Receive until nothing more comes, or `at_most` wanted dead letters were found. `told` hears how many were seen.

    The extender keeps everything that was received invisible, so that nothing is received twice, until it is told to
    release it. Raises QueueError.
    """
    result = Scan(queue.attributes())
    seen: dict[str, bool] = {}
    found: dict[str, DeadLetter] = {}

    def receive_batch(_: int) -> list[DeadLetter]:
        messages = queue.receive(wait_s=EMPTY_POLL_S, visibility_s=INVISIBLE_S, count=MAX_BATCH)
        dead_letters = [DeadLetter.received(message) for message in messages]
        extender.keep(dead_letters)
        return dead_letters

    def try_to_receive(lane: int) -> list[DeadLetter]:
        return retry_transient(lambda: receive_batch(lane), transient=is_transient, stop=stop)

    empty_rounds = 0
    with ThreadPoolExecutor(LANES, thread_name_prefix="scan") as pool:
        while len(seen) < MAX_SEEN and empty_rounds < (1 if len(seen) >= result.about else EMPTY_ROUNDS):
            if stop.is_set() or len(found) >= at_most:
                result.ended_early = True
                break
            missing = min(max(1, result.about - len(seen)), at_most - len(found))
            rounds = list(pool.map(try_to_receive, range(max(1, min(LANES, -(-missing // MAX_BATCH))))))
            for dead_letter in (dead_letter for dead_letters in rounds for dead_letter in dead_letters):
                if dead_letter.id not in seen:
                    seen[dead_letter.id] = wanted(dead_letter)
                if seen[dead_letter.id]:
                    found[dead_letter.id] = dead_letter  # of a copy, the newer receipt
            empty_rounds = 0 if any(rounds) else empty_rounds + 1
            told(len(seen))
    result.dead_letters = list(found.values())[:at_most]
    result.seen = len(seen)
    return result
