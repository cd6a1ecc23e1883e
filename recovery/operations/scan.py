"""Looking at a DLQ without eating it: everything that can be received, each message once, held and then given back."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from recovery.operations.dead_letters import EMPTY_POLL_S, DeadLetter, dead_letter_of
from worker.core.base.classify import is_transient
from worker.core.base.retry import retry_transient
from worker.core.sqs.queue import MAX_BATCH, Queue
from worker.core.sqs.visibility import VisibilityExtender

HELD_S = 60
"""What is looked at is hidden so long, and kept so; after a kill -9 it is back that soon."""
LANES = 8
"""Receives at once: SQS is far away."""
MAX_SEEN = 100_000
"""SQS lets about 120,000 messages be in flight."""
EMPTY_ROUNDS = 2
"""So many rounds of receives without a message end a scan; one is enough where as much was seen as SQS says is there."""


@dataclass(slots=True)
class Scan:
    """What was found, and how much of the queue that is."""

    dead_letters: list[DeadLetter] = field(default_factory=list)
    seen: int = 0
    about: int = 0
    """Messages in the queue when the scan began, in flight elsewhere included; SQS knows it about."""
    ended_early: bool = False
    """It found as many as were wanted, or was interrupted."""

    @property
    def coverage(self) -> str:
        """For a person: how much of the queue was seen."""
        said = f"saw {self.seen:,} of about {max(self.about, self.seen):,}"
        if self.ended_early or self.seen >= self.about:
            return said
        return f"{said}; the rest is in flight elsewhere, or came later"


def scan(
    queue: Queue,
    extender: VisibilityExtender,
    *,
    stop: threading.Event,
    wanted: Callable[[DeadLetter], bool] = lambda _: True,
    at_most: int = MAX_SEEN,
    told: Callable[[int], None] = lambda _: None,
) -> Scan:
    """Receive until nothing more comes, or `at_most` wanted letters were found; what was received is in `hold`.

    What is not wanted stays held as well, so that it does not come round again, until the hold gives it back. Raises
    QueueError.
    """
    attributes = queue.attributes()
    names = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
    result = Scan(about=sum(int(attributes.get(name, 0)) for name in names))
    seen: dict[str, bool] = {}
    found: dict[str, DeadLetter] = {}

    def receive_batch(_: int) -> list[DeadLetter]:
        dead_letters = [
            dead_letter_of(one) for one in queue.receive(wait_s=EMPTY_POLL_S, visibility_s=HELD_S, count=MAX_BATCH)
        ]  # fmt: skip
        extender.keep(dead_letters)
        return dead_letters

    def try_to_receive(lane: int) -> list[DeadLetter]:
        return retry_transient(lambda: receive_batch(lane), transient=is_transient, stop=stop)

    empty_rounds = 0
    with ThreadPoolExecutor(LANES, thread_name_prefix="look") as pool:
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
