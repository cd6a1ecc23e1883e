"""A real Prometheus scrapes a worker and a manager: alerts fire, reach people and end; every query of a dashboard has an answer."""

import contextlib
import functools
import math
import re

import pytest

from testing.waiting import wait_until
from tests.integration.alerts.conftest import STAYS_PENDING, TROUBLE, calm
from tests.support.dashboards import NAMES, queries
from tools.prometheus_rules import rules

QUIET = {
    "DlqFiguresUnreadable", "WorkerNotPolling", "WorkerIndexBreakerOpen", "WorkerS3Unavailable", "WorkerBraked",
    "WorkerSettleFailures", "WorkerLagNearsRetention", "WorkersNotScraped", "ManagerNotScraped", "WorkerRetryRecordsWait",
    "WorkerRecordsParked", "WorkerErrorRateLowTraffic",
}  # fmt: skip
"""What is not wrong here."""
WRONG = {one.name for one in rules()} - QUIET
VARIABLES = {"__rate_interval": "1m", "error_type": ".*", "instance": ".*", "job": ".*"}
SMALLER = {"DlqDepth", "DlqDepthHigh", "DlqArrivalsLastDay"}
"""Kept silent by a larger alert on the same thing."""


def test_all_that_is_wrong_fires_and_nothing_else(scene):
    expected = {name: "pending" if name == STAYS_PENDING else "firing" for name in WRONG}
    with contextlib.suppress(AssertionError):
        wait_until(lambda: scene.states() == expected, 20, "the states")
    assert scene.states() == expected


def test_alerts_arrive_at_alertmanager_with_words_and_a_runbook(scene):
    wait_until(lambda: set(scene.received()) == WRONG - {STAYS_PENDING}, 20, "the alerts at Alertmanager")
    for name, alert in scene.received().items():
        said = alert["annotations"]
        assert said["runbook_url"].startswith("docs/runbook.md#"), name
        assert "{{" not in said["description"], name
        assert "<" not in said["description"], name  # a template that failed
    said = {name: alert["annotations"]["description"] for name, alert in scene.received().items()}
    assert said["DlqDepthCritical"] == "522 dead letters are waiting: something is failing for everyone."
    assert said["DlqExpiry"].endswith("is dropped in 1h 0m 0s.")
    assert re.match(r"\d+(\.\d+)?% of the messages failed", said["WorkerErrorRate"])


def test_people_are_told_by_severity_and_not_of_the_smaller_alerts(scene):
    told = WRONG - SMALLER - {STAYS_PENDING}
    wait_until(lambda: told <= {one["labels"]["alertname"] for one in scene.told}, 20, "the notifications")
    assert {name for name, one in scene.received().items() if one["status"]["state"] == "suppressed"} == SMALLER
    receivers = {"critical": "on-call", "warning": "team", "info": "digest"}
    assert {(one["labels"]["severity"], one["receiver"]) for one in scene.told} == set(receivers.items())


@pytest.mark.parametrize("name", NAMES)
def test_every_query_of_a_dashboard_returns_a_series(scene, name):
    for query in queries(name, VARIABLES):
        assert "$" not in query.expression
        found = wait_until(functools.partial(scene.prometheus.query, query.expression), 10, f"{query}")
        assert not any(math.isnan(float(series["value"][1])) for series in found), query


def test_the_table_and_the_pie_show_the_error_types(scene):
    [table] = [query for query in queries("dlq-monitoring", VARIABLES) if query.panel == "Error types"]
    found = [(one["metric"], float(one["value"][1])) for one in scene.prometheus.query(table.expression)]
    largest_first = sorted(TROUBLE.by_error_type.items(), key=lambda one: -one[1])
    assert found == [({"error_type": name}, number) for name, number in [*largest_first, ("other", 0)]]
    [chosen] = [
        query
        for query in queries("dlq-monitoring", {**VARIABLES, "error_type": "KeyError"})
        if query.panel == "Error types"
    ]
    assert [one["metric"]["error_type"] for one in scene.prometheus.query(chosen.expression)] == ["KeyError"]


def test_alerts_end_when_the_trouble_does_and_people_are_told(scene):
    ended = {one.name for one in rules() if set(one.metrics) <= {"dlq_messages_total", "dlq_arrivals_last_hour"}}
    scene.figures = calm()
    assert wait_until(lambda: not ended & set(scene.states()), 20, "the end of these alerts")
    assert wait_until(
        lambda: (
            {"DlqDepthCritical", "DlqArrivalsLastHour"}
            <= {one["labels"]["alertname"] for one in scene.told if one["status"] == "resolved"}
        ),
        20,
        "the news that they have ended",
    )
