"""`/auth/…`: signing in with a browser, at an OpenID provider or by a token, and signing out."""

import hmac
import re
import secrets
import threading
import time
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, HTTPException, Query, Request
from fastapi.responses import RedirectResponse, Response

from recovery.manager.console.forms import SmallForm
from recovery.manager.web.auth_pages import gone_on, signed_out, token_page
from recovery.manager.web.principal import Anyone
from recovery.manager.web.problems import too_many
from recovery.manager.web.provider import SignInError
from recovery.manager.web.sessions import SIGN_IN_S
from recovery.manager.web.sign_in import Oidc, SignIn, peer_of
from recovery.manager.web.token_sessions import TokenSessions
from worker.core.base.events import LogEvent
from worker.core.base.logs import emit

FIRST_PAGE = "/console/"
MAX_CHARS = 2_000
"""Of each parameter that a browser brings."""
_OWN_PATH = re.compile(r"/(?![/\\])[^\s\\]*")
"""A path of this server; `//host` and `/\\host` would be another's."""
_AGAIN = "begin again at /auth/login"
Given = Annotated[str, Query(max_length=MAX_CHARS)]


class _Used:
    """The states with which sign-ins have ended: none ends two."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._until: dict[str, float] = {}

    def add(self, state: str) -> bool:
        """Remember a state for as long as its cookie lasts. False if it is known already."""
        now = time.monotonic()
        with self._lock:
            self._until = {one: until for one, until in self._until.items() if until > now}
            is_new = state not in self._until
            self._until[state] = now + SIGN_IN_S
            return is_new


def make_router(sign_in: SignIn) -> APIRouter:
    """The routes of one way of signing in; none where browsers do not sign in here.

    They are not in the description of the API: a browser follows them, no program calls them.
    """
    router = APIRouter(include_in_schema=False)
    if sign_in.oidc is not None:
        _add_provider(router, sign_in, sign_in.oidc)
    elif sign_in.token_sessions is not None:
        _add_token(router, sign_in, sign_in.token_sessions)
    else:
        return router

    @router.post("/auth/logout")
    def log_out(_anyone: Anyone, request: Request) -> Response:
        """End the session. A form is answered with a page, a program with nothing."""
        is_page = "text/html" in request.headers.get("accept", "")
        response = RedirectResponse("/auth/signed-out", 303) if is_page else Response(status_code=204)
        sign_in.sign_out(request, response)
        return response

    @router.get("/auth/signed-out")
    def say_signed_out(_anyone: Anyone, request: Request) -> Response:
        """Say that nobody is signed in."""
        return signed_out(request)

    return router


def _add_token(router: APIRouter, sign_in: SignIn, sessions: TokenSessions) -> None:
    @router.get("/auth/login")
    def ask_for_token(_anyone: Anyone, request: Request, next: Given = FIRST_PAGE, kept: bool = False) -> Response:  # noqa: A002
        """A page to give a token to. `kept`: the browser has been given its cookie, and should have it."""
        if kept and sign_in.principal(request) is not None:
            return RedirectResponse(own_path(next), 303)
        return token_page(request, own_path(next), "not kept" if kept else "")

    @router.post("/auth/login")
    def take_token(_anyone: Anyone, request: Request, form: SmallForm) -> Response:
        """Begin a session of whoever has a token, if it is good for anything."""
        given = {name: value for name, value in form if len(value) <= MAX_CHARS}
        path, secret = own_path(given.get("next", "")), given.get("token", "").strip()
        principal = sign_in.of_token(secret)
        if principal is None:
            if (wait_s := sign_in.rates.failure(peer_of(request))) is not None:
                raise too_many(wait_s)
            emit(
                LogEvent.SIGN_IN_REFUSED,
                "warning",
                peer=peer_of(request),
                reason="a token that is unknown, revoked or expired",
            )
            return token_page(request, path, "unknown", 401)
        emit(LogEvent.SIGN_IN_ACCEPTED, "info", by=principal.name, role=principal.role.value)
        response = RedirectResponse(f"/auth/login?kept=true&next={quote(path, safe='')}", 303)
        sessions.open(response, secret)
        return response


def _add_provider(router: APIRouter, sign_in: SignIn, oidc: Oidc) -> None:
    used = _Used()

    @router.get("/auth/login")
    def log_in(_anyone: Anyone, request: Request, next: Given = FIRST_PAGE) -> Response:  # noqa: A002 (as it is called elsewhere)
        """Go to the provider. `next`: the path to go to afterwards."""
        if (wait_s := sign_in.rates.failure(peer_of(request))) is not None:
            raise too_many(wait_s)
        kept = {name: secrets.token_urlsafe(32) for name in ("state", "nonce", "verifier")}
        url = oidc.provider.sign_in_url(**kept)
        response = RedirectResponse(url, 303)
        oidc.sessions.begin(response, {**kept, "next": own_path(next)})
        return response

    @router.get("/auth/callback")
    def come_back(
        _anyone: Anyone, request: Request, state: Given = "", code: Given = "", error: Given = ""
    ) -> Response:
        """Come back from the provider, and have a session."""
        kept = oidc.sessions.begun(request)
        if kept is None or not hmac.compare_digest(kept["state"].encode(), state.encode()):
            raise _refused(request, f"the sign-in began in another browser, or too long ago: {_AGAIN}", 400)
        if not used.add(state):
            raise _refused(request, f"this sign-in has ended already: {_AGAIN}", 400)
        if error or not code:
            raise _refused(request, f"the provider says: {error or 'nothing'}; {_AGAIN}", 401)
        try:
            claims = oidc.provider.claims(code, nonce=kept["nonce"], verifier=kept["verifier"])
        except SignInError as why:
            raise _refused(request, str(why), 401) from why
        principal = oidc.principal(claims, sign_in.roles)
        if principal is None:
            raise _refused(
                request, "the provider names none of the roles that are listed in MANAGER_READERS and the like", 403
            )
        emit(LogEvent.SIGN_IN_ACCEPTED, "info", by=principal.name, role=principal.role.value)
        response = gone_on(request, kept["next"])
        oidc.sessions.open(response, principal)
        return response


def own_path(given: str) -> str:
    """Where a browser goes on to: a path of this server, or the first page."""
    return given if _OWN_PATH.fullmatch(given) else FIRST_PAGE


def _refused(request: Request, why: str, status: int) -> HTTPException:
    emit(LogEvent.SIGN_IN_REFUSED, "warning", peer=peer_of(request), reason=why)
    return HTTPException(status, why)
