"""The sessions of browsers that have signed in by a token. Their cookie is good for eight hours, for pages, and until it is ended.

It is signed, and has the token's secret in it, encrypted. So whoever copies the cookie has no token to ask with elsewhere, and
whoever copies the ledger, which has the key of the cookies and the digests of the tokens, can make no cookie.
"""

import hashlib
import hmac
from dataclasses import dataclass, field
from functools import cached_property

from joserfc import jwe
from joserfc.jwk import OctKey
from starlette.requests import Request
from starlette.responses import Response

from recovery.ledger.ended_sessions import EndedSessions
from recovery.manager.web.sessions import Sessions

_HEADER = {"alg": "dir", "enc": "A256GCM"}


@dataclass(frozen=True, slots=True)
class TokenSession:
    """A session that has not ended; its token may have."""

    id: str
    secret: str = field(repr=False)
    """Of the token."""
    until_ms: int
    """When it ends by itself (ms since the epoch)."""


class TokenSessions:
    """The sessions of one ledger; threads may share it. Every method raises LedgerError where the database fails."""

    def __init__(self, ended: EndedSessions) -> None:
        """`ended` remembers the sessions of those who have signed out, and has the key: a new ledger ends all sessions."""
        self._ended = ended

    def open(self, response: Response, secret: str) -> None:
        """Begin a session of whoever has this token."""
        self._signed.start(response, {"token": jwe.encrypt_compact(_HEADER, secret, self._sealing)})

    def read(self, request: Request) -> TokenSession | None:
        """The session of a browser; None if it has none, or it has ended."""
        if not self._signed.has_cookie(request) or (found := self._signed.read(request)) is None:
            return None
        secret = jwe.decrypt_compact(found["token"], self._sealing).plaintext or b""
        return TokenSession(found["id"], secret.decode(), found["until_ms"])

    def close(self, request: Request, response: Response) -> None:
        """End the session, if there is one, wherever else its cookie was kept."""
        self._signed.close(request, response)

    def has_ended(self, session: str) -> bool:
        """Whether somebody has signed out of a session."""
        return self._ended.has(session)

    @cached_property
    def _key(self) -> str:
        return self._ended.key()

    @cached_property
    def _signed(self) -> Sessions:
        return Sessions(self._key, self._ended, "of tokens")

    @cached_property
    def _sealing(self) -> OctKey:
        return OctKey.import_key(hmac.digest(self._key.encode(), b"dlq-manager: tokens in cookies", hashlib.sha256))
