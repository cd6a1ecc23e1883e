"""Long answers of a server that listens: they end with the sign-in of whoever asked, and a part is not taken for the whole."""

import threading
import time
from collections.abc import Iterator

import httpx
import pytest

from recovery.ledger.ledger import Ledger
from recovery.ledger.operations import OperationState
from recovery.manager.roles import Role
from recovery.manager.web import bodies, principal
from recovery.manager.web.parameters import EXAMPLE_ID
from recovery.manager.web.plan_models import EXAMPLE_OPERATION
from recovery.manager.web.sign_in import Mode
from tests.integration.manager.conftest import serving
from tests.support.api import Api
from tests.support.signed_in import bearer, new_token, signed_in
from worker.core.base.logs import observe

EVENTS = f"/api/v1/operations/{EXAMPLE_OPERATION}/events"
SOON_S = 5.0


@pytest.fixture
def asked(ledger: Ledger) -> Api:
    """A service that asks for tokens, with an operation that waits, and dead letters enough for several readings."""
    api = signed_in(ledger, Mode.TOKEN)
    api.operate()
    for number in range(30):
        api.add(f"n{number}")
    return api


@pytest.fixture
def client(asked: Api) -> Iterator[httpx.Client]:
    with serving(asked) as server, httpx.Client(base_url=f"http://127.0.0.1:{server.port}", timeout=20) as made:
        yield made


@pytest.fixture
def slow(monkeypatch):
    """Objects are read only after this is set, but for the first few; sign-ins are looked at each time."""
    may_go_on, reads, read = threading.Event(), [0], bodies.read_one

    def read_one(state, row):
        reads[0] += 1
        assert reads[0] <= 8 or may_go_on.wait(20)
        return read(state, row)

    monkeypatch.setattr(bodies, "read_one", read_one)
    monkeypatch.setattr(principal, "CHECKED_S", 0.0)
    return may_go_on


def revoke(ledger: Ledger, name: str) -> None:
    assert ledger.tokens.revoke(name, by="me")


@pytest.mark.parametrize("ends", ["revoked", "expired"])
def test_the_events_of_an_operation_end_with_the_token_by_which_they_were_asked_for(ledger, client, ends):
    expires_ms = time.time_ns() // 1_000_000 + 1_500 if ends == "expired" else None
    secret = new_token(ledger, Role.READER, "listener", expires_ms=expires_ms)
    other = new_token(ledger, Role.READER, "other")
    with (
        client.stream("GET", EVENTS, headers=bearer(secret)) as answer,
        client.stream("GET", EVENTS, headers=bearer(other)) as others,
    ):
        assert (answer.status_code, others.status_code) == (200, 200)
        lines, still = answer.iter_lines(), others.iter_lines()
        assert "event: operation" in [next(lines), next(lines)]
        assert next(still)
        if ends == "revoked":
            revoke(ledger, "listener")
        began = time.monotonic()
        assert not [line for line in lines if line.startswith("data:")][1:]
        assert time.monotonic() - began < SOON_S
        ledger.operations.move(EXAMPLE_OPERATION, OperationState.CANCELLED)
        assert any('"cancelled"' in line for line in still)
    assert client.get(EVENTS, headers=bearer(secret)).status_code == 401


def test_the_events_of_an_operation_that_is_forgotten_end(ledger, asked, client):
    secret = new_token(ledger, Role.READER)
    with client.stream("GET", EVENTS, headers=bearer(secret)) as answer:
        lines = answer.iter_lines()
        assert next(lines)
        asked._rename("operations", EXAMPLE_OPERATION, "gone")
        began = time.monotonic()
        list(lines)
        assert time.monotonic() - began < SOON_S


@pytest.mark.parametrize("path", ["/api/v1/export", "/dlq/messages"])
def test_a_long_answer_is_cut_for_the_client_to_see_when_the_token_is_revoked(ledger, client, slow, path, monkeypatch):
    secret = new_token(ledger, Role.OPERATOR, "exporter")
    monkeypatch.setattr("recovery.manager.web.alias_messages.CHUNK_BYTES", 100)
    seen = []
    ended = observe(lambda event, fields: seen.append((str(event), fields)))
    try:
        with client.stream("GET", path, headers=bearer(secret)) as answer:
            assert answer.status_code == 200
            parts = answer.iter_raw()
            assert next(parts)
            revoke(ledger, "exporter")
            slow.set()
            with pytest.raises(httpx.RemoteProtocolError):
                list(parts)
    finally:
        ended()
    assert [event for event, _ in seen if event == "request.failed"] == []


@pytest.mark.parametrize("path", ["/api/v1/export", "/dlq/messages"])
def test_a_long_answer_to_a_good_token_is_whole(ledger, client, slow, path):
    slow.set()
    answer = client.get(path, headers=bearer(new_token(ledger, Role.OPERATOR)))
    assert answer.status_code == 200
    assert all(f"n{number}" in answer.text for number in range(30))
    assert EXAMPLE_ID not in answer.text
