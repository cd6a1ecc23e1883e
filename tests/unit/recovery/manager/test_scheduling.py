"""`schedule` and `unschedule`: the manager's retries send at the time that somebody has chosen, or never; nothing is lost."""

import threading
from dataclasses import replace
from typing import Any

import pytest

from recovery.ledger.operation_items import Result
from recovery.ledger.operations import OperationState
from recovery.ledger.plans import Wanted
from recovery.ledger.refusals import Verb
from recovery.ledger.rows import State as RowState
from recovery.ledger.selection import Selection
from recovery.manager import operations as module
from recovery.manager.acting.scheduling import moment_ms, with_moment
from recovery.manager.acting.single import act_on
from recovery.manager.rebuild import rebuild
from recovery.operations.dead_letters.desk import change_record, held
from testing.ledgers import new_ledger
from testing.memory import DOWN, NOW_MS, FixedClock
from tests.support.retrying import Retrying
from worker.core.base.liveness import Liveness
from worker.core.s3.state import DEAD_LETTERS_PREFIX
from worker.core.sqs import dead_letter_store
from worker.core.sqs.stored_dead_letter import Claim, Retry

HOUR_MS = 3_600_000
AT_MS = NOW_MS + HOUR_MS
MAPS = '{"type":"maps","city":"x","correlation_id":"c","lat":1,"lng":1,"radius":1,"category":"x","enqueued_at":1}'
AT = "2026-11-18T12:06:40.000Z"


class KilledError(BaseException):
    """Raised where a process is killed: nothing catches it."""


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(module, "OUTAGE_S", 0)
    monkeypatch.setattr("worker.core.base.retry.FIRST_WAIT_S", 0.0)
    monkeypatch.setattr("worker.core.base.retry.LONGEST_WAIT_S", 0.0)


@pytest.fixture
def retrying(fakes, ledger, commit, rows):
    """With retries that the rules never schedule."""
    return Retrying(fakes, ledger, commit, rows, times=0)


def planned(ledger, verb=Verb.SCHEDULE, **options):
    given = {"at": AT} if verb is Verb.SCHEDULE else {}
    plan = ledger.plans.make(Wanted(verb, "ana", {**given, **options}, Selection()))
    return ledger.operations.create(plan, by="ana")


def execute(operations, *, turns=20):
    for _ in range(turns):
        if not operations.once("one", Liveness(60)):
            return


def at(monkeypatch, now_ms):
    monkeypatch.setattr(FixedClock, "now_ms", lambda _self: now_ms)


def on(ledger, verbs, verb, name="a", **options):
    [acted] = act_on(ledger, verbs, verb, [ledger.get(name)], options, by="ana")
    return acted


def test_seconds_from_now_are_one_moment_on_s3s_clock():
    options = with_moment({"in_s": 3_600, "rate": 5.0}, now_ms=NOW_MS)
    assert options == {"at": AT, "rate": 5.0}
    assert moment_ms(options) == AT_MS
    assert moment_ms(with_moment({"in_s": 0}, now_ms=NOW_MS + 123)) == NOW_MS + 123


def test_what_is_scheduled_is_sent_by_the_retries_at_that_time_and_not_before(
    fakes, ledger, operations, retrying, monkeypatch
):
    retrying.fails("a", "b", kind="USER_ERROR")
    assert ledger.get("a").state is RowState.OPEN
    operation = planned(ledger)
    execute(operations)
    done = ledger.operations.get(operation.id)
    assert (done.state, done.done) == (OperationState.DONE, 2)
    row, stored = ledger.get("a"), retrying.record("a")
    assert (row.state, row.retry_at_ms, row.retry_by) == (RowState.SCHEDULED, AT_MS, "ana")
    assert (stored.retry, stored.is_scheduled) == (Retry(0, AT_MS, "ana"), True)
    assert ledger.events("a")[-1].details == {
        "from": "open", "to": "scheduled", "run": operation.run, "result": f"at {AT}"
    }  # fmt: skip
    [entry] = fakes.under("s3-index-worker/audit/").values()
    assert (entry["action"], entry["by"], sorted(entry["ids"]), entry["result"], entry["retry_at"]) == (
        "schedule", "ana", ["a", "b"], {"a": "schedule", "b": "schedule"}, AT
    )  # fmt: skip
    retrying.turn()
    assert fakes.source.messages == {}
    at(monkeypatch, AT_MS)
    retrying.worker(written_at_ms=AT_MS)
    retrying.retries = retrying.anew()
    retrying.turn()
    assert len(fakes.source.messages) == 2
    row = ledger.get("a")
    assert (row.state, row.retries, row.redrives, row.retry_at_ms, row.retry_by) == (RowState.SENT, 1, 0, None, None)
    sending = [one for one in fakes.under("s3-index-worker/audit/").values() if one["action"] == "retry"]
    assert [(one["by"], one["scheduled_by"]) for one in sending] == [("manager@h", {"a": "ana", "b": "ana"})]
    assert retrying.record("a").retry == Retry(1)


def test_it_waits_until_all_is_well_as_every_retry_does(fakes, ledger, verbs, retrying):
    retrying.fails("a")
    retrying.worker(state="stopped")
    on(ledger, verbs, Verb.SCHEDULE, at=with_moment({"in_s": 0}, now_ms=NOW_MS)["at"])
    retrying.turn()
    assert ("no worker" in retrying.retries.waiting_for, fakes.source.messages) == (True, {})


def test_however_often_it_was_sent_by_itself_it_is_sent_at_the_time_that_somebody_chose(
    fakes, ledger, commit, rows, verbs
):
    retrying = Retrying(fakes, ledger, commit, rows, times=1)
    retrying.fails("a")
    retrying.turn()
    retrying.comes_back()
    assert "retries are used up" in ledger.get("a").finding
    now = with_moment({"in_s": 0}, now_ms=NOW_MS)["at"]
    assert on(ledger, verbs, Verb.SCHEDULE, at=now).state is Result.DONE
    row = ledger.get("a")
    assert (row.state, row.finding, row.retries) == (RowState.SCHEDULED, None, 1)
    retrying.retries = retrying.anew()
    retrying.turn()
    assert (ledger.get("a").state, ledger.get("a").retries) == (RowState.SENT, 2)
    retrying.comes_back()
    row = ledger.get("a")
    assert (row.state, row.retry_at_ms, row.retry_by) == (RowState.OPEN, None, None)


def test_a_finding_of_something_else_stays(ledger, verbs, retrying):
    retrying.fails("a", kind="UNKNOWN")
    ledger.change("a", version=None, by="diagnosis", action="looked at", finding="recovery would index it")
    on(ledger, verbs, Verb.SCHEDULE, at=AT)
    assert ledger.get("a").finding == "recovery would index it"


def test_what_is_unscheduled_is_never_sent_by_itself(fakes, ledger, commit, rows, operations):
    retrying = Retrying(fakes, ledger, commit, rows)
    retrying.fails("a", "b")
    operation = planned(ledger, Verb.UNSCHEDULE)
    execute(operations)
    assert ledger.operations.get(operation.id).done == 2
    row = ledger.get("a")
    assert (row.state, row.retry_at_ms, retrying.record("a").retry) == (RowState.OPEN, None, Retry(0))
    retrying.turn()
    retrying.follower.follow()
    retrying.turn()
    assert (fakes.source.messages, ledger.get("a").state) == ({}, RowState.OPEN)
    assert [one["action"] for one in fakes.under("s3-index-worker/audit/").values()] == ["unschedule"]


def test_a_later_schedule_replaces_an_earlier_one_and_those_of_the_rules(fakes, ledger, commit, rows, verbs):
    retrying = Retrying(fakes, ledger, commit, rows)
    retrying.fails("a")
    assert (ledger.get("a").retry_at_ms, ledger.get("a").retry_by) == (NOW_MS, None)
    on(ledger, verbs, Verb.SCHEDULE, at=AT)
    retrying.turn()
    assert (fakes.source.messages, ledger.get("a").retry_by) == ({}, "ana")


def test_a_held_one_is_refused_and_its_schedule_can_be_cancelled(fakes, ledger, commit, rows, verbs):
    retrying = Retrying(fakes, ledger, commit, rows)
    retrying.fails("a")
    change_record(fakes.state, ledger.get("a").key, held("legal", by="op@h"))
    acted = on(ledger, verbs, Verb.SCHEDULE, at=AT)
    assert (acted.state, acted.result) == (Result.SKIPPED, "op@h holds it: legal")
    assert on(ledger, verbs, Verb.UNSCHEDULE).state is Result.DONE
    row = ledger.get("a")
    assert (row.state, row.hold, row.retry_at_ms) == (RowState.OPEN, "legal", None)


@pytest.mark.parametrize("verb", [Verb.SCHEDULE, Verb.UNSCHEDULE])
def test_one_that_somebody_is_acting_on_or_has_sent_is_refused(fakes, ledger, commit, rows, verbs, verb):
    retrying = Retrying(fakes, ledger, commit, rows)
    retrying.fails("a")
    stored = retrying.record("a")
    dead_letter_store.write(fakes.state, replace(stored, claim=Claim("op@h", "dlq-redrive-1", NOW_MS + 1)))
    assert "op@h is acting on it" in on(ledger, verbs, verb, at=AT).result
    dead_letter_store.write(fakes.state, replace(retrying.record("a"), claim=None))
    row = ledger.get("a")
    retrying.turn()
    [acted] = act_on(ledger, verbs, verb, [row], {"at": AT}, by="ana")
    assert (acted.state, "has sent it to" in acted.result) == (Result.SKIPPED, True)


@pytest.mark.parametrize(
    ("failure", "body", "why"),
    [({"source_queue": "http://sqs/a.fifo"}, None, "of a FIFO queue"),
     ({"source_queue": ""}, MAPS, "its queue is not known"), ({}, '{"what": 1}', "it must not be sent as it is")],
)  # fmt: skip
def test_what_retries_could_not_send_is_refused_at_once(fakes, ledger, verbs, retrying, failure, body, why):
    fakes.dead_letter("dlq-a", "a.txt", failure={"source_message_id": "a", **failure})
    if body is not None:
        fakes.dlq.messages["dlq-a"] = replace(fakes.dlq.messages["dlq-a"], body=body)
    while retrying.intake.once(wait_s=0):
        pass
    acted = on(ledger, verbs, Verb.SCHEDULE, at=AT)
    assert acted.state is Result.SKIPPED
    assert why in acted.result


def test_a_kill_between_the_record_and_its_row_loses_nothing(fakes, ledger, operations, retrying):
    retrying.fails("a", "b", "c")
    operation = planned(ledger)
    right = ledger.execution.settle

    def killed(*_given, **_more):
        raise KilledError

    ledger.execution.settle = killed
    with pytest.raises(KilledError):
        operations.once("one", Liveness(60))
    ledger.execution.settle = right
    assert (ledger.get("a").state, retrying.record("a").retry.at_ms) == (RowState.OPEN, AT_MS)
    with ledger._database.writing() as connection:
        connection.exec_driver_sql("UPDATE operations SET until_ms = 0")
    execute(operations)
    ended = ledger.operations.get(operation.id)
    assert (ended.state, ended.done, ended.twice) == (OperationState.DONE, 3, 0)
    assert {row.state for row in ledger.rows(Selection())} == {RowState.SCHEDULED}
    assert len(fakes.under(DEAD_LETTERS_PREFIX)) == 3


@pytest.mark.parametrize("verb", [Verb.SCHEDULE, Verb.UNSCHEDULE])
def test_however_long_s3_is_away_no_dead_letter_is_at_fault(fakes, ledger, commit, rows, operations, verb):
    Retrying(fakes, ledger, commit, rows).fails("a", "b")
    operation = planned(ledger, verb)
    for call in ("state.get", "state.put", "state.claim"):
        fakes.faults.add(call, DOWN)
    execute(operations)
    assert ledger.operations.get(operation.id).state is OperationState.RUNNING
    fakes.faults.plan.clear()
    execute(operations)
    ended = ledger.operations.get(operation.id)
    assert (ended.state, ended.done, ended.failed) == (OperationState.DONE, 2, 0)


def test_a_rebuilt_ledger_has_the_schedule_and_who_wants_it(fakes, ledger, verbs, retrying, rows, tmp_path):
    retrying.fails("a")
    on(ledger, verbs, Verb.SCHEDULE, at=AT)
    new: Any = new_ledger(f"sqlite:///{tmp_path}/new.sqlite")
    rebuild(new, fakes.state, rows, by="op@h", now_ms=NOW_MS, stop=threading.Event())
    row = new.get("a")
    assert (row.state, row.retry_at_ms, row.retry_by) == (RowState.SCHEDULED, AT_MS, "ana")
    assert [(one.by, one.action) for one in new.events("a")] == [("ana", "schedule")]
    new.close()


def test_a_row_is_brought_to_the_schedule_that_its_record_says(fakes, ledger, retrying):
    retrying.fails("a")
    change_record(fakes.state, ledger.get("a").key, lambda one: replace(one, retry=Retry(0, AT_MS, "ben")))
    retrying.follower.refresh([ledger.get("a")])
    row = ledger.get("a")
    assert (row.state, row.retry_at_ms, row.retry_by) == (RowState.SCHEDULED, AT_MS, "ben")
