"""Messages in hand stay invisible, are given up at their deadline, and a late beat overwrites no release."""

import threading
import time

from worker.core.errors import QueueError
from worker.core.queue import Message, Refusal
from worker.crew import Pulse
from worker.heartbeat import Heartbeat
from worker.inhand import InHand
from worker.outcome import Done, Release

VISIBILITY_S = 0.3


class FakeQueue:
    def __init__(self, answer=None):
        self.hidden, self.answer, self.gate = [], answer, None

    def hide(self, entries):
        if self.gate is not None:
            self.gate.wait(5)
        self.hidden.append([receipt for receipt, _ in entries])
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer or {}


def in_hand(number, *, deadline_s=60.0):
    name = f"m{number}"
    return InHand(
        Message(name, name, "b", {}, {}), deadline_s=deadline_s, visibility_s=VISIBILITY_S, settle=lambda _: None
    )


def beat(queue, items, seconds, *, give_up=lambda _: None, stuck=lambda _: None):
    heartbeat = Heartbeat(queue, visibility_s=VISIBILITY_S, give_up=give_up, stuck=stuck)
    heartbeat.hold(items)
    thread = threading.Thread(target=heartbeat.run, args=(Pulse(60),))
    thread.start()
    time.sleep(seconds)
    heartbeat.stop()
    thread.join()
    return heartbeat


def test_each_message_is_extended_before_its_visibility_ends_ten_a_call():
    queue = FakeQueue()
    items = [in_hand(number) for number in range(12)]
    beat(queue, items, 0.5)
    assert {len(call) for call in queue.hidden} == {10, 2}
    assert all(item.hidden_until > time.monotonic() - VISIBILITY_S / 3 for item in items)


def test_a_message_whose_receipt_is_no_longer_valid_is_let_go():
    queue = FakeQueue({0: Refusal("ReceiptHandleIsInvalid", "", senders_fault=True)})
    heartbeat = beat(queue, [in_hand(0)], 0.3)
    assert len(heartbeat) == 0
    assert len(queue.hidden) == 1


def test_a_refused_call_is_made_again():
    queue = FakeQueue(QueueError("away", code="ServiceUnavailable"))
    heartbeat = beat(queue, [in_hand(0)], 0.4)
    assert len(queue.hidden) >= 2
    assert len(heartbeat) == 1


def test_at_its_deadline_a_waiting_message_is_given_up_and_a_started_one_is_stuck():
    waiting, working, stuck = in_hand(0, deadline_s=0.1), in_hand(1, deadline_s=0.1), []
    assert working.start()
    held_back = Release(60, "held back")
    give_up = lambda item: item.finish(held_back)  # noqa: E731
    heartbeat = beat(FakeQueue(), [waiting, working], 0.4, give_up=give_up, stuck=stuck.append)
    assert (waiting.outcome, stuck) == (held_back, [working])
    assert len(heartbeat) == 1  # the stuck one is held no more; the other until its release


def test_a_message_that_waits_for_its_settlement_is_not_stuck():
    item, stuck = in_hand(0, deadline_s=0.1), []
    assert item.start()
    item.finish(Done())
    beat(FakeQueue(), [item], 0.4, stuck=stuck.append)
    assert stuck == []


def test_a_release_waits_for_an_extension_under_way():
    queue, item = FakeQueue(), in_hand(0)
    queue.gate = threading.Event()
    heartbeat = Heartbeat(queue, visibility_s=VISIBILITY_S, give_up=lambda _: None, stuck=lambda _: None)
    heartbeat.hold([item])
    thread = threading.Thread(target=heartbeat.run, args=(Pulse(60),))
    thread.start()
    time.sleep(0.25)  # by now an extension hangs in the gate
    released = threading.Event()
    waiter = threading.Thread(target=lambda: (heartbeat.forget_before_release(item), released.set()))
    waiter.start()
    assert not released.wait(0.2)
    queue.gate.set()
    assert released.wait(2)
    heartbeat.stop()
    thread.join()
    waiter.join()
