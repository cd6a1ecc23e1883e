"""The records of workers: what is stored is read again, a bad one is reported, and old ones are removed."""

import json

import pytest

from testing.memory import DOWN, NOW_MS
from worker.core.base.errors import StoreError
from worker.core.s3.workers import (
    FORGOTTEN_MS,
    FRESH_MS,
    MAX_ENTRIES,
    WORKERS_PREFIX,
    WorkerRecord,
    WorkerState,
    forget_workers,
    read_workers,
    write_worker,
)

RECORD = WorkerRecord(
    "host:7", WorkerState.RESTING, since_ms=NOW_MS - 500, written_at_ms=NOW_MS, started_at_ms=NOW_MS - 9_000,
    last_poll_at_ms=NOW_MS - 100, host="host", version="1", pid=7, in_flight=3, source_queue="files", dlq="files-dlq",
    breakers={"index": "down"}, open_breakers=1, held_back={"paused": "paused by me: 索引"}, failing_calls=("sqs:…",),
    unhealthy_threads=("bulk-0",), figures={"done": 5.0, "lag_s": 0.5}, exit_code=0,
)  # fmt: skip


def written_ago(fakes, name: str, ms: int, state: str = "serving") -> None:
    write_worker(fakes.state, WorkerRecord(name, state, written_at_ms=NOW_MS - ms))


def test_what_is_written_is_what_is_read(fakes):
    write_worker(fakes.state, RECORD)
    assert read_workers(fakes.state, NOW_MS) == [RECORD]
    assert RECORD.pause_reason == "paused by me: 索引"


@pytest.mark.parametrize("name", ["host:7", "a/b", "../up", "//", "夜\n", "n" * 3_000, "host:7@2"])
def test_every_name_makes_a_key_of_its_own_and_is_read_again(fakes, name):
    for one in (name, f"{name}@1", "other"):
        written_ago(fakes, one, 0)
    assert {one.name for one in read_workers(fakes.state, NOW_MS)} == {name, f"{name}@1", "other"}
    assert all(key.startswith(WORKERS_PREFIX) and len(key.encode()) <= 1_024 for key in fakes.under(WORKERS_PREFIX))


def test_a_worker_is_alive_for_three_minutes_then_lost_unless_it_stopped(fakes):
    written_ago(fakes, "alive", FRESH_MS)
    written_ago(fakes, "lost", FRESH_MS + 1)
    written_ago(fakes, "stopped", 0, "stopped")
    written_ago(fakes, "stopped-long-ago", FRESH_MS + 1, "stopped")
    written_ago(fakes, "ahead", -FRESH_MS - 1)
    found = {one.name: (one.is_fresh, one.is_alive, one.is_lost) for one in read_workers(fakes.state, NOW_MS)}
    assert found == {
        "alive": (True, True, False), "lost": (False, False, True), "stopped": (True, False, False),
        "stopped-long-ago": (False, False, False), "ahead": (False, False, True),
    }  # fmt: skip


@pytest.mark.parametrize(
    "raw", [b"", b"{", b"[]", b"null", b"7", b"{}", b'{"written_at_ms": "x"}', b'{"written_at_ms": true}', b"\xff"]
)
def test_a_record_that_cannot_be_read_is_reported_and_the_others_are_read(fakes, raw):
    write_worker(fakes.state, RECORD)
    fakes.s3.records[f"{WORKERS_PREFIX}bad.json"] = raw
    bad, good = read_workers(fakes.state, NOW_MS)
    assert good == RECORD
    assert (bad.name, bool(bad.problem)) == ("bad", True)
    assert (bad.is_fresh, bad.is_alive, bad.is_lost) == (False, False, False)


def test_what_is_of_a_wrong_type_is_left_out_and_a_newer_state_is_kept(fakes):
    odd = {
        "written_at_ms": NOW_MS, "state": "dreaming", "pid": "7", "in_flight": -1, "breakers": [1], "held_back": {"a": 1},
        "failing_calls": "x", "unhealthy_threads": [1, "t"], "figures": {"done": True, "lag_s": 1.5}, "exit_code": "0",
        "schema": 2, "more": {},
    }  # fmt: skip
    fakes.s3.records[f"{WORKERS_PREFIX}odd.json"] = json.dumps(odd).encode()
    [read] = read_workers(fakes.state, NOW_MS)
    assert read == WorkerRecord(
        "odd", "dreaming", written_at_ms=NOW_MS, unhealthy_threads=("t",), figures={"lag_s": 1.5}, schema=2
    )
    assert read.is_alive


def test_a_record_stays_small_whatever_fails():
    breakers = {f"s3://{number}": "x" * 5_000 for number in range(256)}
    calls = tuple("y" * 5_000 for _ in range(50))
    stored = WorkerRecord("w", breakers=breakers, open_breakers=256, failing_calls=calls).as_json()
    assert stored["open_breakers"] == 256
    assert len(json.dumps(stored)) < 2 * MAX_ENTRIES * 400


def test_one_get_that_fails_is_one_records_problem_and_a_listing_that_fails_is_raised(fakes):
    write_worker(fakes.state, RECORD)
    fakes.faults.add("state.get", DOWN)
    [read] = read_workers(fakes.state, NOW_MS)
    assert read.problem == "SlowDown: down"
    fakes.faults.add("state.list", DOWN)
    with pytest.raises(StoreError):
        read_workers(fakes.state, NOW_MS)


def test_only_records_silent_for_over_a_week_are_removed_and_none_that_cannot_be_read(fakes):
    written_ago(fakes, "old", FORGOTTEN_MS + 1)
    written_ago(fakes, "stopped", FORGOTTEN_MS + 1, "stopped")
    written_ago(fakes, "young", FORGOTTEN_MS)
    fakes.s3.records[f"{WORKERS_PREFIX}bad.json"] = b"{"
    assert forget_workers(fakes.state, NOW_MS) == 2
    assert {one.name for one in read_workers(fakes.state, NOW_MS)} == {"young", "bad"}
    assert forget_workers(fakes.state, NOW_MS) == 0
