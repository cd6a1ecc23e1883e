"""The OpenID provider: sends people there to sign in, and checks what it says of them when they come back.

Authorization code flow with PKCE, state and nonce. An ID token is believed if a key of the provider has signed it, and it is for
us (aud), from this issuer, of this sign-in (nonce), and has not expired.
"""

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from authlib.common.errors import AuthlibBaseError
from authlib.integrations.requests_client import OAuth2Session
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet
from requests import RequestException

from worker.core.base.errors import DependencyError, WorkerError

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "Ed25519", "EdDSA")
"""Asymmetric ones alone, whatever the provider's description says: `none` and HMAC have no place here."""
TIMEOUT_S = 10
KEEP_S = 3600
"""How long the provider's description and keys are used; then a key that it has removed is believed no more."""
AGAIN_S = 10
"""Keys are asked for again because of an unknown one at most this often."""
LEEWAY_S = 60
"""By how much two clocks may differ."""


class SignInError(WorkerError):
    """Raised when what the provider says of somebody is not to be believed; says why, for the log."""


@dataclass(frozen=True, slots=True)
class Client:
    """What the provider knows of the manager."""

    issuer: str
    id: str
    secret: str = field(repr=False)
    scopes: str
    redirect_url: str


@dataclass(slots=True)
class _Known:
    """What the provider has said of itself."""

    metadata: Mapping[str, Any]
    keys: KeySet
    at: float


class Provider:
    """One OpenID provider; threads may share it. It is asked for its description when that is needed first."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._lock = threading.Lock()
        self._known: _Known | None = None

    def check(self) -> None:
        """Ask for its description and keys. Raises DependencyError if they cannot be used."""
        self._know()

    def sign_in_url(self, *, state: str, nonce: str, verifier: str) -> str:
        """Where somebody signs in. Raises DependencyError if the provider does not say."""
        with self._session() as session:
            url, _ = session.create_authorization_url(
                self._know().metadata["authorization_endpoint"], state=state, nonce=nonce, code_verifier=verifier
            )
            return str(url)

    def claims(self, code: str, *, nonce: str, verifier: str) -> Mapping[str, Any]:
        """What the provider says of somebody who has signed in. Raises SignInError, or DependencyError."""
        with self._session() as session:
            try:
                token = session.fetch_token(
                    self._know().metadata["token_endpoint"], grant_type="authorization_code", code=code, code_verifier=verifier,
                    timeout=TIMEOUT_S,
                )  # fmt: skip
            except RequestException as error:
                raise self._unavailable(error) from error
            except (AuthlibBaseError, ValueError) as error:
                raise SignInError(f"the provider refuses the code: {error}") from error
        if not isinstance(token.get("id_token"), str):
            raise SignInError("the provider sent no ID token: OIDC_SCOPES must contain openid")
        return self._checked(token["id_token"], nonce, str(token.get("access_token") or ""))

    def _checked(self, id_token: str, nonce: str, access_token: str) -> Mapping[str, Any]:
        client = self._client
        options = {
            name: {"essential": True, "value": value} for name, value in (("iss", client.issuer), ("aud", client.id))
        }
        params = {"nonce": nonce, "client_id": client.id, "access_token": access_token}
        try:
            signed = self._verified(id_token)
            claims = CodeIDToken(signed.claims, signed.header, options, params)
            claims.validate(leeway=LEEWAY_S)
        except (JoseError, AuthlibBaseError, ValueError, TypeError) as error:
            raise SignInError(f"the ID token cannot be trusted: {error}") from error
        return dict(claims)

    def _verified(self, id_token: str) -> jwt.Token:
        try:
            return jwt.decode(id_token, self._know().keys, algorithms=ALGORITHMS)
        except InvalidKeyIdError:  # it may be signed by a key that is new
            return jwt.decode(id_token, self._know(max_age_s=AGAIN_S).keys, algorithms=ALGORITHMS)

    def _know(self, max_age_s: float = KEEP_S) -> _Known:
        with self._lock:
            if self._known is None or time.monotonic() - self._known.at > max_age_s:
                self._known = self._ask()
            return self._known

    def _ask(self) -> _Known:
        issuer = self._client.issuer
        try:
            metadata = self._get(f"{issuer.rstrip('/')}/.well-known/openid-configuration")
            if metadata["issuer"] != issuer:
                raise DependencyError(f"OIDC_ISSUER={issuer}: the provider calls itself {metadata['issuer']!r}")
            keys = KeySet.import_key_set(self._get(metadata["jwks_uri"]))
            return _Known(
                {name: metadata[name] for name in ("authorization_endpoint", "token_endpoint")}, keys, time.monotonic()
            )
        except (RequestException, JoseError, ValueError, TypeError, KeyError) as error:
            raise self._unavailable(error) from error

    def _get(self, url: str) -> Any:
        with self._session() as session:
            answer = session.get(url, timeout=TIMEOUT_S, withhold_token=True)
            answer.raise_for_status()
            return answer.json()

    def _session(self) -> OAuth2Session:
        client = self._client
        return OAuth2Session(
            client.id,
            client.secret,
            scope=client.scopes,
            redirect_uri=client.redirect_url,
            code_challenge_method="S256",
        )

    def _unavailable(self, error: Exception) -> DependencyError:
        return DependencyError(f"the OpenID provider {self._client.issuer} cannot be used: {error!r}")
