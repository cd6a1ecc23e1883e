"""Messages in hand stay invisible, are given up at their deadline, and a late beat overwrites no release."""

import threading
import time

from worker.core.base.errors import QueueError
from worker.core.sqs.in_flight import InFlightMessage
from worker.core.sqs.outcome import Done, Release
from worker.core.sqs.queue import Message, Refusal
from worker.core.sqs.visibility import VisibilityExtender
from worker.supervisor import Liveness

VISIBILITY_S = 0.3


class FakeQueue:
    def __init__(self, answer=None):
        self.hidden, self.answer, self.gate = [], answer, None

    def change_visibility(self, entries):
        if self.gate is not None:
            self.gate.wait(5)
        self.hidden.append([receipt for receipt, _ in entries])
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer or {}


def in_flight(number, *, deadline_s=60.0):
    name = f"m{number}"
    return InFlightMessage(
        Message(name, name, "b", {}, {}), deadline_s=deadline_s, visibility_s=VISIBILITY_S, settle=lambda _: None
    )


def beat(queue, items, seconds, *, give_up=lambda _: None, stuck=lambda _: None):
    extender = VisibilityExtender(queue, visibility_s=VISIBILITY_S, give_up=give_up, stuck=stuck)
    extender.hold(items)
    thread = threading.Thread(target=extender.run, args=(Liveness(60),))
    thread.start()
    time.sleep(seconds)
    extender.stop()
    thread.join()
    return extender


def test_each_message_is_extended_before_its_visibility_ends_ten_a_call():
    queue = FakeQueue()
    items = [in_flight(number) for number in range(12)]
    beat(queue, items, 0.5)
    assert {len(call) for call in queue.hidden} == {10, 2}
    assert all(item.hidden_until > time.monotonic() - VISIBILITY_S / 3 for item in items)


def test_a_message_whose_receipt_is_no_longer_valid_is_let_go():
    queue = FakeQueue({0: Refusal("ReceiptHandleIsInvalid", "", senders_fault=True)})
    extender = beat(queue, [in_flight(0)], 0.3)
    assert len(extender) == 0
    assert len(queue.hidden) == 1


def test_a_refused_call_is_made_again():
    queue = FakeQueue(QueueError("away", code="ServiceUnavailable"))
    extender = beat(queue, [in_flight(0)], 0.4)
    assert len(queue.hidden) >= 2
    assert len(extender) == 1


def test_at_its_deadline_a_waiting_message_is_given_up_and_a_started_one_is_stuck():
    waiting, working, stuck = in_flight(0, deadline_s=0.1), in_flight(1, deadline_s=0.1), []
    assert working.start()
    held_back = Release(60, "held back")
    give_up = lambda item: item.release(held_back)  # noqa: E731
    extender = beat(FakeQueue(), [waiting, working], 0.4, give_up=give_up, stuck=stuck.append)
    assert (waiting.outcome, stuck) == (held_back, [working])
    assert len(extender) == 1  # the stuck one is held no more; the other until its release


def test_a_message_that_waits_for_its_settlement_is_not_stuck():
    item, stuck = in_flight(0, deadline_s=0.1), []
    assert item.start()
    item.release(Done())
    beat(FakeQueue(), [item], 0.4, stuck=stuck.append)
    assert stuck == []


def test_a_release_waits_for_an_extension_under_way():
    queue, item = FakeQueue(), in_flight(0)
    queue.gate = threading.Event()
    extender = VisibilityExtender(queue, visibility_s=VISIBILITY_S, give_up=lambda _: None, stuck=lambda _: None)
    extender.hold([item])
    thread = threading.Thread(target=extender.run, args=(Liveness(60),))
    thread.start()
    time.sleep(0.25)  # by now an extension hangs in the gate
    released = threading.Event()
    waiter = threading.Thread(target=lambda: (extender.forget_before_release(item), released.set()))
    waiter.start()
    assert not released.wait(0.2)
    queue.gate.set()
    assert released.wait(2)
    extender.stop()
    thread.join()
    waiter.join()
