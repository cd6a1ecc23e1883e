"""A worker's share of the day's budgets: what is taken and refused, at midnight, beside rivals, and when S3 does not answer."""

import threading
import time
from contextlib import contextmanager

import orjson
import pytest

from testing.fakes import Fakes
from testing.memory import BUCKET, DOWN, NOW_MS
from testing.waiting import wait_until
from worker import budgets as module
from worker.budgets import SPENT, UNKNOWN, Budgets
from worker.core.base.errors import BudgetError, ObjectGoneError, OutageError, StoreError
from worker.core.base.events import LogEvent
from worker.core.base.liveness import Liveness
from worker.core.base.logs import Fields, observe
from worker.core.clients import make_extractor
from worker.core.indexing.pipeline import Pipeline
from worker.core.s3.budget_ledger import BUDGETS_PREFIX, BudgetLedger
from worker.core.s3.state import safe_name
from worker.pause_gate import PauseGate

DAY_MS = 86_400_000
LEGAL = f"s3://{BUCKET}/legal/"


class Fleet:
    """Workers that share one state bucket, on a clock that the test sets."""

    def __init__(self, caps, *, prices=""):
        self.fakes = Fakes()
        self.settings = self.fakes.settings(budget_caps=caps, budget_prices=prices)
        self.now_ms = NOW_MS
        self.fakes.s3.clock.now_ms = lambda: self.now_ms  # type: ignore[method-assign]
        lock, claim = threading.Lock(), self.fakes.state.claim

        def atomic(*args, **more):
            with lock:
                return claim(*args, **more)

        self.fakes.state.claim = atomic  # type: ignore[method-assign]
        self.events: list[tuple[LogEvent, Fields]] = []
        self._end = observe(lambda event, fields: self.events.append((event, fields)))
        self._running = []

    def worker(self):
        made = Budgets(self.settings, self.fakes.clients, PauseGate())
        thread = threading.Thread(target=made.run, args=(Liveness(60),))
        thread.start()
        self._running.append((made, thread))
        return made

    def used(self, cap):
        """What the shared record says was leased today, in units."""
        ledger = BudgetLedger(self.fakes.state, self.fakes.s3.clock)
        [found] = [one for one in self.settings.budget_caps if one.name == cap]
        return ledger.standings(ledger.today(), [found])[cap].used

    def raise_cap(self, cap, units):
        ledger = BudgetLedger(self.fakes.state, self.fakes.s3.clock)
        ledger.raise_caps(ledger.today(), {cap: units})

    def named(self, event):
        return [fields for name, fields in self.events if name == event]

    def close(self):
        for made, thread in self._running:
            made.drain()
            made.stop()
            thread.join(10)
            assert not thread.is_alive()
        self._end()


@contextmanager
def running(caps, **more):
    fleet = Fleet(caps, **more)
    try:
        yield fleet
    finally:
        fleet.close()


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    for name, value in (("REFRESH_S", 0.1), ("RETRY_S", 0.05), ("PATIENCE_S", 1.0), ("IDLE_TURN_S", 0.02)):
        monkeypatch.setattr(module, name, value)


def read(worker, key="a.txt", size=10, bucket=BUCKET):
    with worker.reading(bucket, key) as take_bytes:
        take_bytes(size)


def reads_until_spent(worker, **more):
    count = 0
    while True:
        try:
            read(worker, **more)
        except BudgetError:
            return count
        count += 1


def test_as_many_objects_are_read_as_the_cap_allows_and_then_the_gate_is_shut():
    with running("objects=250") as fleet:
        worker = fleet.worker()
        assert reads_until_spent(worker) == 250
        assert "budget of objects is used up" in worker._gate.reasons[SPENT]
        assert fleet.used("objects") == 250


def test_at_midnight_of_s3s_clock_work_goes_on():
    with running("objects=5") as fleet:
        worker = fleet.worker()
        assert reads_until_spent(worker) == 5
        fleet.now_ms += DAY_MS
        wait_until(lambda: worker._gate.is_open, 5, "an open gate")
        assert reads_until_spent(worker) == 5


def test_a_raise_opens_the_gate():
    with running("objects=5") as fleet:
        worker = fleet.worker()
        reads_until_spent(worker)
        time.sleep(0.3)
        assert not worker._gate.is_open
        fleet.raise_cap("objects", 3)
        wait_until(lambda: worker._gate.is_open, 5, "an open gate")
        assert reads_until_spent(worker) == 3


def test_what_was_leased_yesterday_is_void_and_so_is_what_was_taken():
    with running("objects=500") as fleet:
        worker = fleet.worker()
        with worker.reading(BUCKET, "a.txt"):
            fleet.now_ms += DAY_MS
            wait_until(lambda: worker._day == "2026-11-19", 5, "the next day")
        assert fleet.used("objects") == 0
        assert reads_until_spent(worker) == 500


@pytest.mark.parametrize("caps", ["objects=1000", "bytes=10000,objects=5000", "dollars=0.002"])
def test_rivals_on_many_threads_some_killed_stay_within_the_cap(caps):
    """Four workers of six threads, one of which is killed in the middle; objects of 10 bytes."""
    with running(caps, prices="objects=0.000002") as fleet:
        workers, count, lock, dead = [fleet.worker() for _ in range(4)], [], threading.Lock(), threading.Event()

        def work(worker, is_mortal):
            while not (is_mortal and dead.is_set()):
                try:
                    read(worker)
                except BudgetError:
                    return
                except OutageError:
                    continue
                with lock:
                    count.append(1)
                    if len(count) > 300:
                        dead.set()

        threads = [
            threading.Thread(target=work, args=(worker, number == 0))
            for number, worker in enumerate(workers)
            for _ in range(6)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert 960 <= len(count) <= 1_000, "the dead worker's slice counts as used"


def test_one_object_may_exceed_what_is_left_of_bytes_and_no_second():
    with running("bytes=1000") as fleet:
        one, other = fleet.worker(), fleet.worker()
        assert reads_until_spent(one, size=300) + reads_until_spent(other, size=300) == 4
        assert fleet.used("bytes") == 1_200


def test_an_object_larger_than_the_whole_cap_is_read_once_a_day():
    with running("bytes=1000") as fleet:
        worker = fleet.worker()
        assert reads_until_spent(worker, size=5_000) == 1
        fleet.now_ms += DAY_MS
        assert reads_until_spent(worker, size=5_000) == 1


def test_a_failed_get_is_not_counted_and_a_missing_object_is():
    with running("objects=3") as fleet:
        worker = fleet.worker()
        for error in (StoreError("down", code="SlowDown"), ObjectGoneError("gone")):
            with pytest.raises(type(error)), worker.reading(BUCKET, "a.txt"):
                raise error
        assert reads_until_spent(worker) == 2


def test_seconds_of_extraction_are_counted_and_refused():
    with running("seconds=0.5") as fleet:
        worker = fleet.worker()
        count = 0

        def extract():
            read(worker)
            with worker.extracting(BUCKET, "a.txt"):
                time.sleep(0.05)

        def extract_all():
            nonlocal count
            while True:
                extract()
                count += 1

        with pytest.raises(BudgetError):
            extract_all()
        assert 7 <= count <= 11
        wait_until(lambda: 450 <= fleet.used("seconds") <= 600, 5, "the seconds counted")


def test_waiting_for_a_parser_is_not_counted_as_extraction():
    with running("seconds=0.5") as fleet:
        worker, done = fleet.worker(), 0
        for _ in range(12):  # 1.2 s in all, of which 0.06 s are work
            with worker.extracting(BUCKET, "a.txt") as waited:
                time.sleep(0.1)
                waited(0.095)
            done += 1
        assert done == 12, "none was refused"


def test_threads_that_extract_at_the_end_of_the_cap_exceed_it_by_one_at_most():
    with running("seconds=0.5") as fleet:
        workers, took, lock = [fleet.worker() for _ in range(3)], [], threading.Lock()

        def work(worker):
            while True:
                try:
                    with worker.extracting(BUCKET, "a.txt"):
                        began = time.monotonic()
                        time.sleep(0.02)
                        with lock:
                            took.append(time.monotonic() - began)
                except BudgetError:
                    return

        threads = [threading.Thread(target=work, args=(worker,)) for worker in workers for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        first_of_each_thread = sorted(took)[-12:]  # nobody knows how long one takes until the first was seen
        assert sum(took) <= 0.5 + sum(first_of_each_thread)


def test_dollars_are_those_of_the_other_kinds():
    with running("dollars=1", prices="objects=0.01,bytes=0.001") as fleet:
        worker = fleet.worker()
        assert reads_until_spent(worker, size=40) == 20
        assert fleet.used("dollars") == 10**9


def test_a_cap_on_a_prefix_refuses_its_objects_and_stops_no_polling():
    with running(f"{LEGAL}:objects=2") as fleet:
        worker = fleet.worker()
        assert reads_until_spent(worker, key="legal/a.txt") == 2
        with pytest.raises(BudgetError) as refused:
            read(worker, key="legal/b.txt")
        assert refused.value.scope == LEGAL
        assert worker._gate.is_open
        for _ in range(5):
            read(worker, key="other.txt")
            read(worker, key="legal/a.txt", bucket="another")


def test_a_record_that_cannot_be_read_shuts_the_gate_once_the_slice_is_used_up_and_opens_it_again():
    with running("objects=500") as fleet:
        worker = fleet.worker()
        read(worker)
        fleet.fakes.faults.add("state.get", DOWN)
        for _ in range(4):
            read(worker)
        with pytest.raises(OutageError):
            read(worker)
        assert UNKNOWN in worker._gate.reasons
        assert len(fleet.named("budget.unreadable")) == 1
        del fleet.fakes.faults.plan["state.get"]
        wait_until(lambda: worker._gate.is_open, 5, "an open gate")
        assert reads_until_spent(worker) == 495


def test_a_worker_that_stops_gives_back_its_slice():
    with running("objects=500") as fleet:
        worker = fleet.worker()
        read(worker)
        assert fleet.used("objects") == 5
        worker.drain()
        worker.stop()
        wait_until(lambda: fleet.used("objects") == 1, 5, "the slice given back")
        with pytest.raises(OutageError):
            [read(worker) for _ in range(5)]


def test_a_warning_once_from_90_percent_on():
    with running("objects=20") as fleet:
        worker = fleet.worker()
        for _ in range(17):
            read(worker)
        time.sleep(0.3)
        assert not [one for one in fleet.named("budget.counted") if one["used"] / one["limit"] >= 0.9]
        assert worker._shares[0].warned_of == -1
        reads_until_spent(worker)
        wait_until(lambda: worker._shares[0].warned_of == 20, 5, "the warning")


def test_while_polling_is_stopped_the_lag_is_compared_with_the_queues_retention():
    with running("objects=1") as fleet:
        worker = fleet.worker()
        reads_until_spent(worker)
        worker._watch_lag(1_000_000.0)
        assert fleet.named("budget.lag")[-1] == {"lag_s": 1_000_000, "retention_s": 1_209_600}
        assert worker._lag_at > time.monotonic()


def test_held_objects_are_due_when_their_cap_has_room_again():
    with running(f"{LEGAL}:objects=1") as fleet:
        worker = fleet.worker()
        folder = safe_name(LEGAL)
        assert worker.may_release(folder)
        assert worker.may_release("a scope that BUDGET_CAPS does not have any more")
        reads_until_spent(worker, key="legal/a.txt")
        assert not worker.may_release(folder)
        assert worker.reopened == 0
        fleet.raise_cap(f"{LEGAL}:objects", 1)
        wait_until(lambda: worker.reopened == 1 and worker.may_release(folder), 5, "room")


def test_the_pipeline_takes_before_it_reads_and_before_it_extracts():
    with running("objects=1,seconds=100") as fleet:
        worker = fleet.worker()
        fleet.fakes.s3.bodies["a.txt"] = b"text"
        extractor = make_extractor(fleet.settings)
        pipeline = Pipeline(fleet.settings, fleet.fakes.s3, extractor=extractor, meter=worker)
        assert pipeline.build(BUCKET, "a.txt").extraction == "ok"
        reads = fleet.fakes.faults.calls.count("s3.read")
        with pytest.raises(BudgetError):
            pipeline.build(BUCKET, "a.txt")
        assert fleet.fakes.faults.calls.count("s3.read") == reads
        extractor.close()


def test_yesterdays_record_is_left_as_it_was():
    with running("objects=5") as fleet:
        worker = fleet.worker()
        reads_until_spent(worker)
        before = fleet.fakes.s3.records[f"{BUDGETS_PREFIX}2026-11-18.json"]
        fleet.now_ms += DAY_MS
        reads_until_spent(worker)
        assert fleet.fakes.s3.records[f"{BUDGETS_PREFIX}2026-11-18.json"] == before
        assert orjson.loads(before)["caps"]["objects"]["last"] == ""
