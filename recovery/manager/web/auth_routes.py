"""`/auth/login`, `/auth/callback` and `/auth/logout`: signing in at an OpenID provider, with a browser."""

import hmac
import html
import re
import secrets
import threading
import time
from typing import Annotated

from fastapi import APIRouter, HTTPException, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from recovery.manager.web.principal import Anyone
from recovery.manager.web.problems import too_many
from recovery.manager.web.provider import SignInError
from recovery.manager.web.sessions import SIGN_IN_S
from recovery.manager.web.sign_in import Oidc, SignIn, peer_of
from worker.core.base.events import LogEvent
from worker.core.base.logs import emit

FIRST_PAGE = "/api/v1/stats"
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


def make_router(oidc: Oidc, sign_in: SignIn) -> APIRouter:
    """The routes of one provider. They are not in the description of the API: a browser follows them, no program calls them."""
    router = APIRouter(include_in_schema=False)
    used = _Used()

    @router.get("/auth/login")
    def log_in(_anyone: Anyone, request: Request, next: Given = FIRST_PAGE) -> Response:  # noqa: A002 (as it is called elsewhere)
        """Go to the provider. `next`: the path to go to afterwards."""
        if (wait_s := sign_in.rates.failure(peer_of(request))) is not None:
            raise too_many(wait_s)
        kept = {name: secrets.token_urlsafe(32) for name in ("state", "nonce", "verifier")}
        url = oidc.provider.sign_in_url(**kept)
        response = RedirectResponse(url, 303)
        oidc.sessions.begin(response, {**kept, "next": next if _OWN_PATH.fullmatch(next) else FIRST_PAGE})
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
        response = HTMLResponse(_page(kept["next"]))
        oidc.sessions.open(response, principal)
        return response

    @router.post("/auth/logout", status_code=204)
    def log_out(_anyone: Anyone) -> Response:
        """Forget the session in this browser."""
        response = Response(status_code=204)
        oidc.sessions.close(response)
        return response

    return router


def _refused(request: Request, why: str, status: int) -> HTTPException:
    emit(LogEvent.SIGN_IN_REFUSED, "warning", peer=peer_of(request), reason=why)
    return HTTPException(status, why)


def _page(path: str) -> str:
    """A page that goes on by itself. A redirect would still count as one from the provider's site, which the guard refuses."""
    to = html.escape(path, quote=True)
    return (
        f'<!doctype html><html lang="en"><title>Signed in</title><meta http-equiv="refresh" content="0;url={to}">'
        f'<p>Signed in. <a href="{to}">Go on</a></p></html>'
    )
