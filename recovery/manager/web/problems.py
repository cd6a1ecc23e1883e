"""What an error is answered with: problem details (RFC 9457), which name the field, its value, and what would be right."""

import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute, iter_route_contexts
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from recovery.ledger.errors import AskedWronglyError, LedgerError
from worker.core.base.errors import ConfigError, DependencyError, IndexUnavailableError, QueueError, StoreError
from worker.core.base.events import LogEvent
from worker.core.base.logs import emit

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_S = 5
"""When a client should ask again if the ledger or the state bucket refuses: outages of seconds are the usual ones."""
MAX_SHOWN_CHARS = 80
"""Of a wrong value."""
SAYS = {
    400: "A parameter is wrong; `field`, `value` and `expected` say which, and what would be right.",
    401: "It is not known who is asking: a token is missing, unknown, revoked or expired, or nobody has signed in.",
    403: "The role is not sufficient, or the request came through a proxy that is not trusted, or from another site's page.",
    404: "There is no such path, no such dead letter, its object is gone, or a page is off; `detail` says which.",
    405: "The path has no such method; `Allow` says which it has.",
    409: "The request conflicts with the present state; `detail` says why.",
    410: "The plan is too old; make another.",
    412: "The dead letter has changed since; `ETag` has its version now.",
    413: "The body is too long, or more than 1,000,000 dead letters are selected.",
    415: "The body is not of type application/json.",
    421: "The Host header names another server than this one.",
    422: "The `Idempotency-Key` was used for another request.",
    428: "The header `If-Match` is missing: it says which version of the dead letter is meant.",
    429: "This principal, or this address, has sent too many requests. Try again after `Retry-After`.",
    431: "Path, query and headers are too long together.",
    500: "A fault of this program; the log has its stack.",
    503: "Ledger, state bucket or index cannot be used, or too many requests are under way. Ask again after `Retry-After`.",
}
"""The statuses that are problems, and when they are answered."""
EVERYWHERE = (401, 403, 421, 429, 431, 500, 503)
"""What any route may answer: guard.py, principal.py."""
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
"""Those that any route may have."""


class Problem(BaseModel):
    """What is wrong (RFC 9457)."""

    type: str = Field(default="about:blank", description="Always `about:blank`: `status` and `detail` say it all.")
    title: str = Field(description="The status in words.")
    status: int = Field(description="The status of the answer.")
    detail: str = Field(description="What is wrong, in a sentence.")
    field: str | None = Field(
        default=None, description="The parameter or filter that is wrong; absent if it is none of them."
    )
    value: str | None = Field(default=None, description=f"Its value, at most {MAX_SHOWN_CHARS} characters of it.")
    expected: str | None = Field(default=None, description="What would be right.")


def problem(
    status: int, detail: str, *, wrong: AskedWronglyError | None = None, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """An answer that says what is wrong."""
    made = Problem(title=HTTPStatus(status).phrase, status=status, detail=detail)
    if wrong is not None:
        made.field, made.value, made.expected = wrong.field, wrong.value[:MAX_SHOWN_CHARS], wrong.expected
    return JSONResponse(made.model_dump(exclude_none=True), status, headers, MEDIA_TYPE)


def unavailable(detail: str) -> JSONResponse:
    """The answer where something that is needed refuses for now."""
    return problem(503, detail, headers={"Retry-After": str(RETRY_AFTER_S)})


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """How a route describes these problems, and those that every route may answer."""
    schema = {"schema": {"$ref": "#/components/schemas/Problem"}}
    return {
        status: {"description": SAYS[status], "content": {MEDIA_TYPE: schema}}
        for status in sorted({*statuses, *EVERYWHERE})
    }


def not_found(detail: str) -> HTTPException:
    """To be raised where something is not there."""
    return HTTPException(404, detail)


def too_many(wait_s: int) -> HTTPException:
    """To be raised where somebody asks too often."""
    return HTTPException(429, f"too many requests: ask again in {wait_s} s", {"Retry-After": str(wait_s)})


def add_handlers(app: FastAPI) -> None:
    """Answer every foreseen error with its problem; what is not foreseen goes on to the guard."""
    app.add_exception_handler(AskedWronglyError, _asked_wrongly)
    app.add_exception_handler(RequestValidationError, _not_valid)
    app.add_exception_handler(LedgerError, _unavailable)
    for kind in (
        StoreError,
        QueueError,
        IndexUnavailableError,
        DependencyError,
    ):  # the last: the OpenID provider, among others
        app.add_exception_handler(kind, _unavailable)
    app.add_exception_handler(ConfigError, _conflicts)
    app.add_exception_handler(HTTPException, _of_http)


async def _asked_wrongly(_request: Request, error: Exception) -> JSONResponse:
    return problem(400, str(error), wrong=error if isinstance(error, AskedWronglyError) else None)


async def _not_valid(_request: Request, error: Exception) -> JSONResponse:
    first: dict[str, Any] = error.errors()[0] if isinstance(error, RequestValidationError) else {}
    wrong = asked_wrongly(first, first["loc"][1:])  # without where it stands: query, path, body
    return problem(400, str(wrong), wrong=wrong)


def asked_wrongly(first: Mapping[str, Any], place: Sequence[Any]) -> AskedWronglyError:
    """The first of the faults that pydantic has found, in words that fit an answer. `place`: the names that lead to it."""
    *_, said = str(first.get("msg", "")).rpartition("it should be ")  # in our own words, or in those of pydantic
    expected = re.sub(r"^(Value error, |(Input|String|Value) should (be |have )?)", "", said)
    if first.get("type") == "missing":
        expected, first = "given", {**first, "input": ""}
    field = ".".join(str(one) for one in place if isinstance(one, str)) or "body"
    return AskedWronglyError(field, str(first.get("input"))[:MAX_SHOWN_CHARS], expected)


async def _conflicts(_request: Request, error: Exception) -> JSONResponse:
    """A queue that does not exist, or one that is not for these dead letters."""
    return problem(409, str(error))


async def _unavailable(_request: Request, error: Exception) -> JSONResponse:
    _log_unavailable(error)
    return unavailable(str(error))


def _log_unavailable(error: Exception) -> None:
    emit(LogEvent.REQUEST_UNAVAILABLE, "warning", error=str(error))


async def _of_http(request: Request, error: Exception) -> JSONResponse:
    status = error.status_code if isinstance(error, HTTPException) else 500
    if status == 405:
        allowed = ", ".join(_methods_of(request))
        return problem(405, f"this path accepts {allowed}", headers={"Allow": allowed})
    said = error.detail if isinstance(error, HTTPException) else ""
    if said == HTTPStatus(status).phrase:  # the router's own words
        said = "there is no such path; /openapi.json lists them all" if status == 404 else said
    return problem(status, said, headers=getattr(error, "headers", None))


def _methods_of(request: Request) -> list[str]:
    """The methods of a path. The router names only those of the first route that it has.

    An id may have slashes, so a path ending in `/hold` is also that of a dead letter: of several, the longest template counts.
    """
    matching: dict[str, set[str]] = {}
    for context in iter_route_contexts(request.app.routes):
        route = context.original_route
        if isinstance(route, APIRoute) and route.path_regex.match(request.url.path):
            matching.setdefault(route.path, set()).update(route.methods or ())
    methods = matching[max(matching, key=len)] if matching else set()
    found = [method for method in METHODS if method in methods]
    return ["GET", "HEAD", *found[1:]] if found[:1] == ["GET"] and "HEAD" not in found else found
