"""`/api/v1/audit`: pages with a bounded number of calls, filters, exports, and what is never in them."""

import csv
import io
import json
import threading
from datetime import UTC, datetime, timedelta

import pytest

from recovery.manager import audit_reader
from recovery.manager.audit_reader import AuditReader, Wanted
from recovery.manager.redaction import NOT_SHOWN, Redactor
from tests.support.api import Api
from worker.core.audit import AUDIT_PREFIX, AuditEvent, write
from worker.core.sqs.dead_letter import DeadLetter
from worker.core.sqs.queue import Message

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
LONG = "/api/v1/audit?from=2026-10-01&to=2026-11-02"


def entry(api, minutes=0.0, action="redrive", by="ana@host", ids=("a",), result=None, **details):
    at = NOON + timedelta(minutes=minutes)
    letters = details.pop("dead_letters", ())
    return write(
        api.fakes.state,
        AuditEvent(
            action, f"run-{action}", by, ids, result or {"sent": len(ids)}, details, dead_letters=letters, at=at
        ),
    )


def pages(api, path):
    """Every page, until there is no next one."""
    found = [api.get(path)]
    while found[-1]["next"] is not None:
        assert len(found) < 500
        found.append(api.get(f"{path}&cursor={found[-1]['next']}"))
    return found


def test_the_newest_comes_first_and_every_page_ends_where_the_next_begins(api):
    for number in range(25):
        entry(api, -number * 600, ids=(str(number),))
    found = pages(api, f"{LONG}&limit=10")
    assert [len(one["items"]) for one in found] == [10, 10, 5]
    assert [one["ids"] for page in found for one in page["items"]] == [[str(number)] for number in range(25)]
    assert found[0]["items"][0]["at"] == "2026-11-01T12:00:00.000Z"
    assert api.ask(f"{LONG}&limit=10").headers["link"].endswith('rel="next"')


def test_filters_hold_together(api):
    entry(api, 0, "view", "bob@host", ("x", "y"))
    entry(api, 1, "redrive", "ana@host", ("x",))
    entry(api, 2, "some-thing-else", "Ana@other", ())

    def actions(query):
        return [one["action"] for one in api.get(f"{LONG}&{query}")["items"]]

    assert actions("action=view") == ["view"]
    assert actions("action=some-thing-else") == ["some-thing-else"]
    assert actions("by=ANA") == ["some-thing-else", "redrive"]
    assert actions("id=x") == ["redrive", "view"]
    assert actions("id=x&by=bob&action=view") == ["view"]
    assert actions("id=z") == []


def test_a_day_and_a_time_are_understood(api):
    entry(api, 0)
    entry(api, -24 * 60)

    def count(query):
        return len(api.get(f"/api/v1/audit?{query}")["items"])

    assert count("day=2026-11-01") == count("day=2026-10-31") == 1
    assert count("from=2026-10-31&to=2026-11-01") == 2
    assert count("from=2026-11-01T12:00:00Z&to=2026-11-01T12:00:01Z") == 1
    assert count("from=2026-11-01T13:00:00%2B01:00&to=2026-11-01T13:00:01%2B01:00") == 1
    assert count("from=2026-10-31&to=2026-11-01T12:00:00Z") == 1


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("day=yesterday", "day"), ("day=2026-13-01", "day"), ("day=2026-11-01&from=2026-11-01", "day"),
        ("from=2026-11-02&to=2026-11-01", "from"), ("from=1999-01-01", "from"), ("to=x", "to"),
        ("cursor=../../secret", "cursor"), ("cursor=2026-99-99/", "cursor"), ("user=me", "user"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(api, query, field):
    said = api.refused(f"/api/v1/audit?{query}", 400)
    assert said["detail"].startswith(field)


def test_complete_messages_and_long_reports_stay_in_the_record(api):
    secret = DeadLetter.received(Message("m", "r", "SECRET BODY", {}, {}))
    entry(
        api,
        0,
        "delete",
        ids=tuple(f"id-{number}" for number in range(300)),
        dead_letters=(secret,),
        report={"text": "z" * 5_000},
    )
    answer = api.ask(LONG)
    [one] = answer.json()["items"]
    assert (one["count"], len(one["ids"]), one["messages"]) == (300, 100, 1)
    assert one["details"]["report"].endswith("bytes; an export has them)")
    whole = api.ask("/api/v1/audit/export?day=2026-11-01").text
    assert len(json.loads(whole)["ids"]) == 300
    assert "SECRET" not in answer.text + whole


def test_results_by_message_are_summed(api):
    entry(api, ids=("a", "b", "c"), result={"a": "recovered", "b": "recovered", "c": "gone"})
    assert api.get(LONG)["items"][0]["result"] == {"recovered": 2, "gone": 1}


def test_an_entry_that_cannot_be_read_is_shown_as_such(api):
    api.fakes.state.put("s3-index-worker/audit/2026-11-01/120000000000-view-abc123.json", b"{")
    api.fakes.state.put("s3-index-worker/audit/2026-11-01/something else", b"{}")
    [one] = api.get(LONG)["items"]
    assert (one["action"], one["by"], one["at"]) == ("view", "", "2026-11-01T12:00:00.000Z")
    assert one["problem"].startswith("it cannot be read")


def test_with_redaction_what_may_repeat_a_body_is_not_shown(api):
    result = {"sent": 1, "refused: 4711": 1}
    entry(api, report={"error": "no such customer 4711"}, reason="ticket", to="http://q", rate=5, result=result)
    hiding = Api(api.ledger, redactor=Redactor(["$.customer"]))
    hiding.fakes.s3.records.update(api.fakes.s3.records)
    for found in (hiding.get(LONG)["items"][0], json.loads(hiding.ask("/api/v1/audit/export?day=2026-11-01").text)):
        assert found["details"] == {"report": NOT_SHOWN, "reason": NOT_SHOWN, "to": "http://q", "rate": 5}
        assert found["result"] == {"sent": 1, "…": NOT_SHOWN}


def test_an_export_is_a_line_for_each_or_a_table_without_formulas(api):
    for number in range(120):
        entry(api, number, by="=HYPERLINK(1)")
    lines = api.ask("/api/v1/audit/export?day=2026-11-01").text.splitlines()
    assert len(lines) == 120
    assert json.loads(lines[0])["at"] > json.loads(lines[-1])["at"]
    answer = api.ask("/api/v1/audit/export?day=2026-11-01&format=csv")
    assert answer.headers["content-disposition"] == 'attachment; filename="audit.csv"'
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert (len(rows), rows[0]["by"], rows[0]["result"]) == (120, "'=HYPERLINK(1)", '{"sent":1}')
    assert api.ask("/api/v1/audit/export?day=2026-10-01").text == ""
    assert "366 days" in api.refused("/api/v1/audit/export?from=2020-01-01", 400)["detail"]


def test_a_busy_day_is_listed_by_shorter_spans(api, monkeypatch):
    monkeypatch.setattr(audit_reader, "LISTED", 5)
    at = datetime(2026, 11, 1, tzinfo=UTC)
    moments = [at + timedelta(seconds=17 * number) for number in range(200)] + [at + timedelta(hours=20)] * 9
    for moment in moments:
        write(api.fakes.state, AuditEvent("view", "r", "me", (), {}, at=moment))
    walked = [one["key"] for page in pages(api, f"{LONG}&limit=7") for one in page["items"]]
    assert walked == sorted(api.fakes.under("s3-index-worker/audit/"), reverse=True)
    assert len(walked) == 209


@pytest.fixture
def listed(api, monkeypatch):
    """The prefixes that are listed."""
    calls: list[str] = []
    keys = api.fakes.state.keys
    monkeypatch.setattr(api.fakes.state, "keys", lambda prefix: calls.append(prefix) or keys(prefix))  # type: ignore[func-returns-value]
    return calls


def test_a_page_makes_a_bounded_number_of_calls_and_goes_on_nevertheless(api, monkeypatch, listed):
    monkeypatch.setattr(audit_reader, "MAX_READ", 20)
    monkeypatch.setattr(audit_reader, "MAX_LISTS", 50)
    for number in range(50):
        entry(api, number, ids=(str(number),))
    for day in range(1, 120):
        entry(api, -day * 24 * 60, action="hold")
    entry(api, -300 * 24 * 60, ids=("old",))
    found = pages(api, "/api/v1/audit?from=2020-01-01&to=2026-11-02&id=old&action=redrive")
    assert [one["ids"] for page in found for one in page["items"]] == [["old"]]
    assert 121 <= len(listed) < 200
    assert 4 < len(found) < 20


def test_days_without_entries_are_not_listed(api, listed):
    entry(api)
    entry(api, -300 * 24 * 60, ids=("old",))
    found = api.get("/api/v1/audit?from=2020-01-01&to=2026-11-02")
    assert [one["ids"] for one in found["items"]] == [["a"], ["old"]]
    assert sorted(prefix.removeprefix(AUDIT_PREFIX) for prefix in listed) == [
        "",
        "2026-01-05/",
        "2026-11-01/",
        "2026-11-03/",
    ]


def test_a_day_that_is_over_is_listed_once_and_one_that_is_not_each_time(api, listed, monkeypatch):
    now = datetime.now(UTC)
    past, today = (f"{AUDIT_PREFIX}{at:%Y-%m-%d}/" for at in (now - timedelta(days=3), now))
    for at, by in ((now - timedelta(days=3), "bo@host"), (now, "ana@host")):
        write(api.fakes.state, AuditEvent("hold", "run", by, ("a",), {"held": 1}, at=at))
    wanted = Wanted(now - timedelta(days=9), now + timedelta(hours=1))
    reader = AuditReader(api.fakes.state)
    for _ in range(3):
        assert [one.by for one in reader.page(wanted).entries] == ["ana@host", "bo@host"]
    assert (listed.count(past), listed.count(today)) == (1, 3)
    write(api.fakes.state, AuditEvent("note", "run", "cy@host", ("a",), {"noted": 1}, at=now))
    assert {one.by for one in reader.page(wanted).entries} == {"ana@host", "bo@host", "cy@host"}
    monkeypatch.setattr(audit_reader, "MAX_KEPT_LISTINGS", 0)
    listed.clear()
    other = AuditReader(api.fakes.state)
    for _ in range(2):
        other.page(wanted)
    assert listed.count(past) == 2


def test_entries_are_read_once(api, monkeypatch):
    for number in range(30):
        entry(api, number)
    api.get(LONG)
    monkeypatch.setattr(api.fakes.state, "get", None)
    assert len(api.get(f"{LONG}&limit=20")["items"]) == 20


def test_few_and_small_entries_are_kept(api, monkeypatch):
    monkeypatch.setattr(audit_reader, "MAX_KEPT", 3)
    for number in range(5):
        entry(api, number)
    entry(api, 9, report="x" * 40_000)
    reader = AuditReader(api.fakes.state)
    list(reader.all(Wanted(NOON, NOON + timedelta(days=1))))
    assert len(reader._kept) == 3


def test_a_state_bucket_that_does_not_answer_is_not_waited_for_long(api, monkeypatch):
    never = threading.Event()
    monkeypatch.setattr("recovery.manager.audit_reader.PAGE_S", 0.1)
    monkeypatch.setattr(api.fakes.state, "keys", lambda _prefix: never.wait(30))
    monkeypatch.setattr(api.fakes.state, "folders", lambda _prefix: never.wait(30))
    answer, page = api.ask("/api/v1/audit"), api.ask("/console/audit")
    never.set()
    said = "the state bucket has not answered in time; ask again"
    assert (answer.status_code, answer.json()["detail"]) == (503, said)
    assert (page.status_code, said.capitalize() in page.text) == (503, True)
