"""Settling: hand off first, delete only what was confirmed, and what happens when each of them refuses."""

import json

import pytest

from worker.core.base.errors import QueueError, StoreError
from worker.core.base.logs import observe
from worker.core.sqs.in_flight import InFlightMessage, InFlightMessages
from worker.core.sqs.outcome import Done, Failed, Release
from worker.core.sqs.queue import Message, Refusal
from worker.core.sqs.visibility import VisibilityExtender
from worker.settlement import Settlement
from worker.supervisor import Liveness

DOWN = QueueError("down", code="ServiceUnavailable")


class FakeQueue:
    """Answers as told; keeps what it was asked."""

    url = "http://sqs/source"

    def __init__(self, refuse=None, error=None):
        self.refuse, self.error = refuse or {}, error
        self.deleted, self.sent, self.hidden = [], [], []

    def _answer(self, kept, entries):
        if self.error:
            raise self.error
        kept.extend(entry for at, entry in enumerate(entries) if at not in self.refuse)
        return dict(self.refuse)

    def delete(self, receipts):
        return self._answer(self.deleted, receipts)

    def send(self, entries):
        return self._answer(self.sent, entries)

    def change_visibility(self, entries):
        return self._answer(self.hidden, entries)


class FakeState:
    def __init__(self, error=None):
        self.error, self.put_keys = error, {}

    def put(self, key, record):
        if self.error:
            raise self.error
        self.put_keys[key] = record


@pytest.fixture
def events():
    seen = []
    end = observe(lambda event, fields: seen.append((event, dict(fields))))
    yield seen
    end()


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch):
    monkeypatch.setattr("worker.core.base.retry.FIRST_WAIT_S", 0.001)


def settle(outcome, *, source=None, dlq=None, state=None, body="body"):
    """Settle one message through the real loops; what each side holds afterwards."""
    source, dlq, state = source or FakeQueue(), dlq or FakeQueue(), state or FakeState()
    in_flight = InFlightMessages(
        VisibilityExtender(source, visibility_s=600), give_up=lambda _: None, stuck=lambda _: None
    )
    settlement = Settlement(
        source=source, dlq=dlq, state=state, in_flight=in_flight, worker="w", dlq_max_bytes=1_048_576
    )
    item = InFlightMessage(
        Message("m1", "r1", body, {"SentTimestamp": "0"}, {}), deadline_s=60, settle=settlement.settle
    )
    in_flight.add([item])
    item.release(outcome)
    loops = dict(settlement.loops())
    settlement.stop()
    for name in ("settle-dlq", "settle-delete-1", "settle-release"):
        loops[name](Liveness(60))
    return source, dlq, state, len(in_flight)


def test_a_message_that_is_done_is_deleted():
    source, dlq, _, held = settle(Done("indexed"))
    assert (source.deleted, dlq.sent, held) == (["r1"], [], 0)


def test_a_failed_message_is_handed_off_and_then_deleted():
    source, dlq, state, held = settle(Failed(ValueError("bad")))
    assert [entry["MessageBody"] for entry in dlq.sent] == ["body"]
    assert (source.deleted, state.put_keys, held) == (["r1"], {}, 0)


@pytest.mark.parametrize("dlq", [FakeQueue(error=DOWN), FakeQueue(refuse={0: Refusal("InternalError", "", False)})])
def test_what_the_dlq_refuses_is_spilled_and_then_deleted(dlq):
    source, _, state, _ = settle(Failed(ValueError("bad")), dlq=dlq)
    assert list(state.put_keys) == ["dead-letters/1970-01-01/m1.json"]
    assert json.loads(state.put_keys["dead-letters/1970-01-01/m1.json"])["body"] == "body"
    assert source.deleted == ["r1"]


def test_what_leaves_no_room_for_its_record_is_spilled():
    _, dlq, state, _ = settle(Failed(ValueError("bad")), body="x" * 1_048_576)
    assert dlq.sent == []
    assert len(state.put_keys) == 1


def test_a_message_is_kept_when_the_dlq_and_the_spill_both_refuse(events):
    broken = FakeState(StoreError("down", code="AccessDenied"))
    source, _, _, held = settle(Failed(ValueError("bad")), dlq=FakeQueue(error=DOWN), state=broken)
    assert source.deleted == []
    assert held == 0
    assert [event for event, _ in events if event == "dlq.unreachable"]


def test_a_delete_that_fails_is_tried_again_and_then_told(events):
    settle(Done("indexed"), source=FakeQueue(refuse={0: Refusal("ReceiptHandleIsInvalid", "", True)}))
    assert [fields["code"] for event, fields in events if event == "message.delete_failed"] == [
        "ReceiptHandleIsInvalid"
    ]


def test_a_released_message_is_visible_after_its_delay_and_not_deleted():
    source, _, _, held = settle(Release(60, "outage"))
    assert (source.hidden, source.deleted, held) == ([("r1", 60)], [], 0)
