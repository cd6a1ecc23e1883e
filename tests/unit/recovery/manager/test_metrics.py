"""What the manager's /metrics says, and that promtool has nothing against it."""

import pytest
from prometheus_client.openmetrics.exposition import generate_latest as open_metrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from recovery.manager.figures import Depth, Figures, IntakeFigures
from recovery.manager.metrics import (
    MAX_ERROR_TYPES,
    IntakeResult,
    ManagerMetrics,
    NotificationStatus,
    ReplayStatus,
    RetryResult,
)
from testing.ledgers import ages_of
from tests.support.monitoring import tool
from worker.core.base.errors import StoreError

BUSY = Figures(
    depth=Depth(main=7, retry=3, analysis=2),
    by_error_type={"TimeoutError": 9, "KeyError": 3},
    ages=ages_of([1.0, 2.0, 9.0]),
    soonest_expiry_s=3_600.5,
    arrivals_last_day=12,
    arrivals_last_hour=4,
    average_retries=1.5,
    pending=6,
    oldest_unhandled_s=901.0,
    operations={"running": 2},
    repeating_correlations=1,
    intake=IntakeFigures(lag_s=2.5, last_receive_timestamp_s=1_700_000_000.0, is_resting=True),
)


def served(figures: Figures = BUSY) -> ManagerMetrics:
    return ManagerMetrics(lambda: figures)


def value(metrics: ManagerMetrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, labels)


@pytest.mark.parametrize("figures", [BUSY, Figures()], ids=["busy", "empty"])
def test_promtool_has_nothing_against_it(figures):
    assert tool("promtool", "check", "metrics", stdin=served(figures).text()) == (0, "")


def test_it_can_be_read_in_the_newer_format_too():
    families = {one.name: one.type for one in text_string_to_metric_families(open_metrics(served().registry).decode())}
    assert families["dlq_messages_total"] == "unknown"
    assert families["dlq_replay"] == "counter"
    assert families["dlq_message_age_seconds"] == "summary"


def test_each_figure_has_its_series():
    metrics = served()
    assert [value(metrics, "dlq_messages_total", queue=one) for one in ("main", "retry", "analysis")] == [7, 3, 2]
    assert value(metrics, "dlq_messages_by_error_type", error_type="TimeoutError") == 9
    assert [value(metrics, "dlq_message_age_seconds", quantile=one) for one in ("0.5", "0.9", "0.99")] == [2, 9, 9]
    assert value(metrics, "dlq_message_age_seconds_sum") == 12
    assert value(metrics, "dlq_message_age_seconds_count") == 3
    assert value(metrics, "dlq_operations", state="running") == 2
    assert value(metrics, "dlq_operations", state="waiting") == 0
    single = {
        "dlq_soonest_expiry_seconds": 3_600.5, "dlq_arrivals_last_day": 12, "dlq_arrivals_last_hour": 4,
        "dlq_average_retries": 1.5, "dlq_recovery_pending": 6, "dlq_oldest_unhandled_seconds": 901,
        "dlq_repeating_correlations": 1, "dlq_intake_lag_seconds": 2.5,
        "dlq_intake_last_receive_timestamp_seconds": 1_700_000_000, "dlq_intake_resting": 1, "dlq_figures_readable": 1,
    }  # fmt: skip
    assert {name: value(metrics, name) for name in single} == single


def test_nothing_in_sqs_has_no_expiry_and_no_dead_letter_has_no_age():
    metrics = served(Figures())
    assert value(metrics, "dlq_soonest_expiry_seconds") is None
    assert value(metrics, "dlq_message_age_seconds", quantile="0.99") is None
    assert value(metrics, "dlq_message_age_seconds_count") == 0


def test_what_was_done_is_counted_and_every_label_is_there_from_the_start():
    metrics = served()
    before = _names(metrics.text())
    for each in (*ReplayStatus, *NotificationStatus, *RetryResult, *IntakeResult):
        metrics.count(each, 0)
    assert _names(metrics.text()) == before
    metrics.count(ReplayStatus.NOT_FOUND)
    metrics.count(IntakeResult.TAKEN_IN, 10)
    metrics.count(NotificationStatus.FAILED)
    metrics.count(RetryResult.USED_UP)
    assert value(metrics, "dlq_replay_total", status="not_found") == 1
    assert value(metrics, "dlq_replay_total", status="success") == 0
    assert value(metrics, "dlq_intake_messages_total", result="taken_in") == 10
    assert value(metrics, "dlq_notifications_total", status="failed") == 1
    assert value(metrics, "dlq_retries_total", result="used_up") == 1
    assert value(metrics, "dlq_retries_total", result="failed") == 0


def _names(text: bytes) -> list[str]:
    return [line.rpartition(" ")[0] for line in text.decode().splitlines() if not line.startswith("#")]


def test_the_most_frequent_error_types_are_named_and_the_rest_is_other():
    types = {f"Error{number:03}": number + 1 for number in range(200)}
    [family] = [one for one in served(Figures(by_error_type=types)).registry.collect() if "error_type" in one.name]
    shown = {sample.labels["error_type"]: sample.value for sample in family.samples}
    assert len(shown) == MAX_ERROR_TYPES + 1
    assert sum(shown.values()) == sum(types.values())
    assert min(number for name, number in shown.items() if name != "other") == 151


@pytest.mark.parametrize("forged", ["order 4711 failed", "", "x" * 101, 'a"}\nb 1', "key=契約書.pdf/1"])
def test_what_is_no_name_of_a_type_is_other(forged):
    metrics = served(Figures(by_error_type={forged: 2, "other": 1, "KeyError": 1}))
    assert value(metrics, "dlq_messages_by_error_type", error_type="other") == 3
    assert value(metrics, "dlq_messages_by_error_type", error_type=forged) is None


def test_a_ledger_that_cannot_be_read_leaves_the_counters_and_pretends_no_zero():
    def read() -> Figures:
        raise StoreError("the ledger is locked", code="x")

    metrics = ManagerMetrics(read)
    metrics.count(ReplayStatus.ERROR)
    assert value(metrics, "dlq_figures_readable") == 0
    assert value(metrics, "dlq_messages_total", queue="main") is None
    assert value(metrics, "dlq_replay_total", status="error") == 1
    assert tool("promtool", "check", "metrics", stdin=metrics.text()) == (0, "")
