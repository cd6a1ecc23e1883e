"""What an operator can do about an index that cannot be used: is it merely down, or is an address, a sign-in or a right wrong?"""

import socket
import ssl
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from urllib3.exceptions import NameResolutionError

from worker.core.base.address import Address, parse_address, proxy_for
from worker.core.base.errors import IndexUnavailableError
from worker.core.base.settings import Settings
from worker.core.index.client import PORTS, ForeignError, RefusedError, SlowError

PROBE_S = 3.0
UNAUTHORIZED, FAULT = 401, 500
EXPIRED_CODES = frozenset({9, 10})
"""OpenSSL's X509_V_ERR_CERT_NOT_YET_VALID and X509_V_ERR_CERT_HAS_EXPIRED."""
OTHER_NAME_CODES = frozenset({62, 64})
"""OpenSSL's X509_V_ERR_HOSTNAME_MISMATCH and X509_V_ERR_IP_ADDRESS_MISMATCH."""
_ON_TLS_PORT = ("sent to HTTPS port", "request to an HTTPS server", "requires TLS")
"""With these words nginx, Go and Apache refuse plain HTTP on a port of TLS."""
_BAD_SIGNATURE = ("security token", "signature", "credential")
_QUOTES = "\"'"


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What is wrong with the way to the index, which waiting does not correct."""

    hint: str
    may_start: bool = False
    """Whether a worker may start nevertheless, because it may also be an outage."""


def diagnose(error: IndexUnavailableError, settings: Settings) -> Diagnosis | None:
    """What is wrong; None if the index is merely down, slow or blocked."""
    address = parse_address(settings.index_url.get_secret_value())
    if isinstance(error, RefusedError):
        return _of_refusal(error, settings, address)
    if isinstance(error, ForeignError):
        return Diagnosis(_not_opensearch(address))
    if isinstance(error, SlowError):
        return None
    return _of_connection(error, settings, address)


def _of_refusal(error: RefusedError, settings: Settings, address: Address) -> Diagnosis | None:
    said = str(error)
    if error.status == UNAUTHORIZED:
        return Diagnosis(_sign_in(settings, address))
    if error.is_denial:
        return Diagnosis(_permission(error))
    if any(words in said for words in _ON_TLS_PORT):
        return Diagnosis(_to_https(address))
    if error.status >= FAULT or error.kind or error.status in {403, 429}:
        return None
    if 300 <= error.status < 400 or 400 <= error.status < FAULT:
        return Diagnosis(_not_opensearch(address))
    return None


def _sign_in(settings: Settings, address: Address) -> str:
    if settings.index_auth in {"es", "aoss"}:
        return f"the signature was not accepted: are INDEX_AUTH={settings.index_auth}, the region and the AWS credentials right?"
    if settings.index_user is None and address.user is None:
        return "the index asks for a user and a password: set INDEX_USER and INDEX_PASSWORD (or INDEX_AUTH=es on AWS)"
    if settings.index_user is None:
        return (
            "the user or password in INDEX_URL is wrong; special characters in it must be percent-encoded (% as %25), or set "
            "INDEX_USER and INDEX_PASSWORD instead"
        )
    password = settings.index_password.get_secret_value() if settings.index_password else ""
    if len(password) > 1 and password[0] in _QUOTES and password[-1] in _QUOTES:
        return "the user or password is wrong: INDEX_PASSWORD has quotation marks around it; are they a part of it?"
    if password != password.strip():
        return "the user or password is wrong: INDEX_PASSWORD begins or ends with white space; is it a part of it?"
    return f"the user, its password or its role is wrong: correct INDEX_USER={settings.index_user} and INDEX_PASSWORD"


def _permission(error: RefusedError) -> str:
    said = str(error)
    if "es:ESHttp" in said or (not error.kind and "not authorized to perform" in said):
        action = next((word.strip(":;,.") for word in said.split() if word.startswith(("es:", "aoss:"))), "es:ESHttp*")
        return (
            f"grant this role {action}: in its policy (config/iam/index.json), and in the access policy of the domain "
            "(docs/setup.md, Permissions in the index)"
        )
    if error.kind == "security_exception":
        return (
            "map the user, or the ARN of the role, to a role of the index that allows what config/opensearch/role.json allows "
            "(docs/setup.md, Permissions in the index)"
        )
    if any(word in said.lower() for word in _BAD_SIGNATURE):
        return "the AWS credentials, or the region for which requests are signed, are wrong, or have expired"
    method = f"es:ESHttp{error.method.capitalize()}" if error.method else "es:ESHttp*"
    return (
        f"whoever answers does not allow this request: the access policy of the domain ({method}), or a proxy in front; or "
        "requests are not signed (INDEX_AUTH); or it is not OpenSearch: are host and port in INDEX_URL right?"
    )


def _not_opensearch(address: Address) -> str:
    if address.prefix:
        return (
            f"INDEX_URL has the path {address.prefix}, which OpenSearch does not have: remove it (the name of the index goes to "
            "OPENSEARCH_INDEX), unless a proxy in front of OpenSearch expects it"
        )
    return f"who answers at {address.shown} is not OpenSearch: correct host and port in INDEX_URL (usually 9200, on AWS 443)"


def _of_connection(error: IndexUnavailableError, settings: Settings, address: Address) -> Diagnosis | None:
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return Diagnosis(_certificate(cause, settings))
        if isinstance(cause, NameResolutionError):
            hint = f"there is no host {address.host}, or its name cannot be resolved now: correct INDEX_URL, or the DNS"
            return Diagnosis(hint, may_start=True)
    is_cut = not any(isinstance(cause, ConnectionRefusedError | TimeoutError) for cause in causes)
    if not is_cut or proxy_for(address.shown) is not None:
        return None
    if address.scheme == "http" and _speaks_tls(address):
        return Diagnosis(_to_https(address))
    if address.scheme == "https" and _speaks_http(address):
        what = f"the port {_port(address)} speaks plain HTTP, and not TLS"
        return Diagnosis(f"{what}: write http:// in INDEX_URL, or the port of HTTPS")
    if any(isinstance(cause, ssl.SSLError) and "alert" in str(cause).lower() for cause in causes):
        return Diagnosis(
            "the server refuses TLS as it is asked for: does it demand a certificate of the client, or another name?"
        )
    return None


def _certificate(cause: ssl.SSLCertVerificationError, settings: Settings) -> str:
    if cause.verify_code in EXPIRED_CODES:
        return "renew the index's certificate; or, if this machine's clock is wrong, set it"
    if cause.verify_code in OTHER_NAME_CODES:
        return "write a name in INDEX_URL that the index's certificate is for"
    if settings.index_ca_file is not None:
        return (
            f"INDEX_CA_FILE={settings.index_ca_file} is not the authority that signed the index's certificate: set it to that "
            "one's PEM file"
        )
    return "the index's certificate is not trusted: set INDEX_CA_FILE to the PEM file of the authority that signed it"


def _to_https(address: Address) -> str:
    return f"the port {_port(address)} speaks TLS, and not plain HTTP: write https:// in INDEX_URL"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """The errors that led to this one: by cause, and those that urllib3 keeps as arguments."""
    while error is not None:
        yield error
        for inner in error.args:
            if isinstance(inner, BaseException):
                yield from _causes(inner)
        error = error.__cause__


def _port(address: Address) -> int:
    return address.port if address.port is not None else PORTS[address.scheme]


def _speaks_tls(address: Address) -> bool:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with suppress(OSError), socket.create_connection((address.host, _port(address)), PROBE_S) as plain:
        try:
            with context.wrap_socket(plain, server_hostname=address.host):
                return True
        except ssl.SSLError as error:
            return "alert" in str(error).lower()  # which only TLS has
    return False


def _speaks_http(address: Address) -> bool:
    asked = f"GET / HTTP/1.1\r\nHost: {address.host}\r\nConnection: close\r\n\r\n".encode()
    with suppress(OSError), socket.create_connection((address.host, _port(address)), PROBE_S) as plain:
        plain.sendall(asked)
        return plain.recv(5) == b"HTTP/" and not _speaks_tls(address)
    return False
