"""The connection to OpenSearch: address, sign-in and TLS. Every failure of a request becomes one kind of error."""

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

from worker.core.base.aws import CREDENTIAL_ERRORS
from worker.core.base.errors import ConfigError, IndexUnavailableError
from worker.core.base.settings import Settings

MAX_REASON_CHARS = 500
MORE_CONNECTIONS = 4
"""Connections kept open for the replay, probes and searches, in addition to those for bulk requests."""
KEEPALIVE_IDLE_S = 60
"""NAT gateways and load balancers drop a connection that has been idle for 350 s; data sent on it later is lost."""

_AWS_HOST = re.compile(r"\.([a-z]{2}(?:-[a-z]+)+-\d)\.(?:es|aoss)\.amazonaws\.com")

_QUOTATION = re.compile(r"\.? Preview of field's value|\.? The prefix of the first immense term")
"""The words with which OpenSearch (measured with 2.19 and 3.8) begins to quote a field's value, which then fills the
rest of the sentence."""

Credentials = Callable[[], Any]
"""Returns botocore's credentials; raises DependencyError if there are none at present."""


class RefusedError(IndexUnavailableError):
    """Raised when the index answered a whole request with an error status."""

    def __init__(self, message: str, *, status: int, kind: str) -> None:
        """`status` is the HTTP status; `kind` is OpenSearch's name for the error (`index_closed_exception`), or empty."""
        super().__init__(message)
        self.status = status
        self.kind = kind


class Address(NamedTuple):
    """Where the index is. User and password from INDEX_URL are in the fields, but not in `shown`."""

    scheme: str
    host: str
    port: int
    prefix: str
    user: str | None
    password: str

    @property
    def shown(self) -> str:
        """The address as shown to people, without user and password."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}{self.prefix}"


class Client:
    """Sends requests to one OpenSearch cluster. Thread-safe. It never retries: the batcher and its breaker decide that."""

    def __init__(self, settings: Settings, credentials: Credentials | None = None) -> None:
        """`credentials` are only needed for SigV4. Raises ConfigError if sign-in or certificates cannot be used."""
        address = parse_address(settings.index_url.get_secret_value())
        self.shown = address.shown
        self.service = _service(settings, address)
        """`es` or `aoss` if requests are signed for AWS, otherwise empty."""
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
        """Send one request and return the answer. `body` is bytes, sent unchanged, or anything that JSON can represent.

        Raises RefusedError for an error status, and IndexUnavailableError if there is no answer or it is not JSON.
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
        except CREDENTIAL_ERRORS as error:
            raise IndexUnavailableError(f"{self.shown}: the request cannot be signed: {error}") from error
        except ValueError as error:
            raise IndexUnavailableError(
                f"{self.shown} sent an answer that is not JSON; is it an OpenSearch server?"
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
    """opensearch-py's connection with TCP keepalive, and without its log lines and warnings."""

    def _create_urllib3_pool(self) -> None:
        super()._create_urllib3_pool()
        options = [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1), (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]
        if hasattr(socket, "TCP_KEEPIDLE"):
            options.append((socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE_IDLE_S))
        self.pool.conn_kw["socket_options"] = options

    def log_request_success(self, *_args: object, **_kwargs: object) -> None:
        """Log nothing: the caller logs the result."""

    def log_request_fail(self, *_args: object, **_kwargs: object) -> None:
        """Log nothing: the base class would log bodies, and the error contains what is needed."""

    def _raise_warnings(self, warning_headers: object) -> None:
        """Ignore deprecation warnings: they are not errors of the request."""


def parse_address(url: str) -> Address:
    """Split INDEX_URL into its parts. The default port is 443 for https and 9200 for http, as in opensearch-py.

    Raises ConfigError if it is not a URL.
    """
    try:
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 9200)
    except ValueError as error:
        raise ConfigError(f"INDEX_URL is not a valid URL: {error}; it should be https://HOST[:PORT]") from None
    user = None if parts.username is None else unquote(parts.username)
    password = unquote(parts.password or "")
    return Address(parts.scheme, parts.hostname or "", port, parts.path.rstrip("/"), user, password)


def reason_of(info: Any) -> tuple[str, str]:
    """OpenSearch's name for an error, and its reason with the innermost cause; both are empty if it gave none.

    OpenSearch quotes from a document that it rejects. The quotation is removed, because reasons are logged.
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
    """The region in the host name of an AWS endpoint; it may differ from the region of the queue."""
    found = _AWS_HOST.search(address.host)
    return found[1] if found else None


def _signer(service: str, credentials: Credentials | None, region: str | None) -> Any:
    if credentials is None or not region:
        raise ConfigError(
            f"AWS_REGION is missing: requests to the index are signed for the service {service} in a region"
        )
    return Urllib3AWSV4SignerAuth(credentials(), region, service)


def _basic(settings: Settings, address: Address) -> dict[str, str]:
    """The header for basic authentication: opensearch-py's own code fails for a password outside Latin-1."""
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
        context.load_verify_locations(certifi.where())  # besides the system's certificates, which small images lack
    if not settings.index_verify_tls:
        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
