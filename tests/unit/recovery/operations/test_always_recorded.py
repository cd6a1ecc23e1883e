"""Whatever ends an operation after its first change, the audit has a record of it."""

import json
import threading

import pytest

from recovery.operations import native_move
from recovery.operations.abandon import AbandonRequest, ArchivedAs, abandon
from recovery.operations.clients import DlqClients
from recovery.operations.dead_letters.facts import Filter
from recovery.operations.dead_letters.message_types import load_types
from recovery.operations.export import ExportRequest, export
from recovery.operations.find import FindRequest, claiming, find
from recovery.operations.import_file import ImportRequest, import_messages, plan_import
from recovery.operations.native_move import MoveRequest, move_everything, plan_move
from recovery.operations.purge import PurgeRequest, purge
from recovery.operations.records.operator_file import OperatorFile
from recovery.operations.redrive import RedriveRequest, plan_redrive, redrive
from recovery.operations.restore import RestoreRequest, plan_restore, restore
from recovery.operations.transfer.targets import dlq_target, redrive_target
from testing.memory import BUCKET, SQS_DOWN
from worker.core.audit import AUDIT_PREFIX, Run
from worker.core.base.errors import QueueError

WHICH = FindRequest(Filter())


def run_of(action):
    return Run.new(f"dlq {action}", action=action, by="me@here")


@pytest.fixture
def clients(fakes):
    for number in range(3):
        fakes.dead_letter(f"m{number}", f"{number}.txt", failure={"error_type": "OSError"})
    return DlqClients(fakes.dlq, fakes.s3, fakes.state, load_types(default_bucket=BUCKET))


def audited(fakes, action):
    """The one record of this action."""
    [record] = [record for record in fakes.under(AUDIT_PREFIX).values() if record["action"] == action]
    return record


def gone(_):
    raise BrokenPipeError


def do_redrive(fakes, clients, claims, found, _):
    plan = plan_redrive(found, redrive_target(clients, fakes.source, is_named=False))
    redrive(clients, claims, RedriveRequest(run_of("redrive"), WHICH), plan, stop=threading.Event(), on_progress=gone)


def do_abandon(fakes, clients, claims, found, _):
    request = AbandonRequest(run_of("abandon"), WHICH, "of no use", ArchivedAs.ABANDONED)
    abandon(clients, fakes.state, claims, request, found, stop=threading.Event(), on_progress=gone)


def do_purge(fakes, clients, claims, found, folder):
    request = PurgeRequest(run_of("purge"), OperatorFile.at(folder / "all.jsonl"))
    purge(clients, claims, request, found, stop=threading.Event(), on_progress=gone)


def do_import(fakes, clients, claims, found, folder):
    export(clients, ExportRequest(run_of("export"), OperatorFile.at(folder / "all.jsonl")), found)
    request = ImportRequest(run_of("import"), OperatorFile.at(folder / "all.jsonl"))
    import_messages(
        clients, request, plan_import(request, dlq_target(clients)), stop=threading.Event(), on_progress=gone
    )


def do_restore(fakes, clients, claims, found, _):
    before = AbandonRequest(run_of("abandon"), WHICH, "of no use", ArchivedAs.ABANDONED)
    abandon(clients, fakes.state, claims, before, found, stop=threading.Event())
    request = RestoreRequest(run_of("restore"), archived_by=before.run.name)
    plan = plan_restore(fakes.state, request, dlq_target(clients))
    restore(clients, fakes.state, request, plan, stop=threading.Event(), on_progress=gone)


@pytest.mark.parametrize("do", [do_redrive, do_abandon, do_purge, do_import, do_restore])
def test_a_progress_callback_that_raises_does_not_prevent_the_record(fakes, clients, tmp_path, do):
    with claiming(clients, run_of("find")) as claims:
        found = find(clients, claims, WHICH, stop=threading.Event())
        with pytest.raises(BrokenPipeError):
            do(fakes, clients, claims, found, tmp_path)
    action = do.__name__.removeprefix("do_")
    assert len(audited(fakes, action)["ids"]) == 3
    assert not fakes.dlq.hidden


# -- a move by SQS itself ------------------------------------------------------------------------------------------


@pytest.fixture
def moving(fakes, clients, monkeypatch):
    """Start a move whose status SQS gives as `answers` say; returns a function that runs it."""
    monkeypatch.setattr(native_move, "POLL_INTERVAL_S", 0.01)
    monkeypatch.setattr(fakes.source, "attributes", lambda: {"QueueArn": "arn:source"})

    def move(*answers, stop=None, on_progress=lambda _: None):
        left = list(answers)

        def status():
            answer = left.pop(0) if len(left) > 1 else left[0]
            if isinstance(answer, Exception):
                raise answer
            return answer

        monkeypatch.setattr(fakes.dlq, "move", status)
        with claiming(clients, run_of("find")) as claims:
            found = find(clients, claims, WHICH, stop=threading.Event())
        plan = plan_move(clients, found, redrive_target(clients, fakes.source, is_named=False))
        request = MoveRequest(run_of("redrive"))
        return move_everything(clients, request, plan, stop=stop or threading.Event(), on_progress=on_progress)

    return move


RUNNING = {"Status": "RUNNING", "ApproximateNumberOfMessagesMoved": 1}
DENIED = QueueError("not allowed", code="AccessDenied")


@pytest.mark.parametrize("error", [SQS_DOWN, DENIED])
def test_a_move_whose_status_cannot_be_read_is_cancelled_and_recorded(fakes, moving, error):
    with pytest.raises(QueueError):
        moving(RUNNING, error)
    assert "dlq.cancel_move" in fakes.faults.calls
    assert audited(fakes, "redrive")["result"] == {"status": "RUNNING", "moved": 1, "reason": None}


def test_a_move_that_is_stopped_while_its_status_cannot_be_read_is_cancelled_and_ends_without_an_error(fakes, moving):
    stop = threading.Event()
    result = moving(RUNNING, SQS_DOWN, stop=stop, on_progress=lambda _: stop.set())
    assert "dlq.cancel_move" in fakes.faults.calls
    assert (result.status, result.moved, result.is_complete) == ("RUNNING", 1, False)
    assert json.dumps(audited(fakes, "redrive")["result"])


def test_a_move_is_cancelled_and_recorded_if_its_progress_cannot_be_shown(fakes, moving):
    with pytest.raises(BrokenPipeError):
        moving(RUNNING, on_progress=gone)
    assert "dlq.cancel_move" in fakes.faults.calls
    assert audited(fakes, "redrive")["result"]["moved"] == 1


def test_a_move_that_cannot_be_cancelled_says_why(fakes, moving):
    fakes.faults.add("dlq.cancel_move", DENIED)
    stop = threading.Event()
    result = moving(RUNNING, stop=stop, on_progress=lambda _: stop.set())
    assert "not allowed" in result.not_cancelled
