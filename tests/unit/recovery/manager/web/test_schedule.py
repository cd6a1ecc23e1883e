"""`/api/v1/schedule`."""

import orjson

from recovery.ledger.rows import State
from recovery.manager.web.parameters import EXAMPLE_ID
from testing.memory import DOWN, NOW_MS
from worker.core.s3.state import PAUSE_KEY
from worker.core.s3.workers import WorkerRecord, write_worker

HOUR_MS = 3_600_000
NOW = "2026-11-18T11:06:40.000Z"


def schedule(api, name, at_ms, **more):
    api.ledger.change(name, version=None, by="test", action="test", state=State.SCHEDULED, retry_at_ms=at_ms, **more)


def test_what_is_scheduled_is_said_by_the_hour_with_the_rules(filled):
    empty = filled.get("/api/v1/schedule")
    assert (empty["total"], empty["hours"], empty["next_at"], empty["as_of"]) == (0, [0] * 24, None, NOW)
    schedule(filled, "second", NOW_MS)
    schedule(filled, "third", NOW_MS + 2 * HOUR_MS, hold="legal")
    schedule(filled, EXAMPLE_ID, NOW_MS + HOUR_MS + 1)
    found = filled.get("/api/v1/schedule")
    assert (found["total"], found["due"], found["later"], found["held"]) == (2, 1, 0, 1)
    assert found["hours"] == [0, 1, *[0] * 22]
    assert found["next_at"] == "2026-11-18T12:06:40.001Z"
    assert found["rules"] == {"first_s": 300.0, "max_s": 21_600.0, "times": 8, "groups": {}, "rate": 10.0}


def test_it_says_what_keeps_retries_from_being_sent(filled):
    assert "no worker has reported" in filled.get("/api/v1/schedule")["obstacle"]["text"]
    write_worker(filled.fakes.state, WorkerRecord("w1", state="serving", written_at_ms=NOW_MS))
    filled.service.facts.forget_pause()
    assert filled.get("/api/v1/schedule")["obstacle"]["text"] is None
    filled.fakes.state.put(PAUSE_KEY, orjson.dumps({"reason": "移行", "by": "op@h", "until_ms": None, "at": "x"}))
    filled.service.facts.forget_pause()
    assert filled.get("/api/v1/schedule")["obstacle"]["text"] == "the fleet is paused by op@h: 移行"


def test_where_that_cannot_be_read_it_is_not_said_to_be_nothing(filled):
    filled.fakes.faults.add("state.get", DOWN)
    filled.fakes.faults.add("state.list", DOWN)
    found = filled.get("/api/v1/schedule")["obstacle"]
    assert (found["text"], found["read_at"]) == (None, None)
    assert found["why"]
    assert found["unknown_since"]
