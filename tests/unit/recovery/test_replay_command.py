"""What `replay_retry_index` prints and exits with, whatever its records come to."""

import json
import re
from unittest.mock import Mock

import pytest

from recovery.replay_retry_index import MAX_CAUSES, Causes, replay
from tests.support.world import BUCKET, INDEX_DOWN, NOW_MS, World
from worker.core import logs, retry
from worker.core.document import Write
from worker.core.errors import DependencyError, ExitCode, IndexAwayError
from worker.core.retrystore import RetryRecord
from worker.core.state import RETRY_PREFIX

ALL = {"prefix": RETRY_PREFIX, "limit": None, "dry_run": False}


@pytest.fixture(autouse=True)
def _quick_and_quiet(monkeypatch):
    monkeypatch.setattr(logs, "_log", Mock())
    monkeypatch.setattr(retry, "FIRST_WAIT_S", 0.0001)
    monkeypatch.setattr(retry, "LONGEST_WAIT_S", 0.0001)


@pytest.fixture
def world():
    return World()


def waits(world, key):
    world.s3.holds[key] = b"text"
    record = RetryRecord(Write(BUCKET, key, NOW_MS, world.s3.etag(key), b"{}"), "away", rejected=False)
    world.s3.records[record.name] = record.as_json()


def run(world, *, as_json=True, **options):
    return replay(world.settings(), world.outside, ALL | options, as_json=as_json)


def test_all_handled_is_0_and_the_table_says_so(world, capsys):
    for number in range(12):
        waits(world, f"{number}.txt")
    assert run(world, as_json=False) is ExitCode.OK
    out = capsys.readouterr().out
    assert "12 handled" in out
    assert re.search(r"^ *12 +replayed ", out, re.MULTILINE)


def test_what_is_refused_is_3_and_its_reason_is_told_once_with_names(world, capsys):
    for number in range(5):
        waits(world, f"赤\x1b[31m{number}.txt")
        world.index.rejects.add(f"赤\x1b[31m{number}.txt")
    waits(world, "ok.txt")
    assert run(world) is ExitCode.INCOMPLETE
    summary = json.loads(capsys.readouterr().out)
    [cause] = summary["causes"]
    assert (cause["result"], cause["count"], len(cause["names"])) == ("rejected", 5, 3)
    assert cause["reason"].startswith("mapper_parsing_exception")
    assert (summary["handled"], summary["replayed"], summary["rejected"]) == (6, 1, 5)
    assert run(world, as_json=False) is ExitCode.INCOMPLETE
    out = capsys.readouterr().out
    assert "5 rejected: mapper_parsing_exception" in out
    assert "\x1b" not in out


def test_a_dry_run_says_that_it_was_one(world, capsys):
    waits(world, "a.txt")
    assert run(world, as_json=False, dry_run=True) is ExitCode.OK
    assert "dry run: nothing was written or deleted" in capsys.readouterr().out
    assert not world.index.documents


def test_an_index_that_is_away_at_the_door_is_refused(world):
    waits(world, "a.txt")
    world.faults.add("index.ping", INDEX_DOWN)
    with pytest.raises(DependencyError, match="Nothing was touched"):
        run(world)
    assert "state.get" not in world.faults.calls


def test_an_index_that_goes_away_in_the_middle_ends_the_run_after_its_summary(world, capsys):
    waits(world, "a.txt")
    world.faults.add("index.write", INDEX_DOWN)
    with pytest.raises(IndexAwayError):
        run(world)
    assert json.loads(capsys.readouterr().out)["stopped_by"] == "down"
    assert len(world.s3.records) == 1


def test_reasons_without_number_take_no_memory_without_bound():
    causes = Causes()
    for number in range(10 * MAX_CAUSES):
        causes.hear("replay.record", {"result": "kept", "reason": f"{number}: no", "name": f"{number}"})
    found = causes.by_count()
    assert len(found) == MAX_CAUSES + 1
    assert (found[0]["reason"], found[0]["count"]) == ("other reasons", 9 * MAX_CAUSES)
