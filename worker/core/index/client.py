"""The connection to OpenSearch: address, sign-in, TLS and proxy. Every failure of a request becomes one kind of error."""

import base64
import html
import re
import socket
import ssl
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import certifi
import orjson
import urllib3
from opensearchpy import Urllib3AWSV4SignerAuth
from urllib3.exceptions import HTTPError, ReadTimeoutError

from worker.core.base.address import Address, parse_address, proxy_for
from worker.core.base.aws import CREDENTIAL_ERRORS
from worker.core.base.errors import ConfigError, IndexUnavailableError
from worker.core.base.settings import Settings
from worker.core.base.text import one_line

MAX_REASON_CHARS = 500
MORE_CONNECTIONS = 4
"""Connections kept open for the replay, probes and searches, in addition to those for bulk requests."""
KEEPALIVE_IDLE_S = 60
"""NAT gateways and load balancers drop a connection that has been idle for 350 s; data sent on it later is lost."""
PORTS = {"https": 443, "http": 9200}
"""The port of an address that names none."""

_REGION = r"([a-z]{2,}(?:-[a-z]+)+-\d+)"
_AWS_HOST = re.compile(rf"\.(?:{_REGION}\.(?:es|aoss)(?:-fips)?\.amazonaws\.|aos\.{_REGION}\.on\.)")
"""Hosts of domains and collections; the last form is that of a domain with dual stack (Amazon OpenSearch Service Developer
Guide, "Domain endpoints")."""
_AWS_SUFFIXES = (".amazonaws.com", ".amazonaws.com.cn", ".amazonaws.eu", ".on.aws")

_QUOTATION = re.compile(r"\.? Preview of field's value|\.? The prefix of the first immense term")
"""The words with which OpenSearch (measured with 2.19 and 3.8) begins to quote a field's value, which then fills the
rest of the sentence."""
_MARKUP = re.compile(r"(?is)<(script|style|head)\b.*?</\1\s*>|<!--.*?-->|<[^>]*>")
_SAID_IN = ("message", "errormessage", "error_description", "detail", "reason")
"""Where others than OpenSearch (AWS, its gateways, proxies) say in JSON why they refuse, in lower case."""
SENT_SECRETS = ("authorization", "x-amz-security-token")
"""Headers whose values AWS quotes in some refusals."""
FORBIDDEN, MISSING = 403, 404

Credentials = Callable[[], Any]
"""Returns botocore's credentials; raises DependencyError if there are none at present."""


class RefusedError(IndexUnavailableError):
    """Raised when the index answered a whole request with an error status."""

    def __init__(self, message: str, *, status: int, kind: str, method: str = "") -> None:
        """`status` is the HTTP status; `kind` is OpenSearch's name for the error (`index_closed_exception`), or empty."""
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.method = method

    @property
    def is_denial(self) -> bool:
        """Whether this request is not allowed, and others may be: unless none is, a permission is missing.

        An expired token is a 403 too (docs/evidence.md, OpenSearch), and a block on the index may be one.
        """
        return self.status == FORBIDDEN and not self.kind.endswith("block_exception")

    @property
    def is_missing(self) -> bool:
        """Whether OpenSearch says that something does not exist. Whoever else answers 404 does not know."""
        return self.status == MISSING and self.kind.endswith("_not_found_exception")


class ForeignError(IndexUnavailableError):
    """Raised when whoever answered is not OpenSearch."""


class SlowError(IndexUnavailableError):
    """Raised when the index did not answer a request within its time."""


class Client:
    """Sends requests to one OpenSearch cluster. Thread-safe. It never retries: the batcher and its breaker decide that."""

    def __init__(self, settings: Settings, credentials: Credentials | None = None) -> None:
        """`credentials` are only needed for SigV4. Raises ConfigError if sign-in or certificates cannot be used."""
        address = _address(settings)
        self.shown = address.shown
        self.service = _service(settings, address)
        """`es` or `aoss` if requests are signed for AWS, otherwise empty."""
        self._timeout_s = settings.index_timeout_s
        self._headers = {"content-type": "application/json", "user-agent": "s3-index-worker"}
        self._signer: Any = None
        if self.service:
            self._signer = _signer(self.service, credentials, _region(address) or settings.aws_region)
        elif settings.index_auth in {"auto", "basic"}:
            self._headers |= _basic(settings, address)
        self._pools = _pools(settings, address)

    def request(self, method: str, path: str, body: Any = None) -> Any:
        """Send one request and return the answer. `body` is bytes, sent unchanged, or anything that JSON can represent.

        Raises RefusedError for an error status, SlowError if there is no answer in time, ForeignError if it is not JSON, and
        IndexUnavailableError if there is none for another reason.
        """
        content = body if body is None or isinstance(body, bytes) else orjson.dumps(body)
        url = self.shown + path
        headers = self._signed(method, url, content)
        try:
            answer = self._pools.urlopen(method, url, body=content, headers=headers, retries=False, redirect=False)
        except ReadTimeoutError as error:
            raise SlowError(f"{self.shown} did not answer within {self._timeout_s} s") from error
        except urllib3.exceptions.SSLError as error:
            raise IndexUnavailableError(f"{self.shown}: TLS failed: {error}"[:MAX_REASON_CHARS]) from error
        except (HTTPError, OSError) as error:
            raise IndexUnavailableError(f"{self.shown} cannot be reached: {error}"[:MAX_REASON_CHARS]) from error
        if not 200 <= answer.status < 300:
            raise self._refusal(method, answer.status, answer.data, headers)
        try:
            found = orjson.loads(answer.data) if answer.data else {}
        except ValueError as error:
            raise ForeignError(f"{self.shown} sent an answer that is not JSON; is it an OpenSearch server?") from error
        if not isinstance(found, dict):
            raise ForeignError(f"{self.shown} sent JSON that is no object; is it an OpenSearch server?")
        return found

    def close(self) -> None:
        """Close all connections."""
        self._pools.clear()

    def _signed(self, method: str, url: str, content: bytes | None) -> dict[str, str]:
        if self._signer is None:
            return self._headers
        try:
            return {**self._headers, **self._signer(method, url, content)}
        except CREDENTIAL_ERRORS as error:
            raise IndexUnavailableError(f"{self.shown}: the request cannot be signed: {error}") from error

    def _refusal(self, method: str, status: int, content: bytes, sent: Mapping[str, str]) -> RefusedError:
        kind, reason = refusal_of(content)
        sentence = f"{self.shown} answered {status}: {without_secrets(reason, sent) or 'no reason was given'}"
        return RefusedError(sentence[:MAX_REASON_CHARS], status=status, kind=kind, method=method)


def refusal_of(content: bytes) -> tuple[str, str]:
    """OpenSearch's name for an error, if it comes from there, and the reason on one line, whoever has sent it.

    In front of OpenSearch, AWS and proxies refuse requests, with JSON of their own, a page, or plain text.
    """
    try:
        kind, reason = reason_of(orjson.loads(content))
    except ValueError:
        text = content.decode(errors="replace")
        kind, reason = "", html.unescape(_MARKUP.sub(" ", text)) if "<" in text else text
    return kind, one_line(reason).strip()[:MAX_REASON_CHARS]


def without_secrets(text: str, sent: Mapping[str, str]) -> str:
    """A refusal without what it quotes of the request's sign-in: AWS does so where a signature is missing or wrong."""
    for name, value in sent.items():
        if name.lower() in SENT_SECRETS:
            for part in value.split()[value.startswith(("Basic ", "AWS4")) :]:
                text = text.replace(part.rstrip(","), "(hidden)")
    return text


def reason_of(info: Any) -> tuple[str, str]:
    """OpenSearch's name for an error, and its reason with the innermost cause; both are empty if it gave none.

    OpenSearch quotes from a document that it rejects. The quotation is removed, because reasons are logged.
    """
    error = info.get("error", info) if isinstance(info, dict) else info
    if not isinstance(error, dict) or not ("type" in error or "caused_by" in error):
        return "", _said_by_others(info)
    kind, reason = str(error.get("type", "")), _QUOTATION.split(str(error.get("reason", "")))[0]
    of_document = kind.endswith("_parsing_exception")
    cause = error.get("caused_by")
    while isinstance(cause, dict):
        innermost, cause = str(cause.get("type" if of_document else "reason", "")), cause.get("caused_by")
        if not isinstance(cause, dict) and innermost:
            reason = f"{reason}: {innermost}"
    return kind, f"{kind}: {reason}"[:MAX_REASON_CHARS]


def _said_by_others(info: Any) -> str:
    """The reason in an answer that does not have OpenSearch's form: what it says under a usual name, or all of it."""
    if not isinstance(info, dict):
        return info if isinstance(info, str) else "" if info is None else orjson.dumps(info).decode()
    said = {name.lower(): value for name, value in info.items() if isinstance(value, str) and value}
    if isinstance(info.get("error"), dict):
        return _said_by_others(info["error"])
    found = [said[name] for name in ("error", *_SAID_IN) if name in said]
    return ": ".join(dict.fromkeys(found)) or (orjson.dumps(info).decode() if info else "")


def _address(settings: Settings) -> Address:
    try:
        found = parse_address(settings.index_url.get_secret_value())
    except ValueError as error:
        raise ConfigError(f"INDEX_URL {error}") from None
    return found if found.port is not None else replace(found, port=PORTS[found.scheme])


def _pools(settings: Settings, address: Address) -> urllib3.PoolManager:
    """The connections: to the index itself, or to the proxy that leads there; with TCP keepalive."""
    options: list[tuple[int, int, int]] = [
        (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
        (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    ]
    if hasattr(socket, "TCP_KEEPIDLE"):
        options.append((socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE_IDLE_S))
    common: dict[str, Any] = {
        "num_pools": 1,
        "maxsize": settings.bulk_requests + MORE_CONNECTIONS,
        "timeout": settings.index_timeout_s,
        "socket_options": options,
    }
    if address.scheme == "https":
        common["ssl_context"] = _tls(settings)
    proxy = proxy_for(address.shown)
    if proxy is None:
        return urllib3.PoolManager(**common)
    way = parse_address(proxy)
    sign_in = {} if way.user is None else urllib3.make_headers(proxy_basic_auth=f"{way.user}:{way.password}")
    return urllib3.ProxyManager(way.shown, proxy_headers=sign_in, **common)


def _service(settings: Settings, address: Address) -> str:
    if settings.index_auth in {"es", "aoss"}:
        return settings.index_auth
    has_user = settings.index_user is not None or address.user is not None
    if settings.index_auth != "auto" or has_user or not address.host.endswith(_AWS_SUFFIXES):
        return ""
    return "aoss" if ".aoss" in address.host else "es"


def _region(address: Address) -> str | None:
    """The region in the host name of an AWS endpoint; it may differ from the region of the queue."""
    found = _AWS_HOST.search(address.host)
    return found[1] or found[2] if found else None


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
