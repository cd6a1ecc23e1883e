"""`/api/v1/messages/{id}/copies`: send what only its own consumer can process with another body."""

from typing import Annotated

from fastapi import APIRouter, HTTPException, Response
from pydantic import BaseModel, ConfigDict, Field, field_validator

from recovery.ledger.answers import Answer
from recovery.manager.acting.copying import MAX_BODY_CHARS, CopyRefusedError, CopyUnclearError, copy
from recovery.manager.web.idempotency import Once, once
from recovery.manager.web.message_models import Message
from recovery.manager.web.parameters import EXAMPLE_ID, AnyId, found
from recovery.manager.web.principal import Operator
from recovery.manager.web.problems import documented
from recovery.manager.web.said import ETAG, IfMatch, check_version
from recovery.manager.web.service import Service, TheService
from worker.core.base.address import queue_url
from worker.core.base.errors import PausedError

router = APIRouter(tags=["messages"])
_BODY = (
    '{"type": "maps", "city": "松江", "correlation_id": "c-1", "lat": 35.4, "lng": 133.0, "radius": 10, '
    '"category": "station", "enqueued_at": 1793525400}'
)


class CopyRequest(BaseModel):
    """The body of a copy."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"body": _BODY}]})
    body: Annotated[
        str, Field(min_length=1, max_length=MAX_BODY_CHARS, description="What is sent, of the original's type.")
    ]
    to: Annotated[
        str | None, Field(max_length=500, description="URL of the queue, where it should not be the one in which it failed.")
    ] = None  # fmt: skip

    @field_validator("to")
    @classmethod
    def _is_queue(cls, to: str | None) -> str | None:
        return None if to is None else queue_url(to)


class SentCopy(BaseModel):
    """A copy that its queue has accepted."""

    copy_id: str = Field(
        description="The id that it will have as a dead letter, if it fails in its turn.", examples=[EXAMPLE_ID]
    )
    to: str = Field(description="URL of the queue.", examples=["https://sqs.eu-west-1.amazonaws.com/1/documents"])
    not_recorded: str | None = Field(
        description="Why the original does not say yet that it was sent, but only that it was to be; null if it does."
    )
    message: Message = Field(description="The original as it is now, held.")


@router.post(
    "/api/v1/messages/{any_id:path}/copies",
    status_code=201,
    response_model=SentCopy,
    responses={**documented(400, 404, 409, 412, 413, 422, 428), 201: {"headers": ETAG}},
)
def send_copy(
    service: TheService,
    principal: Operator,
    asked: Once,
    any_id: AnyId,
    wanted: CopyRequest,
    if_match: IfMatch = None,
) -> Response:
    """Send a copy with another body, and hold the original, which names it. Not for S3 events."""
    answer = once(service, asked, lambda: _copy(service, principal.name, any_id, wanted, if_match))
    answer.headers["ETag"] = f'"{SentCopy.model_validate_json(bytes(answer.body)).message.version}"'
    return answer


def _copy(service: Service, by: str, any_id: str, wanted: CopyRequest, if_match: str | None) -> Answer:
    row = found(service.ledger, any_id)
    check_version(row, if_match)
    try:
        made = copy(service.ledger, service.verbs.world, row, wanted.body, by=by, to=wanted.to)
    except PausedError as error:
        raise HTTPException(409, error.sentence) from None
    except CopyRefusedError as error:
        raise HTTPException(409, str(error)) from None
    except CopyUnclearError as error:
        raise HTTPException(503, str(error)) from None
    said = SentCopy(
        copy_id=made.copy.id, to=made.copy.to, not_recorded=made.not_recorded or None,
        message=Message.of(found(service.ledger, row.identity)),
    )  # fmt: skip
    return Answer(201, said.model_dump_json())
