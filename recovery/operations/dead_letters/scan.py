"""Reads a DLQ without consuming it: receives every available message once, keeps it invisible, and releases it later."""

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from worker.core.base.classify import is_transient
from worker.core.base.retry import retry_transient
from worker.core.s3.state import DEAD_LETTERS_PREFIX
from worker.core.sqs.dead_letter import DeadLetter
from worker.core.sqs.queue import MAX_BATCH, Queue
from worker.core.sqs.visibility import VisibilityExtender

EMPTY_POLL_S = 1
"""Wait time of one receive in seconds."""
INVISIBLE_S = 120
"""Visibility timeout of received dead letters in seconds, the same for all commands and the manager.

It is extended while they run, and expires after a kill -9: docs/dlq.md says so.
"""
LANES = 8
"""Number of concurrent receives, because each takes a network round trip."""
MAX_SEEN = 100_000
"""Maximum number of messages of one scan. SQS allows about 120,000 messages in flight."""
EMPTY_ROUNDS = 2
"""Number of rounds without a message after which a scan ends. One is enough if as many messages were seen as SQS reports."""
NOWHERE = f"neither in the DLQ nor in {DEAD_LETTERS_PREFIX}, or in flight elsewhere; see `dlq stats`"
"""What is said of an id that was not found."""


@dataclass(slots=True)
class Scan:
    """The result of a scan, and how much of the queue it covered."""

    attributes: Mapping[str, str]
    """The queue's attributes before the first receive."""
    dead_letters: list[DeadLetter] = field(default_factory=list)
    seen: int = 0
    ended_early: bool = False
    """Whether it stopped because enough dead letters were found, or because it was interrupted."""
    stored: int = 0
    """Number of records of `dead-letters/` that were read besides."""
    stored_problem: str = ""
    """Why `dead-letters/` could not be read; empty if it was, or if no state bucket is set."""

    @property
    def visible(self) -> int:
        """Approximate number of messages that could be received when the scan began."""
        return int(self.attributes.get("ApproximateNumberOfMessages", 0))

    @property
    def in_flight(self) -> int:
        """Approximate number of messages that other consumers kept invisible when the scan began."""
        return int(self.attributes.get("ApproximateNumberOfMessagesNotVisible", 0))

    @property
    def about(self) -> int:
        """Approximate number of messages in the queue when the scan began, including those in flight elsewhere."""
        return self.visible + self.in_flight

    @property
    def coverage(self) -> str:
        """How much was seen, as text for the operator."""
        text = f"saw {self.seen:,} of about {max(self.about, self.seen):,}"
        if not self.ended_early and self.seen < self.about:
            text += "; the rest is in flight elsewhere, or arrived later"
        if self.stored_problem:
            return f"{text}; {self.stored_problem}"
        return f"{text}, and {self.stored:,} in {DEAD_LETTERS_PREFIX}" if self.stored else text


def receive(queue: Queue, count: int, *, visibility_s: int) -> list[DeadLetter]:
    """Receive up to `count` dead letters, ten at a time; stop when a receive returns nothing.

    Raises QueueError only if nothing was received, so that messages already received are not lost track of.
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
    is_enough: Callable[[], bool] = lambda: False,
    on_seen: Callable[[int], None] = lambda _: None,
) -> Scan:
    """Receive until the queue returns nothing more, `at_most` wanted dead letters were found, or `is_enough` says so.

    The extender keeps all received messages invisible until the caller releases them, so that none is received twice.
    `on_seen` is called with the number of messages seen so far. Raises QueueError.
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
            if stop.is_set() or len(found) >= at_most or is_enough():
                result.ended_early = True
                break
            missing = min(max(1, result.about - len(seen)), at_most - len(found))
            rounds = list(pool.map(try_to_receive, range(max(1, min(LANES, -(-missing // MAX_BATCH))))))
            for dead_letter in (dead_letter for dead_letters in rounds for dead_letter in dead_letters):
                if dead_letter.id not in seen:
                    seen[dead_letter.id] = wanted(dead_letter)
                if seen[dead_letter.id]:
                    found[dead_letter.id] = dead_letter  # if it was received twice, the newer receipt
            empty_rounds = 0 if any(rounds) else empty_rounds + 1
            on_seen(len(seen))
    result.dead_letters = list(found.values())[:at_most]
    result.seen = len(seen)
    return result
