"""`/api/v1/schedule`: what the manager will send again by itself, when, and what keeps it from doing so."""

from collections.abc import Mapping
from typing import Self

from fastapi import APIRouter
from pydantic import BaseModel, Field

from recovery.manager.schedule_facts import ScheduleFacts, schedule_facts
from recovery.manager.web.moments import Moment, known, moment
from recovery.manager.web.principal import Reader
from recovery.manager.web.problems import documented
from recovery.manager.web.service import Service, TheService
from recovery.manager.web.system_models import Known

router = APIRouter(tags=["overview"])
_AT = "2026-11-01T09:30:00.000Z"


class Obstacle(Known):
    """Whether something keeps the manager from sending what is due."""

    text: str | None = Field(
        description="What it waits for: workers, an open breaker, the end of a pause; null if nothing, or if it is not known.",
        examples=["the fleet is paused by ana@host: a new mapping"],
    )


class Rules(BaseModel):
    """When dead letters are scheduled, if nobody chooses a time: the settings RETRY_*."""

    first_s: float = Field(
        description="The first one waits this long at most, each further one twice as long.", examples=[300.0]
    )
    max_s: float = Field(description="The longest wait.", examples=[21_600.0])
    times: int = Field(description="How often one is sent.", examples=[8])
    groups: Mapping[str, int] = Field(
        description="Groups with numbers of their own, by what their fingerprint begins with.", examples=[{"5b1f2c": 0}]
    )
    rate: float = Field(description="Messages per second, at most.", examples=[10.0])


class Schedule(BaseModel):
    """What will be sent again by itself. What is held is not."""

    as_of: Moment = Field(examples=[_AT])
    total: int = Field(examples=[412])
    due: int = Field(description="Those whose time has come.", examples=[0])
    hours: list[int] = Field(description="How many follow in each of the next 24 hours.", examples=[[40] * 24])
    later: int = Field(description="How many follow after that.", examples=[3])
    held: int = Field(description="Scheduled, but held: not among the others.", examples=[2])
    next_at: Moment | None = Field(
        description="The earliest time that is to come; null if there is none.", examples=[_AT]
    )
    obstacle: Obstacle
    rules: Rules

    @classmethod
    def of(cls, facts: ScheduleFacts) -> Self:
        """What is known."""
        found, rules, obstacle = facts.scheduled, facts.rules, facts.obstacle
        return cls(
            as_of=known(found.now_ms), total=found.total, due=found.due, hours=list(found.hours), later=found.later,
            held=found.held, next_at=moment(found.next_ms),
            obstacle=Obstacle(**Known.of(obstacle).model_dump(), text=obstacle.now or None),
            rules=Rules(
                first_s=rules.first_s, max_s=rules.max_s, times=rules.times, groups=rules.groups, rate=facts.rate
            ),
        )  # fmt: skip


@router.get("/api/v1/schedule", responses=documented())
def get_schedule(_reader: Reader, service: TheService) -> Schedule:
    """What the manager will send again by itself: how much, when, what keeps it from doing so, and by which rules.

    Which dead letters these are: `/api/v1/messages?sort=retry_at&order=asc`.
    """
    return Schedule.of(facts_of(service))


def facts_of(service: Service) -> ScheduleFacts:
    """The schedule as of now. Raises LedgerError."""
    now_ms = service.verbs.world.clients.objects.clock.now_ms()
    return schedule_facts(service.ledger, service.facts, service.settings, now_ms=now_ms)
