"""The answer to "is anything wrong, and what do I do?", of facts that a test makes up."""

import itertools
from dataclasses import replace
from typing import Any

import pytest

from recovery.ledger.groups import Group
from recovery.ledger.rows import State
from recovery.ledger.statistics import HOURS, Stats, Totals
from recovery.manager.console.languages import Language
from recovery.manager.console.reader import Reader
from recovery.manager.figures import Figures, IntakeFigures
from recovery.manager.figures_source import DlqReading
from recovery.manager.system_facts import Facts, Waiting
from recovery.manager.thresholds import exceeded
from recovery.manager.verdict import Do, Level, Says, verdict
from recovery.manager.verdict_words import WORDS, sentence, span, step_in_words
from recovery.manager.watched import Fact
from worker.core.base.classify import FailureKind
from worker.core.s3.state import HELD_PREFIX, PARKED_PREFIX, RETRY_PREFIX
from worker.core.s3.waiting import Tally
from worker.core.s3.workers import WorkerRecord

NOW_MS = 1_790_000_000_000


def stats(waiting=0, groups=0):
    states = dict.fromkeys(State, 0)
    totals = Totals(waiting, waiting, 0, 0, 0)
    return Stats(states, {}, {}, {}, {}, {}, None, None, (0,) * HOURS, totals, groups)


def waiting(count=0, groups=0, *, in_sqs=0, expiry_s=None, intake=None, last_day=0):
    largest = (Group("5b1f2c", "ReadTimeoutError", FailureKind.RECOVERABLE, 400, 1, 2, "", ()),) if groups else ()
    known = replace(stats(count, groups), hourly=(*(0,) * (HOURS - 1), last_day))
    return Waiting(known, DlqReading(in_sqs, 1_209_600), intake or IntakeFigures(), expiry_s, largest, (), {})


def worker(name="a:1", **fields):
    usual: dict[str, Any] = {
        "state": "serving",
        "host": "a",
        "written_at_ms": NOW_MS,
        "started_at_ms": NOW_MS - 1_000,
        "last_poll_at_ms": NOW_MS,
    }
    return WorkerRecord(name, **(usual | fields))


def facts(known=None, workers=None, pause=None, **counts):
    tallies = {prefix: Tally(counts.get(name, 0)) for name, prefix in _PREFIXES.items()}
    values = {
        "waiting": known or waiting(), "figures": Figures(arrivals_last_hour=counts.get("last_hour", 0)),
        "workers": [worker(), worker("b:1", host="b")] if workers is None else workers, "pause": pause, "retry_index": tallies,
    }  # fmt: skip
    made: dict[str, Any] = {name: Fact(value, NOW_MS) for name, value in values.items()}
    return Facts(at_ms=NOW_MS, **made)


_PREFIXES = {"waiting": RETRY_PREFIX, "parked": PARKED_PREFIX, "held": HELD_PREFIX}


def said(of):
    return sentence(verdict(of).parts)


def steps(of):
    return [step_in_words(one) for one in verdict(of).steps]


def test_nothing_has_failed():
    found = verdict(facts())
    assert said(facts()) == "nothing has failed; index reachable; fleet serving (2 workers)"
    assert found.level is Level.OK
    assert steps(facts()) == ["Nothing has to be done."]


def test_causes_and_messages_are_what_the_engineer_looks_at():
    found = facts(waiting(410, 3, in_sqs=2, expiry_s=9 * 86_400 + 5))
    assert said(found) == (
        "3 causes, 412 messages; the first expires in 9 days; index reachable; fleet serving (2 workers); 1 limit exceeded"
    )
    assert steps(found) == [
        "Find out why the manager cannot take dead letters in; the queue keeps them meanwhile.",
        "Look at the largest cause: ReadTimeoutError, 400 messages.",
        "See which limits are exceeded.",
    ]
    assert verdict(found).steps[1].values["group"] == "5b1f2c"
    assert verdict(found).level is Level.NOTICE
    assert said(facts(waiting(1, 1), [worker()])).startswith(
        "1 cause, 1 message; index reachable; fleet serving (1 worker)"
    )


def test_a_paused_fleet_says_who_and_why_and_is_not_called_serving():
    found = facts(pause={"reason": "index upgrade", "by": "ana", "until_ms": None}, workers=[worker(state="paused")])
    assert said(found) == "nothing has failed; fleet paused by ana: index upgrade"
    assert [one.do for one in verdict(found).steps] == [Do.RESUME]


def test_right_after_a_resume_workers_that_still_say_paused_are_no_problem():
    found = replace(facts(workers=[worker(state="paused")]), pause_changed_ms=NOW_MS - 29_000)
    assert said(found) == "nothing has failed; fleet resumed; workers follow within 30 seconds"
    assert (verdict(found).level, steps(found)) == (Level.NOTICE, [])
    late = replace(found, pause_changed_ms=NOW_MS - 31_000)
    assert (said(late), verdict(late).level) == ("nothing has failed; no worker is serving", Level.PROBLEM)
    resting = replace(found, workers=Fact([worker(state="resting")], NOW_MS))
    assert "no worker is serving" in said(resting)


def test_an_open_breaker_is_what_the_workers_say_of_the_index():
    down = {"breakers": {"index": "refused"}, "state": "resting"}
    found = facts(workers=[worker(**down), worker("b:1", host="b")], waiting=7)
    assert said(found) == (
        "nothing has failed; index unavailable on 1 of 2 workers; fleet serving (1 worker); "
        "7 documents wait for the index; 2 limits exceeded"
    )
    assert steps(found) == [
        "Make the index reachable again; until then, documents wait in retry-index/: refused",
        "See why documents wait for the index.",
        "See which limits are exceeded.",
    ]
    assert [one.threshold.alert for one in exceeded(found)] == ["WorkerIndexBreakerOpen", "WorkerRetryRecordsWait"]


def test_a_bucket_that_is_refused_is_not_the_index():
    found = facts(workers=[worker(breakers={"s3://files": "AccessDenied"})])
    assert said(found).startswith("nothing has failed; index reachable; s3://files cannot be read; fleet serving")
    assert verdict(found).steps[0].do is Do.ALLOW_BUCKET


def test_braked_and_silent_workers_come_first():
    brake = {"state": "resting", "held_back": {"brake": "31 of 31 failed"}}
    lost = worker("c:1", host="c", age_ms=600_000, written_at_ms=NOW_MS - 600_000)
    found = facts(waiting(31, 1), [worker(**brake), lost])
    assert [one.says for one in verdict(found).parts][-4:] == [Says.SILENT, Says.BRAKED, Says.NOT_SERVING, Says.LIMITS]
    assert [one.do for one in verdict(found).steps] == [
        Do.START_WORKER, Do.CORRECT_AND_RESUME, Do.SEE_GROUP, Do.SEE_LIMITS,
    ]  # fmt: skip
    assert verdict(found).level is Level.PROBLEM


def test_without_workers_nobody_can_say_whether_the_index_is_reachable():
    assert said(facts(workers=[])) == "nothing has failed; no worker is running"


def test_a_worker_that_is_refused_rests():
    found = facts(workers=[worker(failing_calls=("receive: AccessDenied",))])
    assert said(found) == "nothing has failed; 1 worker receives nothing: receive: AccessDenied; no worker is serving"
    assert steps(found) == ["Find out why workers receive nothing, and correct it: receive: AccessDenied"]
    assert verdict(found).steps[0].section == "no-poll"


@pytest.mark.parametrize(("name", "section"), [("s3", "s3-access-lost"), ("budget", "budget")])
def test_what_holds_workers_back_decides_where_help_is(name, section):
    found = verdict(facts(workers=[worker(state="resting", held_back={name: "why"})]))
    assert (found.steps[0].do, found.steps[0].section) == (Do.LET_RECEIVE, section)


@pytest.mark.parametrize("state", ["draining", "paused"])
def test_a_fleet_of_which_nobody_serves_is_a_problem_unless_it_is_paused(state):
    found = facts(workers=[worker(state=state)])
    assert said(found) == "nothing has failed; no worker is serving"
    assert (verdict(found).level, verdict(found).steps[0].do) == (Level.PROBLEM, Do.LOOK_AT_WORKERS)


def test_a_worker_that_does_not_name_its_breakers_says_nothing_of_the_index():
    found = facts(workers=[worker(open_breakers=1)])
    assert said(found) == (
        "nothing has failed; 1 worker does not name all that it cannot reach; fleet serving (1 worker)"
    )
    assert verdict(found).level is Level.PROBLEM
    assert "index reachable" in said(facts(workers=[worker(open_breakers=1), worker("b:1")]))


def test_what_is_only_in_the_queue_has_no_cause_yet():
    found = facts(waiting(in_sqs=5))
    assert said(found).startswith("5 messages not taken in yet; index reachable")
    assert steps(found) == ["Wait a minute until the manager has taken them in; if it has not, find out why."]


@pytest.mark.parametrize(
    ("known", "level"),
    [(waiting(501, 1), Level.PROBLEM), (waiting(101, 1), Level.NOTICE), (waiting(last_day=11), Level.OK)],
)
def test_the_gravest_limit_decides_how_bad_it_is(known, level):
    found = verdict(facts(known))
    assert (found.level, Says.LIMITS in [one.says for one in found.parts]) == (level, level is not Level.OK)


def test_a_count_that_ended_at_its_limit_says_so():
    assert "10,000+ documents wait for the index" in said(facts(waiting=10_000))
    assert "9,999 documents wait" in said(facts(waiting=9_999))


def test_what_is_parked_is_to_be_decided():
    found = facts(parked=2, held=1)
    assert said(found).endswith(
        "2 documents that the index rejects are parked; 1 object is held for a budget; 1 limit exceeded"
    )
    assert steps(found) == [
        "Decide what becomes of the parked documents.",
        "See which budget is used up; held objects are read once there is room again.",
        "See which limits are exceeded.",
    ]


def test_a_dlq_that_does_not_answer_is_unknown_and_an_intake_that_rests_is_said():
    known = replace(waiting(3, 1), dlq=DlqReading(None, 0, "denied"))
    assert said(facts(known)).startswith(
        "1 cause, 3 messages; what the dead-letter queue holds is unknown: denied; index"
    )
    empty = replace(waiting(), dlq=DlqReading(None, 0, "denied"))
    assert said(facts(empty)).startswith("what the dead-letter queue holds is unknown: denied; index")
    assert [(one.do, one.section) for one in verdict(facts(empty)).steps] == [(Do.ASK_AGAIN, "intake-stopped")]
    assert not [one for one in exceeded(facts(known)) if one.threshold.alert.startswith("DlqDepth")]
    resting = waiting(3, 1, intake=IntakeFigures(is_resting=True))
    late = waiting(3, 1, intake=IntakeFigures(last_receive_timestamp_s=NOW_MS / 1000 - 301))
    for one in (resting, late):
        assert "dead letters are not taken in" in said(facts(one))
        assert Do.REPAIR_INTAKE in [step.do for step in verdict(facts(one)).steps]
    soon = waiting(3, 1, intake=IntakeFigures(last_receive_timestamp_s=NOW_MS / 1000 - 299))
    assert "not taken in" not in said(facts(soon))


@pytest.mark.parametrize("known", list(itertools.product([True, False], repeat=4)))
def test_whatever_is_unknown_is_said_and_nothing_is_made_up(known):
    whole = facts(waiting(3, 1))
    lost: Fact[Any] = Fact(None, 0, "no answer within 2 s", NOW_MS - 60_000)
    names = ("waiting", "workers", "pause", "retry_index")
    found = replace(whole, **{name: lost for name, is_known in zip(names, known, strict=True) if not is_known})
    text = said(found)
    assert text.count("unknown since 2026-09-21 14:12 UTC: no answer within 2 s") == 4 - sum(known)
    assert ("causes" in text or "cause" in text) == known[0]
    assert ("fleet serving" in text) == known[1]
    assert (verdict(found).level is Level.PROBLEM) == (not all(known))
    assert (Do.ASK_AGAIN in [one.do for one in verdict(found).steps]) == (not all(known))
    exceeded(found)


def test_of_several_limits_of_one_figure_the_gravest_counts():
    found = [one.threshold.alert for one in exceeded(facts(waiting(501, 1, last_day=11), last_hour=6))]
    assert found == ["DlqDepthCritical", "DlqArrivalsLastHour", "DlqArrivalsLastDay"]
    assert [one.threshold.alert for one in exceeded(facts(waiting(101, 1)))] == ["DlqDepthHigh"]
    assert exceeded(facts(waiting(10, 1))) == []
    assert [one.threshold.alert for one in exceeded(facts(waiting(0, expiry_s=100_000)))] == ["DlqExpiry"]


def test_words_take_any_number():
    for words in WORDS.values():
        assert words.one.count("%(") == (words.many or words.one).count("%(")
    assert [Reader(Language.ENGLISH, "UTC", 0).span(one) for one in (59, 2.6 * 86_400, 14 * 86_400)] == [
        "59 seconds", "2 days", "14 days",
    ]  # fmt: skip
    assert Reader(Language.JAPANESE, "UTC", 0).span(2.6 * 86_400) == "2 日"
    assert [span(one) for one in (0, 59, 60, 3_600, 7_300, 86_400, 9.9 * 86_400)] == [
        "0 seconds", "59 seconds", "1 minute", "1 hour", "2 hours", "1 day", "9 days",
    ]  # fmt: skip
