"""Dead letters and groups whose names look like addresses: each has its page and its forms, and none those of another."""

import contextlib
import re
from typing import Any
from urllib.parse import unquote, urlencode, urlsplit

import pytest
from lxml import html

from recovery.ledger.selection import Selection
from recovery.manager.console.addresses import message_path
from recovery.manager.console.groups_view import path_of
from testing.aws import s3_event, s3_record
from testing.ledgers import new_ledger
from testing.memory import BUCKET
from tests.support.api import Api

NAMES = [
    "a", "a/now", "a/body", "a/note", "a/copies", "a/hold", "a?now=yes", "a?id=b", "a#b", "a%2Fnow", "a%252Fnow", "a%", "%00",
    "..", ".", "../..", "a/../b", "./a", "a/..", "%2e%2e", "/", "//", "/a", "//evil.example/a", "a/", "a b", " ", "a+b", "a&b=c",
    "契約/1", "\\", "a\\b", "-", "id", "a;b", "'\"<b>", "{id}", "\U0001f338",
]  # fmt: skip
FORM = {"content_type": "application/x-www-form-urlencoded", "sec_fetch_site": "same-origin"}


@pytest.fixture(scope="module")
def api(tmp_path_factory):
    folder = tmp_path_factory.mktemp("named")
    with contextlib.closing(new_ledger(f"sqlite:///{folder}/l.sqlite")) as ledger:
        made = Api(ledger)
        for name in NAMES:
            body = s3_event(s3_record(BUCKET, "k"))
            made.add(name, body=body, type="s3-event", fingerprint=name, error_type=f"of {name}", about=f"about {name}")
        yield made


def in_a_browser(path):
    """What a browser asks for: without dot segments, also percent-encoded ones (URL standard, 4.4)."""
    parts = urlsplit(path)
    for step in parts.path.split("/"):
        assert re.sub("%2e", ".", step, flags=re.IGNORECASE) not in {".", ".."}
    assert "\\" not in parts.path
    assert parts.fragment == ""
    return path


def shown(api, path, **sent):
    answer = api.ask(in_a_browser(path), **sent)
    assert answer.status_code == 200, answer.text
    document: Any = html.document_fromstring(answer.text)
    return document


def named(document):
    return document.xpath("string(//code[@id='copy-id'])")


@pytest.mark.parametrize("name", NAMES)
def test_each_dead_letter_has_its_own_page_and_that_as_of_now(api, name):
    document = shown(api, message_path(name))
    assert named(document) == name
    [now] = set(document.xpath("//section[@id='now']//a[@data-again]/@href"))
    later = shown(api, now)
    assert (named(later), "recovery would" in later.text_content()) == (name, True)


@pytest.mark.parametrize("name", NAMES)
def test_each_form_acts_on_its_own_and_leads_back(api, name):
    document = shown(api, message_path(name))
    for form in document.xpath("//section[@aria-labelledby='say']//form"):
        [do] = form.xpath("input[@name='do']/@value")
        fields = {
            "do": do,
            "version": str(api.ledger.get(name).version),
            do: f"{do} of {name}",
            "reason": f"hold of {name}",
        }
        sent = urlencode(fields).encode()
        answer = api.ask(in_a_browser(form.get("action")), method="POST", content=sent, **FORM)
        assert (answer.status_code, answer.headers["location"]) == (303, message_path(name)), do
    row = api.ledger.get(name)
    assert (row.owner, row.note, row.hold) == tuple(f"{do} of {name}".strip() for do in ("owner", "note", "hold"))
    [target] = document.xpath("//section[@id='message']//form/@action")
    sent = urlencode({"do": "body"}).encode()
    body = api.ask(in_a_browser(target.partition("#")[0]), method="POST", content=sent, **FORM)
    assert (named(html.document_fromstring(body.text)), api.views()[-1]["ids"]) == (name, [name])
    plan = api.ask("/console/plans", method="POST", content=urlencode({"verb": "release", "id": name}).encode(), **FORM)
    assert message_path(name) in shown(api, plan.headers["location"]).xpath("//table//a/@href")


@pytest.mark.parametrize("name", NAMES)
def test_changing_the_language_leads_back(api, name):
    path = message_path(name)
    [back] = shown(api, path).xpath("//input[@name='next']/@value")
    assert unquote(back) == unquote(path)
    answer = api.ask(
        "/console/preferences", method="POST", content=urlencode({"language": "ja", "next": back}).encode(), **FORM
    )
    assert named(shown(api, answer.headers["location"])) == name


@pytest.mark.parametrize("name", [*NAMES, ""])
def test_each_group_has_its_own_page(api, name):
    if not name:
        api.add("without", fingerprint="", error_type="of ")
    [group] = [one for one in api.ledger.groups(Selection(), limit=100) if one.fingerprint == name]
    path = path_of(group)
    answer = api.ask(in_a_browser(path))
    assert answer.status_code == 303
    document = shown(api, in_a_browser(answer.headers["location"]))
    assert document.xpath("string(//h1)") == f"of {name}"


def test_the_lists_lead_to_each_of_them(api):
    links = {urlsplit(one).path for one in shown(api, "/console/messages").xpath("//table//a/@href")}
    assert {urlsplit(message_path(name)).path for name in NAMES} <= links


@pytest.mark.parametrize("do", ["", "delete", "now"])
def test_a_form_that_asks_for_something_else_does_nothing(api, do):
    before = api.ledger.get("a")
    answer = api.ask("/console/messages/a", method="POST", content=urlencode({"do": do}).encode(), **FORM)
    assert answer.status_code == 400
    shown = str(html.fromstring(answer.text).xpath("string()"))
    assert "The field do should be body, copy, hold, release, owner, note" in shown
    assert api.ledger.get("a") == before
