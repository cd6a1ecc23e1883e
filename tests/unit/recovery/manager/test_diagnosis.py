"""Dead letters of an unknown kind are looked at once after each arrival, and nothing but their rows changes."""

import threading
from contextlib import ExitStack

import pytest

from recovery.ledger.rows import Arrival
from recovery.ledger.rows import State as RowState
from recovery.manager import diagnosis
from recovery.manager.diagnosis import NO_INDEX, SETTLED_MS, Diagnosis
from recovery.manager.records import RowMaker
from recovery.manager.redaction import HIDDEN, Redactor
from recovery.manager.upkeep import Upkeep
from recovery.operations.engine import Disposition, Verdict
from recovery.operations.recovering.outlook import dry_engine
from testing.memory import INDEX_DOWN, NOW_MS
from worker.core.base.errors import IndexUnavailableError


@pytest.fixture(autouse=True)
def _fast(monkeypatch):
    monkeypatch.setattr(diagnosis, "RATE", 1000.0)


@pytest.fixture
def make(fakes, ledger, rows):
    def made(rows=rows, **more):
        def engine(stack: ExitStack):
            return dry_engine(fakes.settings(), fakes.clients, rows.types, threading.Event(), stack)

        parts = {"now_ms": lambda: NOW_MS + SETTLED_MS, "by": "manager@h", "stop": threading.Event(), **more}
        return Diagnosis(
            ledger, fakes.state, rows, more.pop("engine", engine), **{k: v for k, v in parts.items() if k != "engine"}
        )

    return made


@pytest.fixture
def come(fakes, ledger, rows):
    def one(name, body=None, **failure):
        if body is None:
            fakes.dead_letter(name, f"{name}.txt", failure=failure)
        else:
            fakes.dlq.add(name, body)
        ledger.take_in([Arrival(name, rows.row(fakes.store(name)), NOW_MS)])

    return one


def yes():
    return True


def test_a_finding_says_nothing_that_is_hidden(fakes, ledger, make, come, rows):
    come("gone")

    class Engine:
        def examine(self, dead_letters):
            return [Verdict(one, Disposition.KEPT, "", "cannot read s3://files/gone.txt", "E") for one in dead_letters]

    hiding = RowMaker(rows.types, Redactor(["$..key"]))
    make(hiding, engine=lambda _stack: Engine()).turn(yes)
    assert ledger.get("gone").finding.endswith(f"cannot read s3://files/{HIDDEN}")


def test_each_is_told_what_recovery_would_do_in_a_sentence(fakes, ledger, make, come):
    for name in ("readable", "indexed", "gone"):
        come(name)
    for name in ("readable", "indexed"):
        fakes.s3.bodies[f"{name}.txt"] = b"text"
    fakes.indexed("indexed.txt")
    come("nonsense", "not JSON")
    come("test", '{"Service":"Amazon S3","Event":"s3:TestEvent","Bucket":"files"}')
    come("maps", '{"type": "maps"}')
    come("known", kind="RECOVERABLE")
    before = dict(fakes.s3.records), dict(fakes.index.documents)
    make().turn(yes)
    found = {
        name: ledger.get(name).finding for name in ("readable", "indexed", "gone", "nonsense", "test", "maps", "known")
    }
    assert found["readable"] == "recovery would index it: its object can be read"
    assert "the index holds the object as it is now" in found["indexed"]
    assert "the object no longer exists" in found["gone"]
    assert found["nonsense"].startswith("recovery would archive it: ")
    assert found["test"].startswith("recovery would archive it, because there is nothing to index: ")
    assert found["maps"].startswith("it is a message of type maps")
    assert found["known"] is None
    assert (fakes.s3.records, fakes.index.documents) == before


def test_it_is_done_once_after_each_arrival(fakes, ledger, make, come):
    come("a")
    make().turn(yes)
    fakes.faults.calls.clear()
    make().turn(yes)
    assert "index.stored" not in fakes.faults.calls
    ledger.change("a", version=None, by="test", action="as an arrival does", finding=None, last_seen_ms=NOW_MS + 1)
    make(now_ms=lambda: NOW_MS + SETTLED_MS + 1).turn(yes)
    assert ledger.get("a").finding is not None


def test_many_are_walked_through_and_the_place_is_remembered(fakes, ledger, make, come, monkeypatch):
    monkeypatch.setattr(diagnosis, "AT_ONCE", 2)
    for number in range(5):
        come(f"m{number}")
    make().turn(yes)
    assert all(ledger.get(f"m{number}").finding for number in range(5))
    assert ledger.get_mark(diagnosis.MARK)


def test_one_that_is_found_late_is_looked_at_after_the_daily_check(ledger, follower, make, come, monkeypatch):
    monkeypatch.setattr(diagnosis, "AT_ONCE", 1)
    come("a")
    come("b")
    make().turn(yes)
    come("late")
    ledger.change("late", version=None, by="test", action="has come long ago", last_seen_ms=NOW_MS - 1)
    make().turn(yes)
    assert ledger.get("late").finding is None
    Upkeep(ledger, follower, holder="a:1", keep_days=90, stop=threading.Event()).turn()
    make().turn(yes)
    assert ledger.get("late").finding is not None


def test_the_latest_rows_wait_for_those_that_may_still_be_written(ledger, make, come):
    come("a")
    make(now_ms=lambda: NOW_MS + SETTLED_MS - 1).turn(yes)
    assert ledger.get("a").finding is None


def test_while_the_index_is_unavailable_they_wait(fakes, ledger, make, come):
    come("a")
    fakes.faults.add("index.stored", INDEX_DOWN)
    with pytest.raises(IndexUnavailableError):
        make().turn(yes)
    fakes.faults.plan.clear()
    assert ledger.get("a").finding is None
    make().turn(yes)
    assert ledger.get("a").finding


def test_without_an_index_it_says_so(ledger, make, come):
    come("a")
    without = make(engine=None)
    without.turn(yes)
    assert (without.missing, ledger.get("a").finding, ledger.get("a").state) == (NO_INDEX, None, RowState.OPEN)
    assert make().missing == ""
