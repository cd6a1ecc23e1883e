"""The paths and fields that such tools have had."""

import json

import pytest

from recovery.ledger.rows import State
from recovery.manager.web.alias_models import FailedMessage
from recovery.manager.web.parameters import EXAMPLE_ID
from testing.ledgers import NOW_MS
from testing.memory import DOWN
from tests.support.api import BODY, STACK

FIELDS = {
    "message_id", "correlation_id", "routing_key", "timestamp", "retry_count", "error_type", "error_message", "stack_trace",
    "source_service", "payload", "metadata",
}  # fmt: skip


def ids(found):
    return [one["message_id"] for one in found]


def test_messages_are_a_bare_array_of_the_fields_that_such_tools_have_had(filled):
    found = filled.get("/dlq/messages")
    assert found[0]["message_id"] == "second"
    assert sorted(ids(found)) == sorted([EXAMPLE_ID, "second", "third"])
    for one in found:
        assert one.keys() == FIELDS
        FailedMessage.model_validate(one)
        assert (one["payload"], one["stack_trace"]) == (json.loads(BODY), STACK)
    assert (found[0]["correlation_id"], found[0]["routing_key"]) == ("c-1", "documents")
    assert (found[0]["timestamp"], found[0]["retry_count"]) == ("2026-09-21T14:13:18.000Z", 0)


def test_one_view_of_all_of_them_is_recorded(filled):
    filled.get("/dlq/messages?limit=2")
    [view] = filled.views()
    assert len(view["ids"]) == 2
    filled.get("/dlq/messages?q=state:recovered")
    assert len(filled.views()) == 1


def test_without_payloads_nothing_is_read_and_nothing_recorded(filled):
    filled.fakes.faults.calls.clear()
    for one in (
        *filled.get("/dlq/messages?include_payload=false"),
        filled.get("/dlq/messages/third?include_payload=false"),
    ):
        assert (one["payload"], one["stack_trace"]) == (None, None)
    assert filled.fakes.faults.calls == []


@pytest.mark.parametrize("path", ["/dlq/messages", f"/dlq/messages/{EXAMPLE_ID}"])
@pytest.mark.parametrize("call", ["state.put", "state.get"])
def test_where_the_state_bucket_refuses_no_payload_is_shown(filled, path, call):
    filled.fakes.faults.add(call, DOWN)
    answer = filled.ask(path)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert "経理" not in answer.text


def test_an_array_whose_objects_can_be_read_no_more_is_cut_off(api):
    for number in range(9):
        api.add(f"n{number}")
    api.fakes.faults.add("state.get", DOWN, after=6)
    answer = api.ask("/dlq/messages")
    with pytest.raises(ValueError, match="Expecting"):
        answer.json()


def test_an_object_that_is_gone_has_no_payload(filled):
    filled.fakes.s3.records.pop(filled.ledger.get("second").key)
    found = {one["message_id"]: one["payload"] for one in filled.get("/dlq/messages")}
    assert found["second"] is None
    assert found["third"] is not None
    assert filled.get("/dlq/messages/second")["payload"] is None


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        ('{"n": 1.10, "big": 98765432109876543210987}', '{"n": 1.10, "big": 98765432109876543210987}'),
        ("[1,2]", "[1,2]"),
        ('"a text"', '"\\"a text\\""'),
        ("5", '"5"'),
        ("{no json", '"{no json"'),
        ("契約", '"契約"'),
        ('{"a": "\\ud800"}', '"{\\"a\\": \\"\\\\ud800\\"}"'),
        ("[" * 5_000, json.dumps("[" * 5_000)),
    ],
)
def test_a_payload_is_the_body_unchanged(api, body, shown):
    api.add("one", body=body)
    assert f'"payload":{shown}' in api.ask("/dlq/messages/one").text
    assert f'"payload":{shown}' in api.ask("/dlq/messages").text


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("error_type=valueerror", ["third"]),
        ("source_service=s3-index-worker&correlation_id=c-1", ["second"]),
        ("q=key:契約", [EXAMPLE_ID]),
        ("q=key:見積&error_type=ReadTimeoutError", ["second"]),
        ("limit=1", ["second"]),
        ("error_type=none", []),
    ],
)
def test_filters_and_pages_work_as_ever(filled, query, found):
    assert ids(filled.get(f"/dlq/messages?{query}")) == found


def test_pages_by_offset_link_to_the_next(filled):
    first = filled.ask("/dlq/messages?limit=2&q=kind:RECOVERABLE%20state:any")
    assert "next" not in first.links
    seen, path = [], "/dlq/messages?limit=2"
    while path:
        answer = filled.ask(path)
        seen += ids(answer.json())
        path = answer.links.get("next", {}).get("url", "")
    assert sorted(seen) == sorted([EXAMPLE_ID, "second", "third"])


def test_a_single_message_is_found_by_any_id(filled):
    assert filled.get(f"/dlq/messages/m-{EXAMPLE_ID}") == filled.get(f"/dlq/messages/{EXAMPLE_ID}")
    filled.refused("/dlq/messages/unknown", 404)


def test_stats_count_each_dead_letter_once(filled):
    filled.ledger.change("second", version=1, by="me", action="x", state=State.SCHEDULED)
    found = filled.get("/dlq/stats")
    assert found["queue_stats"] == {"main": 3, "retry": 1, "analysis": 1}
    assert found["total_messages"] == sum(found["queue_stats"].values())
    assert found["by_error_type"] == {"ReadTimeoutError": 2, "ValueError": 1}
    assert found["by_service"] == {"s3-index-worker": 3}
    assert found["oldest_message_age_seconds"] >= found["newest_message_age_seconds"] > 0


def test_of_nothing_there_are_no_ages(api):
    api.depth = None
    found = api.get("/dlq/stats")
    assert (found["total_messages"], found["oldest_message_age_seconds"]) == (0, None)


def test_errors_are_grouped_by_their_type_alone(filled):
    filled.add("fourth", error_type="ValueError", fingerprint="88", message="another")
    filled.add("fifth", error_type="ValueError", fingerprint="88", message="another", first_seen_ms=NOW_MS - 60_000)
    first, second = filled.get("/dlq/errors/grouped")
    assert (first["error_type"], first["count"], first["groups"]) == ("ValueError", 3, ["88", "77"])
    assert (first["first_seen"], first["last_seen"]) == ("2026-09-21T14:12:20.000Z", "2026-09-21T14:13:20.000Z")
    assert "another" in first["sample_messages"]
    assert (second["error_type"], second["count"]) == ("ReadTimeoutError", 2)


def test_the_queue_says_how_far_recovery_is(filled):
    for name, state in ((EXAMPLE_ID, State.SENT), ("second", State.RECOVERED), ("third", State.ARCHIVED)):
        filled.ledger.change(name, version=None, by="me", action="x", state=state)
    filled.add("fourth", redrives=1, retries=2)
    found = filled.get("/api/queue/dlq/stats")["dlq"]
    assert (found["total_failed"], found["permanent_failures"], found["avg_retries"]) == (3, 1, 3.0)
    assert found["recovery"] == {"total_in_recovery": 3, "pending_recovery": 1, "recovered": 1, "abandoned": 1}


def test_failures_are_the_latest_jobs_with_times_in_seconds(filled):
    found = filled.get("/api/queue/dlq/failures?limit=1")
    assert found["count"] == 1
    assert found["failures"] == [
        {
            "job_id": "second", "site_name": "documents", "retry_count": 0,
            "error_message": "GET s3://documents/営業/見積.pdf: no answer in 30 s",
            "created_at": NOW_MS / 1000 - 60, "completed_at": NOW_MS / 1000 + 1,
        }
    ]  # fmt: skip
    assert {one["job_id"]: one["site_name"] for one in filled.get("/api/queue/dlq/failures")["failures"]}["third"] == (
        "s3-index-worker"
    )
