"""The pages of plans and operations: what they say, whom they offer what, and what becomes of a form."""

import contextlib
import re
from urllib.parse import quote, urlencode

import pytest

from recovery.ledger import plans as ledger_plans
from recovery.manager.console import confirming, operations
from recovery.manager.console import plans as plan_pages
from recovery.manager.figures import Figures
from recovery.manager.metrics import ManagerMetrics
from recovery.manager.operations import Operations
from recovery.manager.roles import Role
from recovery.manager.web.sign_in import Mode
from testing.aws import s3_event, s3_record
from testing.ledgers import new_ledger
from testing.memory import BUCKET, SQS_DOWN
from tests.support.api import Api
from tests.support.signed_in import bearer, new_token, signed_in
from worker.core.base.errors import QueueError
from worker.core.base.liveness import Liveness

FORM = {"content_type": "application/x-www-form-urlencoded", "sec_fetch_site": "same-origin"}


class Pages:
    """A service with three dead letters, and forms that are sent to it."""

    def __init__(self, api, headers=None):
        self.api, self.headers = api, headers or {}

    def get(self, path, status=200, **headers):
        answer = self.api.ask(path, **{**self.headers, **headers})
        assert answer.status_code == status, answer.text
        return answer.text

    def post(self, path, fields=(), status=303, **headers):
        content = urlencode(fields, doseq=True).encode()
        answer = self.api.ask(path, method="POST", content=content, **{**self.headers, **FORM, **headers})
        assert answer.status_code == status, answer.text
        return answer.headers["location"] if status == 303 else answer.text

    def execute(self):
        executor = Operations(self.api.ledger, self.api.service.verbs, ManagerMetrics(Figures), stop=self.api.stopping)
        while executor.once("one", Liveness(60)):
            pass


def with_pages(api):
    for name in ("a", "b", "c"):
        api.add(name, body=s3_event(s3_record(BUCKET, name)))
    return api


@pytest.fixture
def pages(tmp_path):
    with contextlib.closing(new_ledger(f"sqlite:///{tmp_path}/ledger.sqlite")) as ledger:
        yield Pages(with_pages(Api(ledger)))


def test_a_form_becomes_a_plan_and_the_plan_an_operation(pages):
    plan = pages.post("/console/plans", {"verb": "redrive", "q": "", "ramp": "no"})
    shown = pages.get(plan)
    for words in (
        "Redrive 3 messages",
        "Nothing has been done yet",
        "As fast as possible, from the beginning",
        "/console/messages/a",
    ):
        assert words in shown
    assert 'name="typed"' not in shown
    operation = pages.post(f"{plan}/start")
    assert operation.startswith("/console/operations/")
    assert pages.post(f"{plan}/start") == operation
    waiting = pages.get(operation)
    assert 'value="cancelled"' in waiting
    assert "/events" in waiting
    pages.execute()
    done = pages.get(operation)
    assert ("3 of 3" in done, "/events" in done, 'value="cancelled"' in done) == (True, False, False)
    assert "See the operation" in pages.get(plan)
    assert len(pages.api.fakes.source.messages) == 3
    assert operation in pages.get("/console/operations")


def test_nothing_happens_by_get(pages):
    plan = pages.post("/console/plans", {"verb": "redrive", "id": ["a", "b"]})
    for path in ("/console/plans", f"{plan}/start", f"{plan}/again"):
        assert pages.api.ask(path).status_code == 405
    assert pages.api.ledger.operations.page() == []


def test_a_field_that_is_missing_is_asked_for_and_the_selection_is_kept(pages):
    asked = pages.post("/console/plans", {"verb": "hold", "id": ["a", "c"]}, status=400)
    assert re.findall(r'name="id" value="(\w)"', asked) == ["a", "c"]
    assert 'name="reason"' in asked
    plan = pages.post("/console/plans", {"verb": "hold", "id": ["a", "c"], "reason": "<legal>"})
    assert "Hold 2 messages" in pages.get(plan)
    assert "&lt;legal&gt;" in pages.get(plan)
    wrong = pages.post("/console/plans", {"verb": "redrive", "q": "key:a", "rate": "<fast>"}, status=400)
    assert 'name="q" value="key:a"' in wrong
    assert "<fast>" not in wrong
    both = pages.get(pages.post("/console/plans", {"verb": "redrive", "id": ["a"], "q": ""}))
    assert "Redrive 3 messages" in both
    for fields in ({"verb": "explode", "q": ""}, {"verb": "redrive"}, {}):
        assert 'action="/console/plans"' not in pages.post("/console/plans", fields, status=400)


GONE = QueueError("no such queue", code="QueueDoesNotExist")


def test_a_queue_that_cannot_be_used_is_asked_for_again(pages):
    plan = pages.post("/console/plans", {"verb": "redrive", "q": ""})
    fields = {"verb": "redrive", "q": "", "to": "http://sqs/q/source"}
    for path, given in (("/console/plans", fields), (f"{plan}/again", {**fields, "changed": "yes"})):
        pages.api.fakes.faults.add("source.attributes", GONE)
        asked = " ".join(pages.post(path, given, status=400).split())
        assert "it cannot use this one: <bdi>http://sqs/source: no such queue</bdi>" in asked
        assert re.search('<input id="option-to" name="to" value="http://sqs/q/source"[^>]*aria-invalid="true"', asked)


def test_a_usual_queue_that_cannot_be_used_conflicts_and_one_that_is_silent_is_unavailable(pages):
    for error, status, words in ((GONE, 409, "That cannot be done now"), (SQS_DOWN, 503, "does not answer")):
        pages.api.fakes.faults.add("source.attributes", error)
        assert words in pages.post("/console/plans", {"verb": "redrive", "q": ""}, status=status)


def test_many_are_confirmed_by_typing_their_number(pages, monkeypatch):
    monkeypatch.setattr(confirming, "MANY", 2)
    plan = pages.post("/console/plans", {"verb": "redrive", "q": ""})
    assert "Type 3 to confirm" in pages.get(plan)
    for typed in ("", "2", "yes"):
        assert "something else" in pages.post(f"{plan}/start", {"typed": typed}, status=400)
    assert pages.api.ledger.operations.page() == []
    pages.post(f"{plan}/start", {"typed": " 3 "})
    assert len(pages.api.ledger.operations.page()) == 1


def test_a_plan_that_is_too_old_leads_to_the_same_as_of_now(pages, monkeypatch):
    monkeypatch.setattr(ledger_plans, "EXPIRES_MS", 0)
    old = pages.post("/console/plans", {"verb": "redrive", "id": ["a", "b"], "rate": "7"})
    shown = pages.get(old)
    assert ("older than" in shown, f'action="{old}/start"' in shown) == (True, False)
    assert "too old" in pages.post(f"{old}/start", status=410)
    monkeypatch.undo()
    again = pages.post(f"{old}/again")
    assert again != old
    assert "At most 7 a second" in pages.get(again)
    changed = pages.post(f"{again}/again", {"changed": "yes", "ramp": "yes", "rate": ""})
    assert "One a second at first" in pages.get(changed)
    assert "Redrive 2 messages" in pages.get(changed)
    assert "Nothing was done" in pages.post(f"{again}/again", {"changed": "yes", "rate": "0"}, status=400)


@pytest.mark.parametrize(
    ("verb", "name", "asked", "heading"),
    [
        ("note", "note", "Nothing was written", "Remove the notes of 2 messages"),
        ("assign", "owner", "Nobody was named", "Remove the owners of 2 messages"),
    ],
)
def test_an_empty_text_removes_nothing_unless_that_is_said(pages, verb, name, asked, heading):
    for q in ("", "state:open"):
        page = pages.post("/console/plans", {"verb": verb, "q": q, name: ""}, status=400)
        assert asked in page
        assert 'name="remove"' in page
    wrong = pages.post("/console/plans", {"verb": verb, "id": ["a", "c"], name: "x", "remove": "yes"}, status=400)
    assert "one of the two must be left out" in wrong
    page = pages.get(pages.post("/console/plans", {"verb": verb, "id": ["a", "c"], name: "", "remove": "yes"}))
    assert f"<h1>{heading}</h1>" in page
    assert f"<button>{heading}</button>" in page
    assert "The audit keeps" in page
    written = pages.get(pages.post("/console/plans", {"verb": verb, "id": ["a", "c"], name: "ana"}))
    assert "Remove the" not in written.partition("<details>")[0]


def test_what_is_left_out_is_said_with_its_reason(pages):
    pages.api.add("held", hold="legal")
    pages.api.add("often", redrives=3)
    shown = pages.get(pages.post("/console/plans", {"verb": "redrive", "id": ["a", "held", "often", "nobody"]}))
    for words in ("3 messages are left out", "held: release them first", "redriven too often", "unknown: forgotten"):
        assert words in shown
    empty = pages.get(pages.post("/console/plans", {"verb": "redrive", "id": ["held"]}))
    assert "nothing to be done" in empty
    assert "/start" not in empty


def test_a_paused_fleet_is_said_before_and_its_way_on(pages):
    pages.api.post("/api/v1/fleet/pause", {"reason": "deploy"})
    plan = pages.post("/console/plans", {"verb": "redrive", "q": ""})
    shown = pages.get(plan)
    assert "The fleet is paused by <bdi>api@host</bdi>: <bdi>deploy</bdi>" in shown
    assert '<a href="/console/#fleet">Resume the fleet</a>' in shown
    assert 'aria-describedby="paused" disabled>Redrive 3 messages' in shown
    assert "s3-index-worker resume" not in shown
    assert "Nothing was done" in pages.post(f"{plan}/start", status=409)
    also = pages.post(f"{plan}/again", {"changed": "yes", "while_paused": "yes"})
    assert "fleet is paused by" not in pages.get(also)
    pages.post(f"{also}/start")


def test_the_page_of_a_plan_takes_the_pause_from_what_is_known(pages, monkeypatch):
    pages.api.post("/api/v1/fleet/pause", {"reason": "deploy"})
    plan = pages.post("/console/plans", {"verb": "redrive", "q": ""})
    monkeypatch.setattr(pages.api.fakes.state, "pause_record", pytest.fail)
    assert "The fleet is paused by" in pages.get(plan)


def test_a_plan_says_what_has_changed_since_and_offers_to_plan_again(pages, monkeypatch):
    plan = pages.post("/console/plans", {"verb": "redrive", "id": ["a", "b", "c"]})
    assert "since the plan was made" not in pages.get(plan)
    pages.post(pages.post("/console/plans", {"verb": "abandon", "id": ["a"]}) + "/start")
    pages.execute()
    shown = pages.get(plan)
    assert "1 message has changed since the plan was made: it would be skipped." in shown
    assert "were looked at" not in shown
    assert "Redrive 2 messages" in pages.get(pages.post(f"{plan}/again"))
    monkeypatch.setattr(plan_pages, "COUNTED", 1)
    assert "Only the first 1 were looked at." in pages.get(plan)


def test_a_plan_says_how_long_it_takes_at_its_pace(pages):
    for how, words in (
        ({}, "about 3 seconds, if nothing stops it"),
        ({"rate": "0.01"}, "about 5 minutes, if nothing stops it"),
        ({"ramp": "no"}, None),
    ):
        shown = pages.get(pages.post("/console/plans", {"verb": "redrive", "q": "", **how}))
        assert (words in shown) if words else ("if nothing stops it" not in shown)


def test_a_plan_and_an_operation_of_one_message_lead_back_to_it(pages):
    plan = pages.post("/console/plans", {"verb": "redrive", "id": "a"})
    assert '<a href="/console/messages/a">Leave everything as it is</a>' in pages.get(plan)
    operation = pages.post(f"{plan}/start")
    assert f'<a href="{plan}">What was planned' in pages.get(operation)
    assert f'href="{operation}?state=waiting"' in pages.get(operation)
    pages.execute()
    assert "1 of 1" in pages.get(operation)
    assert f'href="{operation}?state=done"' in pages.get(operation)
    assert '<a href="/console/messages/a">Back</a>' in pages.get(plan)


def test_an_operation_is_paused_resumed_and_cancelled_as_its_state_allows(pages):
    operation = pages.post(pages.post("/console/plans", {"verb": "redrive", "q": ""}) + "/start")
    move = f"{operation}/move"
    assert pages.post(move, {"to": "paused"}) == operation
    shown = pages.get(operation)
    assert ('value="waiting"' in shown, 'value="paused"' in shown) == (True, False)
    assert "does not allow" in pages.post(move, {"to": "paused"}, status=409)
    for to in ("done", "", "nonsense"):
        pages.post(move, {"to": to}, status=400)
    pages.post(move, {"to": "waiting"})
    pages.post(move, {"to": "cancelled"})
    assert "Stopping" in pages.get(operation)
    pages.execute()
    ended = pages.get(operation)
    assert "Cancelled" in ended
    assert "left as they were when the operation was cancelled" in ended
    assert f"{operation}/move" not in ended


def test_items_are_shown_by_outcome_and_page(pages, monkeypatch):
    monkeypatch.setattr(operations, "PAGE", 2)
    operation = pages.post(pages.post("/console/plans", {"verb": "redrive", "q": "", "ramp": "no"}) + "/start")
    pages.execute()
    first = pages.get(operation)
    assert f'href="{operation}?after=2"' in first
    assert "/console/messages/c" in pages.get(f"{operation}?after=2")
    assert f"{operation}?after=2&amp;state=done" in pages.get(f"{operation}?state=done")
    assert "There are none" in pages.get(f"{operation}?state=failed")


@pytest.mark.parametrize("path", ["/console/plans/none", "/console/operations/none"])
def test_what_is_not_there_is_not_found(pages, path):
    pages.get(path, status=404)


@pytest.mark.parametrize("role", list(Role))
def test_each_role_sees_everything_and_is_offered_what_it_may(tmp_path, role):
    with contextlib.closing(new_ledger(f"sqlite:///{tmp_path}/ledger.sqlite")) as ledger:
        api = with_pages(signed_in(ledger, Mode.TOKEN))
        admin = Pages(api, bearer(new_token(ledger, Role.ADMIN, "boss")))
        mine = Pages(api, bearer(new_token(ledger, role)))
        redrive, delete = (admin.post("/console/plans", {"verb": verb, "q": ""}) for verb in ("redrive", "delete"))
        operation = admin.post(admin.post("/console/plans", {"verb": "hold", "reason": "r", "id": ["c"]}) + "/start")
        operates, administers = role.includes(Role.OPERATOR), role.includes(Role.ADMIN)
        assert ("/start" in mine.get(redrive)) == operates
        assert ("/start" in mine.get(delete)) == administers
        assert (f"{operation}/move" in mine.get(operation)) == operates
        assert operation in mine.get("/console/operations")
        for path, fields, may in (
            ("/console/plans", {"verb": "redrive", "q": ""}, operates),
            ("/console/plans", {"verb": "delete", "q": ""}, administers),
            (f"{redrive}/again", {}, operates),
            (f"{delete}/start", {"typed": "delete"}, administers),
            (f"{operation}/move", {"to": "cancelled"}, operates),
        ):
            mine.post(path, fields, status=303 if may else 403)
        visitor = api.ask(f"{operation}?state=done", sec_fetch_site="same-origin")
        assert visitor.status_code == 303
        assert visitor.headers["location"] == f"/auth/login?next={quote(operation, safe='')}%3Fstate%3Ddone"
        assert "nobody is signed in" in Pages(api).post(f"{redrive}/start", status=401)
