"""Plans and operations on both databases: frozen, of one moment, each dead letter in one of them, each taken by one executor."""

import contextlib
from concurrent.futures import ThreadPoolExecutor

import pytest

from recovery.ledger import plans
from recovery.ledger.answers import Answer, Asked, Repeat
from recovery.ledger.execution import LeaseLostError
from recovery.ledger.ledger import Ledger, open_ledger
from recovery.ledger.operation_items import ItemResult, Result
from recovery.ledger.operations import OperationState, PlanUsedError
from recovery.ledger.plans import TooManyError, Wanted
from recovery.ledger.refusals import Limits, Verb
from recovery.ledger.rows import Change, State
from recovery.ledger.selection import Selection, parse_query
from testing.ledgers import NOW_MS, arrival

ALL = Selection(states=tuple(State))


def fill(ledger: Ledger, count: int = 25) -> None:
    ledger.take_in([arrival(f"n{number:02d}", sent_ms=NOW_MS + number) for number in range(count)])


def plan_of(ledger: Ledger, query: str = "", verb: Verb = Verb.REDRIVE) -> plans.Plan:
    return ledger.plans.make(Wanted(verb, "ana", {}, parse_query(query), query))


def test_a_sample_is_spread_over_a_plan_and_says_what_has_changed_since(ledger: Ledger) -> None:
    fill(ledger)
    plan = plan_of(ledger)
    ledger.change("n24", version=1, by="ben", action="hold", hold="legal")
    places = [(one.place, one.row and one.row.identity) for one in ledger.operations.sample(plan.id, limit=5)]
    assert places == [(1, "n00"), (7, "n06"), (13, "n12"), (19, "n18"), (25, "n24")]
    assert [one.why_not for one in ledger.operations.sample(plan.id, limit=2)] == ["", "changed"]
    assert [one.place for one in ledger.operations.sample(plan.id, limit=1)] == [1]
    assert len(ledger.operations.sample(plan.id, limit=100)) == 25
    assert ledger.operations.sample("unknown") == []
    counted = [
        ledger.operations.changed(name, of_first=most) for name, most in ((plan.id, 25), (plan.id, 24), ("none", 9))
    ]
    assert counted == [1, 0, 0]
    assert ledger.operations.identities(plan.id, limit=3) == ["n00", "n01", "n02"]
    assert len(ledger.operations.identities(plan.id, limit=100)) == 25
    assert ledger.operations.sample(plan_of(ledger, "key:nothing").id) == []
    assert [one.place for one in ledger.operations.sample(plan_of(ledger, "state:open key:経理").id, limit=3)][:1] == [
        1
    ]


@pytest.mark.parametrize("verb", list(Verb))
def test_every_verb_counts_what_it_refuses_by_reason(ledger: Ledger, verb: Verb) -> None:
    ledger.take_in([
        arrival("open"), arrival("held", hold="legal"), arrival("often", redrives=3), arrival("bad", fault="no JSON"),
        arrival("sent", state=State.SENT), arrival("gone", state=State.MISSING), arrival("over", state=State.RECOVERED),
        arrival("given up", state=State.ABANDONED), arrival("large", size_bytes=1024 * 1024 - 100),
        arrival("full", attribute_count=10, error_type=""), arrival("other", type="invoice"),
        arrival("due", state=State.SCHEDULED, retry_at_ms=1), arrival("fifo", source_queue="http://sqs/q/a.fifo"),
        arrival("nowhere", type="invoice", source_queue=""),
    ])  # fmt: skip
    plan = ledger.plans.make(Wanted(verb, "ana", {}, ALL))
    assert plan.count + sum(plan.refused.values()) == 14
    assert ledger.plans.get(plan.id) == plan
    if verb is Verb.REDRIVE:
        assert plan.refused == {
            "held": 1, "redriven too often": 1, "at fault": 1, "already sent": 1, "missing": 1, "ended": 2,
            "its failure record may not fit": 2,
        }  # fmt: skip
        forced = ledger.plans.make(Wanted(verb, "ana", {}, ALL, limits=Limits(force=True)))
        assert forced.refused == {"held": 1, "at fault": 1, "already sent": 1, "missing": 1, "ended": 2}
    if verb is Verb.SCHEDULE:
        assert plan.refused == {
            "held": 1, "at fault": 1, "already sent": 1, "missing": 1, "ended": 2, "its failure record may not fit": 2,
            "of a FIFO queue": 1, "its queue is not known": 1,
        }  # fmt: skip
    if verb is Verb.UNSCHEDULE:
        assert plan.refused == {"not scheduled": 9, "already sent": 1, "missing": 1, "ended": 2}


def test_a_plan_is_written_in_chunks_and_holds_what_matched_then(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(ledger)
    monkeypatch.setattr(plans, "CHUNK", 7)
    plan = plan_of(ledger, "key:経理")
    ledger.take_in([arrival("later")])
    ledger.change("n03", version=1, by="ben", action="note", note="n")
    ledger.operations.create(plan, by="ana")
    taken = ledger.execution.take("a", 60)
    assert taken is not None
    while ledger.execution.enlist(taken, 60):
        pass
    items = ledger.execution.begin(taken, 60, after=0, limit=100)
    assert [one.row.identity for one in items if one.row] == [f"n{number:02d}" for number in range(25)]
    assert [one.row.identity for one in items if one.row and one.why_not] == ["n03"]


def test_too_many_are_refused_and_nothing_is_kept(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(ledger)
    monkeypatch.setattr(plans, "MAX_ITEMS", 10)
    with pytest.raises(TooManyError):
        plan_of(ledger)


def test_of_eight_executors_one_takes_an_operation_and_another_goes_on(ledger: Ledger, ledger_url: str) -> None:
    fill(ledger)
    operation = ledger.operations.create(plan_of(ledger), by="ana")
    with contextlib.ExitStack() as stack:
        rivals = [stack.enter_context(contextlib.closing(open_ledger(ledger_url))) for _ in range(8)]
        with ThreadPoolExecutor(8) as pool:
            found = [one for one in pool.map(lambda at: rivals[at].execution.take(f"r{at}", 0.2), range(8)) if one]
    assert len(found) >= 1
    assert len({one.epoch for one in found}) == len(found)
    old = found[-1] if len(found) == 1 else max(found, key=lambda one: one.epoch)
    with ledger._database.writing() as connection:
        connection.exec_driver_sql("UPDATE operations SET until_ms = 0")
    new = ledger.execution.take("new", 60)
    assert new is not None
    assert new.epoch == old.epoch + 1
    with pytest.raises(LeaseLostError):
        ledger.execution.begin(old, 60, after=0, limit=10)
    assert ledger.operations.counts() == {"running": 1}
    assert ledger.operations.move(operation.id, OperationState.PAUSED) is not None
    assert ledger.execution.begin(new, 60, after=0, limit=10) == []


def test_an_operation_ends_with_its_counts_and_is_forgotten_in_time(ledger: Ledger) -> None:
    fill(ledger, 5)
    plan = plan_of(ledger)
    operation = ledger.operations.create(plan, by="ana")
    with pytest.raises(PlanUsedError):
        ledger.operations.create(plan, by="ana")
    execution = ledger.execution
    taken = execution.take("a", 60)
    assert taken is not None
    execution.enlist(taken, 60)
    items = execution.begin(taken, 60, after=0, limit=3)
    results = [ItemResult(items[0].place, Result.DONE), ItemResult(items[1].place, Result.FAILED, "why"),
               ItemResult(items[2].place, Result.SKIPPED, "changed")]  # fmt: skip
    changed = execution.settle(taken, results, [Change("n00", "redrive", "ana", {"state": State.SENT}, {}, 1)])
    assert changed.rows["n00"].state is State.SENT
    execution.stop(taken, OperationState.FAILED, "no")
    assert ledger.operations.page(ended=True) == []
    while not execution.wind_up(taken, 60):
        pass
    ended = ledger.operations.get(operation.id)
    assert ended is not None
    assert (ledger.operations.page(ended=True), ledger.operations.page(ended=False)) == ([ended], [])
    assert (ended.state, ended.done, ended.failed, ended.skipped) == (OperationState.FAILED, 1, 1, 3)
    assert ended.skips == {"changed": 1, "the operation has stopped": 2}
    assert execution.take("b", 60) is None
    assert [one.state for one in ledger.operations.items(operation.id, state=Result.FAILED)] == [Result.FAILED]
    assert ledger.operations.prune((ended.ended_ms or 0) + 1) == 1
    assert ledger.plans.get(plan.id) is None


def test_plans_that_nobody_used_are_forgotten(ledger: Ledger) -> None:
    fill(ledger, 5)
    plan = plan_of(ledger)
    assert ledger.plans.prune() == 0
    with ledger._database.writing() as connection:
        connection.exec_driver_sql("UPDATE plans SET expires_ms = 1")
    assert ledger.plans.prune() == 5
    assert ledger.plans.get(plan.id) is None


def test_an_answer_is_given_once_to_each_key(ledger: Ledger) -> None:
    asked = Asked("k", "ana", "d")
    with ThreadPoolExecutor(8) as pool:
        begun = list(pool.map(lambda _: ledger.answers.begin(asked), range(8)))
    assert begun.count(None) == 1
    assert begun.count(Repeat.IN_PROGRESS) == 7
    ledger.answers.finish(asked, Answer(201, "{}", "/x"))
    assert ledger.answers.begin(asked) == Answer(201, "{}", "/x")
    assert ledger.answers.begin(Asked("k", "ana", "other")) is Repeat.OTHER_BODY
    assert ledger.answers.begin(Asked("k", "ben", "d")) is None
