"""config/prometheus by Prometheus' own tools: each alert fires when it should, ends when it should, and is silent otherwise."""

import functools
import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from recovery.manager.figures import Depth, Figures
from recovery.manager.metrics import ManagerMetrics
from testing.ledgers import ages_of
from tests.support.monitoring import tool
from tests.support.pages import sections
from tools.metrics import all_metrics
from tools.prometheus_rules import RULES, Rule, rules

CONFIG = RULES.parent
HOUR = 60
BEGINS, LONG = 10, 200
"""The minute in which what is wrong begins, and a time that is longer than any rule waits or looks back."""
LOOKBACK = 5
"""Minutes for which Prometheus takes the last sample of a series that has ended."""
NEVER = BEGINS
"""Bad times that end when they begin."""
WORKER = 'job="s3-index-worker",instance="a"'
MANAGER = 'job="dlq-manager",instance="a"'


@dataclass(frozen=True)
class Gauge:
    """A figure: its value in good times and in bad times."""

    good: float
    bad: float

    def at(self, minute: int, ends: int) -> float:
        return self.bad if BEGINS <= minute < ends else self.good


@dataclass(frozen=True)
class Counter:
    """A counter: how much it grows in each bad minute, and in each good one."""

    bad: int
    good: int = 0

    def at(self, minute: int, ends: int) -> float:
        bad_minutes = max(0, min(minute + 1, ends) - BEGINS)
        return self.bad * bad_minutes + self.good * (minute - bad_minutes)


@dataclass(frozen=True)
class Clock:
    """When something last happened: each minute, but not in bad times."""

    def at(self, minute: int, ends: int) -> float:
        return 60 * (BEGINS - 1 if BEGINS <= minute < ends else minute)


@dataclass(frozen=True)
class Ago:
    """When something last happened: just now, and in bad times so many seconds before."""

    bad_s: int

    def at(self, minute: int, ends: int) -> float:
        return 60 * minute - (self.bad_s if BEGINS <= minute < ends else 0)


@dataclass(frozen=True)
class EveryTwenty:
    """A counter that grows by one every 20 minutes."""

    def at(self, minute: int, _ends: int) -> float:
        return minute // 20


@dataclass(frozen=True)
class Target:
    """A target that answers, and in bad times is not there."""

    def at(self, minute: int, ends: int) -> float | None:
        return None if BEGINS <= minute < ends else 1


Series = Gauge | Counter | Clock | Ago | EveryTwenty | Target


@dataclass(frozen=True)
class Case:
    """The series of one alert."""

    series: dict[str, Series]
    lag: int = 0
    """Minutes from the beginning of bad times until the condition is true."""
    tail: int = 0
    """Minutes from their end until it is false: the window of a rate."""


CASES = {
    "DlqDepth": Case(
        {f'dlq_messages_total{{queue="{queue}",{MANAGER}}}': Gauge(3, 4) for queue in ("main", "retry", "x")}
    ),
    "DlqDepthHigh": Case({f'dlq_messages_total{{queue="main",{MANAGER}}}': Gauge(100, 101)}),
    "DlqDepthCritical": Case({f'dlq_messages_total{{queue="main",{MANAGER}}}': Gauge(500, 501)}),
    "DlqOldMessages": Case({f'dlq_message_age_seconds{{quantile="0.99",{MANAGER}}}': Gauge(604_800, 604_801)}),
    "DlqExpiry": Case({f"dlq_soonest_expiry_seconds{{{MANAGER}}}": Gauge(172_800, 172_799)}),
    "DlqArrivalsLastDay": Case({f"dlq_arrivals_last_day{{{MANAGER}}}": Gauge(10, 11)}),
    "DlqArrivalsLastHour": Case({f"dlq_arrivals_last_hour{{{MANAGER}}}": Gauge(5, 6)}),
    "DlqCorrelationRepeats": Case({f"dlq_repeating_correlations{{{MANAGER}}}": Gauge(0, 1)}),
    "DlqReplayFailures": Case(
        {
            f'dlq_replay_total{{status="error",{MANAGER}}}': Counter(4),
            f'dlq_replay_total{{status="success",{MANAGER}}}': Counter(2),
            f'dlq_replay_total{{status="not_found",{MANAGER}}}': Counter(1),
        },
        tail=15,
    ),
    "DlqAverageRetries": Case({f"dlq_average_retries{{{MANAGER}}}": Gauge(2.5, 2.6)}),
    "DlqRecoveryPending": Case({f"dlq_recovery_pending{{{MANAGER}}}": Gauge(5, 6)}),
    "DlqUnconfirmed": Case({f"dlq_recovery_unconfirmed{{{MANAGER}}}": Gauge(0, 1)}),
    "DlqMessageUnhandled": Case({f"dlq_oldest_unhandled_seconds{{{MANAGER}}}": Gauge(900, 901)}),
    "DlqIntakeStopped": Case({f"dlq_intake_last_receive_timestamp_seconds{{{MANAGER}}}": Clock()}, lag=5),
    "DlqFiguresUnreadable": Case({f"dlq_figures_readable{{{MANAGER}}}": Gauge(1, 0)}),
    "DlqNotificationsFailing": Case(
        {
            f'dlq_notifications_total{{status="failed",{MANAGER}}}': Counter(4),
            f'dlq_notifications_total{{status="sent",{MANAGER}}}': Counter(2),
        },
        tail=60,
    ),
    "WorkerNotPolling": Case({f"worker_last_poll_timestamp_seconds{{{WORKER}}}": Clock()}, lag=5),
    "WorkerIndexBreakerOpen": Case({f"worker_index_breaker_open{{{WORKER}}}": Gauge(0, 1)}),
    "WorkerS3Unavailable": Case({f"worker_s3_unavailable{{{WORKER}}}": Gauge(0, 1)}),
    "WorkerBraked": Case({f"worker_brake_on{{{WORKER}}}": Gauge(0, 1)}),
    "WorkerSettleFailures": Case({f'worker_settle_failures_total{{what="dlq",{WORKER}}}': Counter(1)}, tail=10),
    "WorkerErrorRate": Case(
        {
            f'worker_messages_total{{outcome="failed",{WORKER}}}': Counter(2),
            f'worker_messages_total{{outcome="done",{WORKER}}}': Counter(10),
            f'worker_messages_total{{outcome="release",{WORKER}}}': Counter(100),
        },
        tail=5,
    ),
    "WorkerErrorRateLowTraffic": Case(
        {
            f'worker_messages_total{{outcome="failed",{WORKER}}}': Counter(2),
            f'worker_messages_total{{outcome="done",{WORKER}}}': Counter(1),
        },
        tail=60,
    ),
    "WorkerRetryRecordsWait": Case({f"worker_retry_records{{{WORKER}}}": Gauge(0, 1)}),
    "WorkerRecordsParked": Case({f"worker_parked_records{{{WORKER}}}": Gauge(0, 1)}),
    "WorkerBudgetNearlySpent": Case({f'worker_budget_used_ratio{{cap="objects",{WORKER}}}': Gauge(0.9, 0.91)}),
    "WorkerLagNearsRetention": Case({f"worker_lag_of_retention_ratio{{{WORKER}}}": Gauge(0.75, 0.76)}),
    "ReconcileUnaccounted": Case({f'reconcile_unaccounted{{bucket="b",{WORKER}}}': Gauge(0, 1)}),
    "ReconcileStopped": Case({f'reconcile_last_success_timestamp_seconds{{bucket="b",{WORKER}}}': Ago(691_201)}),
    "MetricsUnreachable": Case({f"up{{{WORKER}}}": Gauge(1, 0)}),
    "WorkersNotScraped": Case({f"up{{{WORKER}}}": Target()}, lag=LOOKBACK),
    "ManagerNotScraped": Case({f"up{{{MANAGER}}}": Target()}, lag=LOOKBACK),
}
SILENCE = {
    **{name: Gauge(0, 0) for case in CASES.values() for name, one in case.series.items() if isinstance(one, Counter)},
    **{name: one for case in CASES.values() for name, one in case.series.items() if isinstance(one, Clock | Ago)},
    f'dlq_messages_total{{queue="main",{MANAGER}}}': Gauge(0, 0),
    f"dlq_message_age_seconds_count{{{MANAGER}}}": Gauge(0, 0),
    f"dlq_figures_readable{{{MANAGER}}}": Gauge(1, 1),
    f"up{{{MANAGER}}}": Gauge(1, 1),
    f"up{{{WORKER}}}": Gauge(1, 1),
    **{
        f"{name}{{{MANAGER}}}": Gauge(0, 0)
        for name in ("dlq_arrivals_last_day", "dlq_arrivals_last_hour", "dlq_average_retries", "dlq_recovery_pending",
                     "dlq_oldest_unhandled_seconds", "dlq_repeating_correlations")
    },
}  # fmt: skip
"""A fleet with nothing to do."""
HEALTHY: dict[str, Series] = {
    f"up{{{WORKER}}}": Gauge(1, 1),
    f'dlq_replay_total{{status="error",{MANAGER}}}': Counter(1, 1),
    f'dlq_replay_total{{status="success",{MANAGER}}}': Counter(1, 1),
    f'worker_messages_total{{outcome="failed",{WORKER}}}': Counter(1, 1),
    f'worker_messages_total{{outcome="done",{WORKER}}}': Counter(9, 9),
}
"""Ratios that are exactly at their limits."""
NOTHING = {"expr": "ALERTS", "eval_time": f"{LONG}m", "exp_samples": []}
RULE = {one.name: one for one in rules()}


def minutes(waits: str) -> int:
    return int(waits[:-1]) * {"m": 1, "h": 60}[waits[-1]]


def alerts(name: str, at: int, *, state: str, count: int) -> dict[str, object]:
    """How many alerts of a name are in a state at a minute."""
    samples = [{"labels": "{}", "value": count}] if count else []
    expression = f'count(ALERTS{{alertname="{name}",alertstate="{state}"}})'
    return {"expr": expression, "eval_time": f"{at}m", "exp_samples": samples}


PASSED = (0, "")


def run(folder: Path, series: dict[str, Series], ends: int, until: int, checks: list[object]) -> tuple[int, str]:
    """Let promtool play these series, a value a minute, and check what the rules make of them; PASSED, or what is wrong."""
    given = [
        {"series": name, "values": " ".join(_written(one.at(minute, ends)) for minute in range(until + 1))}
        for name, one in series.items()
    ]
    test = {"interval": "1m", "input_series": given, "promql_expr_test": checks}
    path = folder / "test.json"  # JSON is YAML
    path.write_text(json.dumps({"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": [test]}))
    code, said = tool("promtool", "test", "rules", str(path))
    return code, "" if code == 0 else said


def _written(value: float | None) -> str:
    return "_" if value is None else f"{value:g}"


@pytest.mark.parametrize("name", CASES)
def test_an_alert_waits_then_fires_and_ends(name, tmp_path):
    case, rule = CASES[name], RULE[name]
    true = BEGINS + case.lag
    fires = true + minutes(rule.waits)
    ends = fires + 3
    over = ends + case.tail
    checks: list[object] = [
        *(alerts(name, BEGINS - 1, state=state, count=0) for state in ("pending", "firing")),
        alerts(name, true, state="pending", count=1),
        alerts(name, fires - 1, state="firing", count=0),
        alerts(name, fires, state="firing", count=1),
        alerts(name, ends - 1, state="firing", count=1),
        *(alerts(name, over, state=state, count=0) for state in ("pending", "firing")),
    ]
    assert run(tmp_path, dict(case.series), ends, over + 1, checks) == PASSED


def test_every_alert_is_tested():
    assert list(CASES) == list(RULE)


def test_an_idle_fleet_is_silent_and_no_expression_has_a_value(tmp_path):
    """Not even NaN, which is a value."""
    times = (0, 1, 30, LONG)
    checks: list[object] = [
        {"expr": one.expression, "eval_time": f"{at}m", "exp_samples": []} for one in rules() for at in times
    ]
    assert run(tmp_path, dict(SILENCE), NEVER, LONG, [*checks, NOTHING]) == PASSED


def test_of_what_is_not_scraped_only_that_is_said(tmp_path):
    firing = {"expr": 'count by (alertname) (ALERTS{alertstate="firing"})', "eval_time": f"{LONG}m"}
    said = [{"labels": '{alertname="WorkersNotScraped"}', "value": 1}]
    assert run(tmp_path, {}, NEVER, LONG, [{**firing, "exp_samples": said}]) == PASSED


def test_a_file_every_20_minutes_that_always_fails_is_noticed_and_one_that_fails_once_is_not(tmp_path):
    firing = functools.partial(alerts, "WorkerErrorRateLowTraffic", state="firing")
    after_one = [firing(at, count=0) for at in range(BEGINS, BEGINS + 2 * HOUR)]
    for failed, checks in ((EveryTwenty(), [firing(LONG, count=1)]), (Gauge(0, 1), after_one)):
        series: dict[str, Series] = {
            f"up{{{WORKER}}}": Gauge(1, 1),
            f'worker_messages_total{{outcome="failed",{WORKER}}}': failed,
            f'worker_messages_total{{outcome="done",{WORKER}}}': Gauge(0, 0),
        }
        assert run(tmp_path, series, LONG, LONG, [*checks]) == PASSED


def test_ratios_at_their_limit_are_silent(tmp_path):
    assert run(tmp_path, dict(HEALTHY), NEVER, LONG, [NOTHING]) == PASSED


def test_two_managers_with_one_ledger_are_not_added_up_but_the_parts_of_the_depth_are(tmp_path):
    series: dict[str, Series] = {
        f'dlq_messages_total{{queue="{queue}",job="dlq-manager",instance="{manager}"}}': Gauge(5, 5)
        for queue in ("main", "retry")
        for manager in ("a", "b")
    }
    series[f"up{{{WORKER}}}"] = Gauge(1, 1)
    depth = {"expr": RULE["DlqDepth"].expression.replace("> 10", ""), "eval_time": "1h"}
    expected = {**depth, "exp_samples": [{"labels": '{job="dlq-manager"}', "value": 10}]}
    assert run(tmp_path, series, NEVER, LONG, [expected, NOTHING]) == PASSED


def test_the_errors_of_one_instance_are_compared_with_the_traffic_of_all(tmp_path):
    series: dict[str, Series] = {
        f'worker_messages_total{{outcome="{outcome}",job="s3-index-worker",instance="{instance}"}}': Counter(rate, rate)
        for outcome, instance, rate in (("failed", "a", 8), ("done", "a", 2), ("done", "b", 30), ("failed", "b", 0))
    }
    ratio = RULE["WorkerErrorRate"].expression.rpartition(">")[0]
    expected = {"expr": ratio, "eval_time": "1h", "exp_samples": [{"labels": '{job="s3-index-worker"}', "value": 0.2}]}
    failed = '{outcome="failed",instance="a",job="s3-index-worker"}'
    unsummed = f"rate(worker_messages_total{failed}[5m]) / rate(worker_messages_total[5m])"
    itself = {"expr": unsummed, "eval_time": "1h", "exp_samples": [{"labels": failed, "value": 1}]}
    assert run(tmp_path, series, NEVER, LONG, [expected, itself]) == PASSED


def test_the_files_are_what_prometheus_and_alertmanager_accept():
    for program, *command in (
        ("promtool", "check", "config", "prometheus.yml"),
        ("promtool", "check", "rules", "--lint=all", "--lint-fatal", "rules.yml"),
        ("amtool", "check-config", "alertmanager.yml"),
    ):
        code, said = tool(program, *command, cwd=CONFIG)
        assert code == 0, said
        assert "SUCCESS" in said


def test_every_alert_has_its_section_in_the_runbook():
    anchors = {heading.lower().replace(" ", "-") for heading in sections("runbook.md")}
    for one in rules():
        assert one.annotations["runbook_url"] == f"docs/runbook.md#{one.section}"
        assert one.section in anchors


def test_an_alert_says_how_bad_it_is_and_what_it_means():
    for one in rules():
        assert one.severity in {"info", "warning", "critical"}
        assert set(one.annotations) == {"summary", "description", "runbook_url"}
        assert minutes(one.waits) > 0
        assert one.condition


def test_alerts_ask_for_metrics_that_exist():
    exist = {"up"}.union(*(one.series for one in all_metrics()))
    for one in rules():
        assert one.metrics
        assert set(one.metrics) <= exist


def test_the_manager_sends_what_its_alerts_ask_for():
    """A label that a rule names is one that the collector makes."""
    figures = Figures(depth=Depth(main=1), ages=ages_of([1.0]))
    text = ManagerMetrics(lambda: figures).text().decode()
    for series in ('dlq_message_age_seconds{quantile="0.99"}', 'dlq_replay_total{status="error"}'):
        assert f"\n{series} " in text


@pytest.mark.parametrize(
    ("expression", "condition"),
    [
        ("max without (instance) (dlq_arrivals_last_day) > 10", "> 10"),
        ("a / b > 0.5\n", "> 50%"),
        ("min without (instance) (dlq_soonest_expiry_seconds) < 172800", "< 2 d"),
        ("max without (instance) (dlq_oldest_unhandled_seconds) > 30", "> 30 s"),
        ("dlq_figures_readable == 0", "== 0"),
    ],
)
def test_a_condition_is_said_in_the_reader_s_units(expression, condition):
    assert Rule("x", expression, "5m", "info", {}).condition == condition


def test_a_rule_without_a_comparison_at_its_end_is_refused():
    with pytest.raises(ValueError, match="does not end in a comparison"):
        _ = Rule("x", "10 < up", "5m", "info", {}).condition
