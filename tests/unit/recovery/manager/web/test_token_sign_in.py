"""Signing in with a browser by a token: a page asks for it, a cookie keeps it, and the ledger judges it each time."""

import base64
import contextlib
import time
from urllib.parse import urlencode

import pytest
from starlette.requests import Request

from recovery.ledger.errors import LedgerError
from recovery.manager.roles import Role
from recovery.manager.web import sessions
from recovery.manager.web.sessions import SESSION
from recovery.manager.web.sign_in import Mode
from testing.ledgers import new_ledger
from tests.support.signed_in import bearer, new_token, signed_in

FROM_HERE = {"sec_fetch_site": "same-origin", "content_type": "application/x-www-form-urlencoded"}
MADE_UP = "dlqm_" + "a" * 43


@pytest.fixture
def api(tmp_path):
    with contextlib.closing(new_ledger(f"sqlite:///{tmp_path}/ledger.sqlite")) as ledger:
        yield signed_in(ledger, Mode.TOKEN)


def give(api, secret, path="/console/groups?q=key%3Aa"):
    form = urlencode({"token": secret, "next": path}).encode()
    return api.ask("/auth/login", method="POST", content=form, **FROM_HERE)


def kept(answer):
    """The headers of a browser that has been given this answer."""
    [line] = answer.headers.get_list("set-cookie")
    assert {"Secure", "HttpOnly", "SameSite=lax", "Path=/", "Max-Age=28800"} <= set(line.split("; "))
    assert line.startswith("__Host-")
    return {"cookie": line.partition(";")[0], "sec_fetch_site": "same-origin"}


def test_a_browser_is_who_the_token_is_and_goes_where_it_wanted(api):
    page = api.ask("/auth/login?next=/console/groups")
    assert (page.status_code, 'value="/console/groups"' in page.text) == (200, True)
    assert "form-action 'self'" in page.headers["content-security-policy"]
    answer = give(api, f" {new_token(api.ledger, Role.OPERATOR, 'alice')}\n")
    assert answer.status_code == 303
    cookie = kept(answer)
    on = api.ask(answer.headers["location"], **cookie)
    assert (on.status_code, on.headers["location"]) == (303, "/console/groups?q=key%3Aa")
    api.fill()
    assert api.ask("/dlq/messages", **cookie).status_code == 200
    assert api.views()[-1]["by"] == "token:alice"
    assert api.ask("/api/v1/stats", **cookie, **bearer(MADE_UP)).status_code == 401


def test_a_browser_that_does_not_keep_the_cookie_is_told_why(api):
    answer = give(api, new_token(api.ledger, Role.READER))
    page = api.ask(answer.headers["location"])
    assert (page.status_code, "https" in page.text) == (200, True)


def test_a_token_that_is_revoked_signs_out_at_once(api):
    cookie = kept(give(api, new_token(api.ledger, Role.READER, "bob")))
    assert api.ask("/api/v1/stats", **cookie).status_code == 200
    api.ledger.tokens.revoke("bob", by="me")
    answer = api.ask("/api/v1/stats", **cookie)
    assert (answer.status_code, "at /auth/login" in answer.json()["detail"]) == (401, True)


@pytest.mark.parametrize("secret", ["", "dlqm_", MADE_UP, "<script>", "x" * 3_000])
def test_what_is_no_good_token_is_said_in_the_page_and_not_repeated(api, secret):
    answer = give(api, secret)
    assert (answer.status_code, "unknown, revoked or expired" in answer.text) == (401, True)
    assert "set-cookie" not in answer.headers
    assert not secret or secret not in answer.text


@pytest.mark.parametrize(
    ("form", "status", "said"),
    [
        (b"&".join([b"a=b"] * 9), 400, "at most 8 fields"),
        (b"token=" + b"x" * 65_536, 413, "at most 65,536 bytes"),
        (b"token=%ff", 400, "in UTF-8"),
    ],
)
def test_a_form_that_is_none_of_ours_is_not_read_to_its_end(api, form, status, said):
    answer = api.ask("/auth/login", method="POST", content=form, **FROM_HERE)
    assert (answer.status_code, said in answer.text) == (status, True)


def test_ten_wrong_tokens_a_minute_are_answered_and_a_right_one_still_is(api, within_a_minute):
    assert [give(api, MADE_UP).status_code for _ in range(12)] == [401] * 10 + [429] * 2
    assert api.ask("/api/v1/stats", **bearer(MADE_UP)).status_code == 429
    assert give(api, new_token(api.ledger, Role.READER)).status_code == 303


def who(api, cookie):
    """Whom a browser with this cookie is; None if nobody."""
    value = cookie["cookie"].encode()
    return api.service.sign_in.principal(Request({"type": "http", "headers": [(b"cookie", value)]}))


def test_the_cookie_has_no_token_that_anybody_can_read_or_ask_with(api):
    secret = new_token(api.ledger, Role.READER)
    value = kept(give(api, secret))["cookie"].partition("=")[2]
    assert secret not in value
    said = base64.urlsafe_b64decode(value.partition(".")[0] + "===")
    assert secret.encode() not in said
    for given in (value, said.decode(), f"dlqm_{value}"):
        assert api.ask("/api/v1/stats", **bearer(given)).status_code == 401


def test_a_session_ends_after_eight_hours_whatever_the_browser_keeps(api, monkeypatch):
    cookie = kept(give(api, new_token(api.ledger, Role.READER)))
    left_s = who(api, cookie).until_ms / 1000 - time.time()
    assert 0 < 8 * 3600 - left_s < 60
    monkeypatch.setattr(sessions, "SESSION_S", -1)
    assert api.ask("/api/v1/stats", **cookie).status_code == 401


def test_a_session_ends_with_its_token(api):
    expires_ms = time.time_ns() // 1_000_000 + 60_000
    cookie = kept(give(api, new_token(api.ledger, Role.READER, "brief", expires_ms=expires_ms)))
    assert who(api, cookie).until_ms == expires_ms


def test_a_session_holds_for_every_manager_of_the_ledger_and_for_no_other_ledger(api, tmp_path):
    cookie = kept(give(api, new_token(api.ledger, Role.READER)))
    assert signed_in(api.ledger, Mode.TOKEN).ask("/api/v1/stats", **cookie).status_code == 200
    with contextlib.closing(new_ledger(f"sqlite:///{tmp_path}/other.sqlite")) as other:
        assert signed_in(other, Mode.TOKEN).ask("/api/v1/stats", **cookie).status_code == 401


@pytest.mark.parametrize("change", [lambda value: value[:-2] + "xx", lambda _: MADE_UP, lambda _: ""])
def test_a_forged_cookie_is_nobody(api, change):
    cookie = kept(give(api, new_token(api.ledger, Role.READER)))
    value = change(cookie["cookie"].partition("=")[2])
    assert api.ask("/api/v1/stats", cookie=f"{SESSION}={value}").status_code == 401


def test_signing_out_ends_the_session_wherever_its_cookie_was_kept(api):
    secret = new_token(api.ledger, Role.READER)
    cookie, other = kept(give(api, secret)), kept(give(api, secret))
    principal, another_manager = who(api, cookie), signed_in(api.ledger, Mode.TOKEN)
    assert api.service.sign_in.still_valid(principal)
    assert api.ask("/auth/logout", method="POST", **cookie).status_code == 204
    assert not another_manager.service.sign_in.still_valid(principal)
    assert [one.ask("/api/v1/stats", **cookie).status_code for one in (api, another_manager)] == [401, 401]
    assert api.ask("/api/v1/stats", **other).status_code == 200


def test_who_signs_out_while_the_ledger_refuses_is_told_so_and_stays_signed_in(api, monkeypatch):
    cookie = kept(give(api, new_token(api.ledger, Role.READER)))

    def fail(*_):
        raise LedgerError("the ledger is locked")

    with monkeypatch.context() as patched:
        patched.setattr(api.ledger.ended_sessions, "end", fail)
        answer = api.ask("/auth/logout", method="POST", **cookie)
    assert (answer.status_code, answer.json()["detail"]) == (503, "the ledger is locked")
    assert api.ask("/api/v1/stats", **cookie).status_code == 200


def test_signing_out_drops_the_cookie_and_leaves_the_token_good_for_others(api):
    secret = new_token(api.ledger, Role.READER)
    cookie = kept(give(api, secret))
    answer = api.ask("/auth/logout", method="POST", accept="text/html", **cookie)
    assert (answer.status_code, answer.headers["location"]) == (303, "/auth/signed-out")
    assert f'{SESSION}="";' in answer.headers["set-cookie"]
    assert "Max-Age=0" in answer.headers["set-cookie"]
    assert api.ask("/api/v1/stats", **bearer(secret)).status_code == 200


@pytest.mark.parametrize(
    "path", ["//evil.example", "/\\evil.example", "https://evil.example", "javascript:alert(1)", ""]
)
def test_after_signing_in_a_browser_stays_here(api, path):
    answer = give(api, new_token(api.ledger, Role.READER), path)
    assert answer.headers["location"] == "/auth/login?kept=true&next=%2Fconsole%2F"


@pytest.mark.parametrize("headers", [{}, {"sec_fetch_site": "cross-site"}, {"origin": "http://evil.example"}])
def test_another_site_signs_nobody_in_or_out(api, headers):
    form = urlencode({"token": new_token(api.ledger, Role.READER)}).encode()
    kind = {"content_type": FROM_HERE["content_type"]}
    assert api.ask("/auth/login", method="POST", content=form, **kind, **headers).status_code == 403
    assert api.ask("/auth/logout", method="POST", content=b"a=b", **kind, **headers).status_code == 403


@pytest.mark.parametrize("mode", [Mode.NONE, Mode.PROXY, Mode.OIDC])
def test_the_session_of_a_token_is_nobody_where_people_sign_in_otherwise(api, mode):
    cookie = kept(give(api, new_token(api.ledger, Role.ADMIN)))
    other = signed_in(api.ledger, mode)
    answer = other.ask("/api/v1/stats", **cookie)
    assert answer.status_code == (200 if mode is Mode.NONE else 401)
    if mode is not Mode.OIDC:
        assert other.ask("/auth/login").status_code == 404
