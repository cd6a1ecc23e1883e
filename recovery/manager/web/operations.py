"""`/api/v1/operations`: plans that are carried out, and how far they are."""

from collections.abc import AsyncIterator
from typing import Annotated

import anyio.to_thread
from fastapi import APIRouter, Depends, Header, HTTPException, Path, Query, Request, Response
from fastapi.sse import EventSourceResponse, ServerSentEvent

from recovery.ledger.answers import Answer
from recovery.ledger.operation_items import Result
from recovery.ledger.operations import Answering, OperationState, PlanExpiredError, PlanUsedError
from recovery.ledger.operations import Operation as Known
from recovery.ledger.plans import Plan
from recovery.manager.web.idempotency import Once, once
from recovery.manager.web.parameters import Limit, Offset, link_next
from recovery.manager.web.plan_models import (
    EXAMPLE_OPERATION,
    ItemPage,
    Operation,
    OperationItem,
    OperationPage,
    OperationRequest,
)
from recovery.manager.web.plans import check_may, planned
from recovery.manager.web.principal import Operator, Principal, Reader, still_valid
from recovery.manager.web.problems import documented, not_found
from recovery.manager.web.service import Service, TheService
from recovery.manager.web.watching import TooManyViewersError, Watch
from worker.core.base.errors import PausedError

router = APIRouter(tags=["operations"])
OperationId = Annotated[str, Path(max_length=64, description="An operation's id.", examples=[EXAMPLE_OPERATION])]
_MOVED = documented(400, 404, 409, 413, 422)


@router.post(
    "/api/v1/operations", status_code=202, response_model=Operation, responses=documented(400, 404, 409, 410, 413, 422)
)
def start_operation(service: TheService, principal: Operator, asked: Once, wanted: OperationRequest) -> Response:
    """Carry a plan out. Its dead letters are dealt with one after another; those that have changed since are skipped."""
    answering = None if asked is None else (asked, _answer)

    def start() -> Answer:
        return _answer(begin(service, principal, planned(service, wanted.plan), answering))

    return once(service, asked, start, is_kept=True)


@router.get("/api/v1/operations", responses=documented(400))
def list_operations(
    service: TheService,
    _principal: Reader,
    state: Annotated[OperationState | None, Query(description="Only those in this state.")] = None,
    ended: Annotated[bool | None, Query(description="Only those of which nothing is left, or only the others.")] = None,
    limit: Limit = 100,
    offset: Offset = 0,
) -> OperationPage:
    """Operations, the latest first."""
    found = service.ledger.operations.page(state=state, ended=ended, offset=offset, limit=limit)
    return OperationPage(items=[Operation.of(one) for one in found])


@router.get("/api/v1/operations/{operation_id}", responses=documented(400, 404))
def get_operation(service: TheService, _principal: Reader, operation_id: OperationId) -> Operation:
    """One operation."""
    return Operation.of(known(service, operation_id))


@router.get("/api/v1/operations/{operation_id}/items", responses=documented(400, 404))
def list_operation_items(
    request: Request,
    response: Response,
    service: TheService,
    _principal: Reader,
    operation_id: OperationId,
    state: Annotated[Result | None, Query(description="Only those in this state.")] = None,
    after: Annotated[int, Query(ge=0, le=2**63 - 1, description="Only those after this place.")] = 0,
    limit: Limit = 100,
) -> ItemPage:
    """What has become of each dead letter of an operation."""
    known(service, operation_id)
    found = service.ledger.operations.items(operation_id, state=state, after=after, limit=limit + 1)
    shown = [OperationItem.of(one) for one in found[:limit]]
    if len(found) <= limit:
        return ItemPage(items=shown, next=None)
    link_next(request, response, after=shown[-1].place)
    return ItemPage(items=shown, next=shown[-1].place)


async def _watched(request: Request, operation_id: OperationId) -> Watch:
    """The watch, if the operation is there, and not too many look on. Raises HTTPException."""
    watch: Watch = request.app.state.watch
    found = await watch.read([operation_id] if "\0" not in operation_id else [])
    if not found:
        raise not_found(_UNKNOWN)
    try:
        watch.check()
    except TooManyViewersError as error:
        raise HTTPException(503, str(error)) from None
    return watch


@router.get(
    "/api/v1/operations/{operation_id}/events",
    response_class=EventSourceResponse,
    responses={
        **documented(400, 404),
        200: {"description": "Events.", "content": {"text/event-stream": {"schema": {"type": "string"}}}},
    },
)
async def watch_operation(
    service: TheService,
    principal: Reader,
    operation_id: OperationId,
    watch: Annotated[Watch, Depends(_watched)],
    last_event_id: Annotated[
        str | None,
        Header(max_length=64, description="The last event that was received, when a browser connects again."),
    ] = None,
) -> AsyncIterator[ServerSentEvent]:
    """Follow an operation (server-sent events): an Operation at each change, until it or the sign-in has ended."""

    async def goes_on() -> bool:
        return await anyio.to_thread.run_sync(still_valid, service, principal)

    async for one in watch.follow(operation_id, after=last_event_id, goes_on=goes_on):
        yield ServerSentEvent(raw_data=Operation.of(one).model_dump_json(), event="operation", id=str(one.changed_ms))


@router.post("/api/v1/operations/{operation_id}/pause", response_model=Operation, responses=_MOVED)
def pause_operation(service: TheService, _principal: Operator, asked: Once, operation_id: OperationId) -> Response:
    """Pause an operation; what is under way is ended first."""
    return once(service, asked, lambda: _move(service, operation_id, OperationState.PAUSED))


@router.post("/api/v1/operations/{operation_id}/resume", response_model=Operation, responses=_MOVED)
def resume_operation(service: TheService, _principal: Operator, asked: Once, operation_id: OperationId) -> Response:
    """Go on with an operation that was paused."""
    return once(service, asked, lambda: _move(service, operation_id, OperationState.WAITING))


@router.post("/api/v1/operations/{operation_id}/cancel", response_model=Operation, responses=_MOVED)
def cancel_operation(service: TheService, _principal: Operator, asked: Once, operation_id: OperationId) -> Response:
    """Cancel an operation; what is under way is ended first, and the rest stays as it was."""
    return once(service, asked, lambda: _move(service, operation_id, OperationState.CANCELLED))


_UNKNOWN = "there is no operation with this id; those that ended long ago are forgotten"


def known(service: Service, operation_id: str) -> Known:
    """An operation. Raises HTTPException 404."""
    found = None if "\0" in operation_id else service.ledger.operations.get(operation_id)
    if found is None:
        raise not_found(_UNKNOWN)
    return found


def _move(service: Service, operation_id: str, to: OperationState) -> Answer:
    return Answer(200, Operation.of(move(service, operation_id, to)).model_dump_json())


def move(service: Service, operation_id: str, to: OperationState) -> Known:
    """Pause, resume or cancel an operation. Raises HTTPException 404 or 409."""
    before = known(service, operation_id)
    moved = service.ledger.operations.move(operation_id, to)
    if moved is None:
        raise HTTPException(409, f"the operation is {before.state.value}: it cannot become {to.value} now")
    return moved


def begin(service: Service, principal: Principal, plan: Plan, answering: Answering | None = None) -> Known:
    """Make an operation of a plan. Raises HTTPException 403, 409 (fleet paused, plan used: with its Location) or 410 (too old)."""
    check_may(service, principal, plan.verb)
    try:
        service.verbs.check(plan.verb, plan.options)
        return service.ledger.operations.create(plan, by=principal.name, answering=answering)
    except PausedError as error:
        raise HTTPException(409, error.sentence) from None
    except PlanUsedError as error:
        raise HTTPException(409, str(error), {"Location": f"/api/v1/operations/{error.operation}"}) from None
    except PlanExpiredError as error:
        raise HTTPException(410, str(error)) from None


def _answer(operation: Known) -> Answer:
    return Answer(202, Operation.of(operation).model_dump_json(), f"/api/v1/operations/{operation.id}")
