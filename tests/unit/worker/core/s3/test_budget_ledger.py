"""The shared record of the budgets: who has leased what, whatever happens to the calls."""

import random
import threading

import orjson
import pytest

from testing.fakes import Fakes
from testing.memory import DOWN
from worker.core.base.budget import Cap
from worker.core.base.errors import StoreError
from worker.core.s3.budget_ledger import Ask, BudgetLedger

DAY = "2026-11-29"
KEY = f"s3-index-worker/budgets/{DAY}.json"
CAP = Cap("", "objects", 1_000)


@pytest.fixture
def fakes():
    return Fakes()


def ledger(fakes):
    return BudgetLedger(fakes.state, fakes.s3.clock)


def lease(one, wanted, *, in_use=0, cap=CAP, day=DAY):
    return one.exchange(day, [Ask(cap, in_use, wanted)])[cap.name]


def test_a_slice_is_one_percent_and_at_least_what_is_wanted(fakes):
    assert lease(ledger(fakes), 1).leased == 10
    assert lease(ledger(fakes), 200).leased == 200
    assert lease(ledger(fakes), 1).used == 220


def test_slices_become_smaller_near_the_end(fakes):
    lease(ledger(fakes), 960)
    assert lease(ledger(fakes), 1).leased == 4


def test_nothing_wanted_and_nothing_used_writes_nothing(fakes):
    one = ledger(fakes)
    assert one.exchange(DAY, [Ask(CAP)])[CAP.name].limit == 1_000
    assert KEY not in fakes.s3.records
    lease(one, 1)
    fakes.faults.calls.clear()
    one.exchange(DAY, [Ask(CAP, in_use=3)])
    assert fakes.faults.calls == ["state.get"], "what is within the slice is known already"


def test_the_last_piece_goes_to_one_worker_until_it_is_done(fakes):
    one, other = ledger(fakes), ledger(fakes)
    lease(other, 950)
    last = lease(one, 100)
    assert (last.leased, last.is_last) == (50, True)
    assert lease(other, 100, in_use=940).leased == 940, "what it gave back is not enough, and the last is another's"
    again = lease(one, 100, in_use=20)
    assert (again.leased, again.is_last) == (60, True)
    assert lease(one, 100, in_use=110).leased == 110
    assert not lease(one, 100, in_use=110).is_last


def test_what_was_exceeded_counts(fakes):
    one = ledger(fakes)
    lease(one, 990)
    assert one.exchange(DAY, [Ask(CAP, in_use=1_030)])[CAP.name].used == 1_030


def test_a_worker_that_stops_gives_back_and_one_that_dies_does_not(fakes):
    stops, dies, next_one = ledger(fakes), ledger(fakes), ledger(fakes)
    lease(stops, 500)
    lease(dies, 400)
    stops.exchange(DAY, [Ask(CAP, in_use=100, returns=True)])
    assert lease(next_one, 500).leased == 500
    assert lease(next_one, 1, in_use=500).leased == 500, "the dead worker's 400 count as used until the day ends"
    assert lease(next_one, 1, day="2026-11-30").used == 10


def test_a_write_whose_answer_was_lost_leases_nothing_twice(fakes):
    one, claim = ledger(fakes), fakes.state.claim
    answers = iter([DOWN])

    def loses_an_answer(*args, **more):
        found = claim(*args, **more)
        if error := next(answers, None):
            raise error
        return found

    fakes.state.claim = loses_an_answer
    with pytest.raises(StoreError):
        lease(one, 100)
    found = lease(one, 100)
    assert (found.leased, found.used) == (100, 100)


def test_a_raise_holds_for_its_day_and_is_made_once(fakes):
    one = ledger(fakes)
    lease(one, 1_000)
    one.raise_caps(DAY, {CAP.name: 100})
    one.raise_caps(DAY, {CAP.name: 50})
    found = lease(one, 150, in_use=1_000)
    assert (found.leased, found.limit) == (1_150, 1_150)
    assert one.standings("2026-11-30", [CAP])[CAP.name].limit == 1_000


def test_many_rivals_lease_a_cap_exactly(fakes):
    """Twenty threads want one at a time, each gives some back and some die; the total is the cap, and nothing beyond it."""
    lock, got = threading.Lock(), []
    claim = fakes.state.claim

    def atomic(*args, **more):
        with lock:
            return claim(*args, **more)

    fakes.state.claim = atomic

    def rival(seed):
        dice, one, used = random.Random(seed), ledger(fakes), 0
        while True:
            try:
                found = lease(one, 1, in_use=used)
            except StoreError:
                continue
            if found.leased == used:
                break
            used += dice.randint(1, found.leased - used)
        got.append(used)

    threads = [threading.Thread(target=rival, args=(seed,)) for seed in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sum(got) == CAP.units


@pytest.mark.parametrize(
    "raw",
    [b"noise", b"[]", b"{}", orjson.dumps({"schema": 2, "raised": {}, "caps": {}}),
     orjson.dumps({"schema": 1, "raised": {}, "caps": {"objects": {"leased": {"a": "1"}, "last": ""}}}),
     orjson.dumps({"schema": 1, "raised": {}, "caps": {"objects": {"leased": {"a": -1}, "last": ""}}})],
)  # fmt: skip
def test_a_record_that_cannot_be_read_is_an_error_that_says_what_to_do(fakes, raw):
    fakes.s3.records[KEY] = raw
    with pytest.raises(StoreError, match="delete it to begin again"):
        lease(ledger(fakes), 1)
    assert fakes.s3.records[KEY] == raw


def test_whoever_begins_a_day_removes_the_record_of_35_days_before(fakes):
    one = ledger(fakes)
    old = "s3-index-worker/budgets/2026-10-14.json"
    fakes.s3.records[old] = b"{}"
    lease(one, 1, day=one.today())
    assert one.today() == "2026-11-18"
    assert old not in fakes.s3.records
