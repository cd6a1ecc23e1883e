"""What every request passes: whom it is meant for, where it comes from, how many there are; and the log line about it.

Without sign-in, whoever reaches the port may act. A page of another site that the operator's browser has open, and a name that
its owner points at 127.0.0.1 (DNS rebinding), reach it through that browser; so would anyone through a proxy beside it. With
sign-in, that browser has a session, or the proxy's. Hence the checks of Host, Sec-Fetch-Site, Origin and the Forwarded headers.
Who asks, and whether they may, is each route's question (principal.py).
"""

import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from recovery.manager.web.principal import SignInEndedError
from recovery.manager.web.problems import METHODS, problem, unavailable
from recovery.manager.web.sign_in import Mode, SignIn
from worker.core.base.events import LogEvent
from worker.core.base.logs import emit

MAX_REQUESTS = 96
"""Under way at the same time, waiting ones included; with what one holds (bodies.py), this bounds the memory."""
MAX_HEAD_BYTES = 32 * 1024
"""Path, query and headers; a query alone, of 2,000 characters, may have 24,000 once it is percent-encoded."""
MAX_BODY_BYTES = 2 * 1024 * 1024
"""Of a request; the longest, a batch of 1,000 ids, has 200 KB."""
SAFE = frozenset({"GET", "HEAD"})
QUIET = frozenset({"/health", "/metrics"})
"""Paths that are asked for all the time."""
OPEN = QUIET | {"/auth/login", "/auth/callback"}
"""Paths that pages of other sites may ask for too; none can read the answer. A provider sends browsers to the last."""
CONSOLE, SIGNING_IN = "/console/", "/auth/"
"""Where there are pages, and therefore forms; everything else is asked by programs and scripts."""
FORM = "application/x-www-form-urlencoded"
SECURITY_HEADERS = [
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"),
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
]
"""Of every answer that does not have a header of the same name: pages have styles, and their assets may be kept."""
_TOO_LONG = f"the body is over {MAX_BODY_BYTES:,} bytes"
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\s:\[\]@/]+)(?::\d{1,5})?")
_FROM_HERE = frozenset({"same-origin", "none"})
"""Sec-Fetch-Site of our own pages, and of what a person types. Same-site is another port of this host, or another name of its
domain: not ours."""
_OF_PROXIES = frozenset({"forwarded", "via", "x-real-ip"})


@dataclass(slots=True)
class _Answer:
    """How far an answer is."""

    status: int = 0


class Guard:
    """Refuses what must not be asked, bounds how much is asked, adds the headers of every answer, and logs it."""

    def __init__(self, app: ASGIApp, allowed_hosts: frozenset[str], sign_in: SignIn) -> None:
        self._app = app
        self._sign_in = sign_in
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
                message = {**message, "headers": _secured(message.get("headers", ()))}
            elif is_head:
                message = {**message, "body": b""}
            await send(message)

        self._under_way += 1
        try:
            await self._answer(inner, scope["method"], receive, guarded)
        except SignInEndedError:  # the connection is cut, so that nobody takes a part for the whole
            raise
        except Exception:
            _log_failed(inner)
            if answer.status:  # too late for another answer: it is cut, too
                raise
            await problem(500, "a fault of this program; its log says more")(inner, receive, guarded)
        finally:
            self._under_way -= 1
            _log(scope["method"], inner, answer.status, began)

    async def _answer(self, scope: Scope, method: str, receive: Receive, send: Send) -> None:
        refusal = self._refusal(method, scope, _headers(scope))
        await (refusal or self._app)(scope, _bounded(receive), send)

    def _refusal(self, method: str, scope: Scope, headers: Mapping[str, str]) -> JSONResponse | None:
        """The answer to what must not be asked; None if it may be."""
        host = _HOST.fullmatch(headers.get("host", ""))
        if host is None:
            return problem(400, "the request has no Host header that names this server")
        if _plain(host[1]) not in self._allowed:
            return problem(421, "the Host header names another server; MANAGER_ALLOWED_HOSTS has the names of this one")
        if why := self._not_through_a_proxy(scope, headers):
            return problem(403, why)
        if _is_from_elsewhere(headers) and not (method in SAFE and _may_be_linked(scope["path"], headers)):
            return problem(403, "the request comes from a page of another origin")
        if method not in SAFE and (refusal := self._unsafe(scope["path"], headers)):
            return refusal
        if _head_bytes(scope) > MAX_HEAD_BYTES:
            return problem(431, f"path, query and headers are over {MAX_HEAD_BYTES:,} bytes")
        if self._under_way > MAX_REQUESTS:
            return unavailable(f"{MAX_REQUESTS} requests are under way already")
        return None

    def _not_through_a_proxy(self, scope: Scope, headers: Mapping[str, str]) -> str | None:
        """Why a request with a Forwarded header is refused. Where people sign in, nobody reads it, whoever wrote it."""
        name = next((one for one in headers if one in _OF_PROXIES or one.startswith("x-forwarded-")), None)
        if name is None or self._sign_in.mode in {Mode.TOKEN, Mode.OIDC}:
            return None
        said = f"the request has the header {name[:80]}"
        if self._sign_in.mode is Mode.NONE:
            return f"{said}: it came through a proxy, and there is no sign-in"
        peer = (scope.get("client") or ("",))[0]
        return None if self._sign_in.is_proxy(peer) else f"{said}, but does not come from an address in PROXY_TRUSTED"

    def _unsafe(self, path: str, headers: Mapping[str, str]) -> JSONResponse | None:
        """The answer to a change that must not be asked for in this way; None if it may be.

        A browser says where a change comes from, in one way or the other. What has neither comes from a program, which has to
        have a token where a browser would have a session. A form needs no leave to be sent from anywhere, so one of pages is
        believed only where the browser says that it is ours.
        """
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        is_form = kind == FORM and path.startswith((CONSOLE, SIGNING_IN))
        if (is_form or path.startswith(CONSOLE)) and not _is_from_here(headers):
            return problem(403, "a form has to be sent by a page of this server, and by a browser that says so")
        is_of_browser = "sec-fetch-site" in headers or "origin" in headers
        if not is_of_browser and self._sign_in.mode is not Mode.NONE and "authorization" not in headers:
            return problem(403, "a change needs a token, or the headers Sec-Fetch-Site or Origin of a browser")
        length = headers.get("content-length", "0")
        if length.isdecimal() and int(length) > MAX_BODY_BYTES:
            return problem(413, _TOO_LONG)
        has_body = length != "0" or "transfer-encoding" in headers
        if has_body and not is_form and kind != "application/json":
            return problem(415, "a body has to be of type application/json")
        return None


def _bounded(receive: Receive) -> Receive:
    """Receives a body up to MAX_BODY_BYTES, whatever its length is said to be."""
    total = 0

    async def receive_bounded() -> Message:
        nonlocal total
        message = await receive()
        total += len(message.get("body") or b"")
        if total > MAX_BODY_BYTES:
            raise HTTPException(413, _TOO_LONG)
        return message

    return receive_bounded


def _headers(scope: Scope) -> dict[str, str]:
    """By name; one that is there twice has both values, as RFC 9110 (5.3) joins them, and is not what it would be alone."""
    found: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        found[name] = f"{found[name]}, {value}" if name in found else value
    return found


def _head_bytes(scope: Scope) -> int:
    headers = sum(len(name) + len(value) for name, value in scope["headers"])
    return headers + len(scope.get("raw_path") or b"") + len(scope["query_string"])


def _plain(host: str) -> str:
    """A name or address as it is compared."""
    return host.lower().strip("[]").rstrip(".")


def _secured(given: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """The headers of an answer, and those of safety that it does not have."""
    own = list(given)
    names = {name.lower() for name, _ in own}
    return [*own, *(one for one in SECURITY_HEADERS if one[0] not in names)]


def _may_be_linked(path: str, headers: Mapping[str, str]) -> bool:
    """Whether pages of other sites may lead here: chats and mails have links to pages, which open as a whole, in no frame."""
    is_link = headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document"
    return path in OPEN or (is_link and (path == "/" or f"{path}/".startswith(CONSOLE)))


def _is_from_here(headers: Mapping[str, str]) -> bool:
    """Whether a browser says that a page of this server asks. What a person types (none) sends no form."""
    site = headers.get("sec-fetch-site")
    return "origin" in headers if site is None else site == "same-origin"


def _is_from_elsewhere(headers: Mapping[str, str]) -> bool:
    """Whether a page of another origin asks; browsers that do not say so by Sec-Fetch-Site say it by Origin."""
    if (site := headers.get("sec-fetch-site")) is not None:
        return site not in _FROM_HERE
    origin = headers.get("origin")
    return origin is not None and origin.partition("://")[2].lower() != headers["host"].lower()


def _log(method: str, scope: Scope, status: int, began: float) -> None:
    """Templates and no paths: an id or a query is nobody's business in a log."""
    shown = method if method in METHODS else "other"
    spent_ms = round((time.monotonic() - began) * 1000)
    emit(
        LogEvent.REQUEST_ANSWERED,
        "debug" if scope["path"] in QUIET else "info",
        method=shown,
        route=_route(scope),
        status=status,
        duration_ms=spent_ms,
    )


def _log_failed(scope: Scope) -> None:
    emit(LogEvent.REQUEST_FAILED, "error", route=_route(scope), exc_info=True)


def _route(scope: Scope) -> str:
    return str(getattr(scope.get("route"), "path_format", "") or "")
