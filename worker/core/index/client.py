"""The connection to OpenSearch: address, sign-in, TLS; and every way a request can fail, as one error with a sentence."""

import base64
import re
import socket
import ssl
from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

import certifi
import orjson
import urllib3
from opensearchpy import Urllib3AWSV4SignerAuth, Urllib3HttpConnection
from opensearchpy.exceptions import ConnectionError as NoConnectionError
from opensearchpy.exceptions import ConnectionTimeout, SSLError, TransportError

from worker.core.base.errors import ConfigError, IndexUnavailableError
from worker.core.base.settings import Settings

MAX_REASON_CHARS = 500
MORE_CONNECTIONS = 4
"""Kept open beside those of the bulk requests, for the replay, probes and searches."""
KEEPALIVE_IDLE_S = 60
"""NAT gateways and load balancers forget a connection that was quiet for 350 s; what is sent on it then is lost."""

_AWS_HOST = re.compile(r"\.([a-z]{2}(?:-[a-z]+)+-\d)\.(?:es|aoss)\.amazonaws\.com")

_QUOTATION = re.compile(r"\.? Preview of field's value|\.? The prefix of the first immense term")
"""How OpenSearch (M, 2.19 and 3.8) begins to quote a field's value, to the end of its sentence."""

Credentials = Callable[[], Any]
"""Gives botocore's credentials; raises ConfigError where there are none."""


class RefusedError(IndexUnavailableError):
    """Raised when the index answered a whole request with an error status."""

    def __init__(self, message: str, *, status: int, kind: str) -> None:
        """`status` is HTTP's, `kind` OpenSearch's name of the error (`index_closed_exception`), or empty."""
        super().__init__(message)
        self.status = status
        self.kind = kind


class Address(NamedTuple):
    """Where the index is; user and password from INDEX_URL are here, and nowhere in `shown`."""

    scheme: str
    host: str
    port: int
    prefix: str
    user: str | None
    password: str

    @property
    def shown(self) -> str:
        """For a person."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}{self.prefix}"


class Client:
    """Requests to one OpenSearch. Thread-safe; never tries again by itself: the batcher and its breaker decide that."""

    def __init__(self, settings: Settings, credentials: Credentials | None = None) -> None:
        """`credentials` are needed for SigV4 alone. Raises ConfigError where sign-in or certificates cannot be used."""
        address = parse_address(settings.index_url.get_secret_value())
        self.shown = address.shown
        self.service = _service(settings, address)
        """`es` or `aoss` where requests are signed for AWS, else empty."""
        self._timeout_s = settings.index_timeout_s
        headers, signer = {}, None
        if self.service:
            signer = _signer(self.service, credentials, _region(address) or settings.aws_region)
        elif settings.index_auth in {"auto", "basic"}:
            headers = _basic(settings, address)
        self._connection = _Connection(
            host=address.host,
            port=address.port,
            url_prefix=address.prefix,
            timeout=settings.index_timeout_s,
            pool_maxsize=settings.bulk_requests + MORE_CONNECTIONS,
            headers=headers,
            http_auth=signer,
            use_ssl=address.scheme == "https",
            ssl_context=_tls(settings) if address.scheme == "https" else None,
        )

    def request(self, method: str, path: str, body: Any = None) -> Any:
        """The answer to one request; `body` is bytes as they are, or anything that JSON can say.

        Raises RefusedError for an error status, IndexUnavailableError when there is no answer or one that is not JSON.
        """
        sent = body if body is None or isinstance(body, bytes) else orjson.dumps(body)
        try:
            answer = self._connection.perform_request(method, path, body=sent)[2]
            return orjson.loads(answer) if answer else {}
        except ConnectionTimeout as error:
            raise IndexUnavailableError(f"{self.shown} did not answer within {self._timeout_s} s") from error
        except SSLError as error:
            raise IndexUnavailableError(f"{self.shown}: TLS failed: {error.info}") from error
        except NoConnectionError as error:
            raise IndexUnavailableError(f"{self.shown} cannot be reached: {error.info}"[:MAX_REASON_CHARS]) from error
        except TransportError as error:
            raise self._refusal(error) from error
        except ValueError as error:
            raise IndexUnavailableError(
                f"{self.shown} answered something that is not JSON; is it OpenSearch?"
            ) from error

    def close(self) -> None:
        """Close all connections."""
        self._connection.close()

    def _refusal(self, error: TransportError) -> RefusedError:
        kind, reason = reason_of(error.info)
        status = int(error.status_code)
        sentence = f"{self.shown} answered {status}: {reason or ' '.join(str(error.error).split())}"
        return RefusedError(sentence[:MAX_REASON_CHARS], status=status, kind=kind)


class _Connection(Urllib3HttpConnection):
    """opensearch-py's connection, with TCP keepalive, and without its log lines and warnings."""

    def _create_urllib3_pool(self) -> None:
        super()._create_urllib3_pool()
        options = [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1), (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]
        if hasattr(socket, "TCP_KEEPIDLE"):
            options.append((socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE_IDLE_S))
        self.pool.conn_kw["socket_options"] = options

    def log_request_success(self, *_args: Any, **_kwargs: Any) -> None:
        """Nothing: who asked says what became of it."""

    def log_request_fail(self, *_args: Any, **_kwargs: Any) -> None:
        """Nothing: it would log bodies; the error says it all."""

    def _raise_warnings(self, warning_headers: Any) -> None:
        """Nothing: deprecations are no error of a request."""


def parse_address(url: str) -> Address:
    """INDEX_URL in its parts. Without a port: 443 for https, 9200 for http, as opensearch-py has it.

    Raises ConfigError where it is not a URL.
    """
    try:
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 9200)
    except ValueError as error:
        raise ConfigError(f"INDEX_URL is not an address: {error}") from None
    user = None if parts.username is None else unquote(parts.username)
    password = unquote(parts.password or "")
    return Address(parts.scheme, parts.hostname or "", port, parts.path.rstrip("/"), user, password)


def reason_of(info: Any) -> tuple[str, str]:
    """OpenSearch's name for an error, and its reason with the innermost cause; empty where it gave none.

    It quotes from a document that it refuses: what it quotes is left out, for reasons are logged.
    """
    error = info.get("error", info) if isinstance(info, dict) else None
    if not isinstance(error, dict):
        return "", error if isinstance(error, str) else ""
    kind, reason = str(error.get("type", "")), _QUOTATION.split(str(error.get("reason", "")))[0]
    of_document = kind.endswith("_parsing_exception")
    cause = error.get("caused_by")
    while isinstance(cause, dict):
        innermost, cause = str(cause.get("type" if of_document else "reason", "")), cause.get("caused_by")
        if not isinstance(cause, dict) and innermost:
            reason = f"{reason}: {innermost}"
    return kind, f"{kind}: {reason}"[:MAX_REASON_CHARS]


def _service(settings: Settings, address: Address) -> str:
    if settings.index_auth in {"es", "aoss"}:
        return settings.index_auth
    has_user = settings.index_user is not None or address.user is not None
    if settings.index_auth != "auto" or has_user or not address.host.endswith((".amazonaws.com", ".amazonaws.com.cn")):
        return ""
    return "aoss" if ".aoss." in address.host else "es"


def _region(address: Address) -> str | None:
    """The region that the name of an AWS endpoint tells; the index need not be where the queue is."""
    found = _AWS_HOST.search(address.host)
    return found[1] if found else None


def _signer(service: str, credentials: Credentials | None, region: str | None) -> Any:
    if credentials is None or not region:
        raise ConfigError(
            f"AWS_REGION is missing: requests to the index are signed for service {service} of one region"
        )
    return Urllib3AWSV4SignerAuth(credentials(), region, service)


def _basic(settings: Settings, address: Address) -> dict[str, str]:
    """The header itself: opensearch-py's own would refuse a password outside Latin-1."""
    user, password = address.user, address.password
    if settings.index_user is not None:
        user, password = (
            settings.index_user,
            settings.index_password.get_secret_value() if settings.index_password else "",
        )
    if user is None:
        return {}
    return {"authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def _tls(settings: Settings) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=settings.index_ca_file)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"INDEX_CA_FILE={settings.index_ca_file}: {error}") from error
    if settings.index_ca_file is None:
        context.load_verify_locations(certifi.where())  # beside the system's own, of which a small image has none
    if not settings.index_verify_tls:
        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
