"""When the worker replays by itself, when it does not, and that nothing ends its thread."""

import threading
import time

import orjson
import pytest

from testing.fakes import Fakes
from testing.memory import BUCKET, DOWN, INDEX_DOWN, NOW_MS
from testing.waiting import wait_until
from worker import selfheal
from worker.core.base import retry as retry_module
from worker.core.base.breaker import Breaker
from worker.core.base.errors import StoreError
from worker.core.base.events import LogEvent
from worker.core.base.liveness import Liveness
from worker.core.base.logs import Fields, observe
from worker.core.clients import make_extractor
from worker.core.index.document import Write
from worker.core.indexing.pipeline import Pipeline
from worker.core.indexing.retry_store import RetryRecord, RetryStore
from worker.core.s3.lease import LEASE_S
from worker.core.s3.state import PARKED_PREFIX
from worker.pause_gate import PauseGate
from worker.selfheal import LEASE_KEY, SelfHeal

SOON_S = 5


class Life:
    """A deployment in memory, and the parts of a worker that its self-healing needs."""

    def __init__(self, fakes=None):
        self.fakes = fakes or Fakes()
        settings = self.fakes.settings(worker_name="here:1")
        self.breaker = Breaker("index", failures=2, probe=self._probe, interval_s=0.02)
        self.index_is_back = threading.Event()
        self.gate, self.retry = PauseGate(), RetryStore(self.fakes.state)
        self._extractor = make_extractor(settings)
        pipeline = Pipeline(settings, self.fakes.clients.objects, extractor=self._extractor)
        self.heal = SelfHeal(
            settings, self.fakes.clients, pipeline=pipeline, retry=self.retry, breaker=self.breaker, gate=self.gate
        )
        self._thread = threading.Thread(target=self.heal.run, args=(Liveness(60),))
        self.events: list[tuple[LogEvent, Fields]] = []
        self._end_observing = observe(lambda event, fields: self.events.append((event, fields)))

    def _probe(self):
        if not self.index_is_back.is_set():
            raise INDEX_DOWN

    def start(self):
        self._thread.start()
        return self

    def store(self, key, *, rejected=False):
        self.fakes.s3.bodies[key] = b"text"
        write = Write(
            BUCKET, key, NOW_MS - 1000, self.fakes.s3.etag(key), orjson.dumps(self.fakes.document(key, content=key))
        )
        assert list(self.retry.put_all([RetryRecord(write, "unavailable", rejected=rejected)])) == [None]

    def waiting(self):
        return sorted(record["key"] for record in self.fakes.under("retry-index/").values())

    def wait_healed(self):
        wait_until(
            lambda: not self.waiting() and LEASE_KEY not in self.fakes.s3.records, SOON_S, "an empty retry-index/"
        )

    def count(self, event):
        return sum(name == event for name, _ in self.events)

    def lease(self, *, holder, until_ms):
        self.fakes.s3.records[LEASE_KEY] = orjson.dumps({"holder": holder, "until_ms": until_ms})

    @property
    def is_alive(self):
        return self._thread.is_alive()

    def close(self):
        self.heal.stop()
        self.breaker.stop()
        if self._thread.ident:
            self._thread.join(SOON_S)
        self.retry.close()
        self._extractor.close()
        self._end_observing()


@pytest.fixture
def life(monkeypatch):
    for module, name, value in (
        (selfheal, "IDLE_TURN_S", 0.01), (selfheal, "STORED_S", 0.05), (selfheal, "AGAIN_S", 0.05),
        (selfheal, "RARELY_S", 0.2), (retry_module, "FIRST_WAIT_S", 0.0001), (retry_module, "LONGEST_WAIT_S", 0.0001),
    ):  # fmt: skip
        monkeypatch.setattr(module, name, value)
    made = Life()
    yield made
    made.close()


def test_what_waits_at_start_is_replayed_and_the_lease_released(life):
    life.store("a.txt")
    life.start().wait_healed()
    assert (BUCKET, "a.txt") in life.fakes.index.documents
    [finished] = [fields for name, fields in life.events if name == "replay.finished"]
    assert finished == {"counts": {"replayed": 1}, "complete": True}


def test_nothing_is_replayed_while_the_breaker_is_open_and_everything_once_it_closes(life):
    life.breaker.open(INDEX_DOWN)
    life.start()
    for number in range(20):
        life.store(f"{number:02}.txt")
    time.sleep(0.2)
    assert len(life.waiting()) == 20
    assert "index.write" not in life.fakes.faults.calls
    life.index_is_back.set()
    life.wait_healed()
    assert len(life.fakes.index.documents) == 20


def test_nothing_is_replayed_while_the_fleet_is_paused(life):
    life.gate.shut("paused", "保守")
    life.store("a.txt")
    life.start()
    time.sleep(0.2)
    assert life.waiting() == ["a.txt"]
    life.gate.clear("paused")
    life.wait_healed()


def test_a_single_document_stored_while_the_breaker_stays_closed_is_replayed_soon(life):
    life.start()
    time.sleep(0.1)
    life.store("a.txt")
    life.wait_healed()
    assert life.waiting() == []


def test_a_record_whose_put_was_not_answered_is_replayed_soon(life, monkeypatch):
    """The answer to a PUT was lost: its message is released, and the record must not be left in `retry-index/`."""
    life.start()
    time.sleep(0.1)
    put = life.fakes.state.put

    def lost(*args, **options):
        put(*args, **options)
        raise StoreError("no answer", code="ReadTimeoutError")

    monkeypatch.setattr(life.fakes.state, "put", lost)
    with pytest.raises(AssertionError, match="no answer"):
        life.store("a.txt")
    assert life.waiting() == ["a.txt"]
    monkeypatch.setattr(life.fakes.state, "put", put)
    life.wait_healed()


def test_what_a_dead_worker_has_stored_is_replayed_without_a_trigger(life, monkeypatch):
    monkeypatch.setattr(selfheal, "ANYHOW_S", 0.1)
    life.start()
    time.sleep(0.1)
    life.store("a.txt")
    life.heal._last_stored = life.retry.last_stored  # as if another process had stored it
    life.wait_healed()
    assert life.waiting() == []


def test_what_the_index_refused_is_left_to_an_operator(life):
    life.store("refused.txt", rejected=True)
    life.store("a.txt")
    life.start()
    wait_until(lambda: life.count("replay.finished"), SOON_S, "a run")
    assert life.waiting() == ["refused.txt"]


def test_parked_records_alone_trigger_no_replay(life):
    life.fakes.s3.records[PARKED_PREFIX + "2026-01-01/files/a.txt.json"] = b"{}"
    life.start()
    wait_until(lambda: "state.list" in life.fakes.faults.calls, SOON_S, "a listing")
    time.sleep(0.1)
    assert "state.claim" not in life.fakes.faults.calls


class OneCap:
    """Budgets of which one cap has no room until `reopen`."""

    def __init__(self):
        self.reopened, self.has_room = 0, False

    def may_release(self, scope):
        return self.has_room

    def reopen(self):
        self.has_room = True
        self.reopened += 1


def test_held_objects_alone_trigger_no_replay_until_their_cap_has_room(life):
    life.heal._budgets = budgets = OneCap()
    life.fakes.s3.bodies["a.txt"] = b"text"
    life.retry.hold(BUCKET, "a.txt", NOW_MS, scope="s3://files/", reason="spent")
    life.start()
    wait_until(lambda: "state.list" in life.fakes.faults.calls, SOON_S, "a listing")
    time.sleep(0.1)
    assert "state.claim" not in life.fakes.faults.calls
    budgets.reopen()
    life.wait_healed()
    assert (BUCKET, "a.txt") in life.fakes.index.documents


def test_without_caps_held_objects_are_read(life):
    life.fakes.s3.bodies["a.txt"] = b"text"
    life.retry.hold(BUCKET, "a.txt", NOW_MS, scope="s3://files/", reason="spent")
    life.start().wait_healed()
    assert (BUCKET, "a.txt") in life.fakes.index.documents


def test_while_another_host_has_the_lease_it_is_left_alone_and_taken_over_when_it_has_expired(life):
    life.lease(holder="elsewhere:2", until_ms=NOW_MS + 1)
    life.store("a.txt")
    life.start()
    time.sleep(0.2)
    assert life.waiting() == ["a.txt"]
    assert b"elsewhere:2" in life.fakes.s3.records[LEASE_KEY]
    life.fakes.s3.clock.now_ms = lambda: NOW_MS + 2
    life.wait_healed()


def test_a_lease_that_cannot_be_read_is_taken_over(life):
    life.fakes.s3.records[LEASE_KEY] = b"?"
    life.store("a.txt")
    life.start().wait_healed()
    assert life.waiting() == []


def test_a_lease_lost_in_the_middle_stops_the_run_and_is_left_to_its_new_holder(life, monkeypatch):
    for number in range(300):
        life.store(f"{number:03}.txt")
    observe, observations = life.fakes.s3.head, []

    def taken_over(bucket, key):
        observations.append(key)
        if len(observations) == 20:
            until_ms = NOW_MS + LEASE_S * 1000
            life.lease(holder="elsewhere:2", until_ms=until_ms)
            life.fakes.s3.clock.now_ms = lambda: NOW_MS + LEASE_S * 1000 // 2
        return observe(bucket, key)

    monkeypatch.setattr(life.fakes.s3, "head", taken_over)
    life.start()
    wait_until(lambda: life.count("replay.finished"), SOON_S, "the run's end")
    [finished] = [fields for name, fields in life.events if name == "replay.finished"]
    assert finished["complete"] is False
    assert life.waiting()
    assert b"elsewhere:2" in life.fakes.s3.records[LEASE_KEY]


@pytest.mark.parametrize(
    ("call", "error"),
    [
        ("state.list", DOWN), ("state.get", DOWN), ("state.claim", DOWN), ("state.delete", DOWN), ("s3.head", DOWN),
        ("state.claim", StoreError("no conditional writes here", code="NotImplemented")),
        ("state.list", StoreError("denied", code="AccessDenied")), ("s3.head", ZeroDivisionError("a bug")),
        ("index.write", ZeroDivisionError("a bug")),
    ],
)  # fmt: skip
def test_nothing_that_fails_ends_the_thread_and_it_is_tried_again(life, call, error):
    life.fakes.faults.add(call, error, times=4)
    life.store("a.txt")
    life.start().wait_healed()
    assert life.is_alive


def test_an_index_that_becomes_unavailable_meanwhile_opens_the_breaker_and_the_run_follows_its_return(life):
    life.fakes.faults.add("index.write", INDEX_DOWN)
    life.store("a.txt")
    life.start()
    wait_until(lambda: life.breaker.is_open, SOON_S, "an open breaker")
    life.fakes.faults.plan.clear()
    time.sleep(0.2)
    assert life.waiting() == ["a.txt"]
    life.index_is_back.set()
    life.wait_healed()


def test_it_stops_at_once_in_the_middle_of_a_run(life, monkeypatch):
    for number in range(300):
        life.store(f"{number:03}.txt")
    observe = life.fakes.s3.head

    def observe_slowly(bucket, key):
        time.sleep(0.02)
        return observe(bucket, key)

    monkeypatch.setattr(life.fakes.s3, "head", observe_slowly)
    life.start()
    wait_until(lambda: "state.claim" in life.fakes.faults.calls, SOON_S, "the lease")
    began = time.monotonic()
    life.heal.stop()
    wait_until(lambda: not life.is_alive, SOON_S, "the thread's end")
    assert time.monotonic() - began < 1
    assert LEASE_KEY not in life.fakes.s3.records
