"""The output and exit codes of `replay_retry_index` for all results."""

import json
import re
from unittest.mock import Mock

import pytest

from recovery.cli.batch_command import run_batch
from recovery.cli.replay_retry_index import REPLAY
from recovery.operations.replay import ReplayRequest, replay
from testing.memory import BUCKET, INDEX_DOWN, NOW_MS
from worker.core.base import logs
from worker.core.base.errors import DependencyError, ExitCode, IndexUnavailableError
from worker.core.index.document import Write, encode
from worker.core.indexing.retry_store import RetryRecord
from worker.terminal import Signals


@pytest.fixture(autouse=True)
def _quick_and_quiet(monkeypatch):
    monkeypatch.setattr(logs, "_log", Mock())


def waits(fakes, key):
    fakes.s3.bodies[key] = b"text"
    write = Write(BUCKET, key, NOW_MS, fakes.s3.etag(key), encode(fakes.document(key)))
    record = RetryRecord(write, "unavailable", rejected=False)
    fakes.s3.records[record.name] = record.as_json()


def run(fakes, *, as_json=True, **options):
    settings, request = fakes.settings(), ReplayRequest(**options)
    return run_batch(
        REPLAY,
        lambda stop, on_progress: replay(settings, fakes.clients, request, stop=stop, on_progress=on_progress),
        settings=settings,
        aws=fakes.clients.aws,
        signals=Signals(),
        as_json=as_json,
    )


def test_a_replay_that_handles_every_record_exits_with_0(fakes, capsys):
    for number in range(12):
        waits(fakes, f"{number}.txt")
    assert run(fakes, as_json=False) is ExitCode.OK
    out = capsys.readouterr().out
    assert "12 handled" in out
    assert re.search(r"^ *12 +replayed ", out, re.MULTILINE)


def test_rejected_records_exit_with_3_and_share_one_reason_with_sample_names(fakes, capsys):
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


def test_the_report_of_a_dry_replay_is_marked_as_such(fakes, capsys):
    waits(fakes, "a.txt")
    assert run(fakes, as_json=False, dry_run=True) is ExitCode.OK
    assert "dry run: nothing was written or deleted" in capsys.readouterr().out
    assert not fakes.index.documents


def test_a_replay_does_not_start_while_the_index_is_unavailable(fakes):
    waits(fakes, "a.txt")
    fakes.faults.add("index.ping", INDEX_DOWN)
    with pytest.raises(DependencyError, match="Nothing was touched"):
        run(fakes)
    assert "state.get" not in fakes.faults.calls


def test_an_index_that_becomes_unavailable_ends_the_replay_after_its_summary(fakes, capsys):
    waits(fakes, "a.txt")
    fakes.faults.add("index.write", INDEX_DOWN)
    with pytest.raises(IndexUnavailableError):
        run(fakes)
    assert json.loads(capsys.readouterr().out)["stopped_by"] == "down"
    assert len(fakes.s3.records) == 1
