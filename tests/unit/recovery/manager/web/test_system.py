"""`/api/v1/overview`: the verdict and its facts over a ledger and a state bucket, also while S3 does not answer."""

import time
from typing import Any

import orjson

from recovery.manager import system_facts, watched
from testing.memory import NOW_MS
from worker.core.base.errors import StoreError
from worker.core.s3.workers import WorkerRecord, write_worker


def working(api, name="host-1:1", **fields):
    usual: dict[str, Any] = {
        "state": "serving",
        "host": "host-1",
        "written_at_ms": NOW_MS,
        "started_at_ms": NOW_MS,
        "last_poll_at_ms": NOW_MS,
    }
    write_worker(api.fakes.state, WorkerRecord(name, **(usual | fields)))


def test_the_overview_of_an_empty_system(api):
    working(api)
    found = api.get("/api/v1/overview")
    assert found["verdict"]["text"] == "nothing has failed; index reachable; fleet serving (1 worker)"
    assert found["verdict"]["steps"][0]["text"] == "Nothing has to be done."
    assert (found["dead_letters"]["depth"], found["alerts"]) == (0, [])
    assert [one["name"] for one in found["workers"]["items"]] == ["host-1:1"]
    assert found["fleet"]["pause"]["paused"] is False
    assert [one["count"] for one in found["retry_index"]["items"]] == [0, 0, 0]


def test_the_overview_of_failures(filled):
    working(filled, breakers={"index": "refused"})
    filled.fakes.state.put("retry-index/2026-11-01/documents/a.1.json", b"{}")
    filled.fakes.state.put("retry-index/parked/2026-11-01/documents/b.1.json", b"{}")
    found = filled.get("/api/v1/overview")
    assert found["verdict"]["text"].startswith("2 causes, 3 messages; index unavailable on 1 of 1 worker")
    group = next(one for one in found["verdict"]["steps"] if one["do"] == "see_group")
    assert group["values"] == {"group": "5b1f2c7d90aa", "error_type": "ReadTimeoutError", "count": 2}
    assert {one["alert"] for one in found["alerts"]} >= {"WorkerIndexBreakerOpen", "WorkerRecordsParked"}
    letters = found["dead_letters"]
    assert (letters["waiting"], letters["in_sqs"], letters["causes"]) == (3, 0, 2)
    assert len(letters["hourly"]) == len(letters["depths"]) == 14 * 24
    assert letters["depths"][-1] == 3
    assert letters["ages"]["soonest_expiry_s"] is None


def test_a_pause_is_seen_at_once_with_who_and_why(api):
    working(api)
    assert api.get("/api/v1/overview")["fleet"]["pause"]["paused"] is False
    api.post("/api/v1/fleet/pause", {"reason": "index upgrade"})
    found = api.get("/api/v1/overview")
    assert (found["fleet"]["pause"]["by"], found["fleet"]["pause"]["reason"]) == ("api@host", "index upgrade")
    assert "fleet paused by api@host: index upgrade" in found["verdict"]["text"]
    api.post("/api/v1/fleet/resume")
    assert api.get("/api/v1/overview")["fleet"]["pause"]["paused"] is False


def test_viewers_share_what_is_read(filled, monkeypatch):
    lists: list[str] = []
    read = filled.fakes.state.keys

    def keys(prefix):
        lists.append(prefix)
        return read(prefix)

    monkeypatch.setattr(filled.fakes.state, "keys", keys)
    for _ in range(10):
        filled.get("/api/v1/overview")
    assert len(lists) == 4


def test_a_bucket_that_hangs_is_unknown_and_nobody_waits_for_long(filled, monkeypatch):
    monkeypatch.setattr(watched, "PATIENCE_S", 0.1)
    monkeypatch.setattr(filled.fakes.state, "keys", lambda _prefix: time.sleep(3))
    monkeypatch.setattr(filled.fakes.state, "get", lambda _key: time.sleep(3))
    began = time.monotonic()
    found = filled.get("/api/v1/overview")
    assert time.monotonic() - began < 1.5
    assert found["workers"]["unknown_since"]
    assert found["fleet"]["pause"] is None
    assert "2 causes, 3 messages" in found["verdict"]["text"]
    assert found["verdict"]["level"] == "problem"


def test_a_bucket_that_refuses_says_why(filled, monkeypatch):
    def refuse(*_):
        raise StoreError("denied", code="AccessDenied")

    monkeypatch.setattr(filled.fakes.state, "keys", refuse)
    monkeypatch.setattr(system_facts, "read_recent_workers", refuse)
    found = filled.get("/api/v1/overview")
    assert (found["workers"]["why"], found["retry_index"]["why"]) == ("denied", "denied")
    assert found["workers"]["items"] == []


def test_a_record_of_a_worker_that_cannot_be_read_says_so(api):
    api.fakes.state.put("s3-index-worker/workers/x.json", orjson.dumps([]))
    [one] = api.get("/api/v1/overview")["workers"]["items"]
    assert (one["name"], one["problem"], one["alive"]) == ("x", "it is not a record of a worker", False)
