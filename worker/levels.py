"""Counts, every few minutes, what waits in the state bucket: for alarms that must notice a single record also without traffic."""

import math
import threading
from contextlib import suppress

from worker.core.base.errors import StoreError
from worker.core.s3.state import DEAD_LETTERS_PREFIX, PARKED_PREFIX, RETRY_PREFIX, State
from worker.core.s3.waiting import levels

INTERVAL_S = 300.0
"""How often each worker counts: three listings of one page, about 26,000 a month."""
FIGURES = {
    RETRY_PREFIX: "RetryRecords",
    PARKED_PREFIX: "ParkedRecords",
    DEAD_LETTERS_PREFIX: "StoredDeadLetters",
}
"""The name in CloudWatch of each count."""


class Levels:
    """What was counted last. While the state bucket does not answer, it stays: that outage has alarms of its own."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._counts: dict[str, int] = {}

    def count(self) -> None:
        """Count now."""
        with suppress(StoreError):
            self._counts = levels(self._state)

    def of(self, prefix: str) -> float:
        """The number of records under a prefix; NaN, about which no alert says anything, before they were counted."""
        return self._counts.get(prefix, math.nan)

    def figures(self) -> dict[str, float]:
        """The counts for CloudWatch; none before they were counted."""
        return {FIGURES[prefix]: float(count) for prefix, count in self._counts.items()}

    def watch(self, stop: threading.Event) -> None:
        """Count until `stop` is set, on a thread of its own."""

        def watch() -> None:
            self.count()
            while not stop.wait(INTERVAL_S):
                self.count()

        threading.Thread(target=watch, name="levels", daemon=True).start()
