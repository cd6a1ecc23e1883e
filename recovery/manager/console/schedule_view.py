"""What the screen Schedule says, gathered: what will be sent again by itself, when and why, and what keeps it from being sent."""

from collections.abc import Sequence
from dataclasses import dataclass

from recovery.ledger.intake import HOUR_MS
from recovery.ledger.pages import Sort
from recovery.ledger.rows import Row, State
from recovery.ledger.selection import Selection
from recovery.manager.console.charts import Chart, bars
from recovery.manager.console.matching import Matching, matching
from recovery.manager.schedule import RetryRules
from recovery.manager.schedule_facts import ScheduleFacts
from recovery.manager.web.schedule import facts_of
from recovery.manager.web.service import Service

PAGE = 50


@dataclass(frozen=True, slots=True)
class Coming:
    """One dead letter that is scheduled."""

    row: Row
    number: int
    """Which retry it will be."""
    of: int | None
    """How many the rules allow; None where somebody has chosen the time, because that is not limited."""
    is_due: bool


@dataclass(frozen=True, slots=True)
class Hour:
    """One hour of the table behind the chart."""

    from_ms: int
    count: int


@dataclass(frozen=True, slots=True)
class ScheduleView:
    """The screen."""

    facts: ScheduleFacts
    chart: Chart
    hours: tuple[Hour, ...]
    items: tuple[Coming, ...]
    all: Matching
    selection: Selection
    query: str
    """What the reader has typed."""
    next: str | None
    """The cursor of the next page."""


def whole(query: str) -> str:
    """A query of this screen as it is to be asked anywhere else: of what is scheduled alone."""
    return f"{query} state:{State.SCHEDULED}".strip()


def schedule_view(service: Service, query: str, selection: Selection, *, after: str | None = None) -> ScheduleView:
    """The screen for those that a query selects. Raises AskedWronglyError for a cursor, and LedgerError."""
    everything = matching(service, whole(query), selection)
    page = service.ledger.page(selection, sort=Sort.RETRY_AT, descending=False, after=after, limit=PAGE)
    facts = facts_of(service)
    now_ms, rules = facts.scheduled.now_ms, facts.rules
    hours = tuple(Hour(now_ms + place * HOUR_MS, count) for place, count in enumerate(facts.scheduled.hours))
    return ScheduleView(
        facts, bars(facts.scheduled.hours), hours, tuple(coming(page.rows, rules, now_ms)),
        everything, selection, query, page.next,
    )  # fmt: skip


def coming(rows: Sequence[Row], rules: RetryRules, now_ms: int) -> list[Coming]:
    """What will become of these, in their order."""
    return [
        Coming(
            row, row.retries + 1, None if row.retry_by else max(rules.times_of(row.fingerprint), row.retries + 1),
            (row.retry_at_ms or 0) <= now_ms,
        )
        for row in rows
    ]  # fmt: skip
