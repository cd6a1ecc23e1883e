"""When to look again at what was sent, and what to say of it once its time is over. Pure functions."""

import math

from recovery.ledger.rows import Outcome
from worker.core.sqs.stored_dead_letter import Sending

FIRST_CHECK_MS = 5_000
GROWTH = 1.3
"""Each look is taken at an age that is so many times that of the one before, and after an hour at most."""
LONGEST_MS = 3_600_000
SETTLED_MS = 60_000
"""SQS's counts may lag by a minute (SQS API reference, GetQueueAttributes): an earlier zero may not count what was sent."""
_LAST_GROWN = int(math.log(LONGEST_MS / (GROWTH - 1) / FIRST_CHECK_MS, GROWTH))
_LAST_GROWN_MS = FIRST_CHECK_MS * GROWTH**_LAST_GROWN


def is_check_due(sent_ms: int, *, last_ms: int, now_ms: int) -> bool:
    """Whether a sending is to be looked at now, if everything was looked at whose time had come at `last_ms`."""
    return _checks(now_ms - sent_ms) > _checks(last_ms - sent_ms)


def _checks(age_ms: int) -> int:
    """How many looks are due by this age."""
    if age_ms < FIRST_CHECK_MS:
        return 0
    if age_ms < _LAST_GROWN_MS:
        return 1 + int(math.log(age_ms / FIRST_CHECK_MS, GROWTH))
    return 1 + _LAST_GROWN + int((age_ms - _LAST_GROWN_MS) // LONGEST_MS)


def outcome_of(sent: Sending, *, now_ms: int, empty_ms: int | None) -> Outcome | None:
    """What to say of a sending that is not confirmed; None: it is too early to say anything.

    `empty_ms`: when its queue was last seen without any message, if what cannot be confirmed may count as not returned.
    """
    patience_ms = (sent.unconfirmed_ms - sent.at_ms) // 2
    if empty_ms is not None and empty_ms - sent.at_ms >= SETTLED_MS and now_ms - sent.at_ms >= patience_ms:
        return Outcome.NOT_RETURNED
    return Outcome.UNCONFIRMED if now_ms >= sent.unconfirmed_ms else None
