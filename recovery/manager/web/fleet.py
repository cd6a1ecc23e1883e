"""`/api/v1/fleet`: pause and resume all workers."""

import hashlib
from typing import Annotated, Self

import orjson
from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field

from recovery.ledger.answers import Answer
from recovery.manager.web.idempotency import Once, once
from recovery.manager.web.moments import Moment, moment
from recovery.manager.web.parameters import WHOLE
from recovery.manager.web.principal import Operator, Reader
from recovery.manager.web.problems import documented
from recovery.manager.web.service import Service, TheService
from recovery.operations.dead_letters.desk import MAX_REASON_CHARS, SAYING
from worker.core.audit import AuditEvent, Run, record
from worker.core.base.jsontypes import JsonObject
from worker.core.s3.pause import Resumed as Ended
from worker.core.s3.pause import pause_fleet, resume_fleet

router = APIRouter(tags=["operations"])


class PauseRequest(BaseModel):
    """Why the fleet is to pause, and for how long."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"reason": "index upgrade", "for_s": 1800}]}
    )

    reason: Annotated[str, Field(max_length=MAX_REASON_CHARS, pattern=SAYING, description="Shown to others.")]
    for_s: Annotated[
        Annotated[int, Field(strict=True, ge=1, le=31 * 86_400), WHOLE] | None,
        Field(description="Seconds; null: until it is resumed."),
    ] = None


class Pause(BaseModel):
    """Whether the fleet is paused."""

    paused: bool = Field(examples=[False])
    reason: str | None = Field(examples=[None])
    by: str | None = Field(examples=[None])
    at: str | None = Field(examples=[None])
    until: Moment | None = Field(description="When it ends automatically; null if it does not.", examples=[None])

    @classmethod
    def of(cls, found: JsonObject | None) -> Self:
        """The record of the pause in force; None: there is none."""
        if found is None:
            return cls(paused=False, reason=None, by=None, at=None, until=None)
        until_ms = found.get("until_ms")
        by, at = (None if found.get(name) is None else str(found[name]) for name in ("by", "at"))
        until = moment(until_ms) if isinstance(until_ms, int) else None
        return cls(paused=True, reason=str(found["reason"]), by=by, at=at, until=until)


class EndedBrake(BaseModel):
    """A worker that had stopped because nearly everything failed."""

    worker: str = Field(description="Its host and instance.", examples=["host-1@0"])
    at: str = Field(description="When it stopped.", examples=["2026-04-01T03:00:00+00:00"])
    failed: int = Field(description="How many of the messages it had looked at failed.", examples=[31])
    of: int = Field(description="How many messages it had looked at.", examples=[31])


class Resumed(Pause):
    """What has ended, and what is left to do."""

    brakes: list[EndedBrake] = Field(description="The workers that had stopped by themselves, and go on now.")
    commands: list[str] = Field(
        description="What sends again what had failed there.", examples=[["dlq redrive-all --group 3d2572ea9916"]]
    )
    problem: str = Field(
        description="Why other workers may have stopped, too, which go on as well; empty if `brakes` are all.",
        examples=[""],
    )


@router.get("/api/v1/fleet/pause", responses=documented(400))
def get_pause(service: TheService, _principal: Reader) -> Pause:
    """Whether the fleet is paused, by whom and why."""
    return _pause(service)


@router.post("/api/v1/fleet/pause", response_model=Pause, responses=documented(400, 409, 413, 422))
def pause_the_fleet(service: TheService, principal: Operator, asked: Once, wanted: PauseRequest) -> Response:
    """Stop the polling of all workers within 15 s. Messages wait in their queue; operations that would send more pause, too."""

    def do() -> Answer:
        pause(service, by=principal.name, reason=wanted.reason, for_s=wanted.for_s)
        return Answer(200, _pause(service).model_dump_json())

    return once(service, asked, do)


@router.post("/api/v1/fleet/resume", response_model=Resumed, responses=documented(400, 409, 413, 422))
def resume_the_fleet(service: TheService, principal: Operator, asked: Once) -> Response:
    """End a pause, and the brakes of workers that have stopped because nearly everything failed: all poll again within 15 s.

    Operations stay paused until they are resumed themselves.
    """

    def do() -> Answer:
        done = resume(service, by=principal.name)
        brakes = [EndedBrake(worker=one.worker, at=one.at, failed=one.failed, of=one.of) for one in done.brakes]
        now = _pause(service).model_dump()
        return Answer(
            200, Resumed(**now, brakes=brakes, commands=done.commands, problem=done.problem).model_dump_json()
        )

    return once(service, asked, do)


def pause(service: Service, *, by: str, reason: str, for_s: int | None) -> None:
    """Pause the fleet for so many seconds, or until it is resumed, and record it. Raises StoreError."""
    pause_fleet(service.state, reason=reason, by=by, lasting_s=for_s)
    service.facts.forget_pause()
    _record(service, "pause", by, {"reason": reason, "for_s": for_s})


def pause_mark(found: JsonObject | None) -> str:
    """Tells one pause from another, by its record; empty: there is none. Whoever changes a pause says which one they have seen."""
    if found is None:
        return ""
    return hashlib.sha256(orjson.dumps(found, option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]


def resume(service: Service, *, by: str) -> Ended:
    """End a pause and all brakes, and record it if there were any. Raises StoreError."""
    done = resume_fleet(service.state)
    service.facts.forget_pause()
    if done.pause is not None or done.brakes:
        was = None if done.pause is None else done.pause["reason"]
        _record(service, "resume", by, {"was": was, "brakes": [one.worker for one in done.brakes]})
    return done


def _pause(service: Service) -> Pause:
    return Pause.of(service.state.pause_record())


def _record(service: Service, action: str, by: str, details: dict[str, object]) -> None:
    run = Run.new("dlq-manager api", action=action, by=by)
    record(service.state, AuditEvent(action, run.name, by, (), {}, details))
