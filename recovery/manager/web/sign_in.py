"""How people and programs say who they are: not at all, by a token, by a session at an OpenID provider, or through a proxy."""

import hmac
import ipaddress
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from recovery.ledger.errors import LedgerError
from recovery.ledger.tokens import Tokens
from recovery.manager.addresses import Network
from recovery.manager.roles import PROGRAM, Principal, Role
from recovery.manager.token_secrets import digest_of
from recovery.manager.web.provider import Provider
from recovery.manager.web.rates import Rates
from recovery.manager.web.sessions import Sessions, now_ms
from recovery.manager.web.token_sessions import TokenSessions

USE_NOTED_MS = 3_600_000
"""The use of a token is noted once in this time: a write for each request would be one too many."""
PROXY_S = 900
"""How long what a proxy says of somebody holds for an answer that is under way: then the proxy has to be asked again."""


class Mode(StrEnum):
    """The values of MANAGER_AUTH."""

    NONE = "none"
    TOKEN = "token"  # noqa: S105 (the name of a mode)
    OIDC = "oidc"
    PROXY = "proxy"


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy that signs people in, and the headers in which it names them."""

    user_header: str
    role_header: str
    trusted: Sequence[Network]
    """Its addresses, as those of the connections that it makes."""


@dataclass(frozen=True, slots=True)
class Oidc:
    """Sign-in at an OpenID provider."""

    provider: Provider
    sessions: Sessions
    name_claim: str
    roles_claim: str

    def principal(self, claims: Mapping[str, Any], roles: Mapping[str, frozenset[str]]) -> Principal | None:
        """Somebody of whom the provider says this; None if that makes them nobody here."""
        name = claims.get(self.name_claim) or claims.get("sub")
        given: Any = claims.get(self.roles_claim)
        if given is None:
            given = claims
            for part in self.roles_claim.split("."):
                given = given.get(part) if isinstance(given, Mapping) else None
        values = [given] if isinstance(given, str) else given if isinstance(given, list) else []
        return Principal.of_claims(str(name or ""), [str(one) for one in values], roles)


@dataclass(frozen=True, slots=True)
class SignIn:
    """Says who asks."""

    by: str
    """Who asks where nobody is asked who they are: `api@host`."""
    mode: Mode = Mode.NONE
    tokens: Tokens | None = None
    """The ledger's; needed for every mode but none."""
    roles: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """What a provider or proxy says of readers, operators and admins."""
    proxy: Proxy | None = None
    oidc: Oidc | None = None
    token_sessions: TokenSessions | None = None
    """Those of browsers, where tokens are all there is to sign in by."""
    rates: Rates = field(kw_only=True)

    def principal(self, request: Request) -> Principal | None:
        """Who asks; None if they do not say, or it is not to be believed. Raises LedgerError.

        A request with a token is judged by that alone, whatever else it has.
        """
        if self.mode is Mode.NONE:
            return Principal(self.by, Role.OPERATOR)
        if given := request.headers.getlist("authorization"):
            return self._of_header(given)
        if self.token_sessions is not None:
            return self._of_token_session(request, self.token_sessions)
        if self.proxy is not None:
            return self._of_proxy(request, self.proxy)
        return self.oidc.sessions.principal(request) if self.oidc else None

    def has_token(self, request: Request) -> bool:
        """Whether a request is judged by a token."""
        return "authorization" in request.headers

    def sign_out(self, request: Request, response: Response) -> None:
        """Let a browser be nobody's any more. Raises LedgerError, and then nothing has changed."""
        if self._sessions is not None:
            self._sessions.close(request, response)

    def is_proxy(self, peer: str) -> bool:
        """Whether the proxy is at this address."""
        address = address_of(peer)
        return self.proxy is not None and address is not None and any(address in one for one in self.proxy.trusted)

    def still_valid(self, principal: Principal) -> bool:
        """Whether somebody who has asked may go on: their token or session has not ended. Raises LedgerError."""
        now = now_ms()
        if principal.until_ms is not None and now >= principal.until_ms:
            return False
        if principal.session is not None and self._sessions is not None and self._sessions.has_ended(principal.session):
            return False
        if principal.token is None or self.tokens is None:
            return True
        found = self.tokens.find(principal.token)
        return found is not None and found.is_valid(now)

    @property
    def _sessions(self) -> Sessions | TokenSessions | None:
        return self.oidc.sessions if self.oidc else self.token_sessions

    def _of_token_session(self, request: Request, sessions: TokenSessions) -> Principal | None:
        found = sessions.read(request)
        principal = found and self.of_token(found.secret)
        if not found or not principal:
            return None
        until_ms = min(found.until_ms, principal.until_ms or found.until_ms)
        return replace(principal, until_ms=until_ms, session=found.id)

    def _of_header(self, given: Sequence[str]) -> Principal | None:
        scheme, _, secret = given[0].partition(" ")
        return self.of_token(secret.strip()) if len(given) == 1 and scheme.lower() == "bearer" else None

    def of_token(self, secret: str) -> Principal | None:
        """Whose token this is; None if it is nobody's, or is revoked or expired. Raises LedgerError."""
        digest = digest_of(secret)
        if digest is None or self.tokens is None:
            return None
        now, found = now_ms(), self.tokens.find(digest)
        if found is None or not hmac.compare_digest(found.digest, digest) or not found.is_valid(now):
            return None
        if found.used_ms is None or now - found.used_ms >= USE_NOTED_MS:
            with suppress(LedgerError):  # a ledger that can only be read still answers
                self.tokens.note_use(digest, now)
        return Principal(f"{PROGRAM}{found.name}", Role(found.role), found.expires_ms, digest)

    def _of_proxy(self, request: Request, proxy: Proxy) -> Principal | None:
        """Whom the proxy names. A header that is there twice is one of the proxy's and one of somebody else's."""
        users, roles = (request.headers.getlist(name) for name in (proxy.user_header, proxy.role_header))
        if not self.is_proxy(peer_of(request)) or len(users) != 1 or len(roles) != 1:
            return None
        until_ms = now_ms() + PROXY_S * 1000
        return Principal.of_claims(
            users[0], [one.strip() for one in roles[0].split(",")], self.roles, until_ms=until_ms
        )


def peer_of(request: Request) -> str:
    """The address of the connection's other end; never what a header says."""
    return request.client.host if request.client else ""


def address_of(peer: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """An address; an IPv4 one also where the socket shows it as one of IPv6."""
    try:
        found = ipaddress.ip_address(peer.partition("%")[0])
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return mapped or found
