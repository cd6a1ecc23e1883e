"""Signing in at a real OpenID provider on loopback: a session for who has a role, and none for anything forged or old."""

import contextlib
import time

import pytest
from joserfc.jwk import OctKey, RSAKey
from starlette.requests import Request

from recovery.ledger.errors import LedgerError
from recovery.manager.roles import Role
from recovery.manager.web import provider as provider_module
from recovery.manager.web import sessions
from recovery.manager.web.sign_in import Mode
from testing.ledgers import new_ledger
from tests.support.identity_provider import IdentityProvider, new_key
from tests.support.signed_in import CLIENT_SECRET, signed_in
from worker.core.base.logs import observe


@pytest.fixture(scope="module")
def ledger(tmp_path_factory):
    folder = tmp_path_factory.mktemp("oidc")
    with contextlib.closing(new_ledger(f"sqlite:///{folder}/ledger.sqlite")) as made:
        yield made


@pytest.fixture
def idp():
    with IdentityProvider() as made:
        yield made


@pytest.fixture
def api(ledger, idp):
    return signed_in(ledger, Mode.OIDC, issuer=idp.issuer)


class Browser:
    """Keeps cookies, and follows where it is sent."""

    def __init__(self, api, idp):
        self.api, self.idp, self.cookies = api, idp, {}

    def go(self, path, method="GET", **headers):
        cookie = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        answer = self.api.ask(
            path,
            method=method,
            host="dlq.example.com",
            **{"sec_fetch_site": "same-origin", "cookie": cookie, **headers},
        )
        for line in answer.headers.get_list("set-cookie"):
            name, _, value = line.partition(";")[0].partition("=")
            assert {"Secure", "HttpOnly", "SameSite=lax", "Path=/"} <= set(line.split("; "))
            assert name.startswith("__Host-")
            self.cookies[name] = value
            if "Max-Age=0" in line:
                del self.cookies[name]
        return answer

    def begin(self, path="/auth/login"):
        answer = self.go(path)
        assert answer.status_code == 303, answer.text
        return self.idp.come_back(answer.headers["location"])

    def sign_in(self):
        return self.go(self.begin(), sec_fetch_site="cross-site")


@pytest.fixture
def browser(api, idp):
    return Browser(api, idp)


def test_who_signs_in_has_the_session_and_the_role_of_their_claims(browser):
    assert browser.go("/api/v1/stats").status_code == 401
    page = browser.sign_in()
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert '<meta http-equiv="refresh" content="0;url=/console/">' in page.text
    assert browser.go("/api/v1/stats").status_code == 200
    browser.api.fill()
    assert browser.go("/dlq/messages").status_code == 200
    assert browser.api.views()[-1]["by"] == "alice"


@pytest.mark.parametrize(
    ("claims", "role"),
    [
        ({"realm_access": {"roles": ["dlq-readers", "dlq-admins"]}}, Role.ADMIN),
        ({"realm_access.roles": "dlq-readers"}, Role.READER),
        ({"realm_access": {"roles": ["dlq"]}}, None),
        ({"realm_access": {"roles": [["dlq-admins"], None]}}, None),
        ({"realm_access": ["dlq-admins"]}, None),
        ({"realm_access": None}, None),
    ],
)
def test_nobody_without_a_listed_role_gets_in(browser, idp, claims, role):
    idp.claims |= claims
    page = browser.sign_in()
    assert page.status_code == (403 if role is None else 200)
    assert browser.go("/api/v1/groups").status_code == (401 if role is None else 200)
    found = browser.api.service.sign_in.oidc.principal(idp.claims, browser.api.service.sign_in.roles)
    assert (found and found.role) == role


@pytest.mark.parametrize(
    "change",
    [
        {"aud": "another"}, {"aud": ["another", "third"]}, {"aud": None}, {"iss": "https://evil.example"}, {"iss": None},
        {"nonce": "another"}, {"nonce": None}, {"exp": int(time.time()) - 120}, {"exp": None},
        {"iat": int(time.time()) + 3_600}, {"nbf": int(time.time()) + 3_600}, {"sub": None},
        {"aud": ["dlq-manager", "another"], "azp": "another"}, {"exp": "soon"},
    ],
)  # fmt: skip
def test_an_id_token_that_is_for_others_or_old_is_not_believed(browser, idp, change):
    idp.change = change
    answer = browser.sign_in()
    assert answer.status_code == 401, answer.text
    assert "cannot be trusted" in answer.json()["detail"]
    assert browser.go("/api/v1/stats").status_code == 401


def test_a_key_that_is_new_is_asked_for_and_one_of_nobody_is_not_believed(browser, idp, monkeypatch):
    assert browser.sign_in().status_code == 200
    monkeypatch.setattr(provider_module, "AGAIN_S", 0)
    idp.keys = [new_key("second")]
    assert browser.sign_in().status_code == 200
    idp.signs_with = ("RS256", new_key("third"))
    assert browser.sign_in().status_code == 401
    idp.keys[-1] = new_key("first")
    idp.signs_with = ("RS256", RSAKey.import_key(new_key("third").as_dict(private=True), {"kid": "first"}))
    assert browser.sign_in().status_code == 401


def test_keys_are_not_asked_for_with_each_forged_token(browser, idp):
    idp.signs_with = ("RS256", new_key("nobody's"))
    for _ in range(4):
        assert browser.sign_in().status_code == 401
    assert idp.calls.count("/keys") == 1


def test_a_token_that_is_signed_with_the_clients_secret_or_not_at_all_is_not_believed(browser, idp):
    idp.signs_with = ("HS256", OctKey.import_key("x" * 32, {"kid": "first"}))
    assert browser.sign_in().status_code == 401
    idp.signs_with = ("none", OctKey.import_key("x" * 32, {"kid": "first"}))
    assert browser.sign_in().status_code == 401


def test_a_state_is_good_for_one_sign_in_of_one_browser(browser, api, idp):
    back = browser.begin()
    kept = dict(browser.cookies)
    assert Browser(api, idp).go(back).status_code == 400  # a link that somebody was sent
    assert browser.go(back.replace("state=", "state=x")).status_code == 400
    assert browser.go(back).status_code == 200
    assert browser.go(back).status_code == 400
    browser.cookies = kept
    answer = browser.go(back)
    assert (answer.status_code, answer.json()["detail"]) == (
        400, "this sign-in has ended already: begin again at /auth/login"
    )  # fmt: skip


def test_what_the_provider_refuses_is_said(browser, idp):
    back = browser.begin()
    code = back.rpartition("=")[2]
    assert "no such code" in browser.go(back.replace(code, "made-up")).json()["detail"]
    back = browser.begin()
    answer = browser.go(back.replace(f"code={back.rpartition('=')[2]}", "error=access_denied"))
    assert (answer.status_code, "access_denied" in answer.text) == (401, True)


def test_a_session_ends_and_a_forged_one_is_none(browser, api, monkeypatch):
    browser.sign_in()
    value = browser.cookies[sessions.SESSION]
    principal, ended = api.service.sign_in.oidc.sessions.principal, api.ledger.ended_sessions
    browser.cookies[sessions.SESSION] = value[:-2] + ("AA" if value[-2:] != "AA" else "BB")
    assert browser.go("/api/v1/stats").status_code == 401
    for other in (sessions.Sessions("another secret", ended), sessions.Sessions(CLIENT_SECRET, ended, "other roles")):
        assert other._made[sessions.SESSION].loads_unsafe(value)[0] is False
    browser.cookies = {sessions.SIGN_IN: value, sessions.SESSION: value}
    assert browser.go("/auth/callback?state=x&code=y").status_code == 400
    assert browser.go("/api/v1/stats").status_code == 200
    monkeypatch.setattr(sessions, "SESSION_S", -1)
    assert browser.go("/api/v1/stats").status_code == 401
    assert principal is not None


def test_signing_out_ends_the_session_wherever_its_cookie_was_kept_and_for_every_manager(browser, api, idp, ledger):
    browser.sign_in()
    kept, other = dict(browser.cookies), Browser(api, idp)
    other.sign_in()
    principal = api.service.sign_in.oidc.sessions.principal(request_with(kept))
    assert api.service.sign_in.still_valid(principal)
    answer = browser.go("/auth/logout", method="POST", accept="text/html,*/*")
    assert (answer.status_code, answer.headers["location"], browser.cookies) == (303, "/auth/signed-out", {})
    assert "Signed out" in browser.go("/auth/signed-out").text
    browser.cookies = kept
    another_manager = Browser(signed_in(ledger, Mode.OIDC, issuer=idp.issuer), idp)
    another_manager.cookies = kept
    assert browser.go("/api/v1/stats").status_code == another_manager.go("/api/v1/stats").status_code == 401
    assert not api.service.sign_in.still_valid(principal)
    assert other.go("/api/v1/stats").status_code == 200
    assert browser.go("/auth/logout", method="POST").status_code == 204


def test_a_session_of_an_earlier_version_which_cannot_be_ended_is_none(browser, api, monkeypatch):
    browser.sign_in()
    made = api.service.sign_in.oidc.sessions._made[sessions.SESSION]
    browser.cookies[sessions.SESSION] = made.dumps({"name": "alice", "role": "admin"})
    assert browser.go("/api/v1/stats").status_code == 401


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_nobody_is_signed_out_by_a_link(browser, method):
    browser.sign_in()
    assert browser.go("/auth/logout", method=method).status_code == 405
    assert browser.go("/api/v1/stats").status_code == 200


def test_who_signs_out_while_the_ledger_refuses_is_told_so_and_stays_signed_in(browser, api, monkeypatch):
    browser.sign_in()

    def fail(*_):
        raise LedgerError("the ledger is locked")

    with monkeypatch.context() as patched:
        patched.setattr(api.ledger.ended_sessions, "end", fail)
        answer = browser.go("/auth/logout", method="POST")
    assert (answer.status_code, answer.json()["detail"]) == (503, "the ledger is locked")
    assert browser.go("/api/v1/stats").status_code == 200


def request_with(cookies):
    """A request that has these cookies."""
    cookie = "; ".join(f"{name}={value}" for name, value in cookies.items())
    return Request({"type": "http", "headers": [(b"cookie", cookie.encode())]})


def test_signing_out_forgets_the_session(browser):
    browser.sign_in()
    assert browser.go("/auth/logout", method="POST", sec_fetch_site="cross-site").status_code == 403
    assert browser.go("/auth/logout", method="POST").status_code == 204
    assert browser.cookies == {}
    assert browser.go("/api/v1/stats").status_code == 401


@pytest.mark.parametrize(
    ("given", "to"),
    [
        ("/dlq/stats", "/dlq/stats"),
        ("//evil.example", "/console/"),
        ("/\\evil.example", "/console/"),
        ("https://evil.example", "/console/"),
        ('/a"><script>', "/a&#34;&gt;&lt;script&gt;"),
    ],
)
def test_after_signing_in_a_browser_stays_here(browser, given, to):
    answer = browser.go(browser.begin(f"/auth/login?next={given}"))
    assert f'url={to}"' in answer.text
    assert "<script>" not in answer.text


def test_a_provider_that_cannot_be_used_is_a_503_and_one_of_another_name_is_none(api, idp, ledger):
    idp.calls_itself = "https://another.example"
    assert "calls itself" in api.refused("/auth/login", 503)["detail"]
    gone = signed_in(ledger, Mode.OIDC, issuer="http://127.0.0.1:9")
    assert gone.ask("/auth/login").headers["retry-after"] == "5"


def test_sign_ins_are_begun_ten_times_a_minute_from_one_address(browser, within_a_minute):
    statuses = [browser.go("/auth/login").status_code for _ in range(12)]
    assert statuses == [303] * 10 + [429] * 2


def test_who_came_in_and_who_did_not_is_logged_without_secrets(browser, idp):
    seen = []
    ended = observe(lambda event, fields: seen.append((event, fields)))
    try:
        browser.sign_in()
        idp.change = {"nonce": "x"}
        browser.sign_in()
    finally:
        ended()
    events = {str(event): fields for event, fields in seen if event.startswith("sign_in.")}
    assert (events["sign_in.accepted"]["by"], events["sign_in.accepted"]["role"]) == ("alice", "operator")
    assert "nonce" in events["sign_in.refused"]["reason"]
    assert "code=" not in str(seen)
