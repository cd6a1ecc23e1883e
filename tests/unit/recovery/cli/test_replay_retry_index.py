"""What `replay_retry_index` prints and exits with, whatever its records come to."""

import json
import re
from unittest.mock import Mock

import pytest

from recovery.cli.replay_retry_index import run as run_command
from recovery.operations.replay import ReplayRequest
from tests.support.fakes import BUCKET, INDEX_DOWN, NOW_MS, Fakes
from worker.core.base import logs, retry
from worker.core.base.errors import DependencyError, ExitCode, IndexUnavailableError
from worker.core.index.document import Write
from worker.core.indexing.retry_store import RetryRecord
from worker.terminal import Signals


@pytest.fixture(autouse=True)
def _quick_and_quiet(monkeypatch):
    monkeypatch.setattr(logs, "_log", Mock())
    monkeypatch.setattr(retry, "FIRST_WAIT_S", 0.0001)
    monkeypatch.setattr(retry, "LONGEST_WAIT_S", 0.0001)


@pytest.fixture
def fakes():
    return Fakes()


def waits(fakes, key):
    fakes.s3.holds[key] = b"text"
    record = RetryRecord(Write(BUCKET, key, NOW_MS, fakes.s3.etag(key), b"{}"), "away", rejected=False)
    fakes.s3.records[record.name] = record.as_json()


def run(fakes, *, as_json=True, **options):
    return run_command(fakes.settings(), fakes.clients, ReplayRequest(**options), Signals(), as_json=as_json)


def test_all_handled_is_0_and_the_table_says_so(fakes, capsys):
    for number in range(12):
        waits(fakes, f"{number}.txt")
    assert run(fakes, as_json=False) is ExitCode.OK
    out = capsys.readouterr().out
    assert "12 handled" in out
    assert re.search(r"^ *12 +replayed ", out, re.MULTILINE)


def test_what_is_refused_is_3_and_its_reason_is_told_once_with_names(fakes, capsys):
    for number in range(5):
        waits(fakes, f"赤\x1b[31m{number}.txt")
        fakes.index.rejects.add(f"赤\x1b[31m{number}.txt")
    waits(fakes, "ok.txt")
    assert run(fakes) is ExitCode.INCOMPLETE
    summary = json.loads(capsys.readouterr().out)
    [cause] = summary["causes"]
    assert (cause["result"], cause["count"], len(cause["names"])) == ("rejected", 5, 3)
    assert cause["reason"].startswith("mapper_parsing_exception")
    assert (summary["handled"], summary["replayed"], summary["rejected"]) == (6, 1, 5)
    assert run(fakes, as_json=False) is ExitCode.INCOMPLETE
    out = capsys.readouterr().out
    assert "5 rejected: mapper_parsing_exception" in out
    assert "\x1b" not in out


def test_a_dry_run_says_that_it_was_one(fakes, capsys):
    waits(fakes, "a.txt")
    assert run(fakes, as_json=False, dry_run=True) is ExitCode.OK
    assert "dry run: nothing was written or deleted" in capsys.readouterr().out
    assert not fakes.index.documents


def test_an_index_that_is_away_at_the_door_is_refused(fakes):
    waits(fakes, "a.txt")
    fakes.faults.add("index.ping", INDEX_DOWN)
    with pytest.raises(DependencyError, match="Nothing was touched"):
        run(fakes)
    assert "state.get" not in fakes.faults.calls


def test_an_index_that_goes_away_in_the_middle_ends_the_run_after_its_summary(fakes, capsys):
    waits(fakes, "a.txt")
    fakes.faults.add("index.write", INDEX_DOWN)
    with pytest.raises(IndexUnavailableError):
        run(fakes)
    assert json.loads(capsys.readouterr().out)["stopped_by"] == "down"
    assert len(fakes.s3.records) == 1
