"""The page of one dead letter: what failed, what may be done, what is there now, its body for operators, its history."""

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from recovery.ledger.refusals import Verb
from recovery.ledger.rows import Row
from recovery.manager.console.forms import Form, single
from recovery.manager.console.message_acts import NotDoneError, say, send_copy, show_body
from recovery.manager.console.one_message import one_message
from recovery.manager.console.rendering import page
from recovery.manager.web.parameters import AnyId, found
from recovery.manager.web.principal import Operator, Principal, Reader
from recovery.manager.web.service import Service, TheService
from recovery.operations.dead_letters.desk import MAX_NOTE_CHARS, MAX_OWNER_CHARS, MAX_REASON_CHARS

router = APIRouter()


@router.get("/messages/{any_id:path}/now")
def message_now(request: Request, service: TheService, principal: Reader, any_id: AnyId) -> Response:
    """The page with what S3 and the index hold now, which may take seconds to answer."""
    row = found(service.ledger, any_id)
    return _page(request, service, principal, row, now=service.looker.look(row))


@router.post("/messages/{any_id:path}/body")
def message_body(request: Request, service: TheService, principal: Operator, any_id: AnyId) -> Response:
    """The page with the body. A POST, so that no link and no preview of one is a view in somebody's name."""
    row = found(service.ledger, any_id)
    return _or_why(request, service, principal, row, {}, lambda: show_body(service, principal, row))


@router.post("/messages/{any_id:path}/hold")
def hold_message(request: Request, service: TheService, principal: Operator, any_id: AnyId, form: Form) -> Response:
    """Hold it."""
    return _say(request, service, principal, any_id, Verb.HOLD, single(form))


@router.post("/messages/{any_id:path}/release")
def release_message(request: Request, service: TheService, principal: Operator, any_id: AnyId, form: Form) -> Response:
    """End its hold."""
    return _say(request, service, principal, any_id, Verb.RELEASE, single(form))


@router.post("/messages/{any_id:path}/owner")
def assign_message(request: Request, service: TheService, principal: Operator, any_id: AnyId, form: Form) -> Response:
    """Say who is to deal with it."""
    return _say(request, service, principal, any_id, Verb.ASSIGN, single(form))


@router.post("/messages/{any_id:path}/note")
def note_message(request: Request, service: TheService, principal: Operator, any_id: AnyId, form: Form) -> Response:
    """Write a note in place of the one before."""
    return _say(request, service, principal, any_id, Verb.NOTE, single(form))


@router.post("/messages/{any_id:path}/copies")
def copy_message(request: Request, service: TheService, principal: Operator, any_id: AnyId, form: Form) -> Response:
    """Send an edited copy; the page then shows the original, held, with a link to the copy."""
    row, fields = found(service.ledger, any_id), dict(form)  # with the line ends as they were sent

    def send() -> None:
        send_copy(service, principal, row, fields)

    return _or_why(request, service, principal, row, fields, send)


@router.get("/messages/{any_id:path}")
def message_page(request: Request, service: TheService, principal: Reader, any_id: AnyId) -> Response:
    """The page; it asks nothing but the ledger."""
    return _page(request, service, principal, found(service.ledger, any_id))


def _say(
    request: Request, service: Service, principal: Principal, any_id: str, verb: Verb, fields: Mapping[str, str]
) -> Response:  # fmt: skip
    row = found(service.ledger, any_id)
    return _or_why(request, service, principal, row, fields, lambda: say(service, principal, row, verb, fields))


def _or_why(
    request: Request, service: Service, principal: Principal, row: Row, fields: Mapping[str, str], act: Callable[[], Any]
) -> Response:  # fmt: skip
    """Do it; then go back to the page, unless there is something to show. What was not done is said, and what was typed kept."""
    try:
        made = act()
    except NotDoneError as error:
        status = 503 if error.is_unclear else 409
        now = found(service.ledger, row.identity)
        return _page(request, service, principal, now, status=status, wrong=str(error), given=fields)
    if made is not None:
        return _page(request, service, principal, row, shown=made)
    return RedirectResponse(f"/console/messages/{quote(row.identity, safe='')}", 303)


def _page(
    request: Request, service: Service, principal: Principal, row: Row, *, status: int = 200, **more: Any
) -> Response:
    given = {
        "one": one_message(service, principal, row), "now": None, "shown": None, "wrong": None, "given": {},
        "max_reason": MAX_REASON_CHARS, "max_note": MAX_NOTE_CHARS, "max_owner": MAX_OWNER_CHARS, **more,
    }  # fmt: skip
    return page(request, "message.html", principal, given, status=status)
