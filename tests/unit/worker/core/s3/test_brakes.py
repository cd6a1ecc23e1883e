"""The records of brakes: all that are on are found, however many only count, and those of hosts that are gone are removed."""

import pytest

from testing.memory import NOW_MS
from worker.core.s3 import brakes
from worker.core.s3.brakes import BRAKES_PREFIX, BrakeRecord, Cause, forget_brakes, read_brake, read_brakes
from worker.core.s3.pause import resume_fleet
from worker.core.s3.workers import FORGOTTEN_MS

KEY_ERROR = Cause("aaa111", "KeyError: 'title'", "")
AFTER_A_WEEK_MS = NOW_MS + FORGOTTEN_MS + 1


def store(fakes, worker, reason="", mark=""):
    record = BrakeRecord(worker, reason, of=31, causes={KEY_ERROR: 31}, mark=mark)
    fakes.s3.records[record.key] = record.as_json()


def left(fakes):
    return {key.removeprefix(BRAKES_PREFIX) for key in fakes.s3.records if key.startswith(BRAKES_PREFIX)}


def test_a_brake_is_found_behind_any_number_of_workers_that_only_count(fakes):
    for number in range(150):
        store(fakes, f"host-{number:03}@0")
    store(fakes, "z@0", "brake: …")
    found, unread = read_brakes(fakes.state)
    assert ([one.worker for one in found], unread) == (["z@0"], 0)


def test_a_look_reads_those_written_last_and_says_how_many_it_left(fakes, monkeypatch):
    monkeypatch.setattr(brakes, "MAX_READ", 2)
    ages = {"a@0": 3, "b@0": 1, "c@0": 2}
    for worker in ages:
        store(fakes, worker, "brake: …")
    dated = [(f"{BRAKES_PREFIX}{worker}.json", NOW_MS - age) for worker, age in ages.items()]
    monkeypatch.setattr(fakes.state, "modified", lambda _: iter(dated))
    found, unread = read_brakes(fakes.state)
    assert ([one.worker for one in found], unread) == (["b@0", "c@0"], 1)


def test_a_worker_of_any_name_is_found(fakes):
    store(fakes, "50%~host@0", "brake: …")
    assert len(read_brakes(fakes.state)[0]) == 1


@pytest.mark.parametrize(("now_ms", "removed"), [(AFTER_A_WEEK_MS - 1, 0), (AFTER_A_WEEK_MS, 2)])
def test_after_a_week_what_only_counts_or_has_ended_is_removed(fakes, now_ms, removed):
    store(fakes, "ended@0", "brake: …")
    resume_fleet(fakes.state)
    store(fakes, "counts@0")
    store(fakes, "on@0", "brake: …", mark=brakes.read_resumption(fakes.state).mark)
    fakes.s3.records[f"{BRAKES_PREFIX}bad@0.json"] = b"{"
    assert forget_brakes(fakes.state, now_ms) == removed
    assert (left(fakes) == {"on@0.json", "bad@0.json"}) is bool(removed)
    assert read_brake(fakes.state, "on@0") is not None
