"""Lets a backfill yield: to live events, as long as too many messages wait in the queue, and to a pause of the fleet."""

import threading
import time
from collections import deque
from collections.abc import Callable

from recovery.operations.transfer.targets import refuse_while_paused
from worker.core.base.classify import is_transient
from worker.core.base.concurrency import Pace
from worker.core.base.errors import PausedError, StoreError
from worker.core.base.retry import retry_transient
from worker.core.s3.state import State
from worker.core.sqs.queue import MAX_BATCH, Queue

ASK_EVERY_S = 5.0
"""How old may be what is known of the depth, and of a pause of the fleet."""
LAG_S = 60.0
"""How far SQS's own counts may be behind: all that was sent since then counts besides them, as if none of it were counted."""
WAIT_S = 2.0
"""After so many seconds, a queue that was too full is asked again."""

_WAITING = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesDelayed")


def shortest_s(count: int, max_depth: int) -> float:
    """In how many seconds so many messages pass a gate, at least: in each minute, as many as may wait."""
    return max(0, count - max_depth) * LAG_S / (max_depth + MAX_BATCH)


class PauseWatch:
    """Ends a run once the fleet is paused. For one thread."""

    def __init__(self, state: State, *, while_paused: bool, stop: threading.Event) -> None:
        """`while_paused`: whether the run goes on all the same."""
        self._state = state
        self._while_paused = while_paused
        self._stop = stop
        self._asked_at = float("-inf")

    def check(self) -> None:
        """Raises PausedError if the fleet is paused, and StoreError; asks once in a while, however often it is called."""
        if self._while_paused or time.monotonic() - self._asked_at < ASK_EVERY_S:
            return
        retry_transient(
            lambda: refuse_while_paused(self._state, while_paused=False), transient=is_transient, stop=self._stop
        )
        self._asked_at = time.monotonic()

    def why(self) -> str:
        """Why a run has to end, for one that has something to report: a pause, or nobody can tell. Empty if it may go on."""
        try:
            self.check()
        except PausedError as error:
            return error.sentence
        except StoreError as error:
            return f"whether the fleet is paused cannot be read: {error}"
        return ""


class QueueGate:
    """Keeps to a rate, and to a depth of the queue. For one thread."""

    def __init__(
        self, queue: Queue, watch: PauseWatch, *, rate: float | None, max_depth: int, stop: threading.Event,
        say: Callable[[str], None],
    ) -> None:  # fmt: skip
        """`say` is told when the sending stops and when it goes on."""
        self._queue = queue
        self._watch = watch
        self._pace = Pace(rate)
        self._max_depth = max_depth
        self._stop = stop
        self._say = say
        self._counted = 0
        """What SQS has last said."""
        self._sent: deque[tuple[float, int]] = deque()
        """When something was sent in the last minute, and how much."""
        self._asked_at = float("-inf")

    def wait(self, count: int) -> None:
        """Wait until so many messages may be sent, or until `stop` is set. Raises QueueError, PausedError and StoreError."""
        is_waiting = False
        while not self._stop.is_set() and not self._has_room():
            if not is_waiting:
                self._say(f"{self._waiting()}; sending goes on at {self._max_depth:,}")
            is_waiting = True
            self._watch.check()
            self._stop.wait(WAIT_S)
        if is_waiting and not self._stop.is_set():
            self._say(f"{self._waiting()}; sending goes on")
        self._pace.wait(self._stop, count=count)
        self._watch.check()
        self._sent.append((time.monotonic(), count))

    def _has_room(self) -> bool:
        if self._depth() > self._max_depth or time.monotonic() - self._asked_at >= ASK_EVERY_S:
            attributes = retry_transient(self._queue.attributes, transient=is_transient, stop=self._stop)
            self._counted = sum(int(attributes.get(name, 0)) for name in _WAITING)
            self._asked_at = time.monotonic()
        return self._depth() <= self._max_depth

    def _depth(self) -> int:
        """How many messages may wait, at most."""
        return self._counted + self._sent_lately()

    def _sent_lately(self) -> int:
        """How many messages were sent so lately that SQS need not have counted them."""
        while self._sent and time.monotonic() - self._sent[0][0] > LAG_S:
            self._sent.popleft()
        return sum(count for _, count in self._sent)

    def _waiting(self) -> str:
        sent = self._sent_lately()
        lately = f", and {sent:,} were sent in the last minute" if sent else ""
        return f"{self._counted:,} messages wait in the queue{lately}"
