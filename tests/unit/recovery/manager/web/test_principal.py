"""Who asks: what a token, a proxy's header and a rate are good for, and for how long."""

import time
from dataclasses import replace

import pytest
from starlette.requests import Request

from recovery.ledger.errors import LedgerError
from recovery.manager.roles import Principal, Role
from recovery.manager.web.parameters import EXAMPLE_ID
from recovery.manager.web.principal import still_valid
from recovery.manager.web.sign_in import PROXY_S, USE_NOTED_MS, Mode
from testing.ledgers import new_ledger
from tests.support.signed_in import OTHER_PEER, PROXY_PEER, ROLES, bearer, new_token, signed_in


@pytest.fixture
def ledger(tmp_path):
    made = new_ledger(f"sqlite:///{tmp_path}/ledger.sqlite")
    yield made
    made.close()


@pytest.fixture
def api(ledger):
    made = signed_in(ledger, Mode.TOKEN)
    made.fill()
    return made


def test_a_view_is_recorded_under_the_name_of_who_asks(api, ledger):
    secret = new_token(ledger, Role.OPERATOR, "ci")
    assert api.ask(f"/api/v1/messages/{EXAMPLE_ID}/body", **bearer(secret)).status_code == 200
    assert api.views()[0]["by"] == "token:ci"


@pytest.mark.parametrize("path", ["/dlq/messages", f"/dlq/messages/{EXAMPLE_ID}"])
def test_a_reader_gets_the_aliases_without_bodies_and_must_not_ask_for_them(api, ledger, path):
    reader, operator = (bearer(new_token(ledger, role)) for role in (Role.READER, Role.OPERATOR))
    found = api.ask(path, **reader).json()
    found = found[0] if isinstance(found, list) else found
    assert (found["payload"], found["stack_trace"]) == (None, None)
    assert api.ask(f"{path}?include_payload=false", **reader).status_code == 200
    refused = api.ask(f"{path}?include_payload=true", **reader)
    assert (refused.status_code, refused.json()["detail"]) == (
        403,
        "this is for the role operator; token:readers has reader",
    )
    assert api.views() == []
    assert "経理" in api.ask(path, **operator).text
    assert len(api.views()) == 1


def test_a_scraper_reads_the_metrics_with_a_token_and_anyone_the_health(api, ledger):
    assert api.ask("/metrics").status_code == 401
    assert api.ask("/metrics", **bearer(new_token(ledger, Role.READER))).status_code == 200
    assert api.ask("/health").status_code == 200


def test_a_token_ends_when_it_is_revoked_or_expires_and_so_do_its_streams(api, ledger):
    secret = new_token(ledger, Role.OPERATOR, "ci")
    seen = api.service.sign_in
    principal = seen.of_token(secret)
    assert still_valid(api.service, principal)
    assert api.ask("/api/v1/stats", **bearer(secret)).status_code == 200
    ledger.tokens.revoke("ci", by="me")
    assert not still_valid(api.service, principal)
    answer = api.ask("/api/v1/stats", **bearer(secret))
    assert (answer.status_code, answer.headers["www-authenticate"]) == (
        401, 'Bearer realm="dlq-manager", error="invalid_token"'
    )  # fmt: skip
    assert "ci" not in answer.text
    now_ms = time.time_ns() // 1_000_000
    expired = new_token(ledger, Role.OPERATOR, "old", expires_ms=now_ms - 1)
    assert api.ask("/api/v1/stats", **bearer(expired)).status_code == 401
    assert not still_valid(api.service, Principal("x", Role.READER, now_ms - 1))
    assert still_valid(api.service, Principal("x", Role.READER, now_ms + 60_000))


def test_the_use_of_a_token_is_noted_once_an_hour_and_never_in_the_way(api, ledger, monkeypatch):
    secret = new_token(ledger, Role.READER, "ci")
    api.ask("/api/v1/stats", **bearer(secret))
    [first] = [one.used_ms for one in ledger.tokens.all()]
    assert first is not None
    api.ask("/api/v1/stats", **bearer(secret))
    assert [one.used_ms for one in ledger.tokens.all()] == [first]
    ledger.tokens.note_use(next(one.digest for one in ledger.tokens.all()), first - USE_NOTED_MS)

    def refuse(*_):
        raise LedgerError("the ledger is read-only")

    monkeypatch.setattr(ledger.tokens, "note_use", refuse)
    assert api.ask("/api/v1/stats", **bearer(secret)).status_code == 200


def test_where_the_ledger_fails_nobody_gets_in(api, ledger, monkeypatch):
    secret = new_token(ledger, Role.READER)

    def refuse(_):
        raise LedgerError("the ledger is unreachable")

    monkeypatch.setattr(ledger.tokens, "find", refuse)
    assert api.ask("/api/v1/stats", **bearer(secret)).status_code == 503


def test_who_asks_too_often_is_told_when_to_come_again_and_others_are_not(ledger, within_a_minute):
    api = signed_in(ledger, Mode.TOKEN, per_minute=10)
    first, second = (bearer(new_token(ledger, Role.READER, name)) for name in "ab")
    statuses = [api.ask("/api/v1/stats", **first).status_code for _ in range(12)]
    assert statuses == [200] * 10 + [429] * 2
    refused = api.ask("/api/v1/stats", **first)
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert refused.headers["content-type"] == "application/problem+json"
    assert api.ask("/api/v1/stats", **second).status_code == 200


def test_wrong_tokens_are_refused_more_strictly_and_do_not_shut_out_right_ones(api, ledger, within_a_minute):
    right, wrong = bearer(new_token(ledger, Role.READER)), bearer("dlqm_" + "x" * 43)
    statuses = [api.ask("/api/v1/stats", **wrong).status_code for _ in range(12)]
    assert statuses == [401] * 10 + [429] * 2
    assert api.ask("/api/v1/stats", **right).status_code == 200
    assert api.ask("/api/v1/stats", peer="127.0.0.2", **wrong).status_code == 401


@pytest.mark.parametrize(
    ("headers", "peer", "status"),
    [
        ([("X-Forwarded-User", "alice"), ("X-Forwarded-Groups", "dlq-readers")], PROXY_PEER, 200),
        ([("X-Forwarded-User", "alice"), ("X-Forwarded-Groups", "dlq-readers")], f"::ffff:{PROXY_PEER}", 200),
        ([("X-Forwarded-User", "alice"), ("X-Forwarded-Groups", "dlq-readers")], OTHER_PEER, 403),
        ([("X-Forwarded-User", "alice"), ("X-Forwarded-Groups", "nothing")], PROXY_PEER, 401),
        ([("X-Forwarded-User", ""), ("X-Forwarded-Groups", "dlq-readers")], PROXY_PEER, 401),
        ([("X-Forwarded-User", "alice")], PROXY_PEER, 401),
        ([("X-Forwarded-Groups", "dlq-admins")], PROXY_PEER, 401),
        (
            [("X-Forwarded-User", "eve"), ("X-Forwarded-User", "alice"), ("X-Forwarded-Groups", "dlq-readers")],
            PROXY_PEER,
            401,
        ),
        (
            [("X-Forwarded-User", "a"), ("X-Forwarded-Groups", "dlq-admins"), ("X-Forwarded-Groups", "dlq-readers")],
            PROXY_PEER,
            401,
        ),
        ([], PROXY_PEER, 401),
        ([], "unix", 401),
    ],
)
def test_a_proxy_names_one_person_in_one_header(ledger, headers, peer, status):
    api = signed_in(ledger, Mode.PROXY)
    assert api.ask_with(headers, "/api/v1/stats", peer=peer).status_code == status


def test_what_a_proxy_says_holds_for_a_quarter_of_an_hour(ledger):
    sign_in = signed_in(ledger, Mode.PROXY).service.sign_in
    headers = [(b"x-forwarded-user", b"alice"), (b"x-forwarded-groups", b"dlq-readers")]
    found = sign_in.principal(Request({"type": "http", "headers": headers, "client": (PROXY_PEER, 1)}))
    assert found is not None
    assert found.until_ms is not None
    assert sign_in.still_valid(found)
    assert 0 < found.until_ms - time.time_ns() // 1_000_000 <= PROXY_S * 1000 == 900_000
    assert not sign_in.still_valid(replace(found, until_ms=found.until_ms - PROXY_S * 1000))


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("alice", "alice"),
        (" a\x1b[2J\n", "a\ufffd[2J"),
        ("x" * 500, "x" * 120),
        ("\t", None),
        ("", None),
        ("token:ci", None),
        (" token:x", None),
    ],
)
def test_the_name_that_others_give_somebody_is_made_harmless(name, shown):
    found = Principal.of_claims(name, ["dlq-readers"], ROLES)
    assert (found and found.name) == shown
