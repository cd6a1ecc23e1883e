"""Retries: only what is due, only while all is healthy, at one rate; the claim decides, and nothing is lost."""

import json
import time
from dataclasses import replace

import orjson
import pytest

from recovery.ledger.news import Reason
from recovery.ledger.rows import USED_UP
from recovery.ledger.rows import State as RowState
from recovery.manager import retries as module
from recovery.operations.dead_letters.desk import change_record, held
from testing.memory import DOWN, NOW_MS, SQS_DOWN, MemoryQueue
from tests.support.retrying import Retrying
from worker.core.base.errors import WorkerError
from worker.core.s3.state import DEAD_LETTERS_PREFIX, PAUSE_KEY
from worker.core.s3.workers import FRESH_MS
from worker.core.sqs import dead_letter_store
from worker.core.sqs.stored_dead_letter import Claim


@pytest.fixture
def retrying(fakes, ledger, commit, rows):
    return Retrying(fakes, ledger, commit, rows)


def test_what_is_due_is_sent_once_with_its_retry_counted_apart_from_redrives(fakes, ledger, retrying):
    retrying.fails("a", "b")
    assert ledger.get("a").state is RowState.SCHEDULED
    retrying.turn()
    retrying.turn()
    assert len(fakes.source.messages) == 2
    row, stored = ledger.get("a"), retrying.record("a")
    assert (row.state, row.retries, row.redrives, row.retry_at_ms) == (RowState.SENT, 1, 0, None)
    assert (stored.retry.count, stored.retry.at_ms, stored.sent.by, stored.claim) == (1, None, "manager@h", None)
    texts = (one.attributes["failure"]["StringValue"] for one in fakes.source.messages.values())
    failures = [json.loads(text) for text in texts]
    assert sorted((one["dead_letter_id"], one["redrives"]) for one in failures) == [("a", 0), ("b", 0)]
    [entry] = fakes.under("s3-index-worker/audit/").values()
    assert (entry["action"], sorted(entry["ids"]), entry["result"]["sent"]) == ("retry", ["a", "b"], 2)
    assert retrying.counted("sent") == 2


def test_what_returns_is_the_same_dead_letter_scheduled_again_and_open_after_its_last_retry(
    fakes, ledger, commit, rows
):
    one = Retrying(fakes, ledger, commit, rows, times=2)
    one.fails("a")
    one.turn()
    one.comes_back()
    row = ledger.get("a")
    assert (row.state, row.attempts, row.retries) == (RowState.SCHEDULED, 2, 1)
    one.retries = one.anew()
    one.turn()
    one.comes_back()
    row = ledger.get("a")
    assert (row.state, row.attempts, row.retries, row.retry_at_ms) == (RowState.OPEN, 3, 2, None)
    assert "2 retries are used up" in row.finding
    assert [event.action for event in ledger.events("a")] == ["sent", "returned", "sent", "returned", USED_UP]
    [news] = ledger.outbox.news(limit=9)
    assert (news.reason, news.row.identity, one.counted("used_up")) == (Reason.RETRIES_USED_UP, "a", 1)
    one.turn()
    assert fakes.source.messages == {}


@pytest.mark.parametrize(
    ("record", "why"),
    [
        ({"written_at_ms": NOW_MS - FRESH_MS - 1}, "no worker"),
        ({"state": "stopped"}, "no worker"),
        ({"breakers": {"index": "down"}, "open_breakers": 1}, "index is unavailable, says w1: down"),
        ({"breakers": {"s3://files": "denied"}}, "s3://files is unavailable"),
        ({"open_breakers": 1}, "1 breakers are open"),
        ({"held_back": {"brake": "brake: 31 of 31"}}, "w1 has stopped: brake: 31 of 31"),
        ({"failing_calls": ("receive: denied",)}, "w1 cannot work: receive: denied"),
    ],
)
def test_nothing_is_sent_while_index_s3_or_fleet_is_not_healthy(fakes, ledger, retrying, record, why):
    retrying.fails("a")
    retrying.worker(**record)
    retrying.turn()
    assert why in retrying.retries.waiting_for
    assert (retrying.retries.waiting, fakes.source.messages, ledger.get("a").state) == (1, {}, RowState.SCHEDULED)
    retrying.worker()
    retrying.retries = retrying.anew()
    retrying.turn()
    assert (retrying.retries.waiting_for, retrying.retries.waiting, len(fakes.source.messages)) == ("", 0, 1)


def test_nothing_is_sent_while_the_fleet_is_paused(fakes, retrying):
    retrying.fails("a")
    fakes.state.put(PAUSE_KEY, orjson.dumps({"reason": "migration", "by": "op@h", "until_ms": None, "at": "x"}))
    retrying.turn()
    assert (retrying.retries.waiting_for, fakes.source.messages) == ("the fleet is paused by op@h: migration", {})


def test_a_pause_since_health_was_looked_at_is_said_in_the_same_words(fakes, retrying):
    retrying.fails("a")
    retrying.retries = module.Retries(retrying.parts, refresh=retrying.follower.refresh)
    assert retrying.parts.health.why() == ""
    fakes.state.put(PAUSE_KEY, orjson.dumps({"reason": "migration", "by": "op@h", "until_ms": None, "at": "x"}))
    retrying.turn()
    assert (retrying.retries.waiting_for, fakes.source.messages) == ("the fleet is paused by op@h: migration", {})


def test_after_an_outage_what_is_due_is_spread_at_the_rate(fakes, ledger, commit, rows):
    one = Retrying(fakes, ledger, commit, rows, rate=50.0)
    one.fails(*(f"a{number}" for number in range(40)))
    began = time.monotonic()
    for _ in range(4):
        one.turn()
    assert len(fakes.source.messages) == 40
    assert time.monotonic() - began >= 30 / 50 - 0.05


def test_a_held_one_is_not_sent(fakes, ledger, retrying):
    retrying.fails("a")
    change_record(fakes.state, ledger.get("a").key, held("wait", by="op@h"))
    retrying.turn()
    assert fakes.source.messages == {}
    assert retrying.record("a").retry.count == 0


def test_one_that_an_operator_has_claimed_is_left_to_them(fakes, ledger, retrying):
    retrying.fails("a")
    stored = retrying.record("a")
    dead_letter_store.write(fakes.state, replace(stored, claim=Claim("op@h", "dlq-redrive-1", NOW_MS + 1)))
    retrying.turn()
    assert (fakes.source.messages, ledger.get("a").state) == ({}, RowState.SCHEDULED)


def test_one_that_was_missing_and_is_delivered_once_more_is_scheduled_as_its_record_says(fakes, ledger, retrying):
    retrying.fails("a")
    fakes.s3.records.pop(ledger.get("a").key)
    ledger.change("a", version=None, by="check", action="missing", state=RowState.MISSING, retry_at_ms=None)
    retrying.fails("a")
    row = ledger.get("a")
    assert (row.state, row.retry_at_ms) == (RowState.SCHEDULED, retrying.record("a").retry.at_ms)


def test_those_that_wait_for_others_do_not_hide_what_is_due(fakes, ledger, retrying, monkeypatch):
    monkeypatch.setattr(module, "MAX_DUE", 2)
    retrying.fails("a", "b", "c")
    *claimed, last = (row.identity for row in ledger.due(NOW_MS, limit=3))
    for name in claimed:
        claim = Claim("op@h", "dlq-redrive-1", NOW_MS + 1)
        dead_letter_store.write(fakes.state, replace(retrying.record(name), claim=claim))
    for _ in range(2):
        retrying.turn()
    assert ledger.get(last).state is RowState.SENT
    assert {ledger.get(name).state for name in claimed} == {RowState.SCHEDULED}


def test_one_that_an_operator_has_sent_gets_the_row_that_its_record_says(fakes, ledger, retrying):
    retrying.fails("a")
    row = ledger.get("a")
    retrying.turn()
    ledger.change(
        "a", version=None, by="test", action="as before", state=RowState.SCHEDULED, retry_at_ms=row.retry_at_ms
    )
    retrying.turn()
    assert (len(fakes.source.messages), ledger.get("a").state) == (1, RowState.SENT)


def test_one_whose_failure_record_does_not_fit_is_open_and_says_why(fakes, ledger, retrying):
    fakes.source.also["MaximumMessageSize"] = "600"
    retrying.fails("a", stack="x" * 400, metadata={"a": "b" * 600})
    retrying.turn()
    row = ledger.get("a")
    assert (row.state, row.retry_at_ms, fakes.source.messages) == (RowState.OPEN, None, {})
    assert row.finding.startswith("not retried: its ")
    assert ledger.events("a")[-1].action == "not retried"
    assert [(one.reason, one.row.identity) for one in ledger.outbox.news(limit=9)] == [(Reason.FAILED, "a")]


def test_a_queue_that_a_forged_record_names_is_never_asked_nor_sent_to(fakes, ledger, retrying):
    retrying.fails("a", source_queue="http://evil/source")
    retrying.fails("b", source_queue="http://sqs/other")
    retrying.queues["http://sqs/other"] = other = MemoryQueue(fakes.faults, "other")
    retrying.turn()
    assert (other.messages, len(fakes.source.messages)) == ({}, 2)


def test_a_queue_beside_the_dlq_whose_failures_come_here_is_sent_to(fakes, retrying):
    retrying.fails("b", source_queue="http://sqs/other")
    retrying.queues["http://sqs/other"] = other = MemoryQueue(fakes.faults, "other")
    other.also = {"QueueArn": "arn:other", "RedrivePolicy": '{"deadLetterTargetArn":"arn:dlq"}'}
    retrying.turn()
    assert (len(other.messages), fakes.source.messages) == (1, {})


@pytest.mark.parametrize(
    ("call", "error"),
    [("state.get", DOWN), ("state.claim", DOWN), ("source.send", SQS_DOWN), ("source.attributes", SQS_DOWN),
     ("state.list", DOWN), ("state.put", DOWN)],
)  # fmt: skip
def test_any_single_failing_call_loses_nothing_and_a_later_turn_sends_it(fakes, ledger, retrying, call, error):
    retrying.fails("a")
    fakes.faults.add(call, error, times=3)
    for _ in range(6):
        try:
            retrying.turn()
        except WorkerError:
            assert len(fakes.under(DEAD_LETTERS_PREFIX)) == 1
        retrying.retries = retrying.anew()
    assert len(fakes.source.messages) >= 1
    assert len(fakes.under(DEAD_LETTERS_PREFIX)) == 1
    assert ledger.get("a").state is RowState.SENT
