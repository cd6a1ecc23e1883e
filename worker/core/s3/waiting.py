"""Counts what waits in the state bucket: for the index, for a budget, or for somebody's decision."""

import re
from dataclasses import dataclass
from itertools import islice, takewhile

from worker.core.s3.state import DEAD_LETTERS_PREFIX, HELD_PREFIX, PARKED_PREFIX, RETRY_PREFIX, State

MAX_COUNTED = 10_000
"""Limit up to which the records of one prefix are counted: ten pages of a listing."""
MAX_LEVEL = 1_000
"""The same where they are counted again and again, for alarms: one page, so that it always costs the same."""
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}(?=/)")


@dataclass(frozen=True, slots=True)
class Tally:
    """The number of records under a prefix."""

    count: int
    """MAX_COUNTED means that many or more."""
    since: str = ""
    """The earliest day (YYYY-MM-DD, UTC) in the names of those that were counted; empty if no name has one."""

    @property
    def text(self) -> str:
        """The number, for people."""
        return f"{self.count:,} or more" if self.count >= MAX_COUNTED else f"{self.count:,}"

    def as_json(self) -> dict[str, object]:
        """The number, whether there may be more, and the day."""
        return {"count": self.count, "or_more": self.count >= MAX_COUNTED, "since": self.since or None}


def tally(state: State, prefix: str, *, at_most: int = MAX_COUNTED) -> Tally:
    """Count the records under a prefix, `at_most` at most. Raises StoreError."""
    count, days = 0, set[str]()
    for key in islice(state.keys(prefix), at_most):
        count += 1
        if (day := _DAY.match(key, len(prefix))) is not None:
            days.add(day[0])
    return Tally(count, min(days, default=""))


def tally_retry_index(state: State) -> dict[str, Tally]:
    """What waits for the index, what is parked, and what is held for a budget, by prefix. Raises StoreError.

    A listing of `retry-index/` shows all three, so that of the first goes on for as many records as the others have.
    """
    parked, held = tally(state, PARKED_PREFIX), tally(state, HELD_PREFIX)
    others = parked.count + held.count
    every = tally(state, RETRY_PREFIX, at_most=MAX_COUNTED + others)
    return {RETRY_PREFIX: Tally(every.count - others, every.since), PARKED_PREFIX: parked, HELD_PREFIX: held}


def levels(state: State) -> dict[str, int]:
    """What waits for the index, what is parked, and the stored dead letters, by prefix: one page each. Raises StoreError.

    MAX_LEVEL means that many or more.
    """
    # in a listing, days come before `held/` and `parked/`
    waiting = takewhile(lambda key: key < HELD_PREFIX, state.keys(RETRY_PREFIX))
    return {
        RETRY_PREFIX: sum(1 for _ in islice(waiting, MAX_LEVEL)),
        **{prefix: state.count(prefix, at_most=MAX_LEVEL) for prefix in (PARKED_PREFIX, DEAD_LETTERS_PREFIX)},
    }
