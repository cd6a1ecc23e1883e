"""Looking at a DLQ without eating it: everything that can be received, each message once, held and then given back."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from recovery.hold import Hold
from recovery.letters import LOOK_S, Letter, letter_of
from worker.core.classify import is_passing
from worker.core.queue import MAX_BATCH, Queue
from worker.core.retry import in_place

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

    letters: list[Letter] = field(default_factory=list)
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
    hold: Hold,
    *,
    stop: threading.Event,
    wanted: Callable[[Letter], bool] = lambda _: True,
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
    found: dict[str, Letter] = {}

    def look(_: int) -> list[Letter]:
        letters = [
            letter_of(one) for one in queue.receive(wait_s=LOOK_S, visibility_s=HELD_S, count=MAX_BATCH)
        ]  # fmt: skip
        hold.keep(letters)
        return letters

    def try_to_look(lane: int) -> list[Letter]:
        return in_place(lambda: look(lane), passing=is_passing, stop=stop)

    empty_rounds = 0
    with ThreadPoolExecutor(LANES, thread_name_prefix="look") as pool:
        while len(seen) < MAX_SEEN and empty_rounds < (1 if len(seen) >= result.about else EMPTY_ROUNDS):
            if stop.is_set() or len(found) >= at_most:
                result.ended_early = True
                break
            missing = min(max(1, result.about - len(seen)), at_most - len(found))
            rounds = list(pool.map(try_to_look, range(max(1, min(LANES, -(-missing // MAX_BATCH))))))
            for letter in (letter for letters in rounds for letter in letters):
                if letter.id not in seen:
                    seen[letter.id] = wanted(letter)
                if seen[letter.id]:
                    found[letter.id] = letter  # of a copy, the newer receipt
            empty_rounds = 0 if any(rounds) else empty_rounds + 1
            told(len(seen))
    result.letters = list(found.values())[:at_most]
    result.seen = len(seen)
    return result
