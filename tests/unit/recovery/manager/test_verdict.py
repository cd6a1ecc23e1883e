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
        "3 causes, 412 messages; the first expires in 9 days; index reachable; fleet serving (2 workers)"
    )
    assert steps(found) == ["Look at the largest cause: ReadTimeoutError, 400 messages."]
    assert verdict(found).steps[0].values["group"] == "5b1f2c"
    assert verdict(found).level is Level.NOTICE
    assert said(facts(waiting(1, 1), [worker()])).startswith(
        "1 cause, 1 message; index reachable; fleet serving (1 worker)"
    )


def test_a_paused_fleet_says_who_and_why_and_is_not_called_serving():
    found = facts(pause={"reason": "index upgrade", "by": "ana", "until_ms": None}, workers=[worker(state="paused")])
    assert said(found) == "nothing has failed; index reachable; fleet paused by ana: index upgrade"
    assert [one.do for one in verdict(found).steps] == [Do.RESUME]


def test_an_open_breaker_is_what_the_workers_say_of_the_index():
    down = {"breakers": {"index": "refused"}, "state": "resting"}
    found = facts(workers=[worker(**down), worker("b:1", host="b")], waiting=7)
    assert said(found) == (
        "nothing has failed; index unavailable on 1 of 2 workers; fleet serving (1 worker); 7 documents wait for the index"
    )
    assert steps(found) == ["Make the index reachable again; until then, documents wait in retry-index/: refused"]
    assert [one.threshold.alert for one in exceeded(found)] == ["WorkerIndexBreakerOpen", "WorkerRetryRecordsWait"]


def test_a_bucket_that_is_refused_is_not_the_index():
    found = facts(workers=[worker(breakers={"s3://files": "AccessDenied"})])
    assert said(found).startswith("nothing has failed; index reachable; s3://files cannot be read; fleet serving")
    assert verdict(found).steps[0].do is Do.ALLOW_BUCKET


def test_braked_and_silent_workers_come_first():
    brake = {"state": "resting", "held_back": {"brake": "31 of 31 failed"}}
    lost = worker("c:1", host="c", age_ms=600_000, written_at_ms=NOW_MS - 600_000)
    found = facts(waiting(31, 1), [worker(**brake), lost])
    assert [one.says for one in verdict(found).parts][-2:] == [Says.SILENT, Says.BRAKED]
    assert [one.do for one in verdict(found).steps] == [Do.START_WORKER, Do.CORRECT_AND_RESUME, Do.SEE_GROUP]
    assert verdict(found).level is Level.PROBLEM


def test_without_workers_nobody_can_say_whether_the_index_is_reachable():
    assert said(facts(workers=[])) == "nothing has failed; no worker is running"


def test_a_worker_that_is_refused_rests():
    found = facts(workers=[worker(failing_calls=("receive: AccessDenied",))])
    assert "1 worker receives nothing: receive: AccessDenied" in said(found)


def test_what_is_parked_is_to_be_decided():
    found = facts(parked=2, held=1)
    assert said(found).endswith("2 documents that the index rejects are parked; 1 object is held for a budget")
    assert steps(found) == ["Decide what becomes of the parked documents."]


def test_a_dlq_that_does_not_answer_is_a_problem_of_the_intake():
    known = replace(waiting(3, 1), dlq=DlqReading(None, 0, "denied"))
    assert "dead letters are not taken in" in said(facts(known))
    assert not [one for one in exceeded(facts(known)) if one.threshold.alert.startswith("DlqDepth")]
    resting = waiting(3, 1, intake=IntakeFigures(is_resting=True))
    assert Says.INTAKE_RESTS in [one.says for one in verdict(facts(resting)).parts]


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
