"""Counts, every few minutes, what waits in the state bucket: for alarms that must notice a single record also without traffic.

Three listings of one page each time are about 26,000 a month.
"""

import math

from worker.core.s3.state import DEAD_LETTERS_PREFIX, PARKED_PREFIX, RETRY_PREFIX, State
from worker.core.s3.waiting import levels

FIGURES = {
    RETRY_PREFIX: "RetryRecords",
    PARKED_PREFIX: "ParkedRecords",
    DEAD_LETTERS_PREFIX: "StoredDeadLetters",
}
"""The name in CloudWatch of each count."""


class Levels:
    """What was counted last."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._counts: dict[str, int] = {}

    def count(self) -> None:
        """Count now. Raises StoreError; the last counts stay then."""
        self._counts = levels(self._state)

    def of(self, prefix: str) -> float:
        """The number of records under a prefix; NaN, about which no alert says anything, before they were counted."""
        return self._counts.get(prefix, math.nan)

    def figures(self) -> dict[str, float]:
        """The counts for CloudWatch; none before they were counted."""
        return {FIGURES[prefix]: float(count) for prefix, count in self._counts.items()}
