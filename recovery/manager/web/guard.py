"""What every request passes: whom it is meant for, where it comes from, how many there are; and the log line about it.

Without sign-in, whoever reaches the port may read. A page of another site that the operator's browser has open, and a name that
its owner points at 127.0.0.1 (DNS rebinding), reach it through that browser; so would anyone through a proxy beside it. Hence
the checks of Host, Sec-Fetch-Site, Origin and the Forwarded headers.
"""

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from recovery.manager.web.problems import problem, unavailable
from worker.core.base.events import LogEvent
from worker.core.base.logs import emit

MAX_REQUESTS = 64
"""Under way at the same time, waiting ones included; with what one holds (bodies.py), this bounds the memory."""
MAX_HEAD_BYTES = 32 * 1024
"""Path, query and headers; a query alone, of 2,000 characters, may have 24,000 once it is percent-encoded."""
METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE")
OPEN = frozenset({"/health", "/metrics"})
"""Paths that pages of other sites may ask for too; none can read the answer."""
SECURITY_HEADERS = [
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"),
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
]
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\s:\[\]@/]+)(?::\d{1,5})?")
_FROM_ELSEWHERE = frozenset({"cross-site", "same-site"})
"""Same-site is another port of this host, or another name of its domain: not ours either."""


@dataclass(slots=True)
class _Answer:
    """How far an answer is."""

    status: int = 0


class Guard:
    """Refuses what must not be asked, bounds how much is asked, adds the headers of every answer, and logs it."""

    def __init__(self, app: ASGIApp, allowed_hosts: frozenset[str]) -> None:
        self._app = app
        self._allowed = frozenset(map(_plain, allowed_hosts))
        self._under_way = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, answer, is_head = time.monotonic(), _Answer(), scope["method"] == "HEAD"
        inner = {**scope, "method": "GET"} if is_head else {**scope}

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer.status = message["status"]
                message = {**message, "headers": [*message.get("headers", ()), *SECURITY_HEADERS]}
            elif is_head:
                message = {**message, "body": b""}
            await send(message)

        self._under_way += 1
        try:
            await self._answer(inner, scope["method"], receive, guarded)
        except Exception:
            _log_failed(inner)
            if (
                answer.status
            ):  # too late for another answer: the connection is cut, so that nobody takes a part for the whole
                raise
            await problem(500, "a fault of this program; its log says more")(inner, receive, guarded)
        finally:
            self._under_way -= 1
            _log(scope["method"], inner, answer.status, began)

    async def _answer(self, scope: Scope, method: str, receive: Receive, send: Send) -> None:
        refusal = self._refusal(method, scope, _headers(scope))
        await (refusal or self._app)(scope, receive, send)

    def _refusal(self, method: str, scope: Scope, headers: Mapping[str, str]) -> JSONResponse | None:
        """The answer to what must not be asked; None if it may be."""
        host = _HOST.fullmatch(headers.get("host", ""))
        if host is None:
            return problem(400, "the request has no Host header that names this server")
        if _plain(host[1]) not in self._allowed:
            return problem(421, "the Host header names another server; MANAGER_ALLOWED_HOSTS has the names of this one")
        if forwarded := next(
            (name for name in headers if name == "forwarded" or name.startswith("x-forwarded-")), None
        ):
            return problem(
                403, f"the request has the header {forwarded[:80]}: it came through a proxy, and there is no sign-in"
            )
        if scope["path"] not in OPEN and _is_from_elsewhere(headers):
            return problem(403, "the request comes from a page of another origin")
        if method not in METHODS:
            return problem(405, "no path here has this method", headers={"Allow": ", ".join(METHODS)})
        if _head_bytes(scope) > MAX_HEAD_BYTES:
            return problem(431, f"path, query and headers are over {MAX_HEAD_BYTES:,} bytes")
        if self._under_way > MAX_REQUESTS:
            return unavailable(f"{MAX_REQUESTS} requests are under way already")
        return None


def _headers(scope: Scope) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}


def _head_bytes(scope: Scope) -> int:
    headers = sum(len(name) + len(value) for name, value in scope["headers"])
    return headers + len(scope.get("raw_path") or b"") + len(scope["query_string"])


def _plain(host: str) -> str:
    """A name or address as it is compared."""
    return host.lower().strip("[]").rstrip(".")


def _is_from_elsewhere(headers: Mapping[str, str]) -> bool:
    """Whether a page of another origin asks; browsers that do not say so by Sec-Fetch-Site say it by Origin."""
    if (site := headers.get("sec-fetch-site")) is not None:
        return site in _FROM_ELSEWHERE
    origin = headers.get("origin")
    return origin is not None and origin.partition("://")[2].lower() != headers["host"].lower()


def _log(method: str, scope: Scope, status: int, began: float) -> None:
    """Templates and no paths: an id or a query is nobody's business in a log."""
    shown = method if method in METHODS else "other"
    spent_ms = round((time.monotonic() - began) * 1000)
    emit(
        LogEvent.REQUEST_ANSWERED,
        "debug" if scope["path"] in OPEN else "info",
        method=shown,
        route=_route(scope),
        status=status,
        duration_ms=spent_ms,
    )


def _log_failed(scope: Scope) -> None:
    emit(LogEvent.REQUEST_FAILED, "error", route=_route(scope), exc_info=True)


def _route(scope: Scope) -> str:
    return str(getattr(scope.get("route"), "path_format", "") or "")
