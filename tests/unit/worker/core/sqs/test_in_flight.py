"""Messages in flight: outcomes, holders, deadlines."""

import threading
import time

import pytest

from testing.memory import Faults, MemoryQueue
from worker.core.base.liveness import Liveness
from worker.core.sqs.in_flight import InFlightMessage, InFlightMessages
from worker.core.sqs.outcome import Done, Failed, Release, worst
from worker.core.sqs.queue import Message, Refusal
from worker.core.sqs.visibility import VisibilityExtender

FAILED = Failed(ValueError("x"))
RELEASE = Release(60, "outage")


def item(settled):
    return InFlightMessage(Message("m", "r", "{}", {}, {}), deadline_s=60, settle=settled.append)


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


def test_a_message_is_settled_by_its_last_release_and_not_before():
    settled: list[InFlightMessage] = []
    message = item(settled)
    message.retain()
    message.retain()
    message.release(Done())
    message.release(Done("indexed"))
    assert settled == []
    message.release(FAILED)
    assert settled == [message]
    assert message.outcome == FAILED


def test_a_message_is_claimed_once():
    message = item([])
    assert message.start()
    assert not message.start()


def a_queue(refuses=None):
    return MemoryQueue(Faults(), "source", refuses)


def in_flight(number, *, deadline_s=60.0):
    message = Message(f"m{number}", f"r{number}", "b", {}, {})
    return InFlightMessage(message, deadline_s=deadline_s, settle=lambda _: None)


def all_of(queue, items, *, give_up=lambda _: None, stuck=lambda _: None, stuck_after_s=60.0):
    extender = VisibilityExtender(queue, visibility_s=0.3)
    made = InFlightMessages(extender, stuck_after_s=stuck_after_s, give_up=give_up, stuck=stuck)
    made.add(items)
    return made


def run_for(made, seconds):
    thread = threading.Thread(target=made.run, args=(Liveness(60),))
    thread.start()
    time.sleep(seconds)
    made.stop()
    thread.join()


def test_at_its_deadline_what_nobody_works_on_is_given_up_and_all_else_goes_on():
    waiting, working, between_steps = (in_flight(number, deadline_s=0.1) for number in range(3))
    stuck: list[InFlightMessage] = []
    assert working.start()
    assert between_steps.start()
    made = all_of(
        a_queue(), [waiting, working, between_steps], give_up=lambda item: item.release(RELEASE), stuck=stuck.append
    )
    with working.working():
        run_for(made, 0.4)
    assert (waiting.outcome, working.outcome, between_steps.outcome, stuck) == (RELEASE, None, None, [])


def test_a_step_without_progress_for_too_long_is_stuck_and_its_message_let_go():
    working, waiting, progressing = (in_flight(number) for number in range(3))
    stuck: list[InFlightMessage] = []
    made = all_of(a_queue(), [working, waiting, progressing], stuck=stuck.append, stuck_after_s=0.3)
    thread = threading.Thread(target=run_for, args=(made, 0.9))
    with working.working(), waiting.working(), waiting.waiting(), progressing.working():
        thread.start()
        while thread.is_alive():
            with progressing.waiting():
                time.sleep(0.01)
    assert set(stuck) == {working}
    assert len(made) == 2


def test_a_step_within_a_step_ends_without_ending_the_outer_one():
    item = in_flight(0)
    with item.working():
        with item.working():
            pass
        time.sleep(0.02)
        assert item.is_stuck(0.01)
    assert not item.is_stuck(0.01)


def test_a_message_that_waits_for_its_settlement_is_not_stuck():
    item = in_flight(0, deadline_s=0.1)
    stuck: list[InFlightMessage] = []
    assert item.start()
    with item.working():
        pass
    item.release(Done())
    run_for(all_of(a_queue(), [item], stuck=stuck.append, stuck_after_s=0.0), 0.4)
    assert stuck == []


def test_a_message_whose_receipt_handle_is_lost_is_no_longer_in_flight():
    made = all_of(a_queue({0: Refusal("ReceiptHandleIsInvalid", "", senders_fault=True)}), [in_flight(0)])
    run_for(made, 0.4)
    assert len(made) == 0


def test_a_release_makes_each_visible_after_its_delay_and_counts_it_no_more():
    queue, items = a_queue(), [in_flight(0), in_flight(1)]
    made = all_of(queue, items)
    made.release([(items[0], 0), (items[1], 60)], stop=threading.Event())
    assert (queue.changed, len(made)) == ([("r0", 0), ("r1", 60)], 0)


def test_room_and_emptiness_are_waited_for():
    items = [in_flight(0), in_flight(1)]
    made = all_of(a_queue(), items)
    assert not made.wait_for_room(2, 999, 0.01)
    assert not made.wait_for_room(3, sum(len(item.message.body) for item in items), 0.01)
    threading.Timer(0.05, made.forget, [items]).start()
    assert made.wait_empty(time.monotonic() + 5)
    assert made.wait_for_room(2, 999, 0.01)


def test_what_no_handler_has_begun_is_unstarted():
    items = [in_flight(0), in_flight(1)]
    items[0].start()
    assert all_of(a_queue(), items).unstarted() == [items[1]]
