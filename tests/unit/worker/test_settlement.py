"""Settling: hand off first, delete only what was confirmed, and what happens when each of them refuses."""

import json
from datetime import UTC, datetime

import pytest

from testing.fakes import Fakes
from worker import batches
from worker.core.base.errors import QueueError, StoreError
from worker.core.base.liveness import Liveness
from worker.core.base.logs import observe
from worker.core.sqs.failure_record import FailureRecord
from worker.core.sqs.in_flight import InFlightMessage, InFlightMessages
from worker.core.sqs.outcome import Done, Failed, Release
from worker.core.sqs.queue import Message, Refusal
from worker.core.sqs.visibility import VisibilityExtender
from worker.settlement import Settlement

DOWN = QueueError("down", code="ServiceUnavailable")


@pytest.fixture
def events():
    seen = []
    end = observe(lambda event, fields: seen.append((event, dict(fields))))
    yield seen
    end()


@pytest.fixture(autouse=True)
def _hurried(monkeypatch):
    monkeypatch.setattr(batches, "IDLE_TURN_S", 0.01)


def settle(outcome, fakes=None, *, body="body"):
    """Settle one message through the real loops; the fakes, and how many messages are in flight afterwards."""
    fakes = fakes or Fakes()
    message = Message("m1", "r-m1", body, {"SentTimestamp": "0"}, {})
    fakes.source.messages["m1"] = message
    in_flight = InFlightMessages(
        VisibilityExtender(fakes.source, visibility_s=600),
        stuck_after_s=60,
        give_up=lambda _: None,
        stuck=lambda _: None,
    )
    settlement = Settlement(
        source=fakes.source, dlq=fakes.dlq, state=fakes.state, in_flight=in_flight, worker="w", dlq_max_bytes=1_048_576
    )
    item = InFlightMessage(message, deadline_s=60, settle=settlement.settle)
    in_flight.add([item])
    item.release(outcome)
    loops = dict(settlement.loops())
    settlement.stop()
    for name in ("settle-dlq", "settle-delete-1", "settle-release"):
        loops[name](Liveness(60))
    return fakes, len(in_flight)


def test_a_message_that_is_done_is_deleted():
    fakes, in_flight = settle(Done("indexed"))
    assert (fakes.source.messages, fakes.dlq.messages, in_flight) == ({}, {}, 0)


def test_a_failed_message_is_handed_off_and_then_deleted():
    fakes, in_flight = settle(Failed(ValueError("bad")))
    assert [message.body for message in fakes.dlq.messages.values()] == ["body"]
    assert (fakes.source.messages, fakes.s3.records, in_flight) == ({}, {}, 0)
    assert fakes.faults.calls.index("dlq.send") < fakes.faults.calls.index("source.delete")


def test_a_hand_off_that_cannot_be_built_releases_its_message(monkeypatch, events):
    def fails(*_args, **_more):
        raise MemoryError

    monkeypatch.setattr(FailureRecord, "of_error", fails)
    fakes, in_flight = settle(Failed(ValueError("bad")))
    assert (list(fakes.source.messages), fakes.dlq.messages, in_flight) == (["m1"], {}, 0)
    [(receipt, delay_s)] = fakes.source.changed
    assert (receipt, delay_s >= 60) == ("r-m1", True)


@pytest.mark.parametrize(("error", "refused"), [(DOWN, {}), (None, {0: Refusal("InternalError", "", False)})])
def test_what_the_dlq_refuses_is_spilled_and_then_deleted(error, refused):
    fakes = Fakes()
    fakes.dlq.refuses = refused
    if error:
        fakes.faults.add("dlq.send", error)
    settle(Failed(ValueError("bad")), fakes)
    [(key, record)] = fakes.s3.records.items()
    assert key == f"dead-letters/{datetime.now(UTC):%Y-%m-%d}/m1.json"
    assert json.loads(record)["body"] == "body"
    assert fakes.source.messages == {}


def test_what_leaves_no_room_for_its_record_is_spilled():
    fakes, _ = settle(Failed(ValueError("bad")), body="x" * 1_048_576)
    assert fakes.dlq.messages == {}
    assert len(fakes.s3.records) == 1


def test_a_message_is_kept_when_the_dlq_and_the_spill_both_refuse(events):
    fakes = Fakes()
    fakes.faults.add("dlq.send", DOWN)
    fakes.faults.add("state.claim", StoreError("down", code="AccessDenied"))
    _, in_flight = settle(Failed(ValueError("bad")), fakes)
    assert list(fakes.source.messages) == ["m1"]
    assert in_flight == 0
    assert [event for event, _ in events if event == "dlq.unreachable"]


def test_a_delete_that_fails_is_tried_again_and_then_logged(events):
    fakes = Fakes()
    fakes.source.refuses = {0: Refusal("ReceiptHandleIsInvalid", "", True)}
    settle(Done("indexed"), fakes)
    assert [fields["code"] for event, fields in events if event == "message.delete_failed"] == [
        "ReceiptHandleIsInvalid"
    ]


def test_a_released_message_is_visible_after_its_delay_and_not_deleted():
    fakes, in_flight = settle(Release(60, "outage"))
    assert (fakes.source.changed, list(fakes.source.messages), in_flight) == ([("r-m1", 60)], ["m1"], 0)
