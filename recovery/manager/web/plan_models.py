"""What is asked of, and answered by, plans and operations."""

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from recovery.ledger import operations as ledger_operations
from recovery.ledger import plans as ledger_plans
from recovery.ledger.operation_items import Result, Shown
from recovery.ledger.operations import OperationState
from recovery.ledger.refusals import Verb
from recovery.ledger.selection import MAX_QUERY_CHARS
from recovery.manager.acting.scheduling import MAX_AHEAD_S
from recovery.manager.web.message_models import Message
from recovery.manager.web.moments import Moment, known, moment
from recovery.manager.web.parameters import EXAMPLE_ID, WHOLE
from recovery.operations.dead_letters.desk import LINE, LINES, MAX_NOTE_CHARS, MAX_OWNER_CHARS, MAX_REASON_CHARS
from worker.core.base.address import queue_url

MAX_IDS = 10_000
MIN_RATE, MAX_RATE = 0.01, 10_000
"""Of messages a second; at a rate that is lower still, an operation would seem to be stuck."""
EXAMPLE_PLAN = "0d9e4c1b-6f0a-4f6e-9a35-2b7c6f7d1e01"
EXAMPLE_OPERATION = "7c1d2e3f-1a2b-4c3d-8e9f-0a1b2c3d4e5f"
"""Those of every example; the test that types them has such ones."""
_AT = "2026-11-01T09:30:00.000Z"


class Options(BaseModel):
    """How a verb is to act. What a verb does not know, it does not look at."""

    model_config = ConfigDict(extra="forbid")

    to: Annotated[
        str | None, Field(max_length=500, description="URL of the queue to send to, instead of SQS_QUEUE_URL.")
    ] = None
    rate: Annotated[
        float | None,
        Field(
            strict=True,
            ge=MIN_RATE,
            le=MAX_RATE,
            description="The maximum rate in messages per second, from the beginning; 0.01 is one in 100 s.",
        ),
    ] = None
    ramp: bool = Field(
        True,
        strict=True,
        description="Whether a redrive begins with one message a second, grows faster, and stops if over 10% come back.",
    )
    force: bool = Field(
        False,
        strict=True,
        description="Also those that were redriven too often, or have no room for their failure record.",
    )
    while_paused: bool = Field(False, strict=True, description="Also while the fleet is paused.")
    accept_gone: bool = Field(
        False, strict=True, description="For recover: go on though most of their objects are gone."
    )
    accept_skipped: bool = Field(
        False, strict=True, description="For recover: go on though most of them have nothing to index."
    )
    archive_system_errors: bool = Field(
        False,
        strict=True,
        description="For recover: also archive what failed through a fault of the system, and is kept otherwise.",
    )
    reason: Annotated[
        str | None,
        Field(
            max_length=MAX_REASON_CHARS, pattern=LINE, description="Why: for hold, which needs one, abandon and delete."
        ),
    ] = None
    note: Annotated[
        str | None, Field(max_length=MAX_NOTE_CHARS, pattern=LINES, description="For note; empty: none.")
    ] = None
    owner: Annotated[
        str | None, Field(max_length=MAX_OWNER_CHARS, pattern=LINE, description="For assign; empty: nobody.")
    ] = None
    in_s: Annotated[
        Annotated[int, Field(strict=True, ge=0, le=MAX_AHEAD_S), WHOLE] | None,
        Field(
            description="For schedule, which needs it: in how many seconds they are to be sent, up to 14 days, which is as long "
            "as SQS keeps a message. In a plan it is the moment, `at`, the same for all of them."
        ),
    ] = None

    @field_validator("to")
    @classmethod
    def _is_queue(cls, to: str | None) -> str | None:
        return None if to is None else queue_url(to)


class PlanRequest(BaseModel):
    """What is to be planned: a verb, and either a query or ids."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"verb": "redrive", "q": "kind:RECOVERABLE older:2h", "options": {"rate": 50}}]
        },
    )

    verb: Verb
    q: Annotated[
        str | None,
        Field(max_length=MAX_QUERY_CHARS, description="Which dead letters, as elsewhere; all that match now."),
    ] = None
    ids: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=128)]] | None, Field(min_length=1, max_length=MAX_IDS)
    ] = None
    options: Options = Field(default_factory=lambda: Options.model_validate({}))

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        if (self.q is None) == (self.ids is None):
            raise ValueError("with q or with ids, and not with both")
        if self.verb is Verb.HOLD and not (self.options.reason or "").strip():
            raise ValueError("with options.reason: whoever meets the hold will want to know why")
        if self.verb is Verb.SCHEDULE and self.options.in_s is None:
            raise ValueError("with options.in_s: in how many seconds they are to be sent")
        return self


class Plan(BaseModel):
    """A frozen set of dead letters, each in the version that it had at `as_of`."""

    id: str = Field(examples=[EXAMPLE_PLAN])
    verb: Verb
    options: Mapping[str, Any]
    q: str | None = Field(description="The query; null if ids were given.", examples=["kind:RECOVERABLE older:2h"])
    by: str = Field(examples=["api@host"])
    as_of: Moment = Field(examples=[_AT])
    expires_at: Moment = Field(description="Until then, an operation can be made of it.", examples=[_AT])
    count: int = Field(description="On how many dead letters the operation is going to act.", examples=[412])
    size_bytes: int = Field(description="Of these, as SQS counts them.", examples=[370_800])
    refused: Mapping[str, int] = Field(
        description="How many were asked for, but must not be acted upon, by reason.", examples=[{"held": 2}]
    )
    operation: str | None = Field(description="The operation that uses it; null if none does.", examples=[None])

    @classmethod
    def of(cls, plan: ledger_plans.Plan) -> Self:
        """What the ledger says."""
        return cls(
            id=plan.id, verb=plan.verb, options=plan.options, q=plan.query, by=plan.by, as_of=known(plan.created_ms),
            expires_at=known(plan.expires_ms), count=plan.count, size_bytes=plan.size_bytes, refused=plan.refused,
            operation=plan.operation,
        )  # fmt: skip


class PlanSample(BaseModel):
    """Some dead letters of a plan."""

    items: list[Message]


class OperationRequest(BaseModel):
    """Which plan is to be carried out."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"plan": EXAMPLE_PLAN}]})

    plan: str = Field(min_length=1, max_length=64, description="A plan's id; each can be used once.")


class Operation(BaseModel):
    """What is done with the dead letters of a plan, and how far it is."""

    id: str = Field(examples=[EXAMPLE_OPERATION])
    plan: str = Field(examples=[EXAMPLE_PLAN])
    verb: Verb
    options: Mapping[str, Any]
    q: str | None = Field(examples=["kind:RECOVERABLE older:2h"])
    by: str = Field(examples=["api@host"])
    run: str = Field(description="Its name in records and in the audit.", examples=[f"operation-{EXAMPLE_OPERATION}"])
    state: OperationState
    created_at: Moment = Field(examples=[_AT])
    started_at: Moment | None = Field(examples=[_AT])
    ended_at: Moment | None = Field(description="When nothing was left to be done or let go.", examples=[None])
    total: int = Field(examples=[412])
    done: int = Field(examples=[380])
    failed: int = Field(examples=[0])
    skipped: int = Field(examples=[2])
    left: int = Field(description="With which nothing was done yet.", examples=[30])
    perhaps_twice: int = Field(
        description="Of those done or failed: perhaps sent twice, because a manager was killed meanwhile.", examples=[0]
    )
    skips: Mapping[str, int] = Field(description="Why dead letters were skipped.", examples=[{"changed": 2}])
    error: str = Field(
        description="What keeps it from going on, or has stopped it; empty if nothing does.", examples=[""]
    )

    @classmethod
    def of(cls, one: ledger_operations.Operation) -> Self:
        """What the ledger says."""
        return cls(
            id=one.id, plan=one.plan, verb=one.verb, options=one.options, q=one.query, by=one.by, run=one.run, state=one.state,
            created_at=known(one.created_ms), started_at=moment(one.started_ms), ended_at=moment(one.ended_ms), total=one.total,
            done=one.done, failed=one.failed, skipped=one.skipped, left=one.left, perhaps_twice=one.twice, skips=one.skips,
            error=one.error,
        )  # fmt: skip


class OperationPage(BaseModel):
    """Some operations, the latest first."""

    items: list[Operation]


class OperationItem(BaseModel):
    """One dead letter of an operation."""

    place: int = Field(examples=[1])
    identity: str | None = Field(description="Null if the ledger has forgotten it.", examples=[EXAMPLE_ID])
    about: str = Field(examples=["s3://documents/経理/契約.pdf"])
    state: Result
    result: str = Field(description="Why it was skipped, or has failed.", examples=[""])
    perhaps_twice: bool = Field(examples=[False])

    @classmethod
    def of(cls, item: Shown) -> Self:
        """What the ledger says."""
        return cls(
            place=item.place, identity=item.identity, about=item.about, state=item.state, result=item.result,
            perhaps_twice=item.twice,
        )  # fmt: skip


class ItemPage(BaseModel):
    """Some dead letters of an operation, in the order in which they are dealt with."""

    items: list[OperationItem]
    next: int | None = Field(description="`after` of the next page; null if this is the last.", examples=[None])
