"""What people say about a dead letter: hold, note and owner, and when it is to be sent again by itself.

It stands in its record first, and is said only of the version that was meant.
"""

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Header, HTTPException, Response
from pydantic import BaseModel, ConfigDict, Field

from recovery.ledger.operation_items import Result
from recovery.ledger.refusals import Verb
from recovery.ledger.rows import ENDED, Row, State
from recovery.manager.acting.scheduling import MAX_AHEAD_S
from recovery.manager.acting.single import act_on
from recovery.manager.web.message_models import Message
from recovery.manager.web.parameters import WHOLE, AnyId, found
from recovery.manager.web.principal import Operator
from recovery.manager.web.problems import documented
from recovery.manager.web.service import Service, TheService
from recovery.operations.dead_letters.desk import (
    LINE,
    LINES,
    MAX_NOTE_CHARS,
    MAX_OWNER_CHARS,
    MAX_REASON_CHARS,
    SAYING,
)

router = APIRouter(tags=["messages"])
IfMatch = Annotated[
    str | None,
    Header(
        description="The `ETag` that the dead letter had when you looked at it, or `*` for any; needed.", examples=["*"]
    ),
]
ETAG = {"ETag": {"description": "Its version now.", "schema": {"type": "string"}}}
_ANSWERS = {
    **documented(400, 404, 409, 412, 413, 428),
    200: {"headers": ETAG},
}


class HoldRequest(BaseModel):
    """Why nothing is to be done with a dead letter."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"reason": "waits for the legal team"}]})
    reason: Annotated[str, Field(max_length=MAX_REASON_CHARS, pattern=SAYING)]


class NoteRequest(BaseModel):
    """What people want each other to know."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"note": "調査中: ticket 4711"}]})
    note: Annotated[str, Field(max_length=MAX_NOTE_CHARS, pattern=LINES, description="Empty: none.")]


class OwnerRequest(BaseModel):
    """Who is to deal with it."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"owner": "ana@example.com"}]})
    owner: Annotated[
        str, Field(max_length=MAX_OWNER_CHARS, pattern=LINE, description="A name or an address; empty: nobody.")
    ]


class ScheduleRequest(BaseModel):
    """When a dead letter is to be sent by itself."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"in_s": 3_600}]})
    in_s: Annotated[
        int,
        Field(
            strict=True,
            ge=0,
            le=MAX_AHEAD_S,
            description="In how many seconds; up to 14 days, as long as SQS keeps a message.",
        ),
        WHOLE,
    ]


@router.put("/api/v1/messages/{any_id:path}/hold", responses=_ANSWERS)
def hold_message(
    response: Response,
    service: TheService,
    principal: Operator,
    any_id: AnyId,
    said: HoldRequest,
    if_match: IfMatch = None,
) -> Message:
    """Hold a dead letter: nobody and nothing acts on it until it is released."""
    return _say(response, service, principal.name, any_id, if_match, Verb.HOLD, {"reason": said.reason})


@router.delete("/api/v1/messages/{any_id:path}/hold", responses=_ANSWERS)
def release_message(
    response: Response, service: TheService, principal: Operator, any_id: AnyId, if_match: IfMatch = None
) -> Message:
    """End a hold."""
    return _say(response, service, principal.name, any_id, if_match, Verb.RELEASE, {})


@router.put("/api/v1/messages/{any_id:path}/note", responses=_ANSWERS)
def note_message(
    response: Response,
    service: TheService,
    principal: Operator,
    any_id: AnyId,
    said: NoteRequest,
    if_match: IfMatch = None,
) -> Message:
    """Write a note in place of the one before."""
    return _say(response, service, principal.name, any_id, if_match, Verb.NOTE, {"note": said.note})


@router.put("/api/v1/messages/{any_id:path}/owner", responses=_ANSWERS)
def assign_message(
    response: Response,
    service: TheService,
    principal: Operator,
    any_id: AnyId,
    said: OwnerRequest,
    if_match: IfMatch = None,
) -> Message:
    """Say who is to deal with it."""
    return _say(response, service, principal.name, any_id, if_match, Verb.ASSIGN, {"owner": said.owner})


def check_version(row: Row, if_match: str | None) -> None:
    """Raises HTTPException 428 or 412 unless this is the version that was meant."""
    etag = f'"{row.version}"'
    if if_match is None:
        raise HTTPException(
            428, "the header If-Match is missing: it should be the ETag of the dead letter that you looked at"
        )
    if if_match.strip() != "*" and etag not in {one.strip() for one in if_match.split(",")}:
        raise HTTPException(412, f"the dead letter has changed since: its ETag is {etag} now", {"ETag": etag})


@router.put("/api/v1/messages/{any_id:path}/schedule", responses=_ANSWERS)
def schedule_message(
    response: Response,
    service: TheService,
    principal: Operator,
    any_id: AnyId,
    said: ScheduleRequest,
    if_match: IfMatch = None,
) -> Message:
    """Let the manager send a dead letter again at a time of your choice, in place of a time that it has.

    It is sent as every automatic retry is: once the fleet is healthy, and at the rate of retries. It counts as one, but may be
    sent however often it was already.
    """
    options = service.verbs.settled(Verb.SCHEDULE, {"in_s": said.in_s})
    return _say(response, service, principal.name, any_id, if_match, Verb.SCHEDULE, options)


@router.delete("/api/v1/messages/{any_id:path}/schedule", responses=_ANSWERS)
def unschedule_message(
    response: Response, service: TheService, principal: Operator, any_id: AnyId, if_match: IfMatch = None
) -> Message:
    """Let nothing send a dead letter by itself. If somebody sends it and it comes back, the rules of retries decide again."""
    return _say(response, service, principal.name, any_id, if_match, Verb.UNSCHEDULE, {})


def _say(
    response: Response, service: Service, by: str, any_id: str, if_match: str | None, verb: Verb, options: Mapping[str, Any]
) -> Message:  # fmt: skip
    row = found(service.ledger, any_id)
    check_version(row, if_match)
    if row.state in {*ENDED, State.MISSING}:
        raise HTTPException(409, f"the dead letter is {row.state.value}: it has no record any more")
    [acted] = act_on(service.ledger, service.verbs, verb, [row], options, by=by)
    if acted.state is Result.WAITING:
        raise HTTPException(503, acted.result)
    if acted.state is not Result.DONE:
        raise HTTPException(409, acted.result)
    now = found(service.ledger, row.identity)
    response.headers["ETag"] = f'"{now.version}"'
    return Message.of(now)
