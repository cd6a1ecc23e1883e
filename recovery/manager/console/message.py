"""The page of one dead letter: what failed, what may be done, what is there now, its body for operators, its history.

An id may have slashes and end in any word, so nothing of the path is ours: what is wanted stands in the query or in the form.
"""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

from fastapi import APIRouter, HTTPException, Query, Request, Response
from fastapi.responses import RedirectResponse

from recovery.ledger.errors import LedgerError
from recovery.ledger.refusals import Verb
from recovery.ledger.rows import Row, State
from recovery.manager.console.addresses import message_path
from recovery.manager.console.forms import Form
from recovery.manager.console.later import choices
from recovery.manager.console.message_acts import NotDoneError, say, send_copy, show_body
from recovery.manager.console.one_message import one_message
from recovery.manager.console.rendering import page
from recovery.manager.web.parameters import AnyId, found
from recovery.manager.web.principal import Operator, Principal, Reader
from recovery.manager.web.service import Service, TheService
from worker.core.base.errors import WorkerError

router = APIRouter()
SAYS = {"hold": Verb.HOLD, "release": Verb.RELEASE, "owner": Verb.ASSIGN, "note": Verb.NOTE}
"""What a form's field `do` may be, beside `body` and `copy`."""
Named = Annotated[str, Query(alias="id", max_length=128)]
"""The id where it cannot stand in the path."""


@router.get("/messages/{any_id:path}")
def message_page(
    request: Request, service: TheService, principal: Reader, any_id: AnyId, named: Named = "",
    now: Literal["yes"] | None = None,
) -> Response:  # fmt: skip
    """The page. It asks nothing but the ledger, unless it is to say what S3 and the index hold now, which may take seconds."""
    row = found(service.ledger, any_id or named)
    return _page(request, service, principal, row, now=service.looker.look(row) if now else None)


@router.post("/messages/{any_id:path}")
def change_message(
    request: Request, service: TheService, principal: Operator, any_id: AnyId, form: Form, named: Named = ""
) -> Response:
    """Do what the form's field `do` says: show the body, say something about it, or send an edited copy.

    The body is shown by POST, so that no link and no preview of one is a view in somebody's name.
    """
    row, fields = found(service.ledger, any_id or named), dict(form)  # with the line ends as they were sent
    do = fields.get("do", "")
    if do == "body":
        return _or_why(request, service, principal, row, {}, lambda: show_body(service, principal, row))
    if do == "copy":
        return _or_why(request, service, principal, row, fields, lambda: _copy(service, principal, row, fields))
    if do not in SAYS:
        raise HTTPException(400, f"the field do should be body, copy, {', '.join(SAYS)}")
    return _or_why(request, service, principal, row, fields, lambda: say(service, principal, row, SAYS[do], fields))


def _copy(service: Service, principal: Principal, row: Row, fields: Mapping[str, str]) -> None:
    """Send it; its page then shows the original, held, with a link to the copy."""
    send_copy(service, principal, row, fields)


def _or_why(
    request: Request, service: Service, principal: Principal, row: Row, fields: Mapping[str, str], act: Callable[[], Any]
) -> Response:  # fmt: skip
    """Do it; then go back to the page, unless there is something to show. What was not done is said, and what was typed kept."""
    try:
        made = act()
    except NotDoneError as error:
        status = 503 if error.is_unclear else 409
        now = found(service.ledger, row.identity)
        return _page(request, service, principal, now, status=status, wrong=error, given=fields)
    except WorkerError as error:
        if fields.get("do") != "copy" or isinstance(error, LedgerError):
            raise
        unsent = NotDoneError(str(error))  # nothing was done yet, and what was typed may be the only copy of it
        return _page(request, service, principal, row, status=503, wrong=unsent, given=fields)
    if made is not None:
        return _page(request, service, principal, row, shown=made)
    return RedirectResponse(message_path(row.identity), 303)


def _page(
    request: Request, service: Service, principal: Principal, row: Row, *, status: int = 200, **more: Any
) -> Response:
    given = {
        "one": one_message(service, principal, row), "now": None, "shown": None, "wrong": None, "given": {},
        "when": choices(request, service), "states": frozenset(State), **more,
    }  # fmt: skip
    return page(request, "message.html", principal, given, status=status)
