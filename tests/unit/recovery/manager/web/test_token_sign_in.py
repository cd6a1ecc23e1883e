"""Signing in with a browser by a token: a page asks for it, a cookie keeps it, and the ledger judges it each time."""

import contextlib
from urllib.parse import urlencode

import pytest

from recovery.manager.roles import Role
from recovery.manager.web.sessions import TOKEN
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
    assert (answer.status_code, answer.json()["detail"]) == (401, "the token is unknown, revoked or expired")


@pytest.mark.parametrize("secret", ["", "dlqm_", MADE_UP, "<script>", "x" * 3_000])
def test_what_is_no_good_token_is_said_in_the_page_and_not_repeated(api, secret):
    answer = give(api, secret)
    assert (answer.status_code, "unknown, revoked or expired" in answer.text) == (401, True)
    assert "set-cookie" not in answer.headers
    assert not secret or secret not in answer.text


def test_ten_wrong_tokens_a_minute_are_answered_and_a_right_one_still_is(api, within_a_minute):
    assert [give(api, MADE_UP).status_code for _ in range(12)] == [401] * 10 + [429] * 2
    cookie = {"cookie": f"{TOKEN}={MADE_UP}"}
    assert api.ask("/api/v1/stats", **cookie).status_code == 429
    assert give(api, new_token(api.ledger, Role.READER)).status_code == 303


def test_signing_out_drops_the_token_and_leaves_it_good_for_others(api):
    secret = new_token(api.ledger, Role.READER)
    cookie = kept(give(api, secret))
    answer = api.ask("/auth/logout", method="POST", accept="text/html", **cookie)
    assert (answer.status_code, answer.headers["location"]) == (303, "/auth/signed-out")
    assert f'{TOKEN}="";' in answer.headers["set-cookie"]
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
def test_the_cookie_of_a_token_is_nobody_where_people_sign_in_otherwise(api, mode):
    secret = new_token(api.ledger, Role.ADMIN)
    other = signed_in(api.ledger, mode)
    answer = other.ask("/api/v1/stats", cookie=f"{TOKEN}={secret}")
    assert answer.status_code == (200 if mode is Mode.NONE else 401)
    if mode is not Mode.OIDC:
        assert other.ask("/auth/login").status_code == 404
