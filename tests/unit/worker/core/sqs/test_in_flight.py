"""Shares, outcomes, the gate and the byte budget."""

import threading
import time

import pytest

from worker.byte_budget import ByteBudget
from worker.core.sqs.in_flight import InFlightMessage
from worker.core.sqs.outcome import Done, Failed, Release, worst
from worker.core.sqs.queue import Message
from worker.pause_gate import PauseGate

FAILED = Failed(ValueError("x"))
RELEASE = Release(60, "outage")


def item(settled):
    return InFlightMessage(Message("m", "r", "{}", {}, {}), deadline_s=60, visibility_s=60, settle=settled.append)


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        (Done("indexed"), FAILED, FAILED),
        (FAILED, Done("indexed"), FAILED),
        (FAILED, RELEASE, RELEASE),
        (RELEASE, FAILED, RELEASE),
        (Done(), Done("removed"), Done("removed")),
        (Done("indexed"), Done("removed"), Done("indexed")),
    ],
)
def test_the_worst_outcome_counts(a, b, expected):
    assert worst(a, b) == expected


def test_a_message_is_settled_when_its_last_share_comes_back_and_not_before():
    settled = []
    held = item(settled)
    held.retain()
    held.retain()
    held.release(Done())
    held.release(Done("indexed"))
    assert settled == []
    held.release(FAILED)
    assert settled == [held]
    assert held.outcome == FAILED


def test_a_message_is_claimed_once():
    held = item([])
    assert held.start()
    assert not held.start()


def test_the_budget_waits_for_room_and_counts_the_oversize_as_the_whole():
    budget, stop = ByteBudget(100), threading.Event()
    assert budget.take(1_000, stop) == 100
    waited = []
    thread = threading.Thread(target=lambda: waited.append(budget.take(10, stop)))
    thread.start()
    time.sleep(0.05)
    assert waited == []
    budget.give_back(100)
    thread.join(2)
    assert waited == [10]


def test_a_wait_for_memory_ends_with_the_worker():
    budget, stop = ByteBudget(10), threading.Event()
    budget.take(10, stop)
    stop.set()
    with pytest.raises(InterruptedError):
        budget.take(1, stop)


def test_the_gate_opens_when_its_last_reason_is_gone():
    gate, stop = PauseGate(), threading.Event()
    gate.shut("paused", "upgrade")
    gate.shut("s3", "away")
    assert not gate.wait_open(time.monotonic() + 0.01, stop)
    gate.clear("paused")
    assert gate.reasons == {"s3": "away"}
    threading.Timer(0.05, gate.clear, ["s3"]).start()
    assert gate.wait_open(time.monotonic() + 5, stop)
