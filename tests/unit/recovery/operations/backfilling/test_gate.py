"""The gate of the queue: what others send counts as well, and it is asked no more often than needed."""

import json
import threading
import time
from unittest.mock import Mock

import pytest

from recovery.operations.backfilling import gate
from recovery.operations.backfilling.gate import PauseWatch, QueueGate
from testing.memory import DOWN, SQS_DOWN
from worker.core.base.errors import PausedError, QueueError
from worker.core.s3.state import PAUSE_KEY


@pytest.fixture
def said():
    return Mock()


def made(fakes, said, **options):
    stop = threading.Event()
    watch = PauseWatch(fakes.state, while_paused=False, stop=stop)
    return QueueGate(fakes.source, watch, **{"rate": None, "max_depth": 100, "stop": stop, "say": said, **options})


def asked(fakes):
    return fakes.faults.calls.count("source.attributes")


def test_below_its_depth_the_queue_is_asked_once_in_a_while(fakes, said, monkeypatch):
    one = made(fakes, said)
    for _ in range(10):
        one.wait(10)
    assert asked(fakes) == 1
    monkeypatch.setattr(gate, "ASK_EVERY_S", 0)
    one.wait(10)
    assert asked(fakes) == 2
    said.assert_not_called()


def test_what_it_has_sent_in_the_last_minute_counts_whatever_sqs_says(fakes, said, monkeypatch):
    """SQS says for a minute that the queue is empty."""
    now = 1_000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    stop = Mock()
    stop.is_set.return_value = False

    def pass_time(seconds):
        nonlocal now
        now += seconds

    stop.wait.side_effect = pass_time
    one = made(fakes, said, stop=stop)
    sent_at = []
    for _ in range(33):
        one.wait(10)
        sent_at.append(now)
    deepest = max(sum(10 for at in sent_at if since <= at < since + 60) for since in sent_at)
    assert deepest == 110
    assert 120 <= now - 1_000 <= 130
    assert said.call_args_list[0].args == (
        "0 messages wait in the queue, and 110 were sent in the last minute; sending goes on at 100",
    )


def test_in_the_long_run_as_many_pass_a_minute_as_may_wait():
    assert gate.shortest_s(100, 100) == 0
    assert gate.shortest_s(100 + 110 * 5, 100) == 300


def test_messages_that_are_delayed_wait_as_well(fakes, said, monkeypatch):
    monkeypatch.setattr(gate, "WAIT_S", 0.001)
    fakes.source.also["ApproximateNumberOfMessagesDelayed"] = "101"
    said.side_effect = lambda note: fakes.source.also.clear()
    made(fakes, said).wait(10)
    assert said.call_args_list[0].args == ("101 messages wait in the queue; sending goes on at 100",)


def test_live_events_make_it_wait_until_they_are_done(fakes, said, monkeypatch):
    monkeypatch.setattr(gate, "WAIT_S", 0.001)
    for number in range(101):
        fakes.source.add(f"live-{number}", "{}")
    said.side_effect = lambda note: fakes.source.messages.pop("live-0", None)
    made(fakes, said).wait(10)
    assert [call.args[0] for call in said.call_args_list] == [
        "101 messages wait in the queue; sending goes on at 100", "100 messages wait in the queue; sending goes on",
    ]  # fmt: skip


def test_messages_that_workers_have_received_do_not_wait(fakes, said):
    for number in range(101):
        fakes.source.add(f"live-{number}", "{}")
        fakes.source.hidden.add(f"live-{number}")
    made(fakes, said).wait(10)
    said.assert_not_called()


def test_a_queue_that_does_not_answer_ends_it(fakes, said):
    fakes.faults.add("source.attributes", SQS_DOWN)
    with pytest.raises(QueueError):
        made(fakes, said).wait(10)


def test_whether_the_fleet_is_paused_is_asked_once_in_a_while_and_again_if_the_store_fails_for_the_moment(fakes):
    fakes.faults.add("state.get", DOWN, times=1)
    watch = PauseWatch(fakes.state, while_paused=False, stop=threading.Event())
    for _ in range(10):
        watch.check()
    fakes.s3.records[PAUSE_KEY] = json.dumps({"by": "ann", "reason": "upgrade"}).encode()
    watch.check()
    with pytest.raises(PausedError):
        PauseWatch(fakes.state, while_paused=False, stop=threading.Event()).check()
    PauseWatch(fakes.state, while_paused=True, stop=threading.Event()).check()
