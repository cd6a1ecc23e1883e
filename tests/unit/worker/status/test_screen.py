"""One screen, on terminals of every width, its JSON, and its exit codes."""

import json
import threading

import orjson
import pytest

from testing.memory import NOW_MS
from tests.unit.worker.status.conftest import rendered, worker
from worker.core.base.errors import DependencyError, ExitCode, QueueError, StoreError
from worker.core.s3.reindexing import Phase, Reindex, Source, write_reindex
from worker.status import screen
from worker.status.facts import read_status
from worker.status.screen import MAX_WORKERS, exit_code, status_json, status_table

LABELS = ["queue", "lag", "DLQ", "dead-letters/", "retry-index/", "pause", "breakers", "workers"]


def marks(lines: list[str]) -> dict[str, str]:
    """The mark of each line that has a label."""
    return {line[3:].split()[0]: line[0] for line in lines if line[3:4].strip()}


@pytest.mark.parametrize("columns", [60, 80, 100, 140])
def test_every_part_has_its_line_and_its_mark_and_fits_on_one_screen(night, status, columns):
    lines = rendered(status_table(status()), columns)
    assert list(marks(lines)) == LABELS
    assert "".join(marks(lines).values()) == "✓✓✗✗✗✗✗✗"
    assert all(len(line) <= columns for line in lines)
    assert len(lines) <= 30
    whole = " ".join(" ".join(lines).split())
    for said in (
        "3 visible, 1 in flight, 0 delayed in dlq", "1 stored (the oldest of 2026-11-03)",
        "2 waiting for the index (the oldest of 2026-11-17), 1 parked, 1 held for a budget",
        "paused by hanako@host until `s3-index-worker resume`: index upgrade (since 01:00 UTC)",
        "index unavailable on 2 of 3 workers since 10:57 UTC: https://index:9200 cannot be reached: ConnectTimeout",
        "3 alive, 1 silent", "d: silent since 10:36 UTC, was serving",
        "b: resting, 0 in flight; 12,345 done, 3 failed, 0 released, 1 stored for retry in 3m 0s; version 1.0; as of 0s ago",
    ):  # fmt: skip
        assert said in whole


@pytest.mark.parametrize("part", ["dlq.attributes", "source.attributes", "state.list", "state.get"])
def test_what_cannot_be_read_says_so_in_its_line(night, status, part):
    night.faults.add(part, StoreError("AccessDenied\x1b[2J by a policy", code="AccessDenied"))
    found = status()
    lines = rendered(status_table(found), 100)
    assert "not known: AccessDenied\ufffd[2J by a policy" in "".join(lines)
    assert "?" in marks(lines).values()
    assert exit_code(found) == ExitCode.DEPENDENCY


def test_texts_of_others_cannot_control_the_terminal(fakes, fleet, status):
    evil = "[red]\x1b[2J\u202e\n"
    fleet(worker(f"a{evil}", breakers={f"s3://{evil}": evil}, held_back={"s3": evil}, failing_calls=(evil,)))
    shown = "".join(rendered(status_table(status()), 140))
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert "[red]" in shown


def test_of_many_workers_those_in_trouble_are_shown(fleet, status):
    fleet(*(worker(f"w{number:02}") for number in range(30)), worker("zz", failing_calls=("why",)))
    lines = rendered(status_table(status()), 140)
    assert lines[-MAX_WORKERS - 1].split()[0] == "zz:"
    assert lines[-1].strip() == "and 21 more; --json has them all"


def test_a_reindex_and_the_budgets_are_shown_where_there_are_any(fakes, fleet, status):
    fleet(worker("a"))
    reindex = Reindex("run", "hanako@host", "files", "files-1", "files-2", Source.S3, plain_key=False, is_alias=True,
                      phase=Phase.FILLING, begun_ms=NOW_MS)  # fmt: skip
    write_reindex(fakes.state, reindex, instead_of=None)
    found = status(budget_caps="objects=1000")
    lines = rendered(status_table(found), 140)
    assert "filling, by hanako@host since 11:06 UTC: see `reindex_index --status`" in "".join(lines)
    assert "objects 0 of 1,000 used" in "".join(lines)
    assert exit_code(found) == ExitCode.OK


def test_the_json_has_everything(night, status):
    night.faults.add("source.attributes", QueueError("no", code="AccessDenied"))
    found = orjson.loads(orjson.dumps(status_json(status()), default=str))
    assert found["queue"] == {"error": "no"}
    assert found["unknown"] == ["queue"]
    assert found["dlq"] == {"queue": "dlq", "visible": 3, "in_flight": 1, "delayed": 0}
    assert found["dead_letters"] == {"count": 1, "or_more": False, "since": "2026-11-03"}
    assert {name: one["count"] for name, one in found["retry_index"].items()} == {
        "retry-index/": 2, "retry-index/parked/": 1, "retry-index/held/": 1
    }  # fmt: skip
    assert [(one["name"], one["alive"], one["lost"]) for one in found["workers"]] == [
        ("a", True, False), ("b", True, False), ("c", True, False), ("d", False, True)
    ]  # fmt: skip
    assert found["pause"]["reason"] == "index upgrade"
    assert found["lag_s"] == 2.0
    assert found["wrong"][0] == {
        "part": "pause",
        "text": "paused by hanako@host until `s3-index-worker resume`",
        "why": "index upgrade (since 01:00 UTC)",
    }


def test_nothing_is_changed_and_no_message_is_received(night, status):
    before = dict(night.s3.records)
    night.faults.calls.clear()
    assert exit_code(status()) == ExitCode.NOT_FOUND
    assert night.s3.records == before
    assert {call for call in night.faults.calls if call.split(".")[0] in {"source", "dlq"}} == {
        "source.attributes", "dlq.attributes"
    }  # fmt: skip
    assert {call for call in night.faults.calls if call.startswith("state.")} == {"state.get", "state.list"}


def test_a_part_that_does_not_answer_is_not_waited_for(fakes, fleet, monkeypatch, capsys):
    fleet(worker("a"))
    answer, ended = threading.Event(), list[int]()
    monkeypatch.setattr(fakes.dlq, "attributes", lambda: answer.wait(10) and {})
    monkeypatch.setattr(screen, "load_for_command", fakes.settings)
    monkeypatch.setattr(screen, "connect", lambda _: fakes.clients)
    monkeypatch.setattr(fakes.clients.aws, "credentials", lambda: None)
    monkeypatch.setattr(screen, "read_status", lambda *both: read_status(*both, patience_s=0.2))
    monkeypatch.setattr("os._exit", ended.append)
    assert screen.show_status(as_json=False) == ExitCode.DEPENDENCY
    answer.set()
    assert ended == [ExitCode.DEPENDENCY]
    assert "Not known: DLQ (no answer within 0.2 s)." in capsys.readouterr().out


def test_without_credentials_one_sentence_says_so_and_no_part_is_judged(fakes, monkeypatch, capsys):
    monkeypatch.setattr(screen, "load_for_command", fakes.settings)
    monkeypatch.setattr(screen, "connect", lambda _: fakes.clients)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(DependencyError, match="no AWS credentials found: set AWS_ACCESS_KEY_ID"):
        screen.show_status(as_json=False)
    assert capsys.readouterr().out == ""


def test_a_brake_that_is_on_is_called_so_and_one_that_is_off_says_until_when(fakes, fleet, status):
    fleet(worker("a", held_back={"brake": "brake: 31 of 31"}, state="resting", ago_ms=21_000))
    fakes.s3.records["s3-index-worker/pause.json"] = json.dumps({"lets_fail_until_ms": NOW_MS + 3_600_000}).encode()
    lines = rendered(status_table(status()), 200)
    assert any("a: braked, 0 in flight" in line and line.endswith("as of 21s ago") for line in lines)
    assert any("off until 12:06 UTC: whatever fails goes to the DLQ" in line for line in lines)
    assert status_json(status())["brake_off_until"] == "2026-11-18T12:06:40+00:00"
