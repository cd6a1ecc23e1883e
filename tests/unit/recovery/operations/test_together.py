"""Two operations at once, on two threads of one process: both complete, and neither changes process-wide state."""

import json
import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from recovery.operations.clients import DlqClients
from recovery.operations.dead_letters.facts import Filter, Ids
from recovery.operations.dead_letters.message_types import load_types
from recovery.operations.export import ExportRequest, export
from recovery.operations.find import FindRequest, claiming, find
from recovery.operations.records.export_file import read_export
from recovery.operations.records.holders import holders
from recovery.operations.records.operator_file import OperatorFile
from recovery.operations.recover import recover
from recovery.operations.recovering.request import RecoverRequest
from recovery.operations.redrive import RedriveRequest, plan_redrive, redrive
from recovery.operations.transfer.targets import redrive_target
from testing.fakes import Fakes
from testing.memory import BUCKET
from worker.core.audit import Run

TIMEOUT_S = 30


@pytest.fixture
def fakes():
    made = Fakes()
    for number in range(5):
        made.s3.bodies[f"{number}.txt"] = b"text"
        made.dead_letter(f"m{number}", f"{number}.txt", failure={"error_type": "OSError"})
    return made


@pytest.fixture
def clients(fakes):
    return DlqClients(fakes.dlq, fakes.s3, fakes.state, load_types(default_bucket=BUCKET))


def run_of(command):
    return Run.new(command, action=command.rpartition(" ")[2], by="me@here")


def current_holders(fakes):
    return sorted(str(one["command"]) for one in holders(fakes.state))


class Pause:
    """Makes a call wait until the test allows it to continue."""

    def __init__(self, monkeypatch, owner, name):
        self.reached, self.go_on = threading.Event(), threading.Event()
        original = getattr(owner, name)

        def paused(*args):
            self.reached.set()
            assert self.go_on.wait(TIMEOUT_S)
            return original(*args)

        monkeypatch.setattr(owner, name, paused)


def redriven(clients, source, *names):
    """A complete redrive: find, plan, send, audit."""
    run, which, stop = run_of("dlq redrive"), FindRequest(Ids(frozenset(names))), threading.Event()
    target = redrive_target(clients, source, is_named=False)
    with claiming(clients, run) as claims:
        plan = plan_redrive(find(clients, claims, which, stop=stop), target)
        return redrive(clients, claims, RedriveRequest(run, which), plan, stop=stop)


def exported(clients, fakes, file):
    """Export the rest; returns the seal, and which commands held dead letters meanwhile."""
    run, stop = run_of("dlq export"), threading.Event()
    with claiming(clients, run) as claims:
        found = find(clients, claims, FindRequest(Filter()), stop=stop)
        seal = export(clients, ExportRequest(run, OperatorFile.at(file)), found)
        return seal, current_holders(fakes)


def test_a_concurrent_redrive_and_export_release_only_their_own_messages(fakes, clients, tmp_path, monkeypatch):
    sending = Pause(monkeypatch, fakes.source, "send")
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(redriven, clients, fakes.source, "m0", "m1")
        assert sending.reached.wait(TIMEOUT_S)
        assert current_holders(fakes) == ["dlq redrive"]
        seal, meanwhile = pool.submit(exported, clients, fakes, tmp_path / "rest.jsonl").result(TIMEOUT_S)
        assert meanwhile == ["dlq export", "dlq redrive"]
        assert current_holders(fakes) == ["dlq redrive"], "the export removed its own record, and no other"
        assert fakes.dlq.hidden == {"m0", "m1"}, "the export released its own messages, and no others"
        sending.go_on.set()
        result = first.result(TIMEOUT_S)
    assert (sorted(result.report.sent), seal.messages) == (["m0", "m1"], 3)
    assert read_export(OperatorFile.at(tmp_path / "rest.jsonl"))[0] == seal
    assert current_holders(fakes) == []
    assert (sorted(fakes.dlq.messages), fakes.dlq.hidden) == (["m2", "m3", "m4"], set())
    assert len(fakes.source.messages) == 2
    [record] = fakes.under("s3-index-worker/audit/").values()
    assert (record["action"], record["by"]) == ("redrive", "me@here")


def test_a_recovery_off_the_main_thread_runs_concurrently_with_an_export(fakes, clients, tmp_path, monkeypatch):
    writing = Pause(monkeypatch, fakes.index, "write")
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    environment = dict(os.environ)
    request = RecoverRequest(run_of("dlq recover"), load_types(), batch_size=2, max_batches=1)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(recover, fakes.settings(), fakes.clients, request, stop=threading.Event())
        assert writing.reached.wait(TIMEOUT_S)
        seal, meanwhile = pool.submit(exported, clients, fakes, tmp_path / "rest.jsonl").result(TIMEOUT_S)
        assert (meanwhile, current_holders(fakes)) == (["dlq export", "dlq recover"], ["dlq recover"])
        assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == handlers
        writing.go_on.set()
        report = first.result(TIMEOUT_S)
    assert (report.as_json()["recovered"], report.failure, seal.messages) == (2, None, 3)
    assert (current_holders(fakes), fakes.dlq.hidden, len(fakes.dlq.messages)) == ([], set(), 3)
    assert dict(os.environ) == environment


def test_two_runs_of_one_command_have_separate_holder_records(fakes, clients):
    with claiming(clients, run_of("dlq list")), claiming(clients, run_of("dlq list")):
        assert current_holders(fakes) == ["dlq list", "dlq list"]
    assert current_holders(fakes) == []


def test_a_stop_ends_one_operation_and_not_the_other(fakes, clients):
    stopped, going = threading.Event(), threading.Event()
    stopped.set()
    with claiming(clients, run_of("dlq list")) as claims:
        assert find(clients, claims, FindRequest(Filter()), stop=stopped).facts == ()
        assert len(find(clients, claims, FindRequest(Filter()), stop=going).facts) == 5


def test_operations_print_nothing(fakes, clients, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("worker.core.base.logs._write", lambda *_, **__: None)
    redriven(clients, fakes.source, "m0")
    exported(clients, fakes, tmp_path / "rest.jsonl")
    recover(
        fakes.settings(), fakes.clients, RecoverRequest(run_of("recover_dlq"), load_types()), stop=threading.Event()
    )
    assert capsys.readouterr() == ("", "")
    assert json.loads((tmp_path / "rest.jsonl").read_text().splitlines()[-1])["by"] == "me@here"
