"""What metrics make of events, and what CloudWatch is sent."""

import threading

import pytest

from testing.fakes import Fakes
from worker.core.base.events import LogEvent
from worker.core.indexing.replay import Result
from worker.levels import Levels
from worker.metrics import Metrics, send_to_cloudwatch


class FakeCloudWatch:
    def __init__(self, error=None):
        self.error, self.sent = error, []

    def put_metric_data(self, **call):
        if self.error:
            raise self.error
        self.sent.append(call)


def busy():
    metrics = Metrics()
    metrics.observe(LogEvent.MESSAGE_SETTLED, {"outcome": "failed", "duration_ms": 5, "note": "USER_ERROR: x"})
    metrics.observe(LogEvent.MESSAGE_SETTLED, {"outcome": "done", "duration_ms": 5, "note": "skipped: folder"})
    metrics.observe(LogEvent.QUEUE_RECEIVED, {"count": 2, "lags_s": [1.0, 3.0]})
    metrics.observe(LogEvent.INDEX_STORED_FOR_RETRY, {"rejected": True})
    metrics.observe(LogEvent.MESSAGE_DELETE_FAILED, {})
    metrics.observe(LogEvent.MESSAGE_SETTLED, {"outcome": "release", "duration_ms": 5, "note": "unavailable"})
    metrics.observe(LogEvent.DLQ_SPILLED, {"kind": "UNKNOWN"})
    metrics.observe(LogEvent.REPLAY_RECORD, {"result": Result.PARKED})
    metrics.observe(LogEvent.WORKER_STARTED, {})
    return metrics


def send_once(metrics, client, levels=None):
    stop = threading.Event()
    stop.set()
    send_to_cloudwatch(metrics, levels or Levels(Fakes().state), client, "S3IndexWorker", stop)


def test_cloudwatch_is_sent_all_sums_in_one_call():
    client = FakeCloudWatch()
    send_once(busy(), client)
    [call] = client.sent
    assert call["Namespace"] == "S3IndexWorker"
    assert {each["MetricName"]: each["Value"] for each in call["MetricData"]} == {
        "MessagesSettled": 2.0, "MessagesFailed": 1.0, "MessageDeleteFailed": 1.0, "StoredForRetry": 1.0, "Spilled": 1.0,
        "Parked": 1.0, "Lag": 2.0, "Braked": 0.0, "IndexUnavailable": 0.0,
    }  # fmt: skip


def test_zeros_are_sent_so_that_an_idle_worker_differs_from_a_dead_one():
    client = FakeCloudWatch()
    send_once(Metrics(), client)
    [call] = client.sent
    assert {each["Value"] for each in call["MetricData"]} == {0.0}
    assert {each["Unit"] for each in call["MetricData"]} == {"Count"}


def test_sums_that_could_not_be_sent_stop_nothing():
    metrics = busy()
    send_once(metrics, FakeCloudWatch(OSError("no route")))
    assert metrics.settled == {"failed": 1, "done": 1, "release": 1}


def test_no_label_holds_a_key_or_an_id():
    labels = {name for metric in busy().registry.collect() for sample in metric.samples for name in sample.labels}
    assert labels <= {"outcome", "reason", "kind", "to", "what", "rejected", "result", "le"}


def test_replayed_records_are_counted_by_result():
    metrics = Metrics()
    for result in (Result.REPLAYED, Result.REPLAYED, Result.REMOVED):
        metrics.observe(LogEvent.REPLAY_RECORD, {"result": result})
    assert metrics.registry.get_sample_value("worker_replayed_total", {"result": "replayed"}) == 2
    assert metrics.registry.get_sample_value("worker_replayed_total", {"result": "removed"}) == 1


def test_budgets_are_shown_by_cap_and_the_lag_only_while_one_stops_the_polling():
    metrics = Metrics()
    for used, limit in ((45.0, 50.0), (0.0, 0.0)):
        metrics.observe(LogEvent.BUDGET_COUNTED, {"cap": f"objects{limit:g}", "used": used, "limit": limit})
    metrics.observe(LogEvent.BUDGET_HELD, {})
    metrics.observe(LogEvent.BUDGET_LAG, {"lag_s": 80, "retention_s": 100})

    def value(name, **labels):
        return metrics.registry.get_sample_value(name, labels)

    assert value("worker_budget_used_ratio", cap="objects50") == 0.9
    assert value("worker_budget_used_ratio", cap="objects0") == 1.0
    assert value("worker_held_total") == 1
    assert value("worker_lag_of_retention_ratio") == 0.8
    metrics.observe(LogEvent.GATE_CLEARED, {"name": "budget"})
    assert value("worker_lag_of_retention_ratio") == 0


def test_the_backlogs_age_grows_from_the_last_receive(monkeypatch):
    metrics = Metrics()
    assert metrics.backlog_s() == 0
    metrics.observe(LogEvent.QUEUE_RECEIVED, {"count": 1, "lags_s": [50.0]})
    monkeypatch.setattr("worker.metrics.time.monotonic", lambda at=metrics.last_poll: at + 10)
    assert metrics.backlog_s() == 60


def test_what_alerts_ask_for_is_shown_before_it_happens_so_that_the_first_time_is_an_increase():
    read = Metrics().registry.get_sample_value
    for name, labels in (
        ("worker_messages_total", {"outcome": "failed"}),
        ("worker_messages_total", {"outcome": "done"}),
        ("worker_settle_failures_total", {"what": "delete"}),
        ("worker_settle_failures_total", {"what": "dlq"}),
        ("worker_settle_failures_total", {"what": "release"}),
        ("worker_stored_for_retry_total", {"rejected": "false"}),
        ("worker_dead_letters_total", {"kind": "UNKNOWN", "to": "spill"}),
    ):
        assert read(name, labels) == 0, (name, labels)


@pytest.mark.parametrize(
    ("figure", "field", "ours", "begins", "ends"),
    [
        ("Braked", "name", "brake", LogEvent.GATE_SHUT, LogEvent.GATE_CLEARED),
        ("IndexUnavailable", "breaker", "index", LogEvent.BREAKER_OPENED, LogEvent.BREAKER_CLOSED),
    ],
)
def test_cloudwatch_hears_whether_it_is_so_whatever_else_begins_and_ends(figure, field, ours, begins, ends):
    metrics, client = Metrics(), FakeCloudWatch()
    for event, name in ((begins, ours), (begins, "s3"), (ends, "s3")):
        metrics.observe(event, {field: name})
    send_once(metrics, client)
    metrics.observe(ends, {field: ours})
    send_once(metrics, client)
    sent = [{one["MetricName"]: one["Value"] for one in call["MetricData"]} for call in client.sent]
    assert [one[figure] for one in sent] == [1.0, 0.0]


def test_cloudwatch_hears_what_waits_in_the_state_bucket_once_that_was_counted(fakes):
    levels, client = Levels(fakes.state), FakeCloudWatch()
    fakes.s3.records |= {"retry-index/2026-11-30/a.json": b"", "dead-letters/a.json": b"", "dead-letters/b.json": b""}
    send_once(Metrics(), client, levels)
    levels.count()
    send_once(Metrics(), client, levels)
    sent = [{one["MetricName"]: one["Value"] for one in call["MetricData"]} for call in client.sent]
    counted = {"RetryRecords": 1.0, "ParkedRecords": 0.0, "StoredDeadLetters": 2.0}
    assert not counted.keys() & sent[0].keys()
    assert counted.items() <= sent[1].items()
