"""What is received stays invisible until it is forgotten or released; an extension that comes late overwrites no release."""

import threading
import time

import pytest

from testing.memory import SQS_DOWN, Faults, MemoryQueue
from worker.core.base.errors import QueueError
from worker.core.sqs.queue import Message, Refusal
from worker.core.sqs.visibility import VisibilityExtender

VISIBILITY_S = 0.3


class FakeQueue(MemoryQueue):
    """Notes each change of visibility as (receipts, seconds)."""

    def __init__(self, answer=None):
        super().__init__(Faults(), "source")
        self.changes: list[tuple[list[str], int]] = []
        self.answer, self.entered = answer, threading.Event()
        self.gate: threading.Event | None = None

    def change_visibility(self, receipts):
        self.entered.set()
        if self.gate is not None:
            self.gate.wait(5)
        self.changes.append(([receipt for receipt, _ in receipts], receipts[0][1]))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer or {}


def message(number):
    return Message(f"m{number}", f"r{number}", "b", {}, {})


def kept_for(queue, messages, seconds):
    """What is kept after so many seconds of running, and the changes until then."""
    extender = VisibilityExtender(queue, visibility_s=VISIBILITY_S)
    with extender.running():
        extender.keep(messages)
        time.sleep(seconds)
        kept, changes = len(extender), list(queue.changes)
    return kept, changes


def test_each_message_is_extended_before_its_visibility_ends_ten_a_call():
    kept, changes = kept_for(FakeQueue(), [message(number) for number in range(12)], 0.5)
    assert kept == 12
    assert {len(receipts) for receipts, _ in changes} == {10, 2}
    assert len(changes) >= 4, "within 0.5 s each is extended at least twice"


@pytest.mark.parametrize("code", ["ReceiptHandleIsInvalid", "InvalidParameterValue", "MessageNotInflight"])
def test_a_receipt_handle_that_sqs_no_longer_knows_is_forgotten_after_one_refusal(code):
    kept, changes = kept_for(FakeQueue({0: Refusal(code, "", senders_fault=True)}), [message(0)], 0.5)
    assert (kept, len(changes)) == (0, 1)


def test_the_lost_receipt_handles_are_returned():
    extender = VisibilityExtender(
        FakeQueue({1: Refusal("ReceiptHandleIsInvalid", "", senders_fault=True)}), visibility_s=60
    )
    extender.keep([message(0), message(1)], received_at=time.monotonic() - 60)
    assert extender.extend_due() == ["r1"]
    assert len(extender) == 1


@pytest.mark.parametrize(
    "answer",
    [QueueError("no", code="ServiceUnavailable"), {0: Refusal("InternalError", "", senders_fault=False)}],
)
def test_a_transient_refusal_is_tried_again_and_the_message_stays(answer):
    kept, changes = kept_for(FakeQueue(answer), [message(0)], 0.4)
    assert kept == 1
    assert len(changes) >= 2


def test_nothing_is_extended_before_a_third_of_its_visibility_is_used_up():
    queue = FakeQueue()
    extender = VisibilityExtender(queue, visibility_s=60)
    extender.keep([message(0)], received_at=time.monotonic() - 19)
    extender.extend_due()
    assert queue.changes == []
    extender.keep([message(0)], received_at=time.monotonic() - 21)
    extender.extend_due()
    assert queue.changes == [(["r0"], 60)]


def test_what_is_still_kept_at_the_end_is_released_however_the_end_comes():
    queue = FakeQueue()
    extender = VisibilityExtender(queue, visibility_s=60)

    def fails_in_the_middle():
        with extender.running():
            extender.keep([message(number) for number in range(12)])
            extender.forget([message(0)])
            raise KeyError

    with pytest.raises(KeyError):
        fails_in_the_middle()
    assert [(len(receipts), seconds) for receipts, seconds in queue.changes] == [(10, 0), (1, 0)]
    assert len(extender) == 0


def test_all_but_some_are_released():
    queue = FakeQueue()
    extender = VisibilityExtender(queue, visibility_s=60)
    extender.keep([message(number) for number in range(3)])
    extender.release_all_but([message(1)])
    assert queue.changes == [(["r0", "r2"], 0)]
    assert len(extender) == 1


def test_a_queue_that_does_not_answer_is_not_asked_for_each_message_that_is_released():
    queue = MemoryQueue(faults := Faults(), "dlq")
    faults.add("dlq.hide", SQS_DOWN)
    extender = VisibilityExtender(queue, visibility_s=60)
    extender.keep([message(number) for number in range(1_000)])
    extender.release_all_but(())
    assert len(faults.calls) <= 3, "the attempts for one batch"
    assert len(extender) == 0


def test_a_message_that_came_from_no_queue_is_ignored():
    queue = FakeQueue()
    extender = VisibilityExtender(queue, visibility_s=60)
    extender.keep([Message("stored", "", "b", {}, {})])
    extender.release([Message("stored", "", "b", {}, {})])
    assert (len(extender), queue.changes) == (0, [])


def test_a_release_waits_for_an_extension_under_way():
    queue = FakeQueue()
    queue.gate = threading.Event()
    extender = VisibilityExtender(queue, visibility_s=60)
    extender.keep([message(0)], received_at=time.monotonic() - 60)
    extending = threading.Thread(target=extender.extend_due)
    extending.start()
    assert queue.entered.wait(5)
    releasing = threading.Thread(target=extender.release, args=([message(0)],))
    releasing.start()
    releasing.join(0.2)
    assert releasing.is_alive(), "the release waits"
    queue.gate.set()
    extending.join(5)
    releasing.join(5)
    assert [seconds for _, seconds in queue.changes] == [60, 0]
