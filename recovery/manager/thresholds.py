"""Which of the alerts' limits are exceeded now, by the figures that the manager has itself.

The limits are those of config/prometheus/rules.yml; a test compares each, with its severity and its section of the runbook.
Alerts wait for some minutes before they are sent, so that an alert may follow what stands here. Alerts on rates, which only
Prometheus remembers, and on figures that only it has, are not here (NOT_HERE).
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from recovery.manager.figures import Figures
from recovery.manager.system_facts import Facts, Waiting
from worker.core.s3.state import PARKED_PREFIX, RETRY_PREFIX
from worker.core.s3.workers import INDEX, WorkerRecord, WorkerState

RUNBOOK = "docs/runbook.md"
S3 = "s3"
"""In a worker's `held_back`: no bucket can be read."""


class Severity(StrEnum):
    """As the alerts have it, the mildest first."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


class Unit(StrEnum):
    """What a figure is in."""

    COUNT = "count"
    SECONDS = "seconds"
    NUMBER = "number"


_Figure = Callable[[Facts], float | None]


@dataclass(frozen=True, slots=True)
class Threshold:
    """One alert: its figure, and when it fires."""

    alert: str
    severity: Severity
    section: str
    """Of the runbook, as an anchor."""
    figure: _Figure
    """None: not known."""
    limit: float
    unit: Unit = Unit.COUNT
    is_lower: bool = False
    """Whether it fires below the limit, not above."""

    def is_exceeded(self, value: float) -> bool:
        """Whether it would fire."""
        return value < self.limit if self.is_lower else value > self.limit


@dataclass(frozen=True, slots=True)
class Exceeded:
    """One limit that is exceeded now."""

    threshold: Threshold
    value: float


def exceeded(facts: Facts) -> list[Exceeded]:
    """Every limit that is exceeded, the gravest first; of several limits of one figure, only the gravest."""
    found: dict[_Figure, Exceeded] = {}
    order = list(Severity)
    for one in THRESHOLDS:
        value = one.figure(facts)
        if value is None or not one.is_exceeded(value):
            continue
        before = found.get(one.figure)
        if before is None or order.index(before.threshold.severity) < order.index(one.severity):
            found[one.figure] = Exceeded(one, value)
    return sorted(found.values(), key=lambda one: -order.index(one.threshold.severity))


def is_intake_stopped(facts: Facts) -> bool:
    """Whether the DLQ has answered this manager, but not for as long as DlqIntakeStopped takes."""
    [limit] = [one for one in THRESHOLDS if one.figure is _last_receive_s]
    silent_s = _last_receive_s(facts)
    return silent_s is not None and limit.is_exceeded(silent_s)


def _of_figures(read: Callable[[Figures], float | None]) -> _Figure:
    def figure(facts: Facts) -> float | None:
        return None if facts.figures.value is None else read(facts.figures.value)

    return figure


def _of_waiting(read: Callable[[Waiting], float | None]) -> _Figure:
    def figure(facts: Facts) -> float | None:
        return None if facts.waiting.now is None else read(facts.waiting.now)

    return figure


def _depth(waiting: Waiting) -> float | None:
    """None if the DLQ does not say how many it has."""
    return None if waiting.dlq.depth is None else waiting.depth


def _last_receive_s(facts: Facts) -> float | None:
    """How long ago the DLQ last answered this manager; None before it has."""
    waiting = facts.waiting.now
    at_s = 0.0 if waiting is None else waiting.intake.last_receive_timestamp_s
    return facts.at_ms / 1000 - at_s if at_s else None


def _of_fleet(is_so: Callable[[WorkerRecord], bool]) -> _Figure:
    """How many of the workers that are alive say so."""

    def figure(facts: Facts) -> float | None:
        workers = facts.workers.now
        return None if workers is None else sum(is_so(one) for one in workers if one.is_alive)

    return figure


def _longest_without_poll_s(facts: Facts) -> float | None:
    """Of the workers that are to poll; a record is up to a minute old, and so is what it says."""
    workers = facts.workers.now
    polls = [
        (one.written_at_ms - one.last_poll_at_ms) / 1000
        for one in workers or ()
        if one.is_alive and one.state == WorkerState.SERVING and one.last_poll_at_ms
    ]
    return max(polls, default=None)


def _records(prefix: str) -> _Figure:
    def figure(facts: Facts) -> float | None:
        tallies = facts.retry_index.now
        return None if tallies is None else tallies[prefix].count

    return figure


_total = _of_waiting(_depth)
_expiry = _of_waiting(lambda one: one.soonest_expiry_s)
INFO, WARNING, CRITICAL = Severity.INFO, Severity.WARNING, Severity.CRITICAL
THRESHOLDS = (
    Threshold("DlqDepth", INFO, "dlq-depth", _total, 10),
    Threshold("DlqDepthHigh", WARNING, "dlq-depth", _total, 100),
    Threshold("DlqDepthCritical", CRITICAL, "dlq-depth", _total, 500),
    Threshold("DlqOldMessages", WARNING, "dlq-age", _of_figures(lambda one: one.ages.quantiles.get(0.99)), 604_800, Unit.SECONDS),
    Threshold("DlqExpiry", CRITICAL, "dlq-expiry", _expiry, 172_800, Unit.SECONDS, is_lower=True),
    Threshold("DlqArrivalsLastDay", INFO, "dlq-arrivals", _of_waiting(lambda one: one.stats.last_24_h), 10),
    Threshold("DlqArrivalsLastHour", WARNING, "dlq-arrivals", _of_figures(lambda one: one.arrivals_last_hour), 5),
    Threshold("DlqCorrelationRepeats", WARNING, "dlq-correlation", _of_figures(lambda one: one.repeating_correlations), 0),
    Threshold("DlqAverageRetries", WARNING, "dlq-replay", _of_waiting(lambda one: one.stats.average_retries), 2.5, Unit.NUMBER),
    Threshold("DlqRecoveryPending", INFO, "dlq-pending", _of_figures(lambda one: one.pending), 5),
    Threshold("DlqUnconfirmed", WARNING, "dlq-unconfirmed", _of_figures(lambda one: one.unconfirmed), 0),
    Threshold("DlqMessageUnhandled", INFO, "dlq-pending", _of_figures(lambda one: one.oldest_unhandled_s), 900, Unit.SECONDS),
    Threshold("DlqIntakeStopped", CRITICAL, "intake-stopped", _last_receive_s, 300, Unit.SECONDS),
    Threshold("WorkerNotPolling", CRITICAL, "no-poll", _longest_without_poll_s, 300, Unit.SECONDS),
    Threshold("WorkerIndexBreakerOpen", WARNING, "index-down", _of_fleet(lambda one: INDEX in one.breakers), 0),
    Threshold("WorkerS3Unavailable", CRITICAL, "s3-access-lost", _of_fleet(lambda one: S3 in one.held_back), 0),
    Threshold("WorkerBraked", CRITICAL, "braked", _of_fleet(lambda one: bool(one.brake_reason)), 0),
    Threshold("WorkerRetryRecordsWait", WARNING, "stored-for-retry", _records(RETRY_PREFIX), 0),
    Threshold("WorkerRecordsParked", WARNING, "parked", _records(PARKED_PREFIX), 0),
)  # fmt: skip
"""In the order of the rules. Those whose rule says `== 1` of each worker say here of how many: more than none."""
NOT_HERE = frozenset({
    "DlqReplayFailures", "DlqFiguresUnreadable", "DlqNotificationsFailing", "WorkerSettleFailures", "WorkerErrorRate",
    "WorkerErrorRateLowTraffic", "WorkerBudgetNearlySpent", "WorkerLagNearsRetention", "ReconcileUnaccounted", "ReconcileStopped",
    "MetricsUnreachable", "WorkersNotScraped", "ManagerNotScraped",
})  # fmt: skip
"""Alerts that only Prometheus can find: on rates, on what workers alone know, and on what does not answer it."""
