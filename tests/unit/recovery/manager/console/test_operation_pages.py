"""What the pages of operations say of what they have sent and what they left."""

import contextlib
import re
from html import escape

import pytest

from recovery.ledger.selection import Selection
from recovery.manager.console.filters import FilterBox
from recovery.manager.console.groups_view import groups_view
from testing.ledgers import new_ledger
from tests.support.api import Api
from tests.unit.recovery.manager.console.test_plan_pages import Pages, with_pages
from worker.core.base.classify import FailureKind


@pytest.fixture
def pages(tmp_path):
    with contextlib.closing(new_ledger(f"sqlite:///{tmp_path}/ledger.sqlite")) as ledger:
        yield Pages(with_pages(Api(ledger)))


def fails_again(pages, *names):
    for name in names:
        row = pages.api.ledger.get(name)
        pages.api.add(name, stored=False, message_id=f"again-{name}", last_seen_ms=row.last_seen_ms + 1_000)


def carried_out(pages, verb, **fields):
    operation = pages.post(pages.post("/console/plans", {"verb": verb, **fields}) + "/start")
    pages.execute()
    return operation


def words(text):
    return " ".join(re.sub("<[^>]*>", " ", text).split())


def test_a_redrive_that_came_back_is_not_said_to_be_done(pages):
    operation = carried_out(pages, "redrive", q="", ramp="no")
    assert "Done" in words(pages.get(operation))
    fails_again(pages, "a", "c")
    shown = pages.get(operation)
    assert "Sent, but 2 of 3 have failed again" in words(shown)
    assert "Sent, but 2 of 3 have failed again" in words(pages.get("/console/operations"))
    assert f'href="{operation}?state=returned#items"' in shown
    assert words(shown).count("sent, and has failed again") == 2
    returned = pages.get(f"{operation}?state=returned")
    assert re.findall('href="/console/messages/(.)"', returned) == ["a", "c"]
    assert "Messages: sent, and has failed again" in returned
    fails_again(pages, "b")
    assert "Sent, but all 3 have failed again" in words(pages.get(operation))


def test_a_restore_says_what_has_failed_again(pages):
    carried_out(pages, "abandon", id=["a", "b"])
    operation = carried_out(pages, "restore", id=["a", "b"])
    assert "failed again" not in pages.get(operation)
    fails_again(pages, "b")
    assert "Sent, but 1 of 2 has failed again" in words(pages.get(operation))
    assert re.findall('href="/console/messages/(.)"', pages.get(f"{operation}?state=returned")) == ["b"]


def test_what_was_left_by_a_stop_is_no_progress(pages):
    plan = pages.post("/console/plans", {"verb": "hold", "q": "", "reason": "r"})
    pages.post(pages.post("/console/plans", {"verb": "abandon", "id": ["a"]}) + "/start")
    pages.execute()
    operation = pages.post(f"{plan}/start")
    pages.post(f"{operation}/move", {"to": "cancelled"})
    pages.execute()
    shown = pages.get(operation)
    assert "0 of 3" in words(shown)
    assert 'max="3" value="0"' in shown
    assert f'href="{operation}?state=left"><b>3</b>left as they were' in shown
    left = pages.get(f"{operation}?state=left")
    assert len(re.findall("<tr data-row", left)) == left.count('data-label="Outcome">left as they were<') == 3
    assert "There are none" in pages.get(f"{operation}?state=refused")
    assert "0 done, 3 left" in words(pages.get("/console/operations"))


def primary(shown):
    return re.findall(r'<button class=""[^>]*>([^<]*?) …</button>', shown)


def test_only_what_may_help_stands_out_on_the_page_of_a_message(pages):
    pages.api.add("broken", kind=FailureKind.USER_ERROR)
    pages.api.add("returned", redrives=1)
    assert primary(pages.get("/console/messages/a")) == ["Redrive"]
    for name in ("broken", "returned"):
        shown = pages.get(f"/console/messages/{name}")
        assert ("Redrive …" in shown, primary(shown)) == (True, [])


def test_only_what_may_help_stands_out_on_the_page_of_a_group(pages):
    pages.api.add("broken", kind=FailureKind.USER_ERROR, fingerprint="u1")
    pages.api.add("malformed", kind=FailureKind.UNKNOWN, fingerprint="f1", fault="it is no event")
    found = [
        one.path for one in groups_view(pages.api.service, FilterBox("/console/groups", ""), Selection(), 1).entries
    ]
    stands_out = {
        re.findall("<dd><code>(?:<bdi>)?([^<]*)", shown)[0]: "<button>Redrive, slowly at first" in shown
        for shown in map(pages.get, found)
    }
    assert [stands_out[one] for one in ("u1", "f1")] == [False, False]
    assert sum(stands_out.values()) == len(found) - 2 > 0


def test_a_plan_of_a_group_leads_back_to_it(pages):
    [group] = [
        one.path for one in groups_view(pages.api.service, FilterBox("/console/groups", ""), Selection(), 1).entries
    ]
    shown = pages.get(group)
    assert f'name="back" value="{escape(group)}"' in shown
    plan = pages.post("/console/plans", {"verb": "hold", "reason": "r", "id": ["a"], "back": group})
    assert f'<a href="{escape(group)}">Leave everything as it is</a>' in pages.get(plan)
    assert "Back to the group" in pages.get(pages.post(f"{plan.partition('?')[0]}/start", {"back": group}))


def test_a_plan_says_only_what_there_is_to_say(pages):
    recover = pages.get(pages.post("/console/plans", {"verb": "recover", "q": ""}))
    assert "<dt>How</dt>" not in recover
    assert "stored in retry-index/" in recover
    assert "goes to the archive instead" in recover
    assert "<dt>How</dt>" in pages.get(pages.post("/console/plans", {"verb": "redrive", "q": ""}))
    pages.api.add("malformed", fault="it is no event")
    empty = pages.get(pages.post("/console/plans", {"verb": "redrive", "id": ["malformed"]}))
    assert "fail again however they are sent: abandon them" in empty
    assert "How long" not in empty


def test_a_word_alone_is_offered_as_a_part_of_a_key(pages):
    assert "<code>key:<bdi>契約</bdi></code>" in pages.get("/console/messages?q=契約", status=400)
