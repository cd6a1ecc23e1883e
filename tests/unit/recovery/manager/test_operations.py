"""Operations: whatever fails, whoever is killed, nothing is lost, and nothing is sent twice without a mark."""

import json
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from recovery.ledger.errors import LedgerError
from recovery.ledger.execution import LeaseLostError
from recovery.ledger.operation_items import PERHAPS_SENT, STOPPED, Result
from recovery.ledger.operations import OperationState
from recovery.ledger.plans import Wanted
from recovery.ledger.refusals import Verb
from recovery.ledger.rows import Change
from recovery.ledger.rows import State as RowState
from recovery.ledger.selection import Selection
from recovery.manager import operations as module
from recovery.manager import ramp
from recovery.manager.acting import removing, sending
from recovery.manager.acting.acts import Acted, after_conflict
from recovery.manager.metrics import ReplayStatus
from recovery.manager.operations import Operations
from testing.memory import DOWN, INDEX_DOWN, NOW_MS, SQS_DOWN
from worker.core.base.errors import StoreError
from worker.core.base.liveness import Liveness
from worker.core.s3.state import ARCHIVE_PREFIX, DEAD_LETTERS_PREFIX, PAUSE_KEY
from worker.core.sqs import dead_letter_store
from worker.core.sqs.stored_dead_letter import Claim

FAST = {"ramp": False}
ALL = Selection(states=tuple(RowState))


class KilledError(BaseException):
    """Raised where a process is killed: nothing catches it."""


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(module, "OUTAGE_S", 0)
    monkeypatch.setattr("worker.core.base.retry.FIRST_WAIT_S", 0.0)
    monkeypatch.setattr("worker.core.base.retry.LONGEST_WAIT_S", 0.0)


@pytest.fixture
def fill(fakes, intake):
    """Takes dead letters in, which are about objects that are there."""

    def make(count, **more):
        for number in range(count):
            fakes.s3.bodies[f"k{number}"] = b"text"
            failure = {"kind": "RECOVERABLE", "error_type": "TimeoutError", "message": "例", "source_message_id": f"s{number}",
                       "source_queue": "http://sqs/q/source", "fingerprint": "f1", **more}  # fmt: skip
            fakes.dead_letter(f"m{number}", f"k{number}", failure=failure)
        while intake.once(wait_s=0):
            pass

    return make


def begin(ledger, verb, selection=None, **options):
    plan = ledger.plans.make(Wanted(verb, "ana", options, selection or Selection()))
    return ledger.operations.create(plan, by="ana")


def execute(operations, *, turns=20):
    for _ in range(turns):
        if not operations.once("one", Liveness(60)):
            return


def state_of(ledger, operation):
    found = ledger.operations.get(operation.id)
    assert found is not None
    return found


def items(ledger, operation):
    return {one.identity: one for one in ledger.operations.items(operation.id, limit=1_000)}


def sent_bodies(fakes):
    return Counter(message.body for message in fakes.source.messages.values())


def expire(ledger):
    """The leases of whoever was killed."""
    with ledger._database.writing() as connection:
        connection.exec_driver_sql("UPDATE operations SET until_ms = 0")


def test_a_redrive_sends_every_dead_letter_once_and_says_so_everywhere(fakes, ledger, operations, fill, metrics):
    fill(25)
    operation = begin(ledger, Verb.REDRIVE, **FAST)
    execute(operations)
    done = state_of(ledger, operation)
    assert (done.state, done.done, done.failed, done.skipped, done.twice) == (OperationState.DONE, 25, 0, 0, 0)
    assert done.ended_ms is not None
    assert set(sent_bodies(fakes).values()) == {1}
    assert len(fakes.source.messages) == 25
    row = ledger.get("s3")
    assert (row.state, row.sent_by, row.sent_run) == (RowState.SENT, "ana", operation.run)
    stored: Any = dead_letter_store.read(fakes.state, row.key)
    assert (stored.state, stored.sent.run, stored.sent.at_ms) == ("sent", operation.run, row.sent_at_ms)
    [event] = ledger.events("s3")
    assert (event.by, event.action, event.details["run"]) == ("ana", "redrive", operation.run)
    audited = [one for one in fakes.under("s3-index-worker/audit/").values() if one["action"] == "redrive"]
    assert sum(len(one["ids"]) for one in audited) == 25
    assert {one["run"] for one in audited} == {operation.run}
    assert f'dlq_replay_total{{status="{ReplayStatus.SUCCESS}"}} 25.0' in metrics.text().decode()


def test_only_what_is_as_it_was_in_the_plan_is_acted_upon(fakes, ledger, operations, fill):
    fill(4)
    operation = begin(ledger, Verb.REDRIVE, **FAST)
    ledger.change("s1", version=None, by="ben", action="note", note="n")
    fill_later = ledger.plans.make(Wanted(Verb.REDRIVE, "ben", FAST, Selection()))
    second = ledger.operations.create(fill_later, by="ben")
    execute(operations)
    assert state_of(ledger, operation).skips == {"changed": 1}
    assert items(ledger, operation)["s1"].result == "changed"
    assert state_of(ledger, operation).done == 3
    assert state_of(ledger, second).done + state_of(ledger, second).skipped == 4
    assert set(sent_bodies(fakes).values()) == {1}


def test_a_dead_letter_belongs_to_one_unfinished_operation(ledger, operations, fill):
    fill(3)
    first, second = begin(ledger, Verb.REDRIVE, **FAST), begin(ledger, Verb.REDRIVE, **FAST)
    execution = ledger.execution
    one, two = execution.take("a", 60), execution.take("b", 60)
    assert {one.operation.id, two.operation.id} == {first.id, second.id}
    execution.enlist(one, 60)
    execution.enlist(two, 60)
    assert state_of(ledger, two.operation).skips == {"in another operation": 3}
    assert len(execution.begin(one, 60, after=0, limit=10)) == 3
    assert execution.begin(two, 60, after=0, limit=10) == []


@pytest.mark.parametrize("call", ["source.send", "state.claim", "state.put", "state.get"])
@pytest.mark.parametrize("after", [0, 2, 11])
def test_a_call_that_fails_for_a_while_loses_nothing_and_sends_nothing_twice_unmarked(
    fakes, ledger, operations, fill, call, after
):
    fill(12)
    operation = begin(ledger, Verb.REDRIVE, **FAST)
    fakes.faults.add(call, SQS_DOWN if call.endswith("send") else DOWN, after=after, times=7)
    execute(operations)
    marked = {one.identity for one in items(ledger, operation).values() if one.twice}
    twice = [body for body, count in sent_bodies(fakes).items() if count > 1]
    assert len(twice) <= len(marked)
    found = items(ledger, operation)
    assert len(found) == 12
    assert {one.state for one in found.values()} <= {Result.DONE, Result.FAILED}
    done = {name for name, one in found.items() if one.state is Result.DONE}
    assert len(sent_bodies(fakes)) >= len(done)
    open_ones = {row.identity for row in ledger.rows(Selection())}
    assert done.isdisjoint(open_ones)
    assert len(fakes.under(DEAD_LETTERS_PREFIX)) == 12


@pytest.mark.parametrize("verb", [Verb.REDRIVE, Verb.ABANDON])
@pytest.mark.parametrize(
    ("call", "after"),
    [("source.send", 0), ("source.send", 1), ("state.claim", 0), ("state.claim", 14), ("state.claim", 27), ("state.get", 3),
     ("state.get", 13), ("state.put", 0), ("state.put", 1), ("state.delete", 0)],
)  # fmt: skip
def test_after_a_kill_at_any_call_another_goes_on_and_marks_what_it_may_send_twice(
    fakes, ledger, operations, fill, verbs, metrics, stop, verb, call, after
):
    fill(25)
    reason = {"reason": "old"} if verb is Verb.ABANDON else {}
    operation = begin(ledger, verb, **FAST, **reason)
    fakes.faults.add(call, KilledError(), after=after, times=1)
    try:
        operations.once("killed", Liveness(60))
    except KilledError:
        expire(ledger)
    execute(Operations(ledger, verbs, metrics, stop=stop))
    done = state_of(ledger, operation)
    assert (done.state, done.done) == (OperationState.DONE, 25), done
    if verb is Verb.REDRIVE:
        counts = sent_bodies(fakes)
        assert len(counts) == 25
        assert sum(count - 1 for count in counts.values()) <= done.twice <= 10
    else:
        assert len(fakes.under(ARCHIVE_PREFIX)) == 25
        assert fakes.under(DEAD_LETTERS_PREFIX) == {}
        assert done.twice == 0
        said = ledger.particular.endings(f"s{number}" for number in range(25)).values()
        assert [one.details["reason"] for one in said] == ["old"] * 25


def test_a_kill_between_the_send_and_its_record_is_marked_and_resent_once(fakes, ledger, operations, fill, monkeypatch):
    fill(3)
    operation = begin(ledger, Verb.REDRIVE, **FAST)
    with monkeypatch.context() as patch:
        patch.setattr(
            "recovery.operations.transfer.claims.Claims.sent", lambda *_a, **_k: (_ for _ in ()).throw(KilledError())
        )
        with pytest.raises(KilledError):
            operations.once("killed", Liveness(60))
    expire(ledger)
    execute(operations)
    done = state_of(ledger, operation)
    assert (done.state, done.done, done.twice) == (OperationState.DONE, 3, 3)
    assert set(sent_bodies(fakes).values()) == {2}


def test_a_kill_before_the_results_are_written_sends_nothing_twice(fakes, ledger, operations, fill, monkeypatch):
    fill(3)
    operation = begin(ledger, Verb.REDRIVE, **FAST)
    with monkeypatch.context() as patch:
        patch.setattr(type(ledger.execution), "settle", lambda *_: (_ for _ in ()).throw(KilledError()))
        with pytest.raises(KilledError):
            operations.once("killed", Liveness(60))
    expire(ledger)
    execute(operations)
    done = state_of(ledger, operation)
    assert (done.state, done.done, done.twice) == (OperationState.DONE, 3, 0)
    assert set(sent_bodies(fakes).values()) == {1}
    assert {row.state for row in ledger.rows(ALL)} == {RowState.SENT}


def test_whoever_lost_the_lease_writes_nothing_more(ledger, fill):
    fill(3)
    begin(ledger, Verb.REDRIVE, **FAST)
    execution = ledger.execution
    old = execution.take("old", 60)
    execution.enlist(old, 60)
    execution.begin(old, 60, after=0, limit=10)
    assert execution.take("new", 60) is None
    expire(ledger)
    new = execution.take("new", 60)
    assert new.epoch == old.epoch + 1
    for call in (
        lambda: execution.begin(old, 60, after=0, limit=10),
        lambda: execution.settle(old, []),
        lambda: execution.renew(old, 60),
        lambda: execution.wind_up(old, 60),
    ):
        with pytest.raises(LeaseLostError):
            call()
    assert len(execution.in_doubt(new)) == 3


def test_a_database_that_fails_once_stops_nothing_for_good(ledger, operations, fill, monkeypatch, fakes):
    fill(12)
    operation = begin(ledger, Verb.REDRIVE, **FAST)
    right, left = ledger.execution.settle, [1]

    def settle(*given):
        if left:
            left.pop()
            raise LedgerError("is full")
        return right(*given)

    monkeypatch.setattr(type(ledger.execution), "settle", lambda _self, *given: settle(*given))
    execute(operations)
    done = state_of(ledger, operation)
    assert (done.state, done.done) == (OperationState.DONE, 12)
    assert set(sent_bodies(fakes).values()) == {1}


def test_a_pause_of_the_fleet_pauses_the_operation(fakes, ledger, operations, fill):
    fill(3)
    operation = begin(ledger, Verb.REDRIVE, **FAST)
    fakes.s3.records[PAUSE_KEY] = json.dumps({"reason": "upgrade", "by": "ops"}).encode()
    execute(operations)
    paused = state_of(ledger, operation)
    assert paused.state is OperationState.PAUSED
    assert "upgrade" in paused.error
    assert fakes.source.messages == {}
    fakes.s3.records.pop(PAUSE_KEY)
    assert ledger.operations.move(operation.id, OperationState.WAITING).error == ""
    execute(operations)
    assert state_of(ledger, operation).done == 3


def test_cancel_leaves_the_rest_as_it_was(fakes, ledger, operations, fill):
    fill(25)
    operation = begin(ledger, Verb.REDRIVE, **FAST)
    right = ledger.execution.settle

    def settle(*given, **more):
        ledger.operations.move(operation.id, OperationState.CANCELLED)
        return right(*given, **more)

    ledger.execution.settle = settle
    execute(operations)
    ended = state_of(ledger, operation)
    assert (ended.state, ended.done, ended.skips) == (OperationState.CANCELLED, 10, {"cancelled": 15})
    assert len(fakes.source.messages) == 10
    assert ledger.count(Selection()) == 15
    assert {row.version for row in ledger.rows(Selection())} == {1}
    assert ledger.operations.move(operation.id, OperationState.WAITING) is None


def test_what_comes_back_stops_the_operation_with_its_numbers(fakes, ledger, operations, fill, intake, monkeypatch):
    fill(40)
    monkeypatch.setattr(ramp, "STEPS", (10_000, 10_000, None))
    monkeypatch.setattr(ramp, "STEP_S", 0.0)
    operation = begin(ledger, Verb.REDRIVE)
    right = ledger.execution.settle

    def settle(*given, **more):
        made = right(*given, **more)
        for number, message in enumerate(list(fakes.source.messages.values())):
            failed = json.loads(message.attributes["failure"]["StringValue"])
            fakes.dlq.add(f"back-{fakes.source.sent}-{number}", message.body, {
                "failure": {"DataType": "String", "StringValue": json.dumps(failed)}})  # fmt: skip
        fakes.source.messages.clear()
        while intake.once(wait_s=0):
            pass
        return made

    ledger.execution.settle = settle
    execute(operations)
    ended = state_of(ledger, operation)
    assert ended.state is OperationState.FAILED
    assert ended.error.startswith("10 of the 10 that were sent have come back, more than 10%")
    assert ended.skips == {"the operation has stopped": 30}
    assert ledger.get("s1").attempts == 2
    assert ledger.get("s1").state is RowState.OPEN


def test_a_hold_a_note_and_an_owner_are_in_record_and_row(fakes, ledger, operations, fill):
    fill(3)
    for verb, options in (
        (Verb.NOTE, {"note": "調査中"}),
        (Verb.ASSIGN, {"owner": "ana"}),
        (Verb.HOLD, {"reason": "legal"}),
    ):
        operation = begin(ledger, verb, **options)
        execute(operations)
        assert state_of(ledger, operation).done == 3
    row = ledger.get("s0")
    assert (row.note, row.owner, row.hold) == ("調査中", "ana", "legal")
    stored: Any = dead_letter_store.read(fakes.state, row.key)
    assert (stored.note, stored.owner, stored.hold.reason, stored.hold.by) == ("調査中", "ana", "legal", "ana")
    plan = ledger.plans.make(Wanted(Verb.REDRIVE, "ana", FAST, Selection()))
    assert (plan.count, plan.refused) == (0, {"held": 3})
    execute(operations, turns=1)
    released = begin(ledger, Verb.RELEASE)
    execute(operations)
    assert state_of(ledger, released).done == 3
    assert ledger.get("s0").hold is None


def test_abandoned_dead_letters_can_be_restored_once(fakes, ledger, operations, fill):
    fill(3)
    operation = begin(ledger, Verb.ABANDON, reason="old")
    execute(operations)
    assert state_of(ledger, operation).done == 3
    assert {row.state for row in ledger.rows(ALL)} == {RowState.ABANDONED}
    archived = fakes.under(ARCHIVE_PREFIX)
    assert {one["reason"] for one in archived.values()} == {"old"}
    assert {event.details["reason"] for name in ("s0", "s1", "s2") for event in ledger.events(name)} == {"old"}
    for expected in (3, 0):
        restored = begin(ledger, Verb.RESTORE, ALL)
        execute(operations)
        assert state_of(ledger, restored).done == expected
    assert set(sent_bodies(fakes).values()) == {1}
    assert len(fakes.source.messages) == 3


def test_recovered_dead_letters_are_indexed_and_gone(fakes, ledger, operations, fill):
    fill(12)
    operation = begin(ledger, Verb.RECOVER)
    execute(operations)
    assert state_of(ledger, operation).done == 12
    assert {row.state for row in ledger.rows(ALL)} == {RowState.RECOVERED}
    assert len(fakes.index.documents) == 12
    assert fakes.under(DEAD_LETTERS_PREFIX) == {}


@pytest.mark.parametrize("asked", [False, True])
def test_what_the_system_is_at_fault_for_is_given_up_only_if_that_is_asked_for(
    fakes, ledger, operations, intake, asked
):
    failure = {"kind": "SYSTEM_ERROR", "error_type": "StoreError", "message": "NoSuchBucket"}
    fakes.dead_letter("m1", "a.txt", bucket="no-such-bucket", failure=failure)
    while intake.once(wait_s=0):
        pass
    operation = begin(ledger, Verb.RECOVER, archive_system_errors=asked)
    execute(operations)
    done = state_of(ledger, operation)
    assert (done.done, done.failed) == ((1, 0) if asked else (0, 1))
    assert (len(fakes.under(DEAD_LETTERS_PREFIX)), len(fakes.under(ARCHIVE_PREFIX))) == ((0, 1) if asked else (1, 0))


def test_an_index_that_is_away_leaves_everything_as_it_is_until_it_is_back(fakes, ledger, operations, fill):
    fill(3)
    operation = begin(ledger, Verb.RECOVER)
    fakes.faults.add("index.write", INDEX_DOWN, times=3)
    operations.once("one", Liveness(60))
    assert state_of(ledger, operation).state is OperationState.RUNNING
    assert "down" in state_of(ledger, operation).error
    execute(operations)
    assert state_of(ledger, operation).done == 3


def test_messages_of_other_services_are_sent_a_few_at_a_time(fakes, ledger, operations, intake, verbs):
    for number in range(12):
        fakes.dlq.add(
            f"f{number}",
            json.dumps({"correlation_id": f"c{number}", "file_id": f"{number}", "bucket": "b", "key": "k"}),
        )
    while intake.once(wait_s=0):
        pass
    rows = list(ledger.rows(Selection()))
    seen = []

    def act(some):
        seen.append(len(some))
        return []

    foreign = [replace(row, type="invoice") for row in rows]
    assert list(operations._parts(foreign, act, is_ordered=False)) == [[], [], []]
    assert seen == [5, 5, 2]


def test_what_the_queue_refuses_for_good_has_failed_after_a_few_times(fakes, ledger, operations, fill):
    fill(2)
    operation = begin(ledger, Verb.REDRIVE, **FAST)
    fakes.faults.add("source.send", SQS_DOWN)
    execute(operations)
    ended = state_of(ledger, operation)
    assert (ended.state, ended.failed) == (OperationState.DONE, 2)
    assert "ServiceUnavailable" in items(ledger, operation)["s0"].result
    assert {row.state for row in ledger.rows(ALL)} == {RowState.OPEN}
    assert not [one for one in fakes.under(DEAD_LETTERS_PREFIX).values() if one["claim"]]


def test_to_a_fifo_queue_everything_goes_in_its_order_one_at_a_time(fakes, ledger, operations, intake):
    fakes.source.name = "source.fifo"
    order = list(range(43))
    for number in sorted(order, key=lambda one: one * 17 % 43):  # they come in another order
        fakes.dead_letter(f"m{number}", f"k{number}", sent_ms=NOW_MS + number // 13)
        system = fakes.dlq.messages[f"m{number}"].system
        system |= {"MessageGroupId": "g", "SequenceNumber": str(18_874_385_000_000_000_000 + number)}
    while intake.once(wait_s=0):
        pass
    begin(ledger, Verb.REDRIVE, **FAST)
    fakes.faults.add("source.fifo.send", SQS_DOWN, after=20, times=2)
    execute(operations)
    bodies = [json.loads(message.body) for message in fakes.source.messages.values()]
    assert [one["Records"][0]["s3"]["object"]["key"] for one in bodies] == [f"k{number}" for number in order]
    assert fakes.faults.calls.count("source.fifo.send") == len(order) + 2


def test_what_cannot_be_sent_to_a_fifo_queue_is_not_overtaken(fakes, ledger, operations, fill):
    fakes.source.name = "source.fifo"
    fill(25)
    operation = begin(ledger, Verb.REDRIVE, **FAST)
    fakes.faults.add("source.fifo.send", SQS_DOWN, after=13)
    execute(operations)
    ended = state_of(ledger, operation)
    assert (ended.state, ended.done, ended.failed, ended.skips) == (OperationState.FAILED, 13, 1, {STOPPED: 11})
    assert [one.result for one in items(ledger, operation).values() if one.state is Result.FAILED] == [PERHAPS_SENT]
    assert ended.error.endswith("what follows must not overtake it")
    assert ledger.count(Selection()) == 12


def test_however_long_the_queue_is_away_no_dead_letter_is_at_fault(fakes, ledger, operations, fill):
    fill(25)
    operation = begin(ledger, Verb.REDRIVE, **FAST)
    for call in ("source.send", "source.attributes"):
        fakes.faults.add(
            call, SQS_DOWN, after=2 if call == "source.attributes" else 0
        )  # it begins after the first look
    execute(operations)
    assert state_of(ledger, operation).error.endswith("down")
    fakes.faults.plan.clear()
    execute(operations)
    ended = state_of(ledger, operation)
    assert (ended.state, ended.done, ended.failed) == (OperationState.DONE, 25, 0)


# -- parts of a batch ----------------------------------------------------------------------------------------------


def become_foreign(ledger, *names):
    for name in names:
        ledger.change(name, version=None, by="test", action="test", type="invoice")


def test_to_a_fifo_queue_other_services_messages_are_not_overtaken_either(ledger, operations, fill):
    fill(4)
    become_foreign(ledger, "s1", "s2")
    seen = []

    def act(some):
        seen.append(some)
        return []

    rows = sorted(ledger.rows(Selection()), key=lambda row: row.identity)
    assert list(operations._parts(rows, act, is_ordered=True)) == [[]]
    assert seen == [rows]


@pytest.mark.parametrize("verb", [Verb.REDRIVE, Verb.ABANDON])
def test_what_one_part_of_a_batch_did_counts_though_the_next_part_fails(
    fakes, ledger, operations, fill, monkeypatch, verb
):
    fill(6)
    become_foreign(ledger, "s3", "s4", "s5")
    operation = begin(ledger, verb, **FAST)
    name = "redrive" if verb is Verb.REDRIVE else "remove"
    of = sending if verb is Verb.REDRIVE else removing
    right, calls = getattr(of, name), []

    def second_fails(world, *given, **more):
        calls.append(1)
        if len(calls) == 2:
            raise DOWN
        return right(world, *given, **more)

    monkeypatch.setattr(of, name, second_fails)
    operations.once("one", Liveness(60))
    assert state_of(ledger, operation).done == 3
    execute(operations)
    ended = state_of(ledger, operation)
    assert (ended.state, ended.done, ended.twice) == (OperationState.DONE, 6, 0)
    assert set(sent_bodies(fakes).values()) == ({1} if verb is Verb.REDRIVE else set())


def test_what_is_added_for_the_order_of_a_fifo_queue_is_waited_for_as_well(
    fakes, ledger, operations, fill, monkeypatch
):
    fakes.source.name = "source.fifo"
    fill(25)
    with ledger._database.writing() as connection:
        connection.exec_driver_sql("UPDATE dead_letters SET sent_ms = 1")  # in one millisecond
    waited = []
    monkeypatch.setattr(ramp.Ramp, "wait", lambda _self, count, *_: waited.append(count))
    begin(ledger, Verb.REDRIVE, rate=2)
    execute(operations)
    assert len(fakes.source.messages) == 25
    assert sum(waited[:2]) == 25


def test_a_long_wait_is_a_sign_of_life_and_ends_when_it_is_to(stop, monkeypatch):
    monkeypatch.setattr(ramp, "TURN_S", 0.01)
    slow, liveness = ramp.Ramp(rate=0.01, ramps=False, step=0), Liveness(60)
    beats: list[int] = []
    monkeypatch.setattr(liveness, "beat", lambda: stop.set() if len(beats) == 3 else beats.append(1))
    slow.wait(1, stop, liveness)
    slow.wait(1, stop, liveness)
    assert stop.is_set()


# -- what is in doubt ----------------------------------------------------------------------------------------------


def test_a_plan_stays_good_while_the_manager_finds_something_out(fakes, ledger, operations, fill):
    fill(3)
    operation = begin(ledger, Verb.REDRIVE, **FAST)
    ledger.change("s0", version=None, by="manager", action="diagnosed", finding="recovery would index it")
    ledger.change("s1", version=None, by="manager", action="owner found", owner="ana@example.com")
    execute(operations)
    assert (state_of(ledger, operation).done, state_of(ledger, operation).skipped) == (3, 0)
    assert {row.state for row in ledger.rows(ALL)} == {RowState.SENT}


def test_a_sending_that_nothing_confirmed_can_be_sent_again(fakes, ledger, operations, fill):
    fill(2)
    begin(ledger, Verb.REDRIVE, **FAST)
    execute(operations)
    ledger.change("s1", version=None, by="manager", action="unconfirmed", outcome="unconfirmed")
    plan = ledger.plans.make(Wanted(Verb.REDRIVE, "ana", FAST, ALL))
    assert (plan.count, plan.refused) == (1, {"already sent": 1})
    again: Any = dead_letter_store.read(fakes.state, ledger.get("s1").key)
    dead_letter_store.write(fakes.state, replace(again, sent=replace(again.sent, unconfirmed_ms=0)))
    ledger.operations.create(plan, by="ana")
    execute(operations)
    assert sorted(sent_bodies(fakes).values()) == [1, 2]
    assert (ledger.get("s1").state, ledger.get("s1").outcome) == (RowState.SENT, None)


def test_an_operation_that_is_paused_just_before_its_end_does_not_end(ledger, operations, fill):
    fill(3)
    operation = begin(ledger, Verb.REDRIVE, **FAST)
    taken = ledger.execution.take("one", 60)
    ledger.execution.enlist(taken, 60)
    for state in (OperationState.PAUSED, OperationState.WAITING):
        ledger.operations.move(operation.id, state)
        assert ledger.execution.wind_up(taken, 60)
        found = state_of(ledger, operation)
        assert (found.state, found.ended_ms, found.left) == (state, None, 3)
    execute(operations)
    assert state_of(ledger, operation).done == 3


def test_a_cancelled_operation_ends_only_when_nothing_of_it_is_in_doubt(fakes, ledger, operations, fill):
    fill(3)
    operation = begin(ledger, Verb.REDRIVE, **FAST)
    fakes.faults.add("source.send", KilledError(), times=1)
    with pytest.raises(KilledError):
        operations.once("killed", Liveness(60))
    expire(ledger)
    ledger.operations.move(operation.id, OperationState.CANCELLED)
    fakes.faults.add("state.get", DOWN)
    execute(operations)
    assert state_of(ledger, operation).ended_ms is None
    fakes.faults.plan.clear()
    execute(operations)
    ended = state_of(ledger, operation)
    assert (ended.state, ended.failed, ended.twice) == (OperationState.CANCELLED, 3, 3), "not as it was: perhaps sent"
    assert ended.ended_ms is not None


def test_a_lane_that_lost_an_operation_leaves_the_lease_of_the_lane_that_has_it(ledger, operations, fill):
    fill(1)
    begin(ledger, Verb.REDRIVE, **FAST)
    old = ledger.execution.take("one", 60)
    with operations.leases.keeping(old):
        expire(ledger)
        new = ledger.execution.take("two", 60)
        with operations.leases.keeping(new):
            operations.leases.renew()
            assert operations.leases._held == {new.operation.id: new}
        assert operations.leases._held == {}


def test_a_restore_that_was_killed_goes_on_at_once_and_is_marked(fakes, ledger, operations, fill):
    fill(3)
    begin(ledger, Verb.ABANDON)
    execute(operations)
    restored = begin(ledger, Verb.RESTORE, ALL, **FAST)
    fakes.faults.add("source.send", KilledError(), after=1, times=1)
    with pytest.raises(KilledError):
        operations.once("killed", Liveness(60))
    expire(ledger)
    execute(operations)
    ended = state_of(ledger, restored)
    assert (ended.state, ended.done) == (OperationState.DONE, 3)
    assert sum(count - 1 for count in sent_bodies(fakes).values()) <= ended.twice


def test_an_archived_dead_letter_is_found_though_its_objects_key_is_hidden(fakes, ledger, operations, fill):
    fill(2)
    begin(ledger, Verb.ABANDON)
    execute(operations)
    ledger.change("s0", version=None, by="test", action="test", object_key=None)
    ledger.change("s1", version=None, by="test", action="test", object_key="[redacted]")
    restored = begin(ledger, Verb.RESTORE, ALL, **FAST)
    execute(operations)
    assert state_of(ledger, restored).done == 2


# -- outages -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("call", ["state.claim", "state.delete", "state.put", "s3.read"])
@pytest.mark.parametrize("after", [0, 4])
def test_recovery_goes_on_once_s3_is_back(fakes, ledger, operations, fill, call, after):
    fill(4)
    operation = begin(ledger, Verb.RECOVER)
    fakes.faults.add(call, DOWN, after=after, times=9)
    execute(operations, turns=40)
    ended = state_of(ledger, operation)
    assert (ended.state, ended.skipped) == (OperationState.DONE, 0)
    assert (
        ended.done + ended.failed == 4
    )  # where others of a batch could be done, what could not has failed, and says why
    begin(ledger, Verb.RECOVER)
    execute(operations)
    assert {row.state for row in ledger.rows(ALL)} == {RowState.RECOVERED}
    assert fakes.under(DEAD_LETTERS_PREFIX) == {}


@pytest.mark.parametrize("verb", [Verb.HOLD, Verb.ABANDON, Verb.REDRIVE, Verb.RECOVER])
def test_however_long_s3_is_away_no_dead_letter_is_at_fault(fakes, ledger, operations, fill, verb):
    fill(3)
    operation = begin(ledger, verb, reason="legal", **FAST)
    for call in ("state.get", "state.put", "state.claim"):
        fakes.faults.add(call, DOWN)
    execute(operations)
    assert state_of(ledger, operation).state is OperationState.RUNNING
    fakes.faults.plan.clear()
    execute(operations)
    ended = state_of(ledger, operation)
    assert (ended.state, ended.done, ended.failed) == (OperationState.DONE, 3, 0)


def test_objects_that_are_gone_are_accepted_only_when_somebody_says_so(fakes, ledger, operations, fill):
    fill(105)
    fakes.s3.bodies.clear()
    operation = begin(ledger, Verb.RECOVER)
    execute(operations)
    ended = state_of(ledger, operation)
    assert (ended.state, ended.done) == (OperationState.FAILED, 90)
    assert "objects that are gone" in ended.error
    accepted = begin(ledger, Verb.RECOVER, accept_gone=True)
    execute(operations)
    assert (state_of(ledger, accepted).state, state_of(ledger, accepted).done) == (OperationState.DONE, 15)


# -- what nobody may miss ------------------------------------------------------------------------------------------


def test_what_may_have_been_sent_is_not_said_to_be_as_it_was_though_it_changed(fakes, ledger, operations, fill):
    fill(1)
    operation = begin(ledger, Verb.REDRIVE, **FAST)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("recovery.operations.transfer.claims.Claims.sent", lambda *_a, **_k: _killed())
        with pytest.raises(KilledError):
            operations.once("killed", Liveness(60))
    expire(ledger)
    ledger.change("s0", version=None, by="ben", action="note", note="n")
    execute(operations)
    [item] = items(ledger, operation).values()
    assert (item.state, item.result, item.twice) == (Result.FAILED, PERHAPS_SENT, True)
    assert state_of(ledger, operation).twice == 1


def _killed():
    raise KilledError


def test_what_an_executor_sends_after_it_lost_the_operation_is_not_sent_again(fakes, ledger, operations, verbs, fill):
    fill(2)
    operation = begin(ledger, Verb.REDRIVE, **FAST)
    rows = sorted(ledger.rows(Selection()), key=lambda row: row.identity)
    run = verbs.run(Verb.REDRIVE, name=operation.run, by="ana")
    with verbs.doing(Verb.REDRIVE, run, FAST) as act:
        act(rows[:1])
    execute(operations)
    ended = state_of(ledger, operation)
    assert (ended.done, ended.skipped, ended.twice) == (2, 0, 0)
    assert set(sent_bodies(fakes).values()) == {1}
    assert {row.state for row in ledger.rows(ALL)} == {RowState.SENT}


def test_to_a_fifo_queue_nothing_overtakes_what_another_is_acting_on(fakes, ledger, operations, fill):
    fakes.source.name = "source.fifo"
    fill(3)
    [*_, last] = sorted(ledger.rows(Selection()), key=lambda row: (row.sent_ms, row.id))[:2]
    record: Any = dead_letter_store.read(fakes.state, last.key)
    dead_letter_store.write(fakes.state, replace(record, claim=Claim("ben", "other", NOW_MS + 900_000)))
    operation = begin(ledger, Verb.REDRIVE, **FAST)
    execute(operations)
    ended = state_of(ledger, operation)
    assert (ended.state, ended.done, ended.skips) == (OperationState.FAILED, 1, {STOPPED: 2})
    assert "ben is acting on it" in ended.error


def test_an_outage_in_the_middle_of_a_batch_is_nobodys_fault(fakes, ledger, operations, fill):
    fill(10)
    operation = begin(ledger, Verb.RECOVER)
    for call, after in (("s3.read", 4), ("s3.head", 0), ("state.get", 12)):
        fakes.faults.add(call, DOWN, after=after)
    execute(operations)
    assert (state_of(ledger, operation).state, state_of(ledger, operation).failed) == (OperationState.RUNNING, 0)
    fakes.faults.plan.clear()
    execute(operations)
    ended = state_of(ledger, operation)
    assert (ended.state, ended.done, ended.failed) == (OperationState.DONE, 10, 0)


def test_one_that_is_refused_for_a_while_is_tried_again_after_the_others(fakes, ledger, operations, fill):
    fill(25)
    operation = begin(ledger, Verb.RECOVER)
    fakes.faults.add("s3.read", DOWN, times=6)  # two of the first batch, three attempts each
    execute(operations)
    ended = state_of(ledger, operation)
    assert (ended.state, ended.done, ended.failed) == (OperationState.DONE, 25, 0)


def test_what_was_deleted_counts_though_another_of_the_same_call_was_not(fakes, ledger, operations, fill, monkeypatch):
    fill(4)
    right = type(fakes.state).delete_all

    def all_but_one(state, keys):
        right(state, [key for key in keys if "s2" not in key])
        if any("s2" in key for key in keys):
            raise StoreError("locked", code="AccessDenied")

    monkeypatch.setattr(type(fakes.state), "delete_all", all_but_one)
    operation = begin(ledger, Verb.ABANDON)
    execute(operations)
    ended = state_of(ledger, operation)
    assert (ended.done, ended.failed) == (3, 1)
    assert {row.identity for row in ledger.rows(Selection())} == {"s2"}


def test_a_row_that_came_back_is_not_said_to_be_sent_while_its_record_cannot_be_read(fakes, ledger, verbs, fill):
    fill(1)
    [row] = ledger.rows(Selection())
    change = Change("s0", "redrive", "ana", {"state": RowState.SENT}, {}, row.version)
    fakes.faults.add("state.get", DOWN)
    assert after_conflict(verbs.world, Acted(row, Result.DONE), change, row.version + 1) is None
