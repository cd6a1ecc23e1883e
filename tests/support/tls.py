"""Certificate authorities, servers and forward proxies of this machine, which record what they were asked."""

import base64
import datetime as dt
import ipaddress
import os
import select
import socket
import socketserver
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

LOOPBACK = "127.0.0.1"
BODY = b"some text"
OBJECT = {
    "ETag": '"e1"', "Last-Modified": "Mon, 23 Nov 2026 12:00:00 GMT", "Content-Type": "text/plain",
    "x-amz-request-id": "1", "Accept-Ranges": "bytes",
}  # fmt: skip


class Authority:
    """A certificate authority; `path` is its certificate."""

    def __init__(self, folder: Path, name: str = "ca") -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{name} of a test")])
        self.path = folder / f"{name}.pem"
        self.path.write_bytes(self._signed(self._name, self._key, []).public_bytes(serialization.Encoding.PEM))
        self._contexts: dict[str, ssl.SSLContext] = {}

    def context(self, host: str) -> ssl.SSLContext:
        """What a server of this host is to use."""
        if host not in self._contexts:
            key = ec.generate_private_key(ec.SECP256R1())
            names: list[x509.GeneralName] = [x509.DNSName(host)]
            with suppress(ValueError):
                names = [x509.IPAddress(ipaddress.ip_address(host))]
            subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host[:64])])
            pem = self._folder / f"{self._name.rfc4514_string()}-{host}.pem".replace(" ", "_")
            certificate = self._signed(subject, key, names)
            pem.write_bytes(
                key.private_bytes(
                    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
                )
                + certificate.public_bytes(serialization.Encoding.PEM)
            )
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(pem)
            self._contexts[host] = context
        return self._contexts[host]

    def self_signed(self, host: str) -> tuple[ssl.SSLContext, Path]:
        """A server's own certificate, which is its own authority too, and its file."""
        own = Authority(self._folder, f"self-{host}")
        key, name = own._key, own._name
        certificate = own._signed(name, key, [x509.IPAddress(ipaddress.ip_address(host))], is_authority=True)
        pem = self._folder / f"self-{host}.key.pem"
        pem.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            + certificate.public_bytes(serialization.Encoding.PEM)
        )
        own.path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pem)
        return context, own.path

    def _signed(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        names: list[x509.GeneralName],
        *,
        is_authority: bool | None = None,
    ) -> x509.Certificate:
        now = dt.datetime.now(dt.UTC)
        is_authority = not names if is_authority is None else is_authority
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=1))
            .not_valid_after(now + dt.timedelta(days=30))
            .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
            builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        else:
            usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
            builder = builder.add_extension(usage, critical=True)
        return builder.sign(self._key, hashes.SHA256())


@dataclass(frozen=True)
class Asked:
    """One request that arrived."""

    method: str
    scheme: str
    host: str
    path: str
    agent: str
    authorization: str = ""
    body: bytes = b""

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.host}{self.path}"


@dataclass
class Record:
    """What a server or a proxy has seen."""

    asked: list[Asked] = field(default_factory=list)
    connects: list[str] = field(default_factory=list)
    """Hosts and ports to which tunnels were opened."""
    passwords: list[str] = field(default_factory=list)
    """User and password of each request to the proxy; empty if there were none."""
    handshakes: list[str] = field(default_factory=list)
    """`ok`, or why a handshake failed."""


Respond = Callable[[Asked], tuple[int, dict[str, str], bytes]]


def an_object(_asked: Asked) -> tuple[int, dict[str, str], bytes]:
    return 200, OBJECT, BODY


@contextmanager
def serving(
    *,
    authority: Authority | None = None,
    context: ssl.SSLContext | None = None,
    respond: Respond = an_object,
    password: str | None = None,
    forward: bool = False,
) -> Iterator[tuple[int, Record]]:
    """A server on this machine, and what it has seen: of TLS if it has a `context`, and a forward proxy for any host.

    A tunnel ends in it, with a certificate of `authority` for the host; with `forward`, it leads to the real host.
    `password` (user:password) is what the proxy demands.
    """
    record = Record()

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.settimeout(20)
            connection = self.request
            if context is not None:
                wrapped = _handshake(connection, context, record)
                if wrapped is None:
                    return
                connection = wrapped
            with suppress(OSError), connection:
                _serve(connection, "https" if context else "http", record, respond, authority, password, forward)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = allow_reuse_address = True
        request_queue_size = 64

    server = Server((LOOPBACK, 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield server.server_address[1], record
    finally:
        server.shutdown()
        server.server_close()


def _handshake(connection: socket.socket, context: ssl.SSLContext, record: Record) -> ssl.SSLSocket | None:
    try:
        wrapped = context.wrap_socket(connection, server_side=True)
        wrapped.settimeout(20)
    except OSError as error:
        record.handshakes.append(str(error))
        return None
    record.handshakes.append("ok")
    return wrapped


def _serve(
    connection: Any,
    scheme: str,
    record: Record,
    respond: Respond,
    authority: Authority | None,
    password: str | None,
    forward: bool,
) -> None:
    file = connection.makefile("rb", buffering=0)
    while (head := _head(file)) is not None:
        method, target, headers = head
        body = _read(file, int(headers.get("content-length", 0)))
        if method == "CONNECT" or target.startswith("http"):
            given = headers.get("proxy-authorization", "").removeprefix("Basic ")
            record.passwords.append(base64.b64decode(given).decode())
            if password is not None and record.passwords[-1] != password:
                connection.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
                return
        if method == "CONNECT":
            record.connects.append(target)
            connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            host, _, port = target.rpartition(":")
            if forward:
                with socket.create_connection((host.strip("[]"), int(port)), 20) as other:
                    _pump(connection, other)
                return
            assert authority is not None
            wrapped = _handshake(connection, authority.context(host), record)
            if wrapped is not None:
                with wrapped:
                    _serve(wrapped, "https", record, respond, authority, None, False)
            return
        host, path = headers.get("host", ""), target
        if target.startswith("http"):
            record.connects.append(host)
            path = "/" + target.split("://", 1)[1].partition("/")[2]
        asked = Asked(method, scheme, host, path, headers.get("user-agent", ""), headers.get("authorization", ""), body)
        record.asked.append(asked)
        status, sent, content = respond(asked)
        lines = [f"HTTP/1.1 {status} Status", f"Content-Length: {len(content)}"]
        lines += [f"{name}: {value}" for name, value in sent.items()]
        answer = content if method != "HEAD" else b""
        connection.sendall("\r\n".join([*lines, "", ""]).encode() + answer)


def _read(file: Any, size: int) -> bytes:
    body = b""
    while len(body) < size and (more := file.read(size - len(body))):
        body += more
    return body


def _head(file: Any) -> tuple[str, str, dict[str, str]] | None:
    line = file.readline().decode("latin-1").split()
    if len(line) < 2:
        return None
    headers = {}
    while (one := file.readline().decode("latin-1").strip()) != "":
        name, _, value = one.partition(":")
        headers[name.lower()] = value.strip()
    return line[0], line[1], headers


def _pump(one: Any, other: Any) -> None:
    while True:
        ready, _, _ = select.select([one, other], [], [], 20)
        if not ready:
            return
        for source in ready:
            data = source.recv(65536)
            if not data:
                return
            (other if source is one else one).sendall(data)


def set_bare_environment(monkeypatch: pytest.MonkeyPatch, *, config: Path) -> None:
    """Leave nothing in the environment that says where AWS is; `config` is the file of AWS's settings, which need not exist."""
    of_aws = (
        "AWS_",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "NO_PROXY",
        "ALL_PROXY",
        "REQUESTS_CA_BUNDLE",
        "SSL_CERT",
        "SQS_",
        "DLQ_",
    )
    for name in [name for name in os.environ if name.upper().startswith(of_aws)]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
