"""The manager's `/metrics`: figures that are read at each scrape, and counters of what the manager does.

No ids and no keys in labels. `dlq_messages_total` and `dlq_replay_total` have the names that such tools have had;
`promtool check metrics` refuses the first as a gauge, so its type is unknown (docs/evidence.md, Metrics).
"""

import re
from collections import Counter as Tally
from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum

from prometheus_client import CollectorRegistry, Counter, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from recovery.ledger.operations import OperationState
from recovery.ledger.summaries import AgeSummary
from recovery.manager.figures import Depth, Figures
from worker.core.base.errors import WorkerError
from worker.reconciled import ReconciledMetrics

MAX_ERROR_TYPES = 50
"""Error types with a series of their own: other services may send any number of them."""
OTHER = "other"
_TYPE_NAME = re.compile(r"[\w.:$-]{1,100}")
"""What is no name of a type, but perhaps a sentence with an id in it, is counted as other."""


class ReplayStatus(StrEnum):
    """What became of the replay of one dead letter."""

    SUCCESS = "success"
    ERROR = "error"
    NOT_FOUND = "not_found"


class NotificationStatus(StrEnum):
    """What became of one attempt to notify."""

    SENT = "sent"
    FAILED = "failed"


class RetryResult(StrEnum):
    """What became of one scheduled retry."""

    SENT = "sent"
    FAILED = "failed"
    USED_UP = "used_up"
    """It was the last one, and the dead letter is open again."""


class IntakeResult(StrEnum):
    """What one message received from the DLQ was."""

    TAKEN_IN = "taken_in"
    RETURNED = "returned"
    REPEATED = "repeated"


Counted = ReplayStatus | NotificationStatus | RetryResult | IntakeResult


class ManagerMetrics:
    """The registry of one manager. Its methods may be called from any thread."""

    def __init__(self, read: Callable[[], Figures]) -> None:
        """`read` is called at each scrape; where it raises a WorkerError, the counters are served without figures."""
        self.registry = CollectorRegistry()
        self._counters: dict[type[StrEnum], Counter] = {
            ReplayStatus: self._counter("dlq_replay", "Replays of dead letters.", "status", ReplayStatus),
            NotificationStatus: self._counter(
                "dlq_notifications", "Notifications, each attempt.", "status", NotificationStatus
            ),
            RetryResult: self._counter("dlq_retries", "Scheduled retries of dead letters.", "result", RetryResult),
            IntakeResult: self._counter(
                "dlq_intake_messages", "Messages received from the dead-letter queue.", "result", IntakeResult
            ),
        }
        self.registry.register(FigureCollector(read))
        self.reconciled = ReconciledMetrics(self.registry)

    def count(self, what: Counted, number: int = 1) -> None:
        """Count something that was done: its type says which counter, its value which label."""
        self._counters[type(what)].labels(what.value).inc(number)

    def text(self) -> bytes:
        """All metrics in Prometheus's text format (`prometheus_client.CONTENT_TYPE_LATEST`)."""
        return generate_latest(self.registry)

    def _counter(self, name: str, text: str, label: str, values: type[StrEnum]) -> Counter:
        counter = Counter(name, text, (label,), registry=self.registry)
        for value in values:
            counter.labels(value.value)
        return counter


class FigureCollector(Collector):
    """Makes metrics of what `read` returns."""

    def __init__(self, read: Callable[[], Figures]) -> None:
        self._read = read

    def collect(self) -> Iterator[Metric]:
        """All families. Without figures there is one that says so: a zero would pretend that nothing waits."""
        try:
            figures = self._read()
        except WorkerError:
            yield _gauge("dlq_figures_readable", READABLE, 0)
            return
        yield _gauge("dlq_figures_readable", READABLE, 1)
        yield _depth(figures.depth)
        yield _by_label(
            "dlq_messages_by_error_type", "Dead letters by error type.", "error_type", _largest(figures.by_error_type)
        )
        yield _ages(figures.ages)
        if figures.soonest_expiry_s is not None:
            yield _gauge(
                "dlq_soonest_expiry_seconds",
                "Time until SQS drops the first of the dead letters that are still in SQS.",
                figures.soonest_expiry_s,
            )
        # Every state from the start, so that a series does not first appear with the event that an alert is about.
        states = {state.value: figures.operations.get(state, 0) for state in OperationState}
        yield _by_label("dlq_operations", "Operations by state.", "state", states)
        for name, text, value in _single_figures(figures):
            yield _gauge(name, text, value)


READABLE = "Whether ledger and dead-letter queue could be read for this scrape."


def _single_figures(figures: Figures) -> tuple[tuple[str, str, float], ...]:
    intake = figures.intake
    return (
        ("dlq_arrivals_last_day", "Arrivals in the present hour and the 23 before.", figures.arrivals_last_day),
        ("dlq_arrivals_last_hour", "Dead letters that arrived in the last 60 minutes.", figures.arrivals_last_hour),
        ("dlq_average_retries", "Retries of the dead letters that wait, on average.", figures.average_retries),
        ("dlq_recovery_pending", "Dead letters that were sent and are not confirmed yet.", figures.pending),
        (
            "dlq_recovery_unconfirmed",
            "Dead letters that were sent, and of which neither work nor return was seen in time.",
            figures.unconfirmed,
        ),
        (
            "dlq_retries_waiting",
            "Dead letters that are due to be resent automatically, and wait for the index, S3 or the fleet to be healthy.",
            figures.retries_waiting,
        ),
        (
            "dlq_oldest_unhandled_seconds",
            "How long the first dead letter has waited with which nobody and nothing deals.",
            figures.oldest_unhandled_s,
        ),
        (
            "dlq_repeating_correlations",
            "Correlation ids whose messages fail again and again.",
            figures.repeating_correlations,
        ),
        ("dlq_intake_lag_seconds", "From sending to intake, of the latest dead letter.", intake.lag_s),
        (
            "dlq_intake_last_receive_timestamp_seconds",
            "When the dead-letter queue last answered a receive.",
            intake.last_receive_timestamp_s,
        ),
        ("dlq_intake_resting", "Whether intake waits because something that it needs refuses.", intake.is_resting),
    )


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=value)


def _by_label(name: str, text: str, label: str, values: Mapping[str, int]) -> Metric:
    family = GaugeMetricFamily(name, text, labels=(label,))
    for value, number in values.items():
        family.add_metric((value,), number)
    return family


def _depth(depth: Depth) -> Metric:
    family = Metric(
        "dlq_messages_total",
        "Dead letters that wait: in the queue or open (main), scheduled (retry), for review (analysis).",
        "unknown",
    )
    for queue, number in (("main", depth.main), ("retry", depth.retry), ("analysis", depth.analysis)):
        family.add_sample(family.name, {"queue": queue}, number)
    return family


def _ages(ages: AgeSummary) -> Metric:
    """A summary with quantiles, which the client's own Summary has not."""
    family = Metric("dlq_message_age_seconds", "Time since the dead letters that wait last arrived.", "summary")
    for quantile, age_s in ages.quantiles.items():
        family.add_sample(family.name, {"quantile": str(quantile)}, age_s)
    family.add_sample(f"{family.name}_sum", {}, ages.sum_s)
    family.add_sample(f"{family.name}_count", {}, ages.count)
    return family


def _largest(by_error_type: Mapping[str, int]) -> dict[str, int]:
    """The MAX_ERROR_TYPES most frequent types by name, and the sum of all others."""
    named: Tally[str] = Tally()
    for name, number in by_error_type.items():
        named[name if _TYPE_NAME.fullmatch(name) else OTHER] += number
    other = named.pop(OTHER, 0)
    largest = sorted(named.items(), key=lambda one: (-one[1], one[0]))
    other += sum(number for _, number in largest[MAX_ERROR_TYPES:])
    return {**dict(largest[:MAX_ERROR_TYPES]), OTHER: other}
