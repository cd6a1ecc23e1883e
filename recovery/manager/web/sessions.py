"""What a browser that signs in keeps, in two signed cookies: the sign-in that is under way, and the session after it.

All are `__Host-` cookies: no other host, and no page without TLS, can set them (Chromium and Firefox make an exception of TLS on
this machine). They are SameSite=Lax, not Strict: the provider sends the browser back from its own site, and with Strict the
sign-in's cookie would be missing there. What Lax lets other sites do, the guard refuses (Sec-Fetch-Site).
"""

import hashlib
import hmac
import secrets as random_secrets
import time
from collections.abc import Mapping
from typing import Any

from itsdangerous import BadData, URLSafeTimedSerializer
from starlette.requests import Request
from starlette.responses import Response

from recovery.ledger.ended_sessions import EndedSessions
from recovery.manager.roles import Principal, Role

SESSION_S = 8 * 3600
"""After this, people sign in again; it is also how long somebody keeps a role that an OpenID provider takes away."""
SIGN_IN_S = 600
SESSION, SIGN_IN = "__Host-dlq-manager", "__Host-dlq-manager-sign-in"


class Sessions:
    """Writes and reads the signed cookies."""

    def __init__(self, client_secret: str, ended: EndedSessions, settings: str = "") -> None:
        """The key is made from the client's secret, so that all managers share it, and a new secret ends all sessions.

        So does a change of these settings: those by which claims become a role. A session has the role, not the claims.
        `ended` remembers the sessions of those who have signed out, for all managers of the ledger.
        """
        self._ended = ended
        key = hmac.digest(client_secret.encode(), f"dlq-manager: cookies {settings}".encode(), hashlib.sha256)
        self._made = {
            name: URLSafeTimedSerializer(
                key, salt=name, signer_kwargs={"digest_method": hashlib.sha256, "key_derivation": "hmac"}
            )
            for name in (SESSION, SIGN_IN)
        }

    def begin(self, response: Response, secrets: Mapping[str, str]) -> None:
        """Keep what the end of a sign-in needs."""
        self._set(response, SIGN_IN, dict(secrets), SIGN_IN_S)

    def begun(self, request: Request) -> dict[str, str] | None:
        """What was kept; None if nothing was, or not lately, or it is forged."""
        return self._get(request, SIGN_IN, SIGN_IN_S)

    def open(self, response: Response, principal: Principal) -> None:
        """Begin a session, and forget the sign-in."""
        self.start(response, {"name": principal.name, "role": principal.role.value})
        drop(response, SIGN_IN)

    def start(self, response: Response, said: Mapping[str, str]) -> None:
        """Begin a session of which this is remembered: in the cookie, where its owner can read it but not change it."""
        self._set(response, SESSION, {**said, "id": random_secrets.token_urlsafe(16)}, SESSION_S)

    def has_cookie(self, request: Request) -> bool:
        """Whether the browser says that it has a session."""
        return SESSION in request.cookies

    def close(self, request: Request, response: Response) -> None:
        """End the session, if there is one, wherever else its cookie was kept; and forget everything. Raises LedgerError."""
        if (found := self._get(request, SESSION, SESSION_S)) is not None and "id" in found:
            self._ended.end(found["id"], found["until_ms"])
        drop(response, SESSION)
        drop(response, SIGN_IN)

    def principal(self, request: Request) -> Principal | None:
        """Who has signed in; None if nobody has, or their session is over. Raises LedgerError."""
        found = self.read(request)
        if found is None:
            return None
        return Principal(found["name"], Role(found["role"]), found["until_ms"], session=found["id"])

    def read(self, request: Request) -> dict[str, Any] | None:
        """What is remembered of a session, with its `id` and `until_ms`; None if it is over. Raises LedgerError."""
        found = self._get(request, SESSION, SESSION_S)
        return None if found is None or "id" not in found or self.has_ended(found["id"]) else found

    def has_ended(self, session: str) -> bool:
        """Whether somebody has signed out of a session. Raises LedgerError."""
        return self._ended.has(session)

    def _set(self, response: Response, name: str, value: dict[str, str], ttl_s: int) -> None:
        signed = str(self._made[name].dumps(value))
        response.set_cookie(name, signed, max_age=ttl_s, path="/", secure=True, httponly=True, samesite="lax")

    def _get(self, request: Request, name: str, ttl_s: int) -> dict[str, Any] | None:
        try:
            value, at = self._made[name].loads(request.cookies.get(name, ""), max_age=ttl_s, return_timestamp=True)
        except BadData:
            return None
        return {**value, "until_ms": round((at.timestamp() + ttl_s) * 1000)}


def drop(response: Response, name: str) -> None:
    """Let the browser forget a cookie."""
    response.delete_cookie(name, path="/", secure=True, httponly=True, samesite="lax")


def now_ms() -> int:
    """The time at which sessions are compared."""
    return time.time_ns() // 1_000_000
