"""The manager's HTTP service as it listens, on both databases: real connections, many at once, what is no HTTP, its end."""

import contextlib
import signal
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from recovery.manager.web import server as server_module
from recovery.manager.web.app import Health, Status
from recovery.manager.web.parameters import EXAMPLE_ID
from recovery.manager.web.server import WebServer
from testing.ledgers import new_ledger
from tests.support.api import Api
from worker.core.base.errors import ConfigError

PATHS = (
    "/api/v1/messages",
    "/api/v1/messages?q=key:契約",
    "/api/v1/messages?q=text:営",
    f"/api/v1/messages/{EXAMPLE_ID}",
    f"/api/v1/messages/m-{EXAMPLE_ID}/events",
    f"/api/v1/messages/{EXAMPLE_ID}/body",
    "/api/v1/groups",
    "/api/v1/stats",
    "/dlq/messages",
    f"/dlq/messages/{EXAMPLE_ID}",
    "/dlq/stats",
    "/dlq/errors/grouped",
    "/api/queue/dlq/stats",
    "/api/queue/dlq/failures",
    "/health",
    "/metrics",
    "/openapi.json",
)


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[Api]:
    """Without a server; for what does not depend on the database."""
    with contextlib.closing(new_ledger(f"sqlite:///{tmp_path}/ledger.sqlite")) as ledger:
        yield Api(ledger)


@pytest.fixture
def listening(alone: Api) -> Iterator[WebServer]:
    server = WebServer(alone.app)
    server.start("127.0.0.1", 0)
    yield server
    server.stop(5)


def client(server: WebServer) -> httpx.Client:
    return httpx.Client(base_url=f"http://127.0.0.1:{server.port}", timeout=30)


def sent(server: WebServer, raw: bytes) -> bytes:
    """What comes back for these bytes until the connection ends."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(raw)
        parts = []
        with contextlib.suppress(ConnectionResetError):
            while part := connection.recv(65_536):
                parts.append(part)
        return b"".join(parts)


def test_every_route_answers_and_so_does_head_on_the_same_connection(served):
    with client(served) as asking:
        for path in PATHS:
            assert asking.head(path).status_code == 200
            answer = asking.get(path)
            assert answer.status_code == 200, answer.text
            assert answer.headers["cache-control"] == "no-store"
            assert "server" not in answer.headers


def test_fifty_at_once_are_all_answered(served):
    asked = [PATHS[number % len(PATHS)] for number in range(150)]
    with client(served) as asking, ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(asking.get, asked))
    assert [one.status_code for one in answers] == [200] * 150
    for path, one in zip(asked, answers, strict=True):
        if path == "/api/v1/messages":
            assert one.json()["count"] == 3


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/v1/messages?q=key:%00", 400),
        ("/api/v1/messages?q=bucket:%ED%A0%80", 200),
        ("/api/v1/messages?q=key:%F0%9F%8E%89%25_", 200),
        ("/api/v1/messages?q=text:%22a%5C%5C%27%3B--%22", 200),
        ("/api/v1/messages?q=older:999999999w", 200),
        ("/api/v1/messages/%00", 404),
        ("/api/v1/messages/%ED%A0%80", 404),
        ("/api/v1/messages/a%27%3Bdrop", 404),
        (f"/api/v1/messages/{EXAMPLE_ID}/events?after=9223372036854775807", 200),
        (f"/api/v1/messages/{EXAMPLE_ID}/events?after=9223372036854775808", 400),
        ("/dlq/messages?offset=100000", 200),
        ("/dlq/messages?source_service=%00", 400),
    ],
)
def test_what_a_database_does_not_take_is_answered_as_any_other_question(served, path, status):
    with client(served) as asking:
        answer = asking.get(path)
        assert answer.status_code == status, answer.text


@pytest.mark.parametrize(
    ("raw", "status", "said"),
    [
        (b"NOT HTTP\r\n\r\n", b"400", b"Invalid HTTP request"),
        (b"GET /health?" + b"x" * 500_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", b"400", b"32,768 bytes"),
        (b"GET /health HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 500_000 + b"\r\n\r\n", b"400", b"32,768 bytes"),
        (b"GET /health HTTP/1.1\r\nHost: localhost\r\nHost: evil\r\n\r\n", b"400", b"Invalid HTTP request"),
        (b"GET /health HTTP/1.1\r\nConnection: close\r\n\r\n", b"400", b"Invalid HTTP request"),
        (b"GET /health HTTP/1.0\r\n\r\n", b"400", b"no Host header"),
        (b"GET http://evil.example/health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", b"404", b"no such path"),
        (b"GET /health HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n", b"421", b"another server"),
        (
            b"GET /health HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade, close\r\n\r\n",
            b"200",
            b"healthy",
        ),
    ],
)  # fmt: skip
def test_what_is_no_request_gets_a_problem(listening, raw, status, said):
    answer = sent(listening, raw)
    assert answer.startswith(b"HTTP/1.1 " + status)
    assert said in answer
    assert (b"application/problem+json" in answer) == (status != b"200")


def test_a_body_that_nobody_asked_for_is_ignored(listening):
    with client(listening) as asking:
        for _ in range(2):
            answer = asking.request("GET", "/health", content=b"x" * 1_000_000)
            assert answer.status_code == 200


def test_more_connections_than_it_keeps_are_turned_away(listening, monkeypatch):
    monkeypatch.setattr(server_module, "MAX_CONNECTIONS", 1)
    with socket.create_connection(("127.0.0.1", listening.port)):
        time.sleep(0.2)
        answer = sent(listening, b"")
    assert answer.startswith(b"HTTP/1.1 503")
    assert b"Retry-After: 5" in answer


def test_where_it_cannot_listen_the_settings_are_named(listening, alone):
    for host, port in (("127.0.0.1", listening.port), ("203.0.113.1", 8024), ("no.such.host.invalid", 8024)):
        with pytest.raises(ConfigError, match=f"MANAGER_HOST={host}, MANAGER_PORT={port}: cannot listen there"):
            WebServer(alone.app).start(host, port)


def test_it_listens_on_ipv6_too(alone):
    server = WebServer(alone.app)
    try:
        server.start("::1", 0)
    except ConfigError as reason:
        pytest.skip(str(reason))
    assert httpx.get(f"http://[::1]:{server.port}/health").status_code == 200
    assert server.stop(5)


def test_signals_stay_the_callers(alone):
    before = [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)]
    server = WebServer(alone.app)
    assert (server.is_serving, server.stop(1)) == (False, True)
    server.start("127.0.0.1", 0)
    assert server.is_serving
    assert [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)] == before
    assert server.stop(5)
    assert not server.is_serving


class Slow:
    """A health check that takes until it is told."""

    def __init__(self, api: Api) -> None:
        self.begun, self.go_on = threading.Event(), threading.Event()
        self._api = api
        self.health = Health(Status.HEALTHY, queue_connected=True)

    def __call__(self) -> Health:
        self.begun.set()
        self.go_on.wait(20)
        return self.health


@pytest.fixture
def slow(alone, monkeypatch) -> Slow:
    made = Slow(alone)
    object.__setattr__(alone.service, "health", made)
    return made


def test_a_request_under_way_is_answered_before_the_end(listening, slow):
    with ThreadPoolExecutor(2) as pool, client(listening) as asking:
        answer = pool.submit(asking.get, "/health")
        assert slow.begun.wait(10)
        stopped = pool.submit(listening.stop, 15)
        time.sleep(0.5)
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"http://127.0.0.1:{listening.port}/health")
        assert not stopped.done()
        slow.go_on.set()
        assert answer.result(10).status_code == 200
        assert stopped.result(10)


def test_the_end_does_not_wait_for_ever(listening, slow):
    with ThreadPoolExecutor(1) as pool, client(listening) as asking:
        answer = pool.submit(asking.get, "/health")
        assert slow.begun.wait(10)
        began = time.monotonic()
        assert not listening.stop(0.5)
        assert time.monotonic() - began < 5
        slow.go_on.set()
        with contextlib.suppress(httpx.HTTPError):  # answered or cut off
            answer.result(10)


def test_an_array_whose_objects_can_be_read_no_more_is_cut_off_for_the_client_to_see(alone, listening):
    from testing.memory import DOWN

    for number in range(9):
        alone.add(f"n{number}")
    alone.fakes.faults.add("state.get", DOWN, after=6)
    with client(listening) as asking, pytest.raises(httpx.RemoteProtocolError):
        asking.get("/dlq/messages")
