"""What `/api/v1/groups` and `/api/v1/stats` answer."""

from typing import Self

from pydantic import BaseModel, Field

from recovery.ledger.group_counters import Redrive
from recovery.ledger.group_facts import Annotation as LedgerAnnotation
from recovery.ledger.group_facts import Facts
from recovery.ledger.groups import Group as LedgerGroup
from recovery.ledger.statistics import Stats as LedgerStats
from recovery.ledger.suggestions import Suggestion as LedgerSuggestion
from recovery.manager.web.moments import Moment, known, moment
from recovery.manager.web.parameters import EXAMPLE_ID
from recovery.manager.web.plan_models import EXAMPLE_OPERATION
from recovery.manager.web.suggested import Suggestion
from worker.core.base.classify import FailureKind

MAX_NAMES = 1_000
"""Names in one table of the statistics, the most frequent; anyone can send error types of their own."""
_AT = "2026-11-01T09:30:00.000Z"


class Annotation(BaseModel):
    """What people say of dead letters of a group, in the states that were asked for."""

    count: int = Field(description="Of how many dead letters something is said.", examples=[1])
    different: int = Field(description="How many different texts that are.", examples=[1])
    text: str = Field(description="The most frequent; of a long one, the first 500 characters.", examples=["ana"])

    @classmethod
    def of(cls, one: LedgerAnnotation | None) -> Self | None:
        """What the ledger says; None if nobody says anything."""
        return None if one is None else cls(count=one.count, different=one.different, text=one.text)


class LastRedrive(BaseModel):
    """The last time that people sent dead letters of a group again: an operation, or a command."""

    run: str = Field(description="Its name in records and in the audit.", examples=[f"operation-{EXAMPLE_OPERATION}"])
    by: str = Field(examples=["api@host"])
    began_at: Moment | None = Field(examples=[_AT])
    last_sent_at: Moment | None = Field(examples=[_AT])
    sent: int = Field(examples=[412])
    returned: int = Field(description="Of those that it sent, how many times one came back.", examples=[15])
    arrived: int = Field(description="In the group since it began, new ones and returned ones.", examples=[18])

    @classmethod
    def of(cls, one: Redrive | None) -> Self | None:
        """What the ledger says; None if there was none."""
        if one is None:
            return None
        return cls(
            run=one.run, by=one.by, began_at=moment(one.began_ms), last_sent_at=moment(one.sent_ms), sent=one.sent,
            returned=one.returned, arrived=one.arrived,
        )  # fmt: skip


class Group(BaseModel):
    """Dead letters of one cause."""

    fingerprint: str = Field(description="For the filter `group`.", examples=["5b1f2c7d90aa"])
    error_type: str = Field(examples=["ReadTimeoutError"])
    kind: FailureKind
    count: int = Field(examples=[1])
    first_seen_at: Moment | None = Field(examples=[_AT])
    last_seen_at: Moment | None = Field(examples=[_AT])
    message: str = Field(description="What one of them says.", examples=["no answer in 30 s"])
    samples: list[str] = Field(description="Identities of some of them.", examples=[[EXAMPLE_ID]])
    trend: list[int] = Field(
        description="Arrivals of the whole group in each quarter of a day (UTC) of two weeks; the last is the present one.",
        examples=[[0, 1]],
    )
    redrive: LastRedrive | None = Field(description="The last one; null if people sent none again in 30 days.")
    owner: Annotation | None = Field(description="Who owns dead letters of the group; null if nobody does.")
    hold: Annotation | None = Field(description="Why dead letters of the group are held; null if none is.")
    note: Annotation | None = Field(description="What is noted on them; null if nothing is.")
    bucket: Annotation | None = Field(description="Where their objects are; null if they are about none.")
    suggestion: Suggestion | None = Field(description="What to do, learned from earlier ones; null if little is known.")

    @classmethod
    def of(cls, group: LedgerGroup, facts: Facts, suggestion: LedgerSuggestion | None = None) -> Self:
        """What the ledger says."""
        return cls(
            fingerprint=group.fingerprint, error_type=group.error_type, kind=group.kind, count=group.count,
            first_seen_at=moment(group.first_seen_ms), last_seen_at=moment(group.last_seen_ms), message=group.message,
            samples=list(group.samples), trend=list(facts.trend), redrive=LastRedrive.of(facts.redrive),
            owner=Annotation.of(facts.owner), hold=Annotation.of(facts.hold), note=Annotation.of(facts.note),
            bucket=Annotation.of(facts.bucket),
            suggestion=Suggestion.of(suggestion),
        )  # fmt: skip


class Groups(BaseModel):
    """The largest groups."""

    items: list[Group]


class Stats(BaseModel):
    """How many dead letters there are. All but `by_state` is about those that wait: open and scheduled."""

    as_of: Moment = Field(examples=[_AT])
    depth: int = Field(description="Those that wait and those that are still in SQS.", examples=[3])
    waiting: int = Field(description="Open and scheduled.", examples=[1])
    in_sqs: int | None = Field(description="Not taken in yet; null if that is not known.", examples=[2])
    by_state: dict[str, int] = Field(examples=[{"open": 1, "recovered": 40}])
    by_kind: dict[str, int] = Field(examples=[{"RECOVERABLE": 1}])
    by_error_type: dict[str, int] = Field(
        description=f"The most frequent, at most {MAX_NAMES:,}; so of services and queues.",
        examples=[{"ReadTimeoutError": 1}],
    )
    by_service: dict[str, int] = Field(examples=[{"s3-index-worker": 1}])
    by_queue: dict[str, int] = Field(examples=[{"https://sqs.eu-west-1.amazonaws.com/1/documents": 1}])
    oldest_at: Moment | None = Field(description="When SQS received the oldest.", examples=[_AT])
    newest_at: Moment | None = Field(examples=[_AT])
    last_24_h: int = Field(description="Arrivals in this hour and the 23 before, returns included.", examples=[1])
    hourly: list[int] = Field(
        description="Arrivals in each hour of two weeks; the last is the present one.", examples=[[0, 1]]
    )
    average_retries: float = Field(
        description="How often each was sent again, by operators or its schedule.", examples=[0.5]
    )
    attempts: int = Field(
        description="Total arrivals of those that wait; the next three are totals, too.", examples=[1]
    )
    redrives: int = Field(examples=[0])
    retries: int = Field(examples=[0])
    size_bytes: int = Field(examples=[900])

    @classmethod
    def of(cls, stats: LedgerStats, *, in_sqs: int | None, now_ms: int) -> Self:
        """What the ledger says, and how many messages it does not know yet."""
        return cls(
            as_of=known(now_ms), depth=stats.waiting + (in_sqs or 0), waiting=stats.waiting, in_sqs=in_sqs,
            by_state={state.value: count for state, count in stats.by_state.items()},
            by_kind=stats.by_kind, by_error_type=most_frequent(stats.by_error_type),
            by_service=most_frequent(stats.by_service), by_queue=most_frequent(stats.by_queue),
            oldest_at=moment(stats.oldest_sent_ms), newest_at=moment(stats.newest_sent_ms),
            last_24_h=stats.last_24_h, hourly=list(stats.hourly), average_retries=stats.average_retries,
            attempts=stats.totals.attempts, redrives=stats.totals.redrives, retries=stats.totals.retries,
            size_bytes=stats.totals.size_bytes,
        )  # fmt: skip


def most_frequent(counts: dict[str, int]) -> dict[str, int]:
    """The MAX_NAMES largest of them."""
    return dict(sorted(counts.items(), key=lambda one: (-one[1], one[0]))[:MAX_NAMES])
