"""Whether anything is wrong, in one sentence."""

import json

import pytest

from testing.memory import BUCKET, DOWN, NOW_MS
from tests.unit.worker.status.conftest import MINUTE_MS, WORKING, worker
from worker.core.base.errors import QueueError
from worker.core.s3.budget_ledger import Ask, BudgetLedger
from worker.core.s3.waiting import MAX_COUNTED
from worker.status.findings import findings, summary

DENIED = QueueError("no permission for sqs:GetQueueAttributes", code="AccessDenied")
DAY_MS = 86_400_000


def test_nothing_is_wrong_with_a_worker_that_serves_and_nothing_that_waits(fleet, status):
    fleet(worker("a"), worker("b", ago_ms=MINUTE_MS))
    assert summary(status()) == "Nothing is wrong."


def test_all_that_is_wrong_is_in_the_first_line_the_most_far_reaching_first(night, status):
    assert summary(status()) == (
        "Paused by hanako@host until `s3-index-worker resume`; 1 worker silent since 10:36 UTC; "
        "index unavailable on 2 of 3 workers since 10:57 UTC; "
        "sqs:DeleteMessage on files has been failing: AccessDenied (on 1 of 3 workers); 5 dead letters; "
        "2 documents wait for the index; 1 document that the index rejects is parked; 1 object is held for a budget."
    )


@pytest.mark.parametrize(
    ("records", "said"),
    [
        ([], "No worker is running."),
        ([worker("a", state="stopped")], "No worker is running."),
        ([worker("a", ago_ms=30 * MINUTE_MS)], "No worker is running, the last was silent from 10:36 UTC."),
        ([worker("a"), worker("b", ago_ms=30 * MINUTE_MS)], "1 worker silent since 10:36 UTC."),
        (
            [worker("a"), worker("b", ago_ms=30 * MINUTE_MS), worker("c", ago_ms=14 * 60 * MINUTE_MS)],
            "2 workers silent, the first since 2026-11-17 21:06 UTC.",
        ),
        ([worker("a", host="h"), worker("old", ago_ms=30 * MINUTE_MS, host="h")], "Nothing is wrong."),  # restarted
        ([worker("a"), worker("b", ago_ms=2 * DAY_MS)], "Nothing is wrong."),  # it is long forgotten
        ([worker("a", held_back={"paused": "paused by x"})], "Nothing is wrong."),  # it has not seen the end of it yet
        ([worker("a", held_back={"s3": "no bucket can be read"})], "No bucket can be read (on 1 of 1 worker)."),
        (
            [worker(n, held_back={"brake": "too many failures"}) for n in "ab"] + [worker("c")],
            "Too many failures (on 2 of 3 workers).",
        ),
        ([worker("a", breakers={"s3://b": "AccessDenied"})], "s3://b cannot be read on 1 of 1 worker."),
        ([worker("a", unhealthy_threads=("bulk-0",))], "Threads without progress: bulk-0 (on 1 of 1 worker)."),
        ([worker("a", figures={**WORKING, "lag_s": 7_260.0})], "Messages have waited for 2h 1m."),
    ],
)
def test_what_the_records_of_workers_say_is_judged(fleet, status, records, said):
    fleet(*records)
    assert summary(status()) == said


def test_a_record_that_cannot_be_read_is_named(fakes, fleet, status):
    fleet(worker("a"))
    fakes.s3.records["s3-index-worker/workers/b.json"] = b"noise"
    assert summary(status()) == "1 worker record cannot be read."
    assert [one.why for one in findings(status())] == ["it is not JSON"]


def test_more_dead_letters_than_are_counted_are_said_to_be_more(fakes, fleet, status):
    fleet(worker("a"))
    fakes.s3.records |= {f"dead-letters/2026-11-01/{number}.json": b"{}" for number in range(MAX_COUNTED + 5)}
    assert summary(status()) == "Over 10,000 dead letters."


def test_a_budget_that_is_used_up_is_wrong(fakes, fleet, status):
    fleet(worker("a"))
    ledger = BudgetLedger(fakes.state, fakes.s3.clock)
    caps = f"objects=10,s3://{BUCKET}/x/:objects=10"
    spent = next(one for one in fakes.settings(budget_caps=caps).budget_caps if one.scope)
    ledger.exchange(ledger.today(), [Ask(spent, in_use=spent.units)])
    assert summary(status(budget_caps=caps)) == f"The budget s3://{BUCKET}/x/:objects is used up for today."


@pytest.mark.parametrize(
    ("fault", "error", "missing"),
    [
        ("source.attributes", DENIED, "queue"),
        ("dlq.attributes", DENIED, "DLQ"),
        ("state.get", DOWN, "pause, brake, reindex"),
    ],
)
def test_a_part_that_cannot_be_read_is_named_and_stops_no_other(fakes, fleet, status, fault, error, missing):
    fleet(worker("a"))
    fakes.s3.records["dead-letters/2026-11-01/1.json"] = b"{}"
    fakes.faults.add(fault, error)
    said = summary(status())
    assert "1 dead letter" in said
    assert f"Not known: {missing} ({error})." in said


def test_where_nothing_can_be_read_the_reason_is_said_once(fakes, status):
    for call in ("source.attributes", "dlq.attributes", "state.get", "state.list"):
        fakes.faults.add(call, DENIED)
    assert summary(status(budget_caps="objects=1")) == f"Not known: everything ({DENIED})."


def test_a_pause_with_an_end_says_when_and_one_that_has_ended_is_none(fakes, fleet, status):
    fleet(worker("a"))
    record = {"reason": "x\ny", "by": "me", "at": "2026-11-18T11:00:00+00:00", "until_ms": NOW_MS + MINUTE_MS}
    fakes.s3.records["s3-index-worker/pause.json"] = json.dumps(record).encode()
    assert [one.full for one in findings(status())] == ["paused by me until 11:07 UTC: x y (since 11:00 UTC)"]
    fakes.s3.records["s3-index-worker/pause.json"] = json.dumps({**record, "until_ms": NOW_MS}).encode()
    assert findings(status()) == []


BRAKED = (
    "brake: 100 of 100 messages went to the DLQ (100 × NoSuchBucket in s3://" + "b" * 63 + "); correct it, then "
    "`s3-index-worker resume`, then `dlq redrive-all --group 0123456789ab`"
)


def test_what_a_brake_says_to_type_is_never_cut_and_its_age_is_told(fleet, status):
    fleet(worker("a", held_back={"brake": BRAKED}, state="resting", ago_ms=21_000))
    assert summary(status()) == f"{BRAKED} (on 1 of 1 worker, as of 21s ago)."


def test_another_reason_is_cut_between_words(fleet, status):
    fleet(worker("a", held_back={"s3": "no bucket can be read " * 20}))
    assert "can be read no… (on 1" in summary(status())


def test_one_cause_is_said_once_in_words_whatever_the_addresses_of_the_requests(fakes, status):
    for number, call in enumerate(("source.attributes", "dlq.attributes")):
        said = f'Could not connect to the endpoint URL: "http://127.0.0.1:9/files-{number}?list-type=2&prefix=a%2F"'
        fakes.faults.add(call, QueueError(said, code="EndpointConnectionError"))
    assert "Not known: queue, DLQ (nothing answers at http://127.0.0.1:9)." in summary(status())


def test_where_nothing_was_read_nothing_is_said_to_be_well(fakes, status):
    for call in ("source.attributes", "dlq.attributes", "state.get", "state.list"):
        fakes.faults.add(call, DENIED)
    assert summary(status()) == f"Not known: everything ({DENIED})."
