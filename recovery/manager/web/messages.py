"""`/api/v1/messages`: the dead letters, each with its arrivals, its events and its body."""

from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request, Response

from recovery.ledger.pages import Sort, in_order
from recovery.ledger.statistics import COUNTED_TO
from recovery.manager.web.bodies import read_one, record_view
from recovery.manager.web.message_models import (
    Arrival,
    Body,
    EventPage,
    MessageEvent,
    MessagePage,
    MessageWithArrivals,
    messages_of,
)
from recovery.manager.web.moments import known
from recovery.manager.web.parameters import (
    LINK,
    AnyId,
    Direction,
    Limit,
    Offset,
    Q,
    found,
    link_next,
    selected,
)
from recovery.manager.web.principal import Operator, Reader
from recovery.manager.web.problems import documented, not_found
from recovery.manager.web.service import TheService
from recovery.manager.web.suggested import Suggestion

MAX_CURSOR_CHARS = 8_000
"""One that stands at a key of 1,024 bytes has about 1,500."""
router = APIRouter(tags=["messages"])
_ETAG = {"ETag": {"description": "The version of the dead letter.", "schema": {"type": "string"}}}
_UNCHANGED: dict[int | str, dict[str, Any]] = {304: {"description": "It is still of the version in `If-None-Match`."}}


@router.get("/api/v1/messages", responses={**documented(400), 200: {"headers": LINK}})
def list_messages(
    _reader: Reader,
    request: Request,
    response: Response,
    service: TheService,
    q: Q = "",
    sort: Annotated[
        Sort, Query(description="What the order goes by; `retry_at` lists only those that are scheduled.")
    ] = Sort.LAST_SEEN,
    order: Annotated[Direction, Query(description="Its direction.")] = Direction.DESCENDING,
    limit: Limit = 100,
    cursor: Annotated[
        str | None,
        Query(
            max_length=MAX_CURSOR_CHARS, description="`next` of the page before, which was asked for in the same order."
        ),
    ] = None,
    offset: Offset = 0,
) -> MessagePage:
    """Dead letters, in pages."""
    selection = in_order(selected(q), sort)
    page = service.ledger.page(
        selection, sort=sort, descending=order is Direction.DESCENDING, after=cursor, offset=offset, limit=limit
    )
    count = service.ledger.count(selection)
    if page.next is not None:
        link_next(request, response, cursor=page.next, offset=None)
    return MessagePage(
        items=messages_of(page.rows), count=min(count, COUNTED_TO), count_is_exact=count <= COUNTED_TO, next=page.next
    )


@router.get("/api/v1/messages/{any_id:path}/events", responses={**documented(400, 404), 200: {"headers": LINK}})
def list_message_events(
    _reader: Reader,
    request: Request,
    response: Response,
    service: TheService,
    any_id: AnyId,
    after: Annotated[int, Query(ge=0, le=2**63 - 1, description="Only those after the event of this number.")] = 0,
    limit: Limit = 100,
) -> EventPage:
    """What was done to a dead letter, by whom and when."""
    row = found(service.ledger, any_id)
    events = service.ledger.events(row.identity, after=after, limit=limit + 1)
    shown = [MessageEvent.of(event) for event in events[:limit]]
    if len(events) <= limit:
        return EventPage(items=shown, next=None)
    link_next(request, response, after=shown[-1].id)
    return EventPage(items=shown, next=shown[-1].id)


@router.get("/api/v1/messages/{any_id:path}/body", responses=documented(400, 404), response_model_exclude_none=True)
def get_message_body(principal: Operator, service: TheService, any_id: AnyId) -> Body:
    """The whole message with its failure record and stack. Each view is recorded in the audit before it is answered."""
    row = found(service.ledger, any_id)
    stored = read_one(service.state, row)
    if stored is None:
        raise not_found(f"the object of this dead letter, {row.key}, is gone; its state is {row.state.value}")
    record_view(service, [row], by=principal.name)
    return Body.of(stored, service.redactor)


@router.get(
    "/api/v1/messages/{any_id:path}",
    responses={**documented(400, 404), **_UNCHANGED, 200: {"headers": _ETAG}},
    response_model=MessageWithArrivals,
)
def get_message(
    _reader: Reader,
    response: Response,
    service: TheService,
    any_id: AnyId,
    if_none_match: Annotated[
        str | None, Header(description="An `ETag` that is known already.", examples=['"1"'])
    ] = None,
) -> MessageWithArrivals | Response:
    """One dead letter, every time that it came, and what earlier ones of its group suggest to do."""
    row = found(service.ledger, any_id)
    etag = f'"{row.version}"'
    if if_none_match is not None and _names(if_none_match, etag):
        return Response(status_code=304, headers={"ETag": etag})
    response.headers["ETag"] = etag
    arrivals = [Arrival(message_id=name, at=known(at_ms)) for name, at_ms in service.ledger.messages_of(row.identity)]
    known_groups = service.ledger.suggestions.of([(row.fingerprint, row.error_type, row.kind, row.message)])
    suggestion = Suggestion.of(known_groups.get((row.fingerprint, row.error_type)))
    return MessageWithArrivals.of(row, arrivals=arrivals, suggestion=suggestion)


def _names(if_none_match: str, etag: str) -> bool:
    """Whether the header names this version; the comparison is a weak one (RFC 9110, 13.1.2)."""
    named = {one.strip().removeprefix("W/") for one in if_none_match.split(",")}
    return etag in named or "*" in named
