"""What `/api/v1/overview` answers: the verdict, and the facts behind it."""

from typing import Any, Self

from pydantic import BaseModel, Field

from recovery.manager.figures import Figures
from recovery.manager.system_facts import Facts, Waiting
from recovery.manager.thresholds import RUNBOOK, Exceeded, Severity, exceeded
from recovery.manager.verdict import Do, Level, Part, Says, Step, verdict
from recovery.manager.verdict_words import part_in_words, sentence, step_in_words
from recovery.manager.watched import Fact
from recovery.manager.web.fleet import Pause
from recovery.manager.web.moments import Moment, known, moment
from worker.core.base.jsontypes import JsonObject
from worker.core.s3.waiting import MAX_COUNTED, Tally
from worker.core.s3.workers import WorkerRecord

_AT = "2026-11-01T09:30:00.000Z"
_LEVELS = {Level.OK: "ok", Level.NOTICE: "notice", Level.PROBLEM: "problem"}


class Known(BaseModel):
    """Whether a fact is known, and since when."""

    read_at: Moment | None = Field(description="When it was read last; null: never.", examples=[_AT])
    unknown_since: Moment | None = Field(description="Null if it is known now.", examples=[None])
    why: str = Field(description="Why it is not known; empty if it is.", examples=[""])

    @classmethod
    def of(cls, fact: Fact[Any]) -> Self:
        """What is known of a fact."""
        return cls(read_at=moment(fact.at_ms), unknown_since=moment(fact.unknown_since_ms), why=fact.why)


class VerdictPart(BaseModel):
    """One thing that is known, or is not."""

    says: Says
    level: str = Field(description="ok, notice or problem.", examples=["ok"])
    values: dict[str, str | int | float] = Field(
        description="By name; `…_ms` is a time in ms since the epoch, `…_s` a duration in seconds.",
        examples=[{"count": 3}],
    )
    text: str = Field(examples=["3 causes"])

    @classmethod
    def of(cls, part: Part) -> Self:
        """A part, also in words."""
        text = part_in_words(part)
        return cls(says=part.says, level=_LEVELS[part.level], values=dict(part.values), text=text)


class VerdictStep(BaseModel):
    """One thing to do."""

    do: Do
    values: dict[str, str | int | float] = Field(examples=[{"group": "5b1f2c7d90aa", "count": 400}])
    text: str = Field(examples=["Look at the largest cause: ReadTimeoutError, 400 messages."])
    runbook: str | None = Field(description="The section that says how; null if there is none.", examples=[None])

    @classmethod
    def of(cls, step: Step) -> Self:
        """A step, also in words."""
        text = step_in_words(step)
        return cls(do=step.do, values=dict(step.values), text=text, runbook=_runbook(step.section))


class Verdict(BaseModel):
    """Is anything wrong, and what do I do?"""

    level: str = Field(description="That of its worst part: ok, notice or problem.", examples=["notice"])
    text: str = Field(examples=["3 causes, 412 messages; index reachable; fleet serving (2 workers)"])
    parts: list[VerdictPart]
    steps: list[VerdictStep] = Field(description="What to do, the most urgent first.")


class Ages(BaseModel):
    """How long the waiting dead letters have waited, in seconds."""

    median_s: float | None = Field(
        description="Null, as are the next one and the arrivals of the last hour, while they are still counted.",
        examples=[3_600.0],
    )
    p99_s: float | None = Field(examples=[86_400.0])
    oldest_s: float | None = Field(description="Since SQS received the oldest.", examples=[90_000.0])
    soonest_expiry_s: float | None = Field(
        description="Until SQS drops the first of those that could not be taken in; null: none waits there, none expires.",
        examples=[None],
    )


class Worker(BaseModel):
    """One worker, by its own record."""

    name: str = Field(examples=["host-1:4711"])
    state: str = Field(description="serving, paused, resting, braked, draining, stopped.", examples=["serving"])
    since: Moment | None = Field(examples=[_AT])
    age_s: float = Field(description="How old the record is.", examples=[12.0])
    alive: bool = Field(description="Whether the record is fresh.", examples=[True])
    host: str = Field(examples=["host-1"])
    version: str = Field(examples=["0.1.0"])
    in_flight: int = Field(examples=[3])
    held_back: dict[str, str] = Field(description="Why it receives nothing.", examples=[{}])
    breakers: dict[str, str] = Field(description="What it cannot reach, and why.", examples=[{}])
    failing_calls: list[str] = Field(examples=[[]])
    problem: str = Field(description="Why its record cannot be read.", examples=[""])

    @classmethod
    def of(cls, one: WorkerRecord) -> Self:
        """What its record says."""
        return cls(
            name=one.name, state=one.doing, since=moment(one.since_ms), age_s=one.age_ms / 1000, alive=one.is_alive,
            host=one.host, version=one.version, in_flight=one.in_flight, held_back=dict(one.held_back),
            breakers=dict(one.breakers), failing_calls=list(one.failing_calls), problem=one.problem,
        )  # fmt: skip


class Workers(Known):
    """The fleet."""

    items: list[Worker]


class Records(BaseModel):
    """How many records there are under a prefix."""

    prefix: str = Field(examples=["retry-index/"])
    count: int = Field(description=f"{MAX_COUNTED:,} means that many or more.", examples=[0])
    since: str | None = Field(description="The earliest day in their names.", examples=[None])

    @classmethod
    def of(cls, prefix: str, tally: Tally) -> Self:
        """A tally."""
        return cls(prefix=prefix, count=tally.count, since=tally.since or None)


class RetryIndex(Known):
    """What waits for the index, what is parked, and what is held for a budget."""

    items: list[Records]


class PauseFact(Known):
    """Whether the fleet is paused, by whom and why."""

    pause: Pause | None = Field(description="Null if it is not known.")

    @classmethod
    def from_fact(cls, fact: Fact[JsonObject | None]) -> Self:
        """A pause, or that there is none."""
        return cls(**_known(fact), pause=Pause.of(fact.value) if fact.is_known else None)


class Alert(BaseModel):
    """A limit of an alert that is exceeded now."""

    alert: str = Field(examples=["DlqDepthHigh"])
    severity: Severity
    value: float = Field(examples=[412])
    limit: float = Field(examples=[100])
    unit: str = Field(description="count, seconds or number.", examples=["count"])
    runbook: str = Field(examples=["docs/runbook.md#dlq-depth"])

    @classmethod
    def of(cls, one: Exceeded) -> Self:
        """What is exceeded."""
        limit = one.threshold
        return cls(
            alert=limit.alert, severity=limit.severity, value=one.value, limit=limit.limit, unit=limit.unit.value,
            runbook=_runbook(limit.section) or "",
        )  # fmt: skip


class DeadLetters(Known):
    """The dead letters. All but the first three fields are null or empty if they were never read."""

    depth: int | None = Field(
        description="Those that wait and those that are still in SQS; null if SQS did not answer.", examples=[412]
    )
    waiting: int | None = Field(description="Open and scheduled.", examples=[412])
    in_sqs: int | None = Field(description="Null if SQS did not answer.", examples=[0])
    causes: int | None = Field(description="Groups of those that wait.", examples=[3])
    arrivals_last_hour: int | None = Field(examples=[2])
    ages: Ages | None
    hourly: list[int] = Field(description="Arrivals in each hour of two weeks.", examples=[[0, 1]])
    depths: list[int | None] = Field(
        description="How many waited at the end of each of these hours; null where no manager noted it.",
        examples=[[None, 1]],
    )
    operations: list[str] = Field(description="Ids of the operations under way.", examples=[[]])

    @classmethod
    def from_facts(cls, facts: Facts) -> Self:
        """What the ledger and the DLQ say, or said last."""
        fact, figures = facts.waiting, facts.figures.value
        base, found = _known(fact), fact.value
        if found is None:
            return cls(
                **base, depth=None, waiting=None, in_sqs=None, causes=None, arrivals_last_hour=None, ages=None, hourly=[],
                depths=[], operations=[],
            )  # fmt: skip
        return cls(
            **base, depth=None if found.dlq.depth is None else found.depth, waiting=found.stats.waiting,
            in_sqs=found.dlq.depth, causes=found.stats.groups,
            arrivals_last_hour=None if figures is None else figures.arrivals_last_hour,
            ages=_ages(found, figures, facts.at_ms), hourly=list(found.stats.hourly),
            depths=found.depths_until(fact.at_ms), operations=[one.id for one in found.operations],
        )  # fmt: skip


class Overview(BaseModel):
    """Everything that is known of the system at one moment."""

    as_of: Moment = Field(examples=[_AT])
    verdict: Verdict
    dead_letters: DeadLetters
    workers: Workers
    retry_index: RetryIndex
    fleet: PauseFact
    alerts: list[Alert] = Field(description="Limits of alerts that are exceeded now, the gravest first.")

    @classmethod
    def of(cls, facts: Facts) -> Self:
        """The facts, and what follows from them."""
        tallies = facts.retry_index.value or {}
        return cls(
            as_of=known(facts.at_ms), verdict=_verdict(facts),
            dead_letters=DeadLetters.from_facts(facts),
            workers=Workers(**_known(facts.workers), items=[Worker.of(one) for one in facts.workers.value or ()]),
            retry_index=RetryIndex(
                **_known(facts.retry_index), items=[Records.of(prefix, one) for prefix, one in tallies.items()]
            ),
            fleet=PauseFact.from_fact(facts.pause), alerts=[Alert.of(one) for one in exceeded(facts)],
        )  # fmt: skip


def _verdict(facts: Facts) -> Verdict:
    found = verdict(facts)
    return Verdict(
        level=_LEVELS[found.level], text=sentence(found.parts),
        parts=[VerdictPart.of(one) for one in found.parts], steps=[VerdictStep.of(one) for one in found.steps],
    )  # fmt: skip


def _ages(found: Waiting, figures: Figures | None, at_ms: int) -> Ages:
    quantiles, oldest_ms = {} if figures is None else figures.ages.quantiles, found.stats.oldest_sent_ms
    return Ages(
        median_s=quantiles.get(0.5), p99_s=quantiles.get(0.99), soonest_expiry_s=found.soonest_expiry_s,
        oldest_s=None if oldest_ms is None else max(0.0, (at_ms - oldest_ms) / 1000),
    )  # fmt: skip


def _known(fact: Fact[Any]) -> dict[str, Any]:
    return Known.of(fact).model_dump()


def _runbook(section: str) -> str | None:
    return f"{RUNBOOK}#{section}" if section else None
