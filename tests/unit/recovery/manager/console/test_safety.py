"""What keeps other sites out of the pages: their headers, where they lead, and what an answer to a form leads back to."""

import contextlib
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from httpx import Response
from lxml import html

from recovery.manager.roles import Role
from recovery.manager.web.auth_routes import own_path
from recovery.manager.web.parameters import EXAMPLE_ID
from recovery.manager.web.plan_models import EXAMPLE_OPERATION, EXAMPLE_PLAN
from recovery.manager.web.sessions import SESSION
from recovery.manager.web.sign_in import Mode
from testing.ledgers import new_ledger
from tests.support.api import Api
from tests.support.library import library
from tests.support.signed_in import new_token, signed_in

FORM = {"content_type": "application/x-www-form-urlencoded", "sec_fetch_site": "same-origin"}


@pytest.fixture(scope="module")
def api(tmp_path_factory):
    folder = tmp_path_factory.mktemp("safety")
    with contextlib.closing(new_ledger(f"sqlite:///{folder}/ledger.sqlite")) as ledger:
        made = Api(ledger, index=library(folder / "index.sqlite"), search_page=True)
        made.fill()
        made.operate()
        yield made


def parsed(answer: Response) -> Any:
    return html.fromstring(answer.text)


PAGES = [
    ("/console/", 200), ("/console/messages", 200), (f"/console/messages/{EXAMPLE_ID}", 200), ("/console/archive", 200),
    ("/console/groups", 200), ("/console/schedule", 200), ("/console/audit", 200), ("/console/settings", 200),
    ("/console/operations", 200), (f"/console/operations/{EXAMPLE_OPERATION}", 200), (f"/console/plans/{EXAMPLE_PLAN}", 200),
    ("/console/search?q=forecast", 200), ("/console/why-not?key=x", 200), ("/console/runbook", 200),
    ("/console/messages?q=x", 400), ("/console/nowhere", 404), ("/console/messages/nobody", 404),
]  # fmt: skip


@pytest.mark.parametrize(("path", "status"), PAGES)
def test_a_page_is_kept_by_nobody_framed_by_nobody_and_runs_and_loads_ours_alone(api, path, status):
    answer = api.ask(path)
    assert answer.status_code == status
    found = answer.headers
    policy = dict(part.split(" ", 1) for part in found["content-security-policy"].split("; "))
    assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert {policy[name] for name in ("script-src", "style-src", "img-src", "connect-src", "form-action")} == {"'self'"}
    assert found.get_list("cache-control") == ["no-store"]
    assert found["referrer-policy"] == "same-origin"
    assert found["x-content-type-options"] == "nosniff"
    assert found["cross-origin-opener-policy"] == found["cross-origin-resource-policy"] == "same-origin"
    assert found["content-type"] == "text/html; charset=utf-8"
    page = parsed(answer)
    assert page.xpath("//@style | //style | //script[not(@src)] | //*[starts-with(name(@*), 'on')]") == []
    for name in ("src", "href", "action"):
        for one in page.xpath(f"//@{name}"):
            assert one.startswith(("/", "#")), one
            assert not one.startswith("//"), one
    assert {one.get("method") for one in page.iter("form") if one.get("action") is None} <= {"dialog"}


def test_a_download_is_saved_and_not_shown(api):
    for format_ in ("", "?format=csv"):
        found = api.ask(f"/api/v1/audit/export{format_}").headers
        assert found["content-disposition"].startswith("attachment; filename=")
        assert (found["x-content-type-options"], found["cache-control"]) == ("nosniff", "no-store")


@pytest.mark.parametrize(
    "given",
    [
        "//evil.example", "/\\evil.example", "/\t/evil.example", "/\n//evil.example", "\\\\evil.example", " //evil.example",
        "https://evil.example", "javascript:alert(1)", "data:text/html,x", "evil.example", "", "/a b",
        "///evil.example", "/%09/evil.example\r\nSet-Cookie: x=y",
    ],
)  # fmt: skip
def test_nobody_is_led_away_by_what_an_address_says(api, given):
    assert own_path(given) == "/console/"
    body = urlencode({"next": given, "language": "ja"}).encode()
    answer = api.ask("/console/preferences", method="POST", content=body, **FORM)
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/")


def test_a_language_is_chosen_where_the_reader_is(api):
    path = f"/console/messages?{urlencode({'q': 'key:契約 & <b>', 'column': ['key', 'owner']}, doseq=True)}"
    assert own_path(path) == path
    body = urlencode({"next": path, "language": "ja"}).encode()
    answer = api.ask("/console/preferences", method="POST", content=body, **FORM)
    assert answer.headers["location"] == path
    [cookie] = answer.headers.get_list("set-cookie")
    assert cookie.startswith("console-language=ja; ")
    assert "SameSite=lax" in cookie


@pytest.mark.parametrize(
    ("referer", "back"),
    [
        ("http://127.0.0.1:8024/console/messages?q=key%3A%E5%A5%91", "/console/messages?q=key%3A%E5%A5%91"),
        ("http://evil.example/console/messages", "/console/"),
        ("http://127.0.0.1:8024//evil.example", "/console/"),
        ("http://127.0.0.1:8024/api/v1/messages", "/console/"),
        ("http://[", "/console/"),
        ("", "/console/"),
    ],
)
def test_what_a_form_was_answered_with_leads_back_to_the_page_that_had_it(api, referer, back):
    answer = api.ask("/console/plans", method="POST", content=b"verb=redrive", referer=referer, **FORM)
    assert answer.status_code == 400
    [language] = parsed(answer).xpath("//form[@action='/console/preferences']/input[@name='next']/@value")
    assert language == back


def test_whoever_signs_out_keeps_no_cookie_and_sees_no_page(tmp_path):
    with contextlib.closing(new_ledger(f"sqlite:///{tmp_path}/ledger.sqlite")) as ledger:
        api = signed_in(ledger, Mode.TOKEN)
        secret = new_token(ledger, Role.READER)
        given = api.ask("/auth/login", method="POST", content=f"token={secret}".encode(), **FORM)
        [kept] = given.headers.get_list("set-cookie")
        cookie = kept.partition(";")[0]
        assert cookie.startswith(f"{SESSION}=")
        for wanted in ("HttpOnly", "Secure", "SameSite=lax", "Path=/"):
            assert wanted in kept
        assert "Domain" not in kept
        assert api.ask("/console/", cookie=cookie).status_code == 200
        gone = api.ask("/auth/logout", method="POST", cookie=cookie, accept="text/html", **FORM)
        dropped = gone.headers.get_list("set-cookie")[0]
        assert (gone.status_code, gone.headers["location"]) == (303, "/auth/signed-out")
        assert dropped.startswith(f'{SESSION}=""; ')
        assert "Max-Age=0" in dropped
        assert api.ask("/console/", cookie=cookie).status_code == 303
        assert api.ask("/console/").headers["location"] == f"/auth/login?next={quote('/console/', safe='')}"
