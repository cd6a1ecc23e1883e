"""What worker and commands send to CloudWatch: every figure has its sender, and no failure to send stops the work."""

import dataclasses
import time
from collections import Counter
from unittest.mock import Mock

import pytest

from recovery.cli.batch_command import run_batch
from recovery.cli.recovery_report import RECOVER
from recovery.cli.replay_retry_index import REPLAY
from recovery.operations.clients import DlqClients
from recovery.operations.dead_letters.facts import Facts
from recovery.operations.dead_letters.message_types import load_types
from recovery.operations.dead_letters.scan import Scan
from recovery.operations.find import Found
from recovery.operations.recover import recover as recover_messages
from recovery.operations.recovering.request import RecoverRequest
from recovery.operations.replay import ReplayRequest, replay
from recovery.operations.stats import stats
from testing.fakes import Fakes
from worker import levels
from worker.core.audit import Run
from worker.core.base import logs
from worker.core.base.cloudwatch import FIGURES, tell_cloudwatch
from worker.core.base.throttle import Throttles
from worker.core.s3.state import RETRY_PREFIX
from worker.core.sqs.dead_letter import DeadLetter
from worker.metrics import CLOUDWATCH_SUMS
from worker.terminal import Signals

NAMESPACE = "S3IndexWorker"
SLACK_S = 60
"""A busy machine may take a while between the message's age being set and being read."""


class FakeCloudWatch:
    """CloudWatch, and the `Aws` that makes its client."""

    def __init__(self):
        self.figures: Counter[str] = Counter()
        self.throttles = Throttles()

    def cloudwatch(self):
        return self

    def put_metric_data(self, Namespace, MetricData):  # noqa: N803
        assert Namespace == NAMESPACE
        self.figures.update({one["MetricName"]: one["Value"] for one in MetricData})


@pytest.fixture(autouse=True)
def _quiet(monkeypatch):
    monkeypatch.setattr(logs, "_log", Mock())


@pytest.fixture
def cloudwatch():
    return FakeCloudWatch()


@pytest.fixture
def fakes(cloudwatch):
    made = Fakes()
    made.clients = dataclasses.replace(made.clients, aws=cloudwatch)
    return made


def recover(settings, clients, **options):
    request = RecoverRequest(Run.new("recover_dlq", action="recover", by="me@here"), load_types(), **options)
    run(RECOVER, recover_messages, settings, clients, request)


def run(command, operation, settings, clients, request):
    run_batch(
        command,
        lambda stop, on_progress: operation(settings, clients, request, stop=stop, on_progress=on_progress),
        settings=settings,
        aws=clients.aws,
        signals=Signals(),
        as_json=True,
    )


def test_a_recovery_reports_what_it_archived(fakes, cloudwatch):
    fakes.dlq.add("bad", "noise", {})
    recover(fakes.settings(cloudwatch_namespace=NAMESPACE), fakes.clients)
    assert cloudwatch.figures == {"Archived": 1}


def test_a_replay_reports_what_it_parked(fakes, cloudwatch):
    fakes.s3.records[f"{RETRY_PREFIX}2026-01-01/files/x.1.json"] = b"noise"
    settings = fakes.settings(cloudwatch_namespace=NAMESPACE)
    run(REPLAY, replay, settings, fakes.clients, ReplayRequest())
    assert cloudwatch.figures == {"Parked": 1}


def test_dry_runs_and_runs_without_a_namespace_report_nothing(fakes, cloudwatch):
    fakes.dlq.add("bad", "noise", {})
    settings = fakes.settings(cloudwatch_namespace=NAMESPACE)
    recover(settings, fakes.clients, dry_run=True)
    recover(fakes.settings(), fakes.clients)
    assert cloudwatch.figures == {}


def test_stats_report_how_old_the_oldest_dead_letter_is_and_when_one_expires(fakes):
    sent_ms = int((time.time() - 400) * 1000)
    facts = Facts(DeadLetter("m1", "x", {"SentTimestamp": str(sent_ms)}, {}), "unknown", (), "")
    scan = Scan({"MessageRetentionPeriod": "1000"})
    clients = DlqClients(fakes.dlq, fakes.s3, None, load_types())
    figures = stats(clients, Found((facts,), scan), source=None).figures()
    assert figures == {
        "DlqOldestAge": pytest.approx(400, abs=SLACK_S), "DlqSoonestExpiry": pytest.approx(600, abs=SLACK_S),
    }  # fmt: skip
    assert stats(clients, Found((), scan), source=None).figures() == {"DlqOldestAge": 0, "DlqSoonestExpiry": 1000}


def test_every_figure_has_its_sender():
    own = {"Lag", "Braked", "IndexUnavailable", "Archived", "DlqOldestAge", "DlqSoonestExpiry"}
    assert {*CLOUDWATCH_SUMS, *levels.FIGURES.values(), *own} == set(FIGURES)


def test_what_cannot_be_sent_is_logged_and_stops_nothing(monkeypatch):
    said = []
    monkeypatch.setattr(logs, "_observers", [lambda event, fields: said.append(event)])
    tell_cloudwatch(Mock(put_metric_data=Mock(side_effect=OSError("no route"))), NAMESPACE, {"Archived": 1})
    assert said == ["cloudwatch.failed"]
