"""Send metrics to CloudWatch, if this is switched on. config/cloudformation.yaml has alarms on them.

Each metric is one number a minute for the whole fleet, without dimensions, to keep the cost low; `/metrics` and the log
have the details.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from worker.core.base.events import LogEvent
from worker.core.base.logs import emit

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient

FIGURES: dict[str, tuple[str, str]] = {
    "MessagesSettled": ("Count", "Messages that are done or have failed; released messages are not counted."),
    "MessagesFailed": ("Count", "Messages that failed."),
    "MessageDeleteFailed": ("Count", "Messages that SQS did not delete although their effect is durable."),
    "StoredForRetry": ("Count", "Documents stored in `retry-index/`."),
    "Spilled": ("Count", "Messages stored in `dead-letters/` because the dead-letter queue did not accept them."),
    "Parked": ("Count", "Retry records that were given up and moved to `retry-index/parked/`."),
    "Braked": ("Count", "1 from each worker that receives nothing because nearly everything failed; otherwise 0."),
    "IndexUnavailable": ("Count", "1 from each worker for which the index is unavailable; otherwise 0."),
    "RetryRecords": ("Count", "Records in `retry-index/` that wait for the index, counted up to 1,000."),
    "ParkedRecords": ("Count", "Records in `retry-index/parked/`, counted up to 1,000."),
    "Archived": ("Count", "Dead letters that a recovery gave up and moved to `dlq-archive/`."),
    "Lag": ("Seconds", "Time from sending to the first receive, averaged over a minute."),
    "StoredDeadLetters": (
        "Count",
        "Records in `dead-letters/`, counted up to 1,000; from the manager, those open or scheduled.",
    ),
    "DlqOldestAge": ("Seconds", "Time since the oldest dead letter was first sent; 0 if there is none."),
    "DlqSoonestExpiry": (
        "Seconds",
        "Time until SQS drops the first dead letter; if there is none, how long it keeps one.",
    ),
}
"""Every metric that is sent: its unit and its meaning."""


def tell_cloudwatch(client: "CloudWatchClient", namespace: str, figures: Mapping[str, float]) -> None:
    """Send metrics in one call. Never raises: a failure is logged, because it must not stop the work."""
    put(
        client,
        namespace,
        [{"MetricName": name, "Value": float(value), "Unit": FIGURES[name][0]} for name, value in figures.items()],
    )


def put(client: "CloudWatchClient", namespace: str, data: Any) -> None:
    """The same, for data that is already in CloudWatch's own format."""
    try:
        client.put_metric_data(Namespace=namespace, MetricData=data)
    except Exception as error:  # noqa: BLE001 (see above)
        emit(LogEvent.CLOUDWATCH_FAILED, "warning", error=str(error))
