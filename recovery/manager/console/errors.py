"""What an error is answered with in the console: a page that says what is wrong, and what to do."""

from typing import Any
from urllib.parse import quote

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from recovery.ledger.errors import AskedWronglyError, LedgerError
from recovery.manager.console.rendering import here, page
from recovery.manager.web.principal import Principal, RoleMissingError
from recovery.manager.web.problems import RETRY_AFTER_S
from recovery.manager.web.service import Service
from recovery.manager.web.sign_in import Mode, SignIn
from worker.core.base.errors import ConfigError, PausedError, WorkerError
from worker.core.base.events import LogEvent
from worker.core.base.logs import emit

_SIGN_IN_PAGES = frozenset({Mode.OIDC, Mode.TOKEN})


def add_handlers(app: FastAPI) -> None:
    """Answer every foreseen error with a page; what is not foreseen goes on to the guard."""
    app.add_exception_handler(AskedWronglyError, _asked_wrongly)
    app.add_exception_handler(RequestValidationError, _not_valid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(WorkerError, _unavailable)
    app.add_exception_handler(ConfigError, _conflicts)
    app.add_exception_handler(PausedError, _paused)


def _asked_wrongly(request: Request, error: Exception) -> Response:
    assert isinstance(error, AskedWronglyError)  # noqa: S101 (as it was registered)
    return _page(request, 400, str(error))


def _not_valid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 (as it was registered)
    first: dict[str, Any] = dict(error.errors()[0])
    return _page(request, 400, f"{first['loc'][-1]}: {first['msg']}")


def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 (as it was registered)
    service: Service = request.app.state.service
    if error.status_code == 401:
        response = _visitor(request, service.sign_in)
    else:
        denied = error if isinstance(error, RoleMissingError) else None
        response = _page(request, error.status_code, str(error.detail), denied=denied)
    response.headers.update(error.headers or {})
    return response


def _visitor(request: Request, sign_in: SignIn) -> Response:
    """The way in for somebody who is not signed in, where a page was opened; else, what keeps them out."""
    if sign_in.mode in _SIGN_IN_PAGES and request.method == "GET":
        return RedirectResponse(f"/auth/login?next={quote(here(request), safe='')}", 303)
    proxy = sign_in.proxy
    names = {"user_header": proxy.user_header, "role_header": proxy.role_header} if proxy else {}
    context = {"mode": sign_in.mode.value, "is_change": request.method != "GET", **names}
    return page(request, "visitor.html", None, context, status=401)


def _conflicts(request: Request, error: Exception) -> Response:
    """A queue that does not exist, or one that is not for these dead letters: asking again does not help."""
    return _page(request, 409, str(error))


def _paused(request: Request, error: Exception) -> Response:
    assert isinstance(error, PausedError)  # noqa: S101 (as it was registered)
    return _page(request, 409, error.sentence)


def _unavailable(request: Request, error: Exception) -> Response:
    emit(LogEvent.REQUEST_UNAVAILABLE, "warning", error=str(error))
    response = _page(request, 503, str(error), is_ledger=isinstance(error, LedgerError))
    response.headers["Retry-After"] = str(RETRY_AFTER_S)
    return response


def _page(
    request: Request, status: int, detail: str, *, is_ledger: bool = False, denied: RoleMissingError | None = None
) -> Response:
    principal: Principal | None = getattr(request.state, "principal", None)  # an error may come before anybody is known
    context = {"status": status, "detail": detail, "is_ledger": is_ledger, "denied": denied}
    return page(request, "error.html", principal, context, status=status)
