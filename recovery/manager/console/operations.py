"""The pages of operations: how far each is, for everybody; pausing, resuming and cancelling, for operators."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, HTTPException, Query, Request, Response
from fastapi.responses import RedirectResponse

from recovery.ledger.operation_items import Part, Result
from recovery.ledger.operations import Operation, OperationState, allowed_moves
from recovery.ledger.refusals import SENDING
from recovery.manager.console.forms import Form, single
from recovery.manager.console.plans import Back, list_path, messages_url, shown_options, with_back
from recovery.manager.console.rendering import page
from recovery.manager.progress import Meter
from recovery.manager.web.operations import OperationId, known, move
from recovery.manager.web.parameters import Offset
from recovery.manager.web.principal import Operator, Principal, Reader, Role
from recovery.manager.web.service import Service, TheService
from recovery.manager.web.sessions import now_ms

router = APIRouter()
PAGE = 50
MAX_GOING_ON = 100
COUNTED = 10_000
"""Of a larger operation, what has come back is counted once it has ended: each is looked up, at every change."""
_METER = Meter()
After = Annotated[int, Query(ge=0, le=2**63 - 1)]


@dataclass(frozen=True, slots=True)
class Listed:
    """One operation of a list."""

    operation: Operation
    is_ending: bool
    came_back: int
    """How many of those that it has sent are open again; of the latest only, for each is looked up."""


@router.get("/operations")
def list_operations(request: Request, service: TheService, principal: Reader, offset: Offset = 0) -> Response:
    """What is going on, and what has ended."""
    operations = service.ledger.operations
    going_on = [] if offset else operations.page(ended=False, limit=MAX_GOING_ON)
    ended = operations.page(ended=True, offset=offset, limit=PAGE + 1)
    context = {
        "going_on": [Listed(one, _is_ending(one), 0) for one in going_on], "ended": _ended(service, ended[:PAGE]),
        "offset": offset,
        "next_url": f"/console/operations?offset={offset + PAGE}" if len(ended) > PAGE else None,
    }  # fmt: skip
    return page(request, "operations.html", principal, context)


@router.get("/operations/{operation_id}")
def get_operation(
    request: Request, service: TheService, principal: Reader, operation_id: OperationId, state: Result | Part | None = None,
    after: After = 0, back: Back = "",
) -> Response:  # fmt: skip
    """One operation, and what has become of its dead letters. `back`: the list from which it was planned."""
    return _page(request, service, principal, known(service, operation_id), state=state, after=after, back=back)


@router.post("/operations/{operation_id}/move")
def post_move(
    request: Request, service: TheService, principal: Operator, operation_id: OperationId, form: Form
) -> Response:
    """Pause, resume or cancel; where its state does not allow that any more, its page says so."""
    try:
        to = OperationState(single(form).get("to", ""))
        move(service, operation_id, to)
    except (ValueError, KeyError):
        raise HTTPException(400, "the field to should be paused, waiting or cancelled") from None
    except HTTPException as error:
        if error.status_code != 409:
            raise
        found = known(service, operation_id)
        return _page(request, service, principal, found, status=409)
    return RedirectResponse(f"/console/operations/{operation_id}", 303)


def _page(
    request: Request, service: Service, principal: Principal, operation: Operation, *, state: Result | Part | None = None,
    after: int = 0, status: int = 200, back: str = "",
) -> Response:  # fmt: skip
    found = service.ledger.operations.items(operation.id, state=state, after=after, limit=PAGE + 1)
    wanted: dict[str, object] = {"after": found[PAGE - 1].place} if len(found) > PAGE else {}
    if wanted and state is not None:
        wanted["state"] = state.value
    context = {
        "has_moved": status == 409, "items": found[:PAGE], "state": state.value if state else "",
        "options": shown_options(operation.options), "messages_url": messages_url(operation.query),
        "back_url": list_path(back), "kept": with_back(back),
        "next_url": f"/console/operations/{operation.id}?{urlencode(wanted)}" if wanted else None,
        **_progress(service, principal, operation),
    }  # fmt: skip
    return page(request, "operation.html", principal, context, status=status)


def _progress(service: Service, principal: Principal, operation: Operation) -> dict[str, Any]:
    """What the part of a page that changes is made of."""
    may = principal.role.includes(Role.OPERATOR)
    has_sent = operation.verb in SENDING and operation.done
    is_counted = has_sent and (operation.total <= COUNTED or operation.ended_ms is not None)
    back = service.ledger.operations.came_back(operation.id) if is_counted else 0
    return {
        "operation": operation, "is_ending": _is_ending(operation), "came_back": back,
        "progress": _METER.progress(operation, now_ms()),
        "moves": [one.value for one in allowed_moves(operation.state)] if may else [],
        "counts": [
            ("done", operation.done), ("failed", operation.failed), ("refused", operation.skipped - operation.let_go),
        ],
    }  # fmt: skip


def _is_ending(operation: Operation) -> bool:
    """Whether it was stopped, and lets go of what it had begun."""
    stopped = {OperationState.FAILED, OperationState.CANCELLED}
    return operation.state in stopped and operation.ended_ms is None


def _ended(service: Service, found: Sequence[Operation]) -> list[Listed]:
    """Those that have ended, the latest first; what came back is counted until COUNTED messages were looked at."""
    listed, room = [], COUNTED
    for one in found:
        room -= one.total if one.verb in SENDING else 0
        back = service.ledger.operations.came_back(one.id) if one.verb in SENDING and one.done and room >= 0 else 0
        listed.append(Listed(one, is_ending=False, came_back=back))
    return listed
