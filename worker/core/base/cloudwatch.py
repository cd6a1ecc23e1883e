"""CloudWatch, where it is switched on: which figures it is told, and how. config/cloudformation.yaml has alarms on them.

Each is one cheap number a minute for the whole fleet, without dimensions: what is finer is in `/metrics` and in the log.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from worker.core.base.events import LogEvent
from worker.core.base.logs import emit

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient

FIGURES: dict[str, tuple[str, str]] = {
    "MessagesSettled": ("Count", "Messages done or failed; those given back are not counted."),
    "MessagesFailed": ("Count", "Messages that failed."),
    "MessageDeleteFailed": ("Count", "Messages that SQS did not delete though their effect is durable."),
    "StoredForRetry": ("Count", "Documents stored in `retry-index/`."),
    "Spilled": ("Count", "Messages in `dead-letters/`, since the dead-letter queue did not take them."),
    "Parked": ("Count", "Records of `retry-index/` given up, now in `retry-index/parked/`."),
    "Archived": ("Count", "Dead letters that a recovery gave up, now in `dlq-archive/`."),
    "Lag": ("Seconds", "From send to first receive, the mean of a minute."),
    "DlqOldestAge": ("Seconds", "Since the oldest dead letter was first sent; 0 where there is none."),
    "DlqSoonestExpiry": ("Seconds", "Until SQS drops the first dead letter; not sent where there is none."),
}
"""Every figure that is sent: its unit, and what it says."""


def tell_cloudwatch(client: "CloudWatchClient", namespace: str, figures: Mapping[str, float]) -> None:
    """Send figures in one call. Never raises: a figure that cannot be sent must not stop the work, and is logged."""
    put(
        client,
        namespace,
        [{"MetricName": name, "Value": float(value), "Unit": FIGURES[name][0]} for name, value in figures.items()],
    )


def put(client: "CloudWatchClient", namespace: str, data: Any) -> None:
    """The same, in CloudWatch's own shape."""
    try:
        client.put_metric_data(Namespace=namespace, MetricData=data)
    except Exception as error:  # noqa: BLE001 (see above)
        emit(LogEvent.CLOUDWATCH_FAILED, "warning", error=str(error))
