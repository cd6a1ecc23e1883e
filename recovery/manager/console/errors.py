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
from recovery.manager.console.rendering import page
from recovery.manager.web.problems import RETRY_AFTER_S
from recovery.manager.web.service import Service
from recovery.manager.web.sign_in import Mode
from worker.core.base.errors import WorkerError
from worker.core.base.events import LogEvent
from worker.core.base.logs import emit

_SIGN_IN_PAGES = frozenset({Mode.OIDC, Mode.TOKEN})


def add_handlers(app: FastAPI) -> None:
    """Answer every foreseen error with a page; what is not foreseen goes on to the guard."""
    app.add_exception_handler(AskedWronglyError, _asked_wrongly)
    app.add_exception_handler(RequestValidationError, _not_valid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(WorkerError, _unavailable)


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
    if error.status_code == 401 and service.sign_in.mode in _SIGN_IN_PAGES and request.method == "GET":
        wanted = f"{request.url.path}?{request.url.query}" if request.url.query else request.url.path
        return RedirectResponse(f"/auth/login?next={quote(wanted)}", 303)
    response = _page(request, error.status_code, str(error.detail))
    response.headers.update(error.headers or {})
    return response


def _unavailable(request: Request, error: Exception) -> Response:
    emit(LogEvent.REQUEST_UNAVAILABLE, "warning", error=str(error))
    response = _page(request, 503, str(error), is_ledger=isinstance(error, LedgerError))
    response.headers["Retry-After"] = str(RETRY_AFTER_S)
    return response


def _page(request: Request, status: int, detail: str, *, is_ledger: bool = False) -> Response:
    return page(
        request, "error.html", None, {"status": status, "detail": detail, "is_ledger": is_ledger}, status=status
    )
