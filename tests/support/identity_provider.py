"""A small OpenID provider on a port of its own: it signs people in at once, and can be made to err."""

import base64
import functools
import hashlib
import json
import secrets
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey

from tests.support.signed_in import CLIENT_SECRET, SITE


@functools.cache
def new_key(name: str) -> RSAKey:
    """The key of a name; making one takes a while."""
    return RSAKey.generate_key(2048, {"kid": name, "use": "sig"}, auto_kid=False)


def _unsigned(header: dict[str, Any], claims: dict[str, Any]) -> str:
    """As no library makes it any more."""
    parts = (base64.urlsafe_b64encode(json.dumps(one).encode()).decode().rstrip("=") for one in (header, claims))
    return ".".join([*parts, ""])


class IdentityProvider:
    """Signs in whoever comes. `claims` are what it says of them; `change` changes its ID tokens."""

    def __init__(self) -> None:
        self.keys = [new_key("first")]
        self.claims: dict[str, Any] = {
            "sub": "u-1", "preferred_username": "alice", "realm_access": {"roles": ["others", "dlq-operators"]}
        }  # fmt: skip
        self.change: dict[str, Any] = {}
        self.signs_with: tuple[str, Any] | None = None
        """(algorithm, key), if not the last of `keys`."""
        self.calls: list[str] = []
        self._codes: dict[str, dict[str, str]] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self.issuer = f"http://127.0.0.1:{self._server.server_address[1]}"
        self.calls_itself = self.issuer

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def come_back(self, url: str) -> str:
        """What a browser does at this URL: somebody signs in, and is sent back; to where."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        assert (asked["response_type"], asked["client_id"]) == ("code", "dlq-manager")
        assert (asked["code_challenge_method"], asked["scope"]) == ("S256", "openid profile")
        assert asked["redirect_uri"] == f"{SITE}/auth/callback"
        code = secrets.token_urlsafe(8)
        self._codes[code] = asked
        return f"/auth/callback?{urlencode({'state': asked['state'], 'code': code})}"

    def _answer(self, path: str, form: dict[str, str], authorization: str) -> tuple[int, dict[str, Any]]:
        self.calls.append(path)
        match path:
            case "/.well-known/openid-configuration":
                ends = {"authorization_endpoint": "/authorize", "token_endpoint": "/token", "jwks_uri": "/keys"}
                return 200, {"issuer": self.calls_itself, **{name: self.issuer + end for name, end in ends.items()}}
            case "/keys":
                return 200, {**KeySet([*self.keys]).as_dict(private=False)}
            case "/token":
                return self._token(form, authorization)
        return 404, {}

    def _token(self, form: dict[str, str], authorization: str) -> tuple[int, dict[str, Any]]:
        client = base64.b64decode(authorization.removeprefix("Basic ")).decode()
        asked = self._codes.pop(form["code"], None)
        if client != f"dlq-manager:{CLIENT_SECRET}" or asked is None:
            return 400, {"error": "invalid_grant", "error_description": "no such code"}
        challenge = (
            base64.urlsafe_b64encode(hashlib.sha256(form["code_verifier"].encode()).digest()).decode().rstrip("=")
        )
        assert challenge == asked["code_challenge"]
        now = int(time.time())
        claims = {
            **self.claims, "iss": self.issuer, "aud": "dlq-manager", "iat": now, "exp": now + 300, "nonce": asked["nonce"],
            **self.change,
        }  # fmt: skip
        algorithm, key = self.signs_with or ("RS256", self.keys[-1])
        header = {"alg": algorithm, **({"kid": key.kid} if key.kid else {})}
        given = {name: one for name, one in claims.items() if one is not None}
        token = (
            _unsigned(header, given) if algorithm == "none" else jwt.encode(header, given, key, algorithms=[algorithm])
        )
        return 200, {"access_token": "opaque", "token_type": "Bearer", "id_token": token}

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._say(*provider._answer(self.path, {}, ""))

            def do_POST(self) -> None:
                raw = self.rfile.read(int(self.headers["Content-Length"])).decode()
                form = {name: values[0] for name, values in parse_qs(raw).items()}
                self._say(*provider._answer(self.path, form, self.headers["Authorization"]))

            def _say(self, status: int, answer: dict[str, Any]) -> None:
                body = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None: ...

        return Handler
