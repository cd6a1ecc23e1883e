"""The gauges of `/metrics` that are read from the worker's components at each scrape."""

from collections.abc import Callable

from worker.assembly import Components
from worker.core.s3.state import DEAD_LETTERS_PREFIX, PARKED_PREFIX, RETRY_PREFIX
from worker.core.s3.workers import BRAKE
from worker.levels import Levels
from worker.metrics import Metrics


def show(metrics: Metrics, components: Components, levels: Levels, *, failing_calls: Callable[[], int]) -> None:
    """Add them all. `failing_calls` is the number of kinds of calls to the queues that keep failing."""
    clock, gate = components.clients.objects.clock, components.gate
    metrics.gauge("worker_in_flight", "Messages in flight.", lambda: len(components.in_flight))
    metrics.gauge("worker_bytes_in_flight", "Bytes of bodies and documents.", lambda: components.budget.used)
    metrics.gauge("worker_paused", "Whether an operator has paused the fleet.", lambda: "paused" in gate.reasons)
    metrics.gauge(
        "worker_brake_on",
        "Whether nearly everything failed, so that nothing is received.",
        lambda: BRAKE in gate.reasons,
    )
    metrics.gauge(
        "worker_index_breaker_open", "Whether the index is unavailable.", lambda: components.index_breaker.is_open
    )
    metrics.gauge("worker_s3_unavailable", "Whether no bucket can be read.", lambda: "s3" in gate.reasons)
    metrics.gauge(
        "worker_buckets_held_back",
        "Buckets in which nothing can be read: their messages go back to the queue.",
        lambda: len(components.s3_health.held_back),
    )
    metrics.gauge(
        "worker_queue_calls_failing",
        "Kinds of calls to the queues (receive, delete, send) that keep failing.",
        failing_calls,
    )
    _show_levels(metrics, levels)
    _show_limits(metrics, components)
    metrics.gauge("worker_s3_clock_uncertainty_seconds", "How well S3's clock is known.", lambda: clock.uncertainty_s)


def _show_levels(metrics: Metrics, levels: Levels) -> None:
    metrics.gauge(
        "worker_retry_records", "Records in retry-index/ that wait for the index; 1000: that many or more.",
        lambda: levels.of(RETRY_PREFIX),
    )  # fmt: skip
    metrics.gauge(
        "worker_parked_records", "Records in retry-index/parked/; 1000: that many or more.",
        lambda: levels.of(PARKED_PREFIX),
    )  # fmt: skip
    metrics.gauge(
        "worker_stored_dead_letters", "Records in dead-letters/; 1000: that many or more.",
        lambda: levels.of(DEAD_LETTERS_PREFIX),
    )  # fmt: skip


def _show_limits(metrics: Metrics, components: Components) -> None:
    limits = components.clients.aws.throttles
    metrics.gauge(
        "worker_s3_rate_limit", "Requests per second sent to S3, which refused more; 0: no limit.",
        lambda: limits.s3.rate or 0,
    )  # fmt: skip
    metrics.gauge(
        "worker_sqs_rate_limit", "Requests per second sent to SQS, which refused more; 0: no limit.",
        lambda: limits.sqs.rate or 0,
    )  # fmt: skip
    metrics.gauge(
        "worker_index_rate_limit", "Documents per second sent to the index, which refused more; 0: no limit.",
        lambda: limits.index.rate or 0,
    )  # fmt: skip
