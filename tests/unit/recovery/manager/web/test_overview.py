"""`/api/v1/groups`, `/api/v1/stats`, `/health` and `/metrics`."""

import time

from recovery.ledger.rows import State
from recovery.manager.web import overview_models
from recovery.manager.web.app import Health, Status
from testing.ledgers import NOW_MS


def test_groups_are_those_of_the_selection(filled):
    first, second = filled.get("/api/v1/groups")["items"]
    assert (first["error_type"], first["count"], first["kind"]) == ("ReadTimeoutError", 2, "RECOVERABLE")
    assert (second["fingerprint"], second["samples"]) == ("77", ["third"])
    assert [one["count"] for one in filled.get("/api/v1/groups?q=key:契約")["items"]] == [1]
    assert len(filled.get("/api/v1/groups?limit=1")["items"]) == 1


def test_a_group_says_who_has_it_when_it_came_and_what_its_last_redrive_did(filled):
    found = filled.get("/api/v1/groups")["items"][0]
    assert (found["redrive"], found["owner"], found["hold"], found["note"]) == (None, None, None, None)
    assert found["trend"] == [0] * 56
    now_ms = time.time_ns() // 1_000_000
    filled.ledger.change("second", version=None, by="ana", action="hold", hold="legal", owner="ana")
    sending = {"state": State.SENT, "sent_at_ms": NOW_MS, "sent_run": "operation-1", "sent_by": "ben"}
    filled.ledger.change("second", version=None, by="ben", action="sent", **sending)
    filled.add("second", message_id="again", stored=False, last_seen_ms=now_ms)
    found = filled.get("/api/v1/groups")["items"][0]
    assert found["redrive"] == {
        "run": "operation-1", "by": "ben", "began_at": "2026-09-21T14:13:20.000Z", "last_sent_at": "2026-09-21T14:13:20.000Z",
        "sent": 1, "returned": 1, "arrived": 1,
    }  # fmt: skip
    assert found["hold"] == {"count": 1, "different": 1, "text": "legal"}
    assert found["owner"] == {"count": 1, "different": 1, "text": "ana"}
    assert (sum(found["trend"]), found["trend"][-1]) == (1, 1)


def test_stats_tell_the_depth_of_ledger_and_queue_together(filled):
    found = filled.get("/api/v1/stats")
    assert (found["depth"], found["waiting"], found["in_sqs"]) == (5, 3, 2)
    assert (found["by_kind"], found["by_state"]["open"]) == ({"RECOVERABLE": 2, "UNKNOWN": 1}, 3)
    assert (found["size_bytes"], found["attempts"], len(found["hourly"])) == (2_700, 3, 14 * 24)
    assert found["oldest_at"] == "2026-09-21T14:13:18.000Z"


def test_where_the_queue_says_nothing_its_depth_is_not_known(filled):
    filled.depth = None
    found = filled.get("/api/v1/stats")
    assert (found["depth"], found["in_sqs"]) == (3, None)


def test_of_many_error_types_the_most_frequent_are_shown(filled, monkeypatch):
    monkeypatch.setattr(overview_models, "MAX_NAMES", 1)
    assert filled.get("/api/v1/stats")["by_error_type"] == {"ReadTimeoutError": 2}


def test_health_tells_all_that_is_known_and_lets_no_fact_replace_its_own(api):
    api.health = Health(Status.DEGRADED, queue_connected=False, facts={"intake": "resting", "status": "fine"})
    found = api.get("/health?probe=1")
    assert (found["status"], found["service"], found["intake"]) == ("degraded", "dlq-manager", "resting")
    assert (found["queue_connected"], found["rabbitmq_connected"]) == (False, False)
    assert found["timestamp"].endswith("Z")


def test_metrics_are_prometheus_text(api):
    answer = api.ask("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    assert answer.text == "# TYPE up gauge\nup 1\n"
