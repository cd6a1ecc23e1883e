"""The daemon's decisions that need no server: when it may begin, and what a second signal does."""

import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import closing

import pytest

from testing.fakes import Fakes
from testing.memory import DOWN
from worker.core.base.errors import ExitCode, QueueError, StoreError
from worker.core.base.liveness import Liveness
from worker.core.s3.brakes import BRAKES_PREFIX, BrakeRecord, Cause, read_brake
from worker.core.s3.pause import pause_fleet, resume_fleet
from worker.core.s3.state import PAUSE_KEY
from worker.core.sqs import call_health
from worker.core.sqs.in_flight import InFlightMessage
from worker.core.sqs.outcome import Done
from worker.core.sqs.queue import Message, Refusal
from worker.daemon import Daemon


@pytest.fixture
def daemon(fakes: Fakes):
    made = Daemon(fakes.settings(), fakes.clients, dlq_max_bytes=1_048_576)
    with closing(made._components):
        yield made


def test_nothing_is_processed_before_it_is_known_whether_the_fleet_is_paused(daemon, fakes):
    fakes.faults.add("state.get", DOWN, times=1)
    daemon._check_pause()
    assert not daemon._components.gate.is_open
    daemon._check_pause()
    assert daemon._components.gate.is_open
    fakes.faults.add("state.get", DOWN)
    daemon._check_pause()
    assert daemon._components.gate.is_open, "an outage of S3 is the breaker's affair"


def test_a_brake_that_cannot_be_stored_keeps_no_worker_paused(daemon, fakes):
    pause_fleet(fakes.state, reason="r", by="me", lasting_s=None)
    daemon._check_pause()
    assert set(daemon._components.gate.reasons) == {"paused"}
    resume_fleet(fakes.state)
    daemon._components.brake.look = failing
    daemon._check_pause()
    assert daemon._components.gate.is_open
    pause_fleet(fakes.state, reason="r", by="me", lasting_s=None)
    daemon._check_pause()
    assert set(daemon._components.gate.reasons) == {"paused"}


def failing():
    raise StoreError("by the test", code="AccessDenied")


def test_nothing_is_processed_before_it_is_known_whether_the_brake_was_on(daemon, fakes):
    fakes.s3.records[PAUSE_KEY] = b'{"reason": "resumed", "until_ms": 0}'
    get = fakes.state.get
    fakes.state.get = lambda key: failing() if key.startswith(BRAKES_PREFIX) else get(key)
    daemon._check_pause()
    assert set(daemon._components.gate.reasons) == {"brake unknown"}
    fakes.state.get = get
    daemon._check_pause()
    assert daemon._components.gate.is_open


def test_the_end_stores_what_the_brake_has_counted(daemon, fakes):
    daemon._check_pause()
    brake = daemon._components.brake
    brake._change(BrakeRecord(brake._record.worker, of=9, causes={Cause("a", "b", ""): 5}))
    daemon._stop()
    stored = read_brake(fakes.state, brake._record.worker)
    assert stored is not None
    assert (stored.failed, stored.of) == (5, 9)


def test_the_first_signal_during_a_shutdown_of_its_own_does_not_cut_the_drain_short(daemon, monkeypatch):
    exits: list[int] = []
    monkeypatch.setattr(os, "_exit", exits.append)
    daemon._end(ExitCode.INTERNAL)
    daemon._on_signal(signal.SIGTERM, None)
    assert exits == []
    daemon._on_signal(signal.SIGTERM, None)
    assert exits == [ExitCode.INTERNAL]


# -- calls to the queues that keep failing -------------------------------------------------------------------------------


@pytest.fixture
def hurried(monkeypatch):
    monkeypatch.setattr(call_health, "LASTING_S", 0.1)
    monkeypatch.setattr("worker.consumer.FIRST_BACKOFF_S", 0.05)
    monkeypatch.setattr("worker.settlement.BATCH_WAIT_S", 0.0)


def eventually(holds: Callable[[], object]) -> None:
    end = time.monotonic() + 5
    while not holds() and time.monotonic() < end:
        time.sleep(0.01)
    assert holds()


DENIED = [
    ("AccessDenied", "grant this role sqs:ReceiveMessage on source"),
    ("AccessDeniedException", "grant this role sqs:ReceiveMessage on source"),
    ("KmsAccessDenied", "grant this role kms:Decrypt on the key that encrypts source"),
    ("KMS.DisabledException", "grant this role kms:Decrypt on the key that encrypts source"),
    ("AWS.SimpleQueueService.NonExistentQueue", ""),
    ("ServiceUnavailable", ""),
]


@pytest.mark.parametrize(("code", "hint"), DENIED)
def test_a_receive_that_keeps_failing_is_seen_in_health_status_and_metrics(daemon, fakes, hurried, code, hint):
    fakes.faults.add("source.receive", QueueError("by the test", code=code))
    consumer = daemon._components.consumer
    thread = threading.Thread(target=consumer.run_first, args=(Liveness(60),))
    thread.start()
    try:
        eventually(lambda: not daemon._health.answer()[0])
        facts = daemon._health.answer()[1]
        assert facts["status"] == "unhealthy"
        [said] = facts["failing_calls"]
        assert said.startswith("sqs:ReceiveMessage on source has been failing for ")
        assert code in said
        assert hint in said
        assert daemon._health.status_line().startswith(said[:60])
        assert len(daemon._health.failing_calls()) == 1
        fakes.faults.plan.clear()
        eventually(lambda: daemon._health.answer()[0])
        assert daemon._health.status_line().startswith("serving")
    finally:
        consumer.stop()
        thread.join(5)


@pytest.mark.parametrize("call", ["source.delete", "dlq.send"])
@pytest.mark.parametrize("by_entry", [False, True])
def test_a_denied_delete_or_send_is_seen_too(daemon, fakes, hurried, call, by_entry):
    name, _, _ = call.partition(".")
    if by_entry:
        refusal = Refusal("AccessDenied", "by the test", senders_fault=True)
        getattr(fakes, name).refuses = {0: refusal}
    else:
        fakes.faults.add(call, QueueError("by the test", code="AccessDenied"))
    settlement = daemon._components.settlement
    attempt = settlement._delete if call == "source.delete" else None

    def settle() -> None:
        item = InFlightMessage(Message("m", "r", "{}", {}, {}), deadline_s=60, settle=lambda _: None)
        item.outcome = Done()
        if attempt is not None:
            attempt([item])
        else:
            settlement._try_all(settlement._send_calls, fakes.dlq.send, [{"MessageBody": "b", "MessageAttributes": {}}])

    settle()
    assert daemon._health.answer()[0], "once is no state"
    time.sleep(0.15)
    settle()
    well, facts = daemon._health.answer()
    action, queue = ("sqs:DeleteMessage", "source") if attempt else ("sqs:SendMessage", "dlq")
    assert not well
    assert f"{action} on {queue} has been failing" in facts["failing_calls"][0]
    assert f"grant this role {action} on {queue}" in facts["failing_calls"][0]
    fakes.faults.plan.clear()
    getattr(fakes, name).refuses = {}
    settle()
    assert daemon._health.answer()[0]


def test_what_a_queue_refuses_of_one_message_is_no_state(daemon, fakes, hurried):
    settlement = daemon._components.settlement
    fakes.dlq.refuses = {0: Refusal("InvalidMessageContents", "by the test", senders_fault=True)}
    for _ in range(2):
        settlement._try_all(settlement._send_calls, fakes.dlq.send, [{"MessageBody": "b", "MessageAttributes": {}}])
        time.sleep(0.15)
    assert daemon._health.answer()[0]
