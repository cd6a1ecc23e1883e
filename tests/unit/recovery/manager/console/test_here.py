"""Where a page leads back to: from the choice of a language, from an error, and to its own parts that are kept up to date."""

import contextlib
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from fastapi.routing import iter_route_contexts
from lxml import html

from recovery.manager.web.plan_models import EXAMPLE_OPERATION, EXAMPLE_PLAN
from testing.ledgers import new_ledger
from tests.support.api import Api, console_of

ORIGIN = "http://127.0.0.1:8024"


@pytest.fixture
def api(tmp_path):
    with contextlib.closing(new_ledger(f"sqlite:///{tmp_path}/ledger.sqlite")) as ledger:
        yield Api(ledger)


def changing_paths(api):
    """A path of each route that takes forms, with a dead letter, a plan and an operation that exist."""
    ids = {"any_id": "a%2Fb", "plan_id": EXAMPLE_PLAN, "operation_id": EXAMPLE_OPERATION}
    for route in iter_route_contexts(console_of(api.app).routes):
        if "POST" in (route.methods or ()):
            yield "/console" + (route.path or "").replace(":path}", "}").format(**ids)


def next_of(answer):
    """Where the choice of a language would lead back to."""
    document: Any = html.document_fromstring(answer.text)
    [found] = document.xpath("//form[@action='/console/preferences']/input[@name='next']/@value")
    assert document.xpath("//body/@data-here") == [found]
    return found


def post(api, path, fields, **headers):
    content = urlencode(fields, doseq=True).encode()
    return api.ask(path, method="POST", content=content, content_type="application/x-www-form-urlencoded",
                   sec_fetch_site="same-origin", **headers)  # fmt: skip


@pytest.mark.parametrize("name", ["a", "a/b", "100% of <b>? #1", "契約 書"])
def test_a_language_is_chosen_on_any_page_and_the_page_is_there_again(api, name):
    api.add(name)
    path = f"/console/messages/{quote(name, safe='')}"
    back = next_of(api.ask(path))
    assert back == path
    answer = post(api, "/console/preferences", {"language": "ja", "next": back})
    assert (answer.status_code, answer.headers["location"]) == (303, path)


@pytest.mark.parametrize(
    ("path", "fields", "status"),
    [
        ("/console/plans", {"verb": "hold", "id": "a"}, 400),
        ("/console/fleet/pause", {"reason": ""}, 400),
        ("/console/messages/a", {"do": "body"}, 200),
        ("/console/messages/a", {"do": "note", "version": "7", "note": "n"}, 409),
        ("/console/plans/unknown/start", {}, 404),
    ],
)
def test_what_answers_a_form_leads_back_to_the_page_of_the_form(api, path, fields, status):
    api.add("a")
    at = "/console/messages?q=key%3A%E5%A5%91"
    answer = post(api, path, fields, referer=ORIGIN + at)
    assert answer.status_code == status
    assert next_of(answer) == at
    assert api.ask(at).status_code == 200
    assert next_of(post(api, path, fields)) == "/console/"
    for elsewhere in ("http://evil.example/console/", "nonsense", "http://127.0.0.1:8024"):
        assert next_of(post(api, path, fields, referer=elsewhere)) == "/console/"


def test_what_answers_a_second_form_leads_back_to_a_page_too(api):
    api.add("a/b")
    api.operate()
    paths = list(changing_paths(api))
    assert len(paths) > 7
    for path in paths:
        back = next_of(post(api, "/console/plans/unknown/start", {}, referer=ORIGIN + path))
        answer = api.ask(back)
        assert answer.status_code == 200, (path, back)
