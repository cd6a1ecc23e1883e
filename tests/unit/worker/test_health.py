"""What a worker knows of itself: one set of facts for `/healthz`, systemd's status and its record."""

import os
import platform
from contextlib import closing

import pytest
from prometheus_client import generate_latest

from testing.fakes import Fakes
from testing.memory import INDEX_DOWN, NOW_MS
from worker import __version__
from worker.core.base.events import LogEvent
from worker.core.base.settings import Settings
from worker.core.sqs.in_flight import InFlightMessage
from worker.core.sqs.outcome import Failed
from worker.core.sqs.queue import Message
from worker.daemon import Daemon
from worker.gauges import show
from worker.levels import Levels


@pytest.fixture
def daemon(fakes: Fakes):
    made = Daemon(fakes.settings(worker_name="w"), fakes.clients, dlq_max_bytes=1_048_576)
    with closing(made._components):
        yield made


def test_a_worker_says_who_it_is_what_it_does_and_since_when(daemon):
    daemon._metrics.observe(LogEvent.QUEUE_RECEIVED, {"count": 2, "lags_s": [1.0, 3.0]})
    daemon._metrics.observe(LogEvent.MESSAGE_SETTLED, {"outcome": "done", "duration_ms": 5, "note": ""})
    daemon._metrics.observe(LogEvent.INDEX_STORED_FOR_RETRY, {"rejected": False})
    record = daemon._health.record()
    assert (record.name, record.host, record.version, record.pid) == ("w", platform.node(), __version__, os.getpid())
    assert (record.state, record.since_ms, record.written_at_ms) == ("serving", NOW_MS, NOW_MS)
    assert (record.source_queue, record.dlq, record.in_flight) == ("source", "dlq", 0)
    assert NOW_MS - 5_000 < record.last_poll_at_ms <= NOW_MS
    assert record.figures == {
        "done": 1, "failed": 0, "release": 0, "stored_for_retry": 1, "spilled": 0, "delete_failures": 0,
        "receive_failures": 0, "lag_s": 3.0,
    }  # fmt: skip
    daemon._metrics.observe(LogEvent.QUEUE_RECEIVED, {"count": 3, "lags_s": []})
    assert daemon._health.record().figures["lag_s"] == 3.0, "messages that come again say nothing of the lag"
    daemon._metrics.observe(LogEvent.QUEUE_RECEIVED, {"count": 0, "lags_s": []})
    assert daemon._health.record().figures["lag_s"] == 0.0


def test_before_the_first_poll_there_is_none(daemon):
    assert daemon._health.record().last_poll_at_ms == 0


def test_a_pause_an_outage_and_the_end_are_states(daemon):
    gate, health = daemon._components.gate, daemon._health
    gate.shut("paused", "paused by me: 更新")
    assert (health.record().state, health.record().pause_reason) == ("paused", "paused by me: 更新")
    gate.clear("paused")
    gate.shut("s3", "S3 does not answer")
    assert (health.record().state, dict(health.record().held_back)) == ("resting", {"s3": "S3 does not answer"})
    gate.clear("s3")
    daemon._components.index_breaker.open(INDEX_DOWN)
    record = health.record()
    assert (record.state, dict(record.breakers), record.open_breakers) == ("resting", {"index": "down"}, 1)
    daemon._components.s3_health._held_back["files"] = "denied"
    assert health.record().breakers == {"index": "down", "s3://files": "denied"}
    health.draining()
    assert health.record().state == "draining"
    health.stopped(70)
    assert (health.record().state, health.record().exit_code) == ("stopped", 70)


def test_healthz_and_the_record_tell_the_same(daemon):
    daemon._components.gate.shut("paused", "because")
    record, (well, facts) = daemon._health.record(), daemon._health.answer()
    assert well
    assert facts["status"] == "serving"
    assert {name: facts[name] for name in record.as_json()} == record.as_json()
    assert {
        "index_breaker_open",
        "buckets_held_back",
        "held_back",
        "failing_calls",
        "unhealthy_threads",
    } <= facts.keys()
    daemon._health.draining()
    assert daemon._health.answer()[1]["status"] == "stopping"


def test_a_bucket_held_back_is_in_the_status_line(daemon):
    daemon._components.s3_health._held_back |= {"files": "denied\nagain", "more": "x"}
    assert daemon._health.status_line().startswith("held back: s3://files and 1 more: denied again | in flight 0")


def test_two_workers_of_one_host_have_two_names(fakes):
    def name(**more: object) -> str:
        settings: Settings = fakes.settings(**more)
        return settings.worker_name

    assert name() == f"{platform.node()}:{os.getpid()}", "the pid tells them apart"
    assert {name(worker_name="w", worker_instance=number) for number in range(3)} == {"w", "w@1", "w@2"}


def test_a_service_that_gets_less_because_it_refused_is_in_the_status_line_and_in_the_metrics(daemon):
    throttles = daemon._components.clients.aws.throttles
    assert "limited" not in daemon._health.status_line()
    throttles.s3.refused()
    assert daemon._health.status_line().endswith(" | limited: s3 to 5/s")


def test_a_budget_that_is_used_up_is_a_reason_for_resting(daemon):
    daemon._components.gate.shut("budget", "today's budget of objects is used up")
    record = daemon._health.record()
    assert (record.state, dict(record.held_back)) == ("resting", {"budget": "today's budget of objects is used up"})
    assert daemon._health.status_line().startswith("today's budget of objects is used up | ")


def test_a_brake_is_seen_in_every_place_and_no_reason_to_restart(daemon, fakes):
    daemon._components.brake.look()
    for _ in range(31):
        message = Message("m", "r", "body", {}, {})
        item = InFlightMessage(message, deadline_s=60, settle=lambda _: None)
        daemon._components.brake.judge(item, Failed(KeyError("title")))
    show(daemon._metrics, daemon._components, Levels(fakes.state), failing_calls=lambda: 0)
    is_well, facts = daemon._health.answer()
    assert is_well
    assert (facts["brake_on"], facts["state"]) == (True, "resting")
    assert facts["brake_reason"].startswith("brake: 31 of 31 messages went to the DLQ (31 × KeyError: 'title')")
    assert daemon._health.status_line().startswith("brake: 31 of 31")
    assert "worker_brake_on 1.0" in generate_latest(daemon._metrics.registry).decode()
