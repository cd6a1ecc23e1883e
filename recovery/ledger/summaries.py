"""Summaries that need the rows themselves: how old waiting dead letters are, and which correlation ids fail again and again."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, text

from recovery.ledger.intake import HOUR_MS
from recovery.ledger.rows import WAITING, State
from recovery.ledger.search import state_is

REPEATING = 5
"""A correlation id fails again and again once its dead letters have come so often, all together."""
_SENT = " UNION ALL ".join(
    f"SELECT d.sent_ms AS at FROM dead_letters d WHERE {state_is(state)} AND d.sent_ms > 0"  # noqa: S608 (of fixed parts)
    for state in WAITING
)
"""Those whose age is known: of others, SQS said nothing, and they have 0."""


@dataclass(frozen=True, slots=True)
class AgeSummary:
    """How old the waiting dead letters are, in seconds since they were last sent to the DLQ."""

    count: int = 0
    sum_s: float = 0.0
    quantiles: Mapping[float, float] = field(default_factory=dict)
    """Age by quantile; empty if nothing waits."""


@dataclass(frozen=True, slots=True)
class Backlog:
    """The dead letters that wait, or have just come."""

    ages: AgeSummary
    oldest_unhandled_ms: int | None
    """When the first open one was sent that has no owner and is not held; None if there is none."""
    seen_last_hour: int
    """How many have arrived, the last time, in the last 60 minutes: whatever has become of them."""
    repeating_correlations: int
    """The number of correlation ids whose dead letters have come REPEATING times or more, together."""


def backlog(connection: Connection, now_ms: int, quantiles: Sequence[float]) -> Backlog:
    """Everything of it."""
    return Backlog(
        _ages(connection, now_ms, quantiles),
        _oldest_unhandled_ms(connection),
        _seen_since(connection, now_ms - HOUR_MS),
        _repeating_correlations(connection),
    )


def _ages(connection: Connection, now_ms: int, quantiles: Sequence[float]) -> AgeSummary:
    """Of all waiting dead letters. A quantile is the smallest age that so many of them do not exceed."""
    count, total = connection.execute(text(f"SELECT count(*), coalesce(sum(at), 0) FROM ({_SENT}) sent")).one()  # noqa: S608
    if not count:
        return AgeSummary()
    found = {}
    for quantile in quantiles:
        younger = math.ceil(quantile * count)
        query = text(f"SELECT at FROM ({_SENT}) sent ORDER BY at LIMIT 1 OFFSET :older")  # noqa: S608
        at_ms = connection.execute(query, {"older": count - younger}).scalar_one()
        found[quantile] = max(0.0, (now_ms - at_ms) / 1000)
    return AgeSummary(count, max(0.0, (now_ms * count - int(total)) / 1000), found)


def _oldest_unhandled_ms(connection: Connection) -> int | None:
    query = (
        f"SELECT d.sent_ms FROM dead_letters d WHERE {state_is(State.OPEN)} AND d.sent_ms > 0 "  # noqa: S608
        "AND d.owner IS NULL AND d.hold IS NULL ORDER BY d.sent_ms LIMIT 1"
    )
    return connection.execute(text(query)).scalar_one_or_none()


def _seen_since(connection: Connection, at_ms: int) -> int:
    counts = (
        connection.execute(
            text(f"SELECT count(*) FROM dead_letters d WHERE {state_is(state)} AND d.last_seen_ms >= :at_ms"),  # noqa: S608
            {"at_ms": at_ms},
        ).scalar_one()
        for state in State
    )
    return sum(map(int, counts))


def _repeating_correlations(connection: Connection) -> int:
    query = text(
        "SELECT count(*) FROM (SELECT 1 FROM dead_letters WHERE correlation_id <> '' "
        "GROUP BY correlation_id HAVING sum(attempts) >= :repeating) again"
    )
    return int(connection.execute(query, {"repeating": REPEATING}).scalar_one())
