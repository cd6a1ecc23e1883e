"""Every page in Japanese: no English sentence of ours is left, whichever part of the program it comes from."""

import contextlib
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
from lxml import html

from recovery.manager.console.addresses import message_path
from recovery.manager.console.isolation import bidi
from recovery.manager.console.languages import Language
from recovery.manager.console.runbook import runbook
from recovery.manager.console.saying import said
from testing.ledgers import new_ledger
from testing.memory import DOWN, INDEX_DOWN
from tests.support.api import Api
from tests.support.console_arrivals import Scene
from tests.support.console_pages import pages_of, views_of
from tests.support.console_scene import console_scene

JAPANESE = {"accept_language": "ja"}
FORM = {"content_type": "application/x-www-form-urlencoded", "sec_fetch_site": "same-origin"}
SENTENCE = re.compile(r"[A-Za-z]{2,}(?:[\s,'’-]+[A-Za-z]{1,}){2,}")
PHRASE = re.compile("[a-z]{2,} [a-z]{2,}")
"""English in what is said of a mistake, isolated or not: of others, there are only names and values."""
NOT_OURS = (
    "self::bdi or self::code or self::pre or self::kbd or self::textarea or self::script or self::style or @lang='en'"
)
ATTRIBUTES = ("title", "aria-label", "placeholder", "alt", "data-label", "data-copied", "data-done", "data-text")
ALARMS = frozenset(anchor for anchor, section in runbook(Language.ENGLISH).items() if section.title == anchor)
"""Their names, which are the same in every language."""


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("japanese")
    with contextlib.closing(new_ledger(f"sqlite:///{folder}/ledger.sqlite")) as ledger:
        yield console_scene(Api(ledger, search_page=True))


def english_in(document: Any) -> list[str]:
    """The sentences in English that are ours: outside texts of others, and one that was isolated as if it was another's."""
    texts = document.xpath(f"//body//text()[not(ancestor::*[{NOT_OURS}])]")
    texts += [one for name in ATTRIBUTES for one in document.xpath(f"//body//@{name}")]
    found = [found[0] for one in texts if (found := SENTENCE.search(one)) and found[0] not in ALARMS]
    others = (one.text_content() for one in document.xpath("//bdi"))
    return found + [one for one in others if said(Language.JAPANESE, one) != bidi(one)]


def english_on(scene: Scene, path: str, status: int = 200, **sent: Any) -> list[str]:
    answer = scene.api.ask(path, **sent, **JAPANESE)
    if answer.status_code == 303 and not sent:  # a group as of now
        answer = scene.api.ask(answer.headers["location"], **JAPANESE)
    assert answer.status_code == status, answer.text
    return english_in(html.document_fromstring(answer.text))


def english_of_mistakes(scene: Scene, path: str, **sent: Any) -> list[str]:
    """What is said of a mistake and has English in it, isolated or not."""
    document: Any = html.document_fromstring(scene.api.ask(path, **sent, **JAPANESE).text)
    alerts = (one.text_content() for one in document.xpath("//*[@role='alert']"))
    return [one for one in alerts if PHRASE.search(one)]


def form(fields: dict[str, str]) -> dict[str, Any]:
    return {"method": "POST", "content": urlencode(fields).encode(), **FORM}


def test_no_page_has_a_sentence_in_english(scene: Scene):
    wrong = {name: english_on(scene, path) for name, path in pages_of(scene).items()}
    assert {name: one for name, one in wrong.items() if one} == {}


def test_no_page_of_a_message_has_one_as_of_now_either(scene: Scene):
    wrong = {}
    for name, identity in scene.ids.items():
        wrong[name] = english_on(scene, message_path(identity)) + english_on(scene, message_path(identity, now="yes"))
    for name in ("held", "foreign", "denied", "odd"):
        wrong[f"body of {name}"] = english_on(scene, message_path(scene.ids[name]), **form({"do": "body"}))
    assert {name: one for name, one in wrong.items() if one} == {}


def test_nor_where_neither_s3_nor_the_index_answers(scene: Scene):
    plan = scene.api.fakes.faults.plan
    scene.api.fakes.faults.add("s3.read", DOWN)
    scene.api.fakes.faults.add("index.stored", INDEX_DOWN)
    try:
        path = message_path(scene.ids["timeout"], now="yes")
        assert english_on(scene, path) == []
        document: Any = html.document_fromstring(scene.api.ask(path, **JAPANESE).text)
        text = document.text_content()
        assert ("S3 から回答がありません" in text, "インデックスから回答がありません" in text) == (True, True)
    finally:
        plan.clear()


@pytest.mark.parametrize(
    ("path", "fields", "status"),
    [
        ("/console/messages/nobody", None, 404),
        ("/console/plans/nothing", None, 404),
        ("/console/operations/nothing", None, 404),
        ("/console/groups/nothing", None, 404),
        ("/console/nothing", None, 404),
        ("/console/messages?q=kind:nothing", None, 400),
        ("/console/messages?q=older:soon", None, 400),
        ("/console/messages?limit=3", None, 400),
        (f"/console/messages?q={'a' * 3_000}", None, 400),
        ("/console/messages?column=colour", None, 400),
        (f"/console/messages?{urlencode([('column', 'key')] * 30)}", None, 400),
        ("/console/messages?sort=colour", None, 400),
        ("/console/messages?order=sideways", None, 400),
        ("/console/messages?cursor=nothing", None, 400),
        ("/console/audit?zone=Nowhere", None, 400),
        ("/console/audit?day=2026-11-01&to=2026-11-02", None, 400),
        ("/console/audit?from=2026-11-02&to=2026-11-01", None, 400),
        ("/console/audit?cursor=nothing", None, 400),
        ("/console/why-not?bucket=A&key=b", None, 400),
        (f"/console/why-not?bucket=files&key={'a' * 2_000}", None, 400),
        ("/console/groups/5b?kind=NONE", None, 400),
        ("/console/open", None, 400),
        ("/console/plans", None, 405),
        ("/console/groups?page=0", None, 400),
        ("/console/groups?page=first", None, 400),
        ("/console/operations?offset=-1", None, 400),
        ("/console/messages/nobody", {"do": "nothing"}, 404),
        ("/console/plans", {"verb": "hold", "q": ""}, 400),
        ("/console/plans", {"verb": "redrive"}, 400),
        ("/console/plans", {"verb": "schedule", "q": ""}, 400),
        ("/console/plans", {"verb": "schedule", "q": "", "at": "soon"}, 400),
        ("/console/plans", {"verb": "schedule", "q": "", "at": "2020-01-01T00:00"}, 400),
        ("/console/plans", {"verb": "redrive", "q": "", "rate": "0"}, 400),
        ("/console/plans", {"verb": "redrive", "q": "", "rate": "fast"}, 400),
        ("/console/plans", {"verb": "redrive", "q": "", "to": "not a queue"}, 400),
        ("/console/plans", {"verb": "delete", "q": ""}, 403),
    ],
)
def test_no_answer_to_a_mistake_is_in_english(scene: Scene, path: str, fields: dict[str, str] | None, status: int):
    sent = form(fields) if fields else {}
    assert english_on(scene, path, status, **sent) == []
    assert english_of_mistakes(scene, path, **sent) == []


def test_no_view_of_a_mistake_is_in_english(scene: Scene):
    wrong = {}
    for name, view in views_of(scene).items():
        if view.status != 200:
            sent = {} if view.fields is None else form(dict(view.fields))
            found = english_on(scene, view.path, view.status, **sent)
            wrong[name] = found + english_of_mistakes(scene, view.path, **sent)
    assert {name: one for name, one in wrong.items() if one} == {}


def test_what_was_not_done_is_said_in_japanese(scene: Scene):
    held = message_path(scene.ids["held"])
    assert english_on(scene, held, 409, **form({"do": "note", "version": "0", "note": "x"})) == []
    plan = scene.plans["redrive"].id
    assert english_on(scene, f"/console/plans/{plan}/start", 409, **form({})) == []


def test_the_history_of_a_message_says_in_japanese_what_came_of_it(scene: Scene):
    document: Any = html.document_fromstring(scene.api.ask(message_path(scene.ids["unconfirmed"]), **JAPANESE).text)
    [history] = document.xpath("//section[h2[@id='history']]")
    text = " ".join(history.text_content().split())
    assert ("結果の確認: 未確認" in text, "unconfirmed" in text) == (True, False)
