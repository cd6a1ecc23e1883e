"""The loop: what is received is kept invisible and delivered, and nothing is received while there is no room for it."""

import threading
import time

import pytest

from testing.memory import Faults, MemoryQueue
from worker.consumer import Consumer
from worker.core.base.errors import QueueError
from worker.core.base.events import LogEvent
from worker.core.base.liveness import Liveness
from worker.core.base.logs import observe
from worker.core.base.settings import MIB
from worker.core.sqs.in_flight import InFlightMessage, InFlightMessages
from worker.core.sqs.outcome import Done
from worker.core.sqs.queue import MAX_BATCH, Message
from worker.core.sqs.visibility import VisibilityExtender
from worker.pause_gate import PauseGate


class FakeQueue(MemoryQueue):
    """Answers each receive with the next batch: messages, or an error to raise; empty when there is none left."""

    def __init__(self, *batches):
        super().__init__(Faults(), "source")
        self.batches, self.receives, self.receivers = list(batches), 0, set[str]()

    def receive(self, *, wait_s, visibility_s, count=MAX_BATCH):
        assert (wait_s, visibility_s) == (1, 600)
        self.receives += 1
        self.receivers.add(threading.current_thread().name)
        batch = self.batches.pop(0) if self.batches else []
        if isinstance(batch, Exception):
            raise batch
        if not batch:
            time.sleep(0.02)
        return batch


def messages(count, *, receives=1, sent_ms=None):
    system = {"ApproximateReceiveCount": str(receives)} | ({"SentTimestamp": str(sent_ms)} if sent_ms else {})
    return [Message(f"m{number}", f"r{number}-{id(system)}", "{}", system, {}) for number in range(count)]


class Loop:
    """Runs a consumer over some batches until `until` holds; `delivered` has what came out."""

    def __init__(self):
        self.gate = PauseGate()
        self.delivered: list[InFlightMessage] = []
        self.settled: list[InFlightMessage] = []

    def __call__(self, *batches, until, max_in_flight=100, max_body_bytes=MIB, helpers=0):
        self.queue = FakeQueue(*batches)
        self.in_flight = InFlightMessages(
            VisibilityExtender(self.queue, visibility_s=600),
            stuck_after_s=60,
            give_up=lambda _: None,
            stuck=lambda _: None,
        )
        consumer = Consumer(
            queue=self.queue, in_flight=self.in_flight, gate=self.gate,
            deliver=self.delivered.append, settle=self.settled.append,
            visibility_s=600, deadline_s=900, long_poll_s=1, max_in_flight=max_in_flight, max_body_bytes=max_body_bytes,
        )  # fmt: skip
        loops = [consumer.run_first, *[consumer.run_helper] * helpers]
        threads = [threading.Thread(target=one, args=(Liveness(60),), name=f"r{n}") for n, one in enumerate(loops)]
        for thread in threads:
            thread.start()
        end = time.monotonic() + 5
        while not until() and time.monotonic() < end:
            time.sleep(0.01)
        is_reached = until()
        consumer.stop()
        for thread in threads:
            thread.join(5)
        assert is_reached


@pytest.fixture
def loop(monkeypatch):
    monkeypatch.setattr("worker.consumer.FIRST_BACKOFF_S", 0.05)
    monkeypatch.setattr("worker.consumer.IDLE_TURN_S", 0.05)
    return Loop()


def collect(event, add):
    """Call `add` with the fields of each such event; calling the result ends that."""

    def observer(happened, fields):
        if happened is event:
            add(fields)

    return observe(observer)


def test_what_is_received_is_in_flight_and_delivered_in_order_with_its_deadline(loop):
    loop(messages(3), until=lambda: len(loop.delivered) == 3)
    assert [item.id for item in loop.delivered] == ["m0", "m1", "m2"]
    assert len(loop.in_flight) == 3
    assert all(item.deadline == item.message.received_at + 900 for item in loop.delivered)
    loop.delivered[0].release(Done())
    assert loop.settled == [loop.delivered[0]]


def test_nothing_is_received_while_the_gate_is_shut(loop):
    loop.gate.shut("paused", "paused by an operator")
    threading.Timer(0.3, loop.gate.clear, ["paused"]).start()
    began = time.monotonic()
    loop(messages(1), until=lambda: loop.delivered)
    assert time.monotonic() - began >= 0.3


@pytest.mark.parametrize("limit", [{"max_in_flight": 4}, {"max_body_bytes": 8}])
def test_nothing_is_received_while_as_many_messages_or_bytes_as_may_be_are_in_flight(loop, limit):
    def settle_all_after_a_while():
        time.sleep(0.3)
        assert loop.queue.receives == 1
        loop.in_flight.forget(loop.delivered[:])

    settling = threading.Thread(target=settle_all_after_a_while)
    settling.start()
    loop(messages(4), messages(2), until=lambda: len(loop.delivered) == 6, **limit)
    settling.join()


def test_a_refused_receive_is_logged_and_made_again_after_a_growing_wait(loop):
    waits = []
    stop = collect(LogEvent.QUEUE_RECEIVE_FAILED, lambda fields: waits.append(fields["retry_s"]))
    refused = QueueError("no", code="ServiceUnavailable")
    try:
        loop(refused, refused, messages(1), refused, until=lambda: len(waits) == 3)
    finally:
        stop()
    assert waits == [0.05, 0.1, 0.05]
    assert len(loop.delivered) == 1


def test_other_threads_receive_only_while_receives_come_back_full(loop):
    loop(*[messages(2) for _ in range(5)], until=lambda: len(loop.delivered) == 10, helpers=2)
    assert loop.queue.receivers == {"r0"}
    loop(
        *[messages(MAX_BATCH) for _ in range(30)],
        until=lambda: len(loop.delivered) == 310,
        helpers=2,
        max_in_flight=999,
        max_body_bytes=MIB,
    )
    assert len(loop.queue.receivers) > 1


def test_the_lag_is_that_of_first_receives_alone(loop):
    lags = []
    stop = collect(LogEvent.QUEUE_RECEIVED, lambda fields: lags.extend(fields["lags_s"]))
    sent_ms = int(time.time() * 1000) - 30_000
    try:
        loop(
            [*messages(1, sent_ms=sent_ms), *messages(1, receives=2, sent_ms=sent_ms), *messages(1)], until=lambda: lags
        )
    finally:
        stop()
    assert [round(lag) for lag in lags] == [30]
