"""`/dlq/messages`: the dead letters under the path and in the fields that such tools have had."""

from collections.abc import Iterable, Iterator
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Query, Request
from fastapi.responses import Response, StreamingResponse

from recovery.manager.redacted import redacted
from recovery.manager.redaction import Redactor
from recovery.manager.web.alias_models import FailedMessage, message_fields
from recovery.manager.web.bodies import Read, read_many, record_view
from recovery.manager.web.parameters import LINK, AnyId, Limit, Offset, Q, found, link_next, selected
from recovery.manager.web.principal import Principal, Reader, Role, forbidden, while_valid
from recovery.manager.web.problems import documented
from recovery.manager.web.service import Service, TheService

JSON = "application/json"
CHUNK_BYTES = 64 * 1024
"""As much as a connection takes at once; each part costs a change of threads."""
router = APIRouter(tags=["aliases"])
IncludePayload = Annotated[
    bool,
    Query(
        description="Whether `payload` and `stack_trace` are read from the objects, which is recorded in the audit. They are for "
        "operators, who get them by default; readers do not."
    ),
]


def _filter(of: str) -> Any:
    return Query(
        min_length=1,
        max_length=1_024,
        description=f"Only dead letters of this {of}.",
        json_schema_extra={"pattern": r"^[^\x00]*$"},  # which `selected` refuses in better words
    )


@router.get(
    "/dlq/messages", responses={**documented(400), 200: {"headers": LINK}}, response_model=list[FailedMessage]
)  # fmt: skip
def alias_list_messages(
    principal: Reader,
    request: Request,
    service: TheService,
    limit: Limit = 100,
    offset: Offset = 0,
    error_type: Annotated[str | None, _filter("error type")] = None,
    source_service: Annotated[str | None, _filter("service")] = None,
    correlation_id: Annotated[str | None, _filter("correlation id")] = None,
    q: Q = "",
    include_payload: IncludePayload | None = None,
) -> Response:
    """Alias of `/api/v1/messages`: a bare array, the latest first, with payloads. One view of all of them is recorded."""
    has_payload = _has_payload(include_payload, principal, service)
    selection = selected(q, error_type=error_type, source_service=source_service, correlation_id=correlation_id)
    page = service.ledger.page(selection, offset=offset, limit=limit)
    reads: Iterable[Read] = ((row, None) for row in page.rows)
    if has_payload:
        reads = read_many(service.state, page.rows)
        record_view(service, page.rows, by=principal.name)
    parts = while_valid(service, principal, _array(reads, service.redactor))
    response = StreamingResponse(parts, media_type=JSON)
    if page.next is not None:
        link_next(request, response, offset=offset + limit)
    return response


@router.get("/dlq/messages/{any_id:path}", responses=documented(400, 404), response_model=FailedMessage)
def alias_get_message(
    principal: Reader, service: TheService, any_id: AnyId, include_payload: IncludePayload | None = None
) -> Response:
    """Alias of `/api/v1/messages/{any_id}`, with its payload, whose view is recorded."""
    has_payload = _has_payload(include_payload, principal, service)
    row = found(service.ledger, any_id)
    if not has_payload:
        return Response(_encoded((row, None), service.redactor), media_type=JSON)
    [read] = read_many(service.state, [row])
    record_view(service, [row], by=principal.name)
    return Response(_encoded(read, service.redactor), media_type=JSON)


def _has_payload(asked: bool | None, principal: Principal, service: Service) -> bool:
    """Whether payloads are shown. Raises HTTPException 403 if a reader asks for them."""
    if asked and not principal.sees_bodies:
        raise forbidden(principal, Role.OPERATOR, service.sign_in)
    return principal.sees_bodies if asked is None else asked


def _array(reads: Iterable[Read], redactor: Redactor) -> Iterator[bytes]:
    """An array of JSON, in parts of CHUNK_BYTES or one element: a thousand bodies never stand in memory together."""
    part, between = b"[", b""
    for read in reads:
        part += between + _encoded(read, redactor)
        between = b","
        if len(part) >= CHUNK_BYTES:
            yield part
            part = b""
    yield part + b"]"


def _encoded(read: Read, redactor: Redactor) -> bytes:
    row, stored = read
    found = message_fields(row)
    if stored is not None:
        shown = redacted(stored.dead_letter, redactor)
        found["payload"] = _payload(shown.body)
        found["stack_trace"] = shown.stack or None
    return orjson.dumps(found)


def _payload(body: str) -> object:
    """A body of JSON goes out unparsed, so that no number in it changes."""
    if not body.lstrip().startswith(("{", "[")):
        return body
    try:
        orjson.loads(body)
    except ValueError:
        return body
    return orjson.Fragment(body)
