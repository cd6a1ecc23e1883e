"""What became of the dead letters of each group, by the quarter of a day: redriven, returned, archived, abandoned.

The counters change in the same transaction as the rows, so that suggestions read a few hundred of them and no rows. A return
is counted in the period of the sending that it answers: of those that were redriven then, so many came back. Measured with 60
groups that fail all the time: periods of an hour took 160 ms to be read on SQLite, where 100 ms are allowed.
"""

import re
import time
from collections.abc import Sequence

from sqlalchemy import Connection, text

from recovery.ledger.bulk import insert_many
from recovery.ledger.codec import storable
from recovery.ledger.rows import WAITING, Row, State
from recovery.ledger.schema import OUTCOMES, outcomes

PERIOD_MS = 6 * 3_600_000
KEPT_DAYS = 30
"""How far back suggestions look."""
MAX_WORDS = 20
_PLACE = re.compile(r"\S*[/\\]\S*")
"""An address or a path: it tells which object it was, not what was wrong."""
_WORD = re.compile(r"[^\W\d_]{2,}")
_ADD = ", ".join(f"{name} = outcomes.{name} + excluded.{name}" for name in OUTCOMES)
_SUFFIX = f"ON CONFLICT (period, fingerprint, error_type) DO UPDATE SET {_ADD}"
_COLUMNS = ("period", "fingerprint", "error_type", "words", *OUTCOMES)
_REDRIVEN, _RETURNED, _ARCHIVED, _ABANDONED = range(len(OUTCOMES))
_ENDS = {State.ARCHIVED: _ARCHIVED, State.ABANDONED: _ABANDONED}
HAS_LEFT = (State.SENT, State.RECOVERED)


def words_of(message: str) -> list[str]:
    """The words of an error message, in small letters and in order, without numbers, paths and addresses."""
    return sorted(set(_WORD.findall(_PLACE.sub(" ", message).lower())))[:MAX_WORDS]


def count(
    connection: Connection, changes: Sequence[tuple[Row, Row]], *, now_ms: int, have_returned: bool = False
) -> None:
    """Count what these changes (before, after) mean; `have_returned`: they are arrivals of known dead letters."""
    found: dict[tuple[int, str, str], tuple[str, list[int]]] = {}
    for before, after in changes:
        for place, at_ms in _meant(before, after, now_ms, have_returned=have_returned):
            name = (at_ms // PERIOD_MS, storable(before.fingerprint), storable(before.error_type))
            words = storable(" ".join(words_of(before.message)))
            found.setdefault(name, (words, [0] * len(OUTCOMES)))[1][place] += 1
    rows = ((*name, words, *counts) for name, (words, counts) in sorted(found.items()))
    insert_many(connection, outcomes, _COLUMNS, rows, suffix=_SUFFIX)


def _meant(before: Row, after: Row, now_ms: int, *, have_returned: bool) -> list[tuple[int, int]]:
    """What is counted, and at which time."""
    if have_returned:
        was_sent = before.state in HAS_LEFT and before.sent_at_ms is not None
        return [(_RETURNED, before.sent_at_ms or 0)] if was_sent else []
    meant = []
    if after.sent_at_ms is not None and after.sent_at_ms != before.sent_at_ms:
        meant.append((_REDRIVEN, after.sent_at_ms))
        if after.state in WAITING:  # a command sent it, and it was back before the ledger heard of that
            meant.append((_RETURNED, after.sent_at_ms))
    if after.state in _ENDS and before.state is not after.state:
        meant.append((_ENDS[after.state], now_ms))
    return meant


def forget(connection: Connection) -> None:
    """Delete what suggestions do not look at any more."""
    connection.execute(text("DELETE FROM outcomes WHERE period < :first"), {"first": first_period()})


def first_period() -> int:
    """The first period at which suggestions look."""
    return int((time.time() - KEPT_DAYS * 86_400) * 1000) // PERIOD_MS
