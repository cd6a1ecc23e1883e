"""`s3-index-worker pause` and `resume`: what they say, and what is left in the state bucket."""

from types import SimpleNamespace

import pytest

from testing.memory import DOWN
from tests.support.in_process import run_in_process
from worker import cli, pausing
from worker.core.s3 import brakes
from worker.core.s3.brakes import BrakeRecord, Cause, read_resumption

KEY_ERROR = Cause("aaa111", "KeyError: 'title'", "")


@pytest.fixture
def typed(fakes, monkeypatch):
    monkeypatch.setattr(pausing, "load_for_command", fakes.settings)
    monkeypatch.setattr(pausing, "connect", lambda _: SimpleNamespace(state=fakes.state))

    def type_(*args):
        done = run_in_process(cli.main, {}, *args)
        assert (done.returncode, done.stdout) == (0, "")
        return done.stderr.splitlines()

    return type_


def brake(fakes, worker, causes):
    record = BrakeRecord(worker, "brake: …", "2026-04-01T03:00:00+00:00", 40, causes)
    fakes.s3.records[record.key] = record.as_json()


def test_resume_names_each_brake_and_each_command_once(typed, fakes):
    brake(fakes, "a@0", {KEY_ERROR: 31})
    brake(fakes, "b@0", {KEY_ERROR: 30, Cause("bbb222", "TypeError: x\x1b[2J", ""): 2})
    assert typed("resume") == [
        "the fleet was not paused",
        "resumed a@0, which had stopped at 2026-04-01T03:00:00+00:00: 31 of 40 messages had failed",
        "resumed b@0, which had stopped at 2026-04-01T03:00:00+00:00: 32 of 40 messages had failed",
        "to send them again: dlq redrive-all --group aaa111",
        "to send them again: dlq redrive-all --group bbb222",
    ]
    assert typed("resume") == ["the fleet was not paused; no worker had its brake on"]


def test_what_only_counts_is_no_brake(typed, fakes):
    record = BrakeRecord("a@0", of=5, causes={KEY_ERROR: 5})
    fakes.s3.records[record.key] = record.as_json()
    assert typed("resume") == ["the fleet was not paused; no worker had its brake on"]


def test_a_pause_is_ended_and_said(typed):
    typed("pause", "--reason", "索引の更新")
    assert "索引の更新" in typed("resume")[0]


def test_a_role_that_may_not_read_brakes_ends_them_all_the_same(typed, fakes):
    fakes.faults.add("state.list", DOWN)
    said = typed("resume")
    assert said[-1].startswith("which workers had their brake on cannot be read (")
    assert read_resumption(fakes.state).mark


def test_more_brakes_than_a_look_reads_are_said_to_be_more(typed, fakes, monkeypatch):
    monkeypatch.setattr(brakes, "MAX_READ", 1)
    brake(fakes, "a@0", {KEY_ERROR: 31})
    brake(fakes, "b@0", {KEY_ERROR: 31})
    assert typed("resume")[-1] == (
        "which other workers had their brake on cannot be read (records not looked at: 1); they go on, too. See `dlq stats`"
    )


def test_messages_may_be_let_fail_for_a_while(typed, fakes):
    typed("resume", "--let-fail", "1h")
    assert read_resumption(fakes.state).lets_fail_until_ms > 0
    typed("resume")
    assert read_resumption(fakes.state).lets_fail_until_ms == 0


def test_a_let_fail_that_is_no_duration_is_refused():
    done = run_in_process(cli.main, {}, "resume", "--let-fail", "soon")
    assert done.returncode == 64
    assert "--let-fail" in done.stderr
