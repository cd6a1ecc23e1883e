"""`/api/v1/messages`: pages, single dead letters, events and bodies."""

import pytest

from recovery.ledger.errors import LedgerError
from recovery.ledger.rows import ROW_FIELDS, Arrival
from recovery.manager.web import messages as routes
from recovery.manager.web.parameters import EXAMPLE_ID
from testing.ledgers import NOW_MS, row
from testing.memory import DOWN
from tests.support.api import BODY, STACK

TIMES = {"sent_ms": "arrived_at"}


def identities(page):
    return [one["identity"] for one in page["items"]]


def test_an_item_has_every_field_of_its_row_and_times_in_utc(filled):
    page = filled.get("/api/v1/messages?q=key:契約")
    [item] = page["items"]
    named = {TIMES.get(name, name.removesuffix("_ms").removesuffix("_at") + "_at" if name.endswith("_ms") else name)
             for name in ROW_FIELDS}  # fmt: skip
    assert item.keys() == named - {"id", "generation"}
    assert (item["identity"], item["object_key"], item["version"]) == (EXAMPLE_ID, "経理/契約.pdf", 1)
    assert (item["first_seen_at"], item["retry_at"]) == ("2026-09-21T14:13:20.000Z", None)
    assert (page["count"], page["count_is_exact"], page["next"]) == (1, True, None)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", ["second", "third", EXAMPLE_ID]),
        ("q=key:契", [EXAMPLE_ID]),
        ("q=key:見積", ["second"]),
        ("q=text:営業", ["second"]),
        ("q=kind:unknown", ["third"]),
        ("q=state:recovered", []),
        ("q=correlation:c-1", ["second"]),
        ("sort=error&limit=1", ["third"]),
        ("sort=key&order=asc", ["second", "third", EXAMPLE_ID]),
        ("offset=1&limit=1", ["third"]),
    ],
)
def test_what_is_asked_for_is_found_in_its_order(filled, query, found):
    assert identities(filled.get(f"/api/v1/messages?{query}")) == found


def test_pages_follow_one_another_by_link_and_by_cursor(filled):
    seen, path = [], "/api/v1/messages?limit=1&q=state:open"
    while path:
        answer = filled.ask(path)
        seen += identities(answer.json())
        path = answer.links.get("next", {}).get("url", "")
        assert bool(path) == (answer.json()["next"] is not None)
    assert sorted(seen) == sorted([EXAMPLE_ID, "second", "third"])


def test_a_cursor_of_another_order_is_refused(filled):
    cursor = filled.get("/api/v1/messages?limit=1")["next"]
    said = filled.refused(f"/api/v1/messages?cursor={cursor}&sort=key", 400)
    assert said["field"] == "cursor"
    assert filled.refused("/api/v1/messages?cursor=forged", 400)["expected"].startswith("a cursor that came")


def test_over_ten_thousand_the_count_says_that_there_are_more(api, monkeypatch):
    monkeypatch.setattr(routes, "COUNTED_TO", 2)
    api.fill()
    page = api.get("/api/v1/messages")
    assert (page["count"], page["count_is_exact"]) == (2, False)


@pytest.mark.parametrize("name", [EXAMPLE_ID, f"m-{EXAMPLE_ID}"])
def test_a_dead_letter_is_found_by_any_of_its_ids_with_its_arrivals(filled, name):
    filled.ledger.take_in([Arrival("m-later", row(EXAMPLE_ID, last_seen_ms=NOW_MS + 9), NOW_MS + 9)])
    found = filled.get(f"/api/v1/messages/{name}")
    assert found["identity"] == EXAMPLE_ID
    assert found["arrivals"] == [
        {"message_id": f"m-{EXAMPLE_ID}", "at": "2026-09-21T14:13:20.000Z"},
        {"message_id": "m-later", "at": "2026-09-21T14:13:20.009Z"},
    ]


@pytest.mark.parametrize("name", ["a/b/body of", "100%", "契約", "a?b#c"])
def test_an_id_of_any_characters_is_found(api, name):
    api.add(name)
    path = "/api/v1/messages/" + "".join(f"%{byte:02X}" for byte in name.encode())
    assert api.get(path)["identity"] == name
    assert api.get(f"{path}/body")["identity"] == name


@pytest.mark.parametrize("name", ["unknown", "%00", "x" * 2_000])
@pytest.mark.parametrize("part", ["", "/events", "/body"])
def test_an_unknown_id_is_not_found(filled, name, part):
    assert "no dead letter" in filled.refused(f"/api/v1/messages/{name}{part}", 404)["detail"]


def test_what_is_known_already_is_not_sent_again(filled):
    path = f"/api/v1/messages/{EXAMPLE_ID}"
    assert filled.ask(path).headers["etag"] == '"1"'
    for known in ('"1"', 'W/"1"', '"7", "1"', "*"):
        answer = filled.ask(path, if_none_match=known)
        assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", '"1"')
    filled.ledger.change(EXAMPLE_ID, version=1, by="me", action="note", note="x")
    answer = filled.ask(path, if_none_match='"1"')
    assert (answer.status_code, answer.headers["etag"], answer.json()["note"]) == (200, '"2"', "x")


def test_events_come_in_order_and_in_pages(filled):
    for number in range(3):
        filled.ledger.change(EXAMPLE_ID, version=None, by="me@host", action="note", details={"n": number}, note="x")
    path = f"/api/v1/messages/{EXAMPLE_ID}/events?limit=2"
    first = filled.ask(path)
    assert [(one["by"], one["action"], one["details"]) for one in first.json()["items"]] == [
        ("me@host", "note", {"n": 0}),
        ("me@host", "note", {"n": 1}),
    ]
    rest = filled.get(first.links["next"]["url"])
    assert ([one["details"]["n"] for one in rest["items"]], rest["next"]) == ([2], None)


def test_a_body_is_shown_whole_and_its_view_recorded(filled):
    found = filled.get(f"/api/v1/messages/m-{EXAMPLE_ID}/body")
    assert (found["identity"], found["body"]) == (EXAMPLE_ID, BODY)
    assert found["attributes"]["raw"] == {"DataType": "Binary", "BinaryValue": "AP8="}
    assert found["system_attributes"]["SentTimestamp"] == str(NOW_MS)
    assert (found["failure"]["stack"], found["failure"]["attempts"]) == (STACK, 5)
    [view] = filled.views()
    assert (view["ids"], view["by"]) == ([EXAMPLE_ID], "api@host")


def test_without_its_record_a_body_is_not_shown(filled):
    filled.fakes.faults.add("state.put", DOWN)
    answer = filled.ask(f"/api/v1/messages/{EXAMPLE_ID}/body")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert "経理" not in answer.text


@pytest.mark.parametrize("record", [None, b"no dead letter"])
def test_an_object_that_is_gone_or_anothers_is_said(filled, record):
    key = filled.ledger.get(EXAMPLE_ID).key
    del filled.fakes.s3.records[key]
    if record:
        filled.fakes.s3.records[key] = record
    said = filled.refused(f"/api/v1/messages/{EXAMPLE_ID}/body", 404)
    assert f"{key}, is gone" in said["detail"]
    assert filled.views() == []


def test_where_ledger_or_bucket_refuse_the_answer_says_to_come_again(filled, monkeypatch):
    filled.fakes.faults.add("state.get", DOWN)
    assert filled.refused(f"/api/v1/messages/{EXAMPLE_ID}/body", 503)["detail"] == "down"
    filled.ledger.close()

    def refuse(*_args, **_options):
        raise LedgerError("the ledger x is locked")

    monkeypatch.setattr(type(filled.ledger), "page", refuse)
    assert filled.refused("/api/v1/messages", 503)["detail"] == "the ledger x is locked"
