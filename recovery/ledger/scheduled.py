"""What is scheduled: how much will be sent again by itself, and when."""

from dataclasses import dataclass

from sqlalchemy import Connection, text

from recovery.ledger.intake import HOUR_MS
from recovery.ledger.rows import State
from recovery.ledger.search import state_is

HOURS = 24

_MINE = f"dead_letters d WHERE {state_is(State.SCHEDULED)} AND d.retry_at_ms IS NOT NULL"
# Few are held: their own index is to be used, which is not that of schedules.
_HELD = (
    f"dead_letters d WHERE d.hold IS NOT NULL AND d.state || '' = '{State.SCHEDULED}' AND d.retry_at_ms + 0 IS NOT NULL"
)


@dataclass(frozen=True, slots=True)
class Scheduled:
    """How many dead letters are scheduled, by when. Those that are held are counted apart: they are not sent."""

    now_ms: int
    due: int
    """Their time has come."""
    hours: tuple[int, ...]
    """Within each of the next HOURS hours, counted from now."""
    later: int
    held: int
    next_ms: int | None
    """The earliest time that is to come; None if there is none."""

    @property
    def total(self) -> int:
        """All but the held ones."""
        return self.due + sum(self.hours) + self.later


def scheduled(connection: Connection, now_ms: int) -> Scheduled:
    """The schedule as of this time."""
    every = _by_hour(connection, _MINE, now_ms)
    held = _by_hour(connection, _HELD, now_ms)
    counts = {at: count - held.get(at, 0) for at, count in every.items()}
    following = f"SELECT d.retry_at_ms FROM {_MINE} AND d.retry_at_ms > :now_ms AND d.hold IS NULL ORDER BY d.retry_at_ms LIMIT 1"  # noqa: S608
    return Scheduled(
        now_ms=now_ms,
        due=counts.get(-1, 0),
        hours=tuple(counts.get(at, 0) for at in range(HOURS)),
        later=sum(count for at, count in counts.items() if at >= HOURS),
        held=sum(held.values()),
        next_ms=connection.execute(text(following), {"now_ms": now_ms}).scalar_one_or_none(),
    )


def _by_hour(connection: Connection, which: str, now_ms: int) -> dict[int, int]:
    """How many there are by the hours until their time; -1 where it has come."""
    hour = f"CASE WHEN d.retry_at_ms <= :now_ms THEN -1 ELSE (d.retry_at_ms - :now_ms - 1) / {HOUR_MS} END"
    query = text(f"SELECT {hour} AS hour, count(*) FROM {which} GROUP BY 1")  # noqa: S608 (of fixed parts)
    return {int(at): int(count) for at, count in connection.execute(query, {"now_ms": now_ms})}
