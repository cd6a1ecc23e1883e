"""What CloudWatch is told by worker and commands: every figure is sent by somebody, and none stops the work."""

import dataclasses
import time
from collections import Counter
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest

from recovery.cli import listing
from recovery.cli.recover_dlq import recover
from recovery.cli.replay_retry_index import replay
from recovery.operations.recovery_run import Options
from tests.support.fakes import Fakes
from worker.core.base import logs
from worker.core.base.cloudwatch import FIGURES, tell_cloudwatch
from worker.core.s3.state import RETRY_PREFIX
from worker.metrics import CLOUDWATCH_SUMS

NAMESPACE = "Ours"


class Heard:
    """CloudWatch, and the `Aws` that leads to it."""

    def __init__(self):
        self.figures: Counter[str] = Counter()

    def cloudwatch(self):
        return self

    def put_metric_data(self, Namespace, MetricData):  # noqa: N803
        assert Namespace == NAMESPACE
        self.figures.update({one["MetricName"]: one["Value"] for one in MetricData})


@pytest.fixture(autouse=True)
def _quiet(monkeypatch):
    monkeypatch.setattr(logs, "_log", Mock())


@pytest.fixture
def heard():
    return Heard()


@pytest.fixture
def fakes(heard):
    made = Fakes()
    made.clients = dataclasses.replace(made.clients, aws=heard)
    return made


def test_a_recovery_tells_what_it_archived(fakes, heard):
    fakes.dlq.add("bad", "noise", {})
    recover(fakes.settings(cloudwatch_namespace=NAMESPACE), fakes.clients, Options(), while_paused=False, as_json=True)
    assert heard.figures == {"Archived": 1}


def test_a_replay_tells_what_it_parked(fakes, heard):
    fakes.s3.records[f"{RETRY_PREFIX}2026-01-01/files/x.1.json"] = b"noise"
    options = {"prefix": RETRY_PREFIX, "limit": None, "dry_run": False}
    replay(fakes.settings(cloudwatch_namespace=NAMESPACE), fakes.clients, options, as_json=True)
    assert heard.figures == {"Parked": 1}


def test_dry_runs_and_a_namespace_that_is_not_set_tell_nothing(fakes, heard):
    fakes.dlq.add("bad", "noise", {})
    told = fakes.settings(cloudwatch_namespace=NAMESPACE)
    recover(told, fakes.clients, Options(dry_run=True), while_paused=False, as_json=True)
    recover(fakes.settings(), fakes.clients, Options(), while_paused=False, as_json=True)
    assert heard.figures == {}


def test_stats_tell_how_old_the_oldest_letter_is_and_when_it_expires():
    told: dict[str, float] = {}
    context: Any = SimpleNamespace(retention_s=1000, tell=told.update)
    listing._tell_cloudwatch(context, time.time() - 400)
    assert (round(told["DlqOldestAge"]), round(told["DlqSoonestExpiry"])) == (400, 600)
    told.clear()
    listing._tell_cloudwatch(context, None)
    assert told == {"DlqOldestAge": 0}


def test_every_figure_has_its_sender():
    assert {*CLOUDWATCH_SUMS, "Lag", "Archived", "DlqOldestAge", "DlqSoonestExpiry"} == set(FIGURES)


def test_what_cannot_be_sent_is_logged_and_stops_nothing(monkeypatch):
    said = []
    monkeypatch.setattr(logs, "_observers", [lambda event, fields: said.append(event)])
    tell_cloudwatch(Mock(put_metric_data=Mock(side_effect=OSError("no route"))), NAMESPACE, {"Archived": 1})
    assert said == ["cloudwatch.failed"]
