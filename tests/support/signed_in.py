"""Services of the manager with each way of signing in, and tokens to ask them with."""

import time
from ipaddress import ip_network
from typing import Any

from recovery.ledger.ledger import Ledger
from recovery.ledger.tokens import Token
from recovery.manager.redaction import Redactor
from recovery.manager.roles import Role
from recovery.manager.token_secrets import digest_of, new_secret
from recovery.manager.web.provider import Client, Provider
from recovery.manager.web.rates import Rates
from recovery.manager.web.sessions import Sessions
from recovery.manager.web.sign_in import Mode, Oidc, Proxy, SignIn
from recovery.manager.web.token_sessions import TokenSessions
from tests.support.api import Api

PROXY_PEER, OTHER_PEER = "10.0.0.7", "10.0.1.7"
ROLES = {role.value: frozenset({f"dlq-{role.value}s"}) for role in Role}
"""A provider's or proxy's values: dlq-readers, dlq-operators, dlq-admins."""
CLIENT_SECRET = "the-client's-secret"
SITE = "https://dlq.example.com"


def signed_in(
    ledger: Ledger, mode: Mode, *, issuer: str = "http://127.0.0.1:9", per_minute: int = 1_000_000,
    redactor: Redactor | None = None, **more: Any,
) -> Api:  # fmt: skip
    """A service that asks who asks; `more`: of the Api."""
    proxy = Proxy("X-Forwarded-User", "X-Forwarded-Groups", (ip_network("10.0.0.0/24"),))
    client = Client(issuer, "dlq-manager", CLIENT_SECRET, "openid profile", f"{SITE}/auth/callback")
    oidc = Oidc(
        Provider(client), Sessions(CLIENT_SECRET, ledger.ended_sessions), "preferred_username", "realm_access.roles"
    )
    sign_in = SignIn(
        "api@host", mode, ledger.tokens, ROLES, proxy if mode is Mode.PROXY else None, oidc if mode is Mode.OIDC else None,
        TokenSessions(ledger.ended_sessions) if mode is Mode.TOKEN else None, rates=Rates(per_minute),
    )  # fmt: skip
    hosts = frozenset({"127.0.0.1", "localhost", "dlq.example.com"})
    return Api(ledger, hosts, sign_in, redactor, **more)


def new_token(ledger: Ledger, role: Role, name: str = "", **fields: Any) -> str:
    """The secret of a new token."""
    secret, now_ms = new_secret(), time.time_ns() // 1_000_000
    made = Token(name or f"{role.value}s", role.value, digest_of(secret) or "", now_ms, "me@host", **fields)
    assert ledger.tokens.create(made)
    return secret


def bearer(secret: str) -> dict[str, str]:
    """The header of a request with a token."""
    return {"authorization": f"Bearer {secret}"}
