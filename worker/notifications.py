"""A bucket's notifications: ours merged into what is there.

PutBucketNotificationConfiguration replaces everything at once: whatever others have set up is read, kept and shown.

Source: S3 API reference, PutBucketNotificationConfiguration; S3 User Guide, "Configuring event notifications using object
key name filtering": two filters of one event type may not overlap in prefix and suffix both.
"""

import difflib
import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import Field
from pydantic_settings import BaseSettings

from worker.core.base.aws import aws_errors
from worker.core.base.classify import is_transient
from worker.core.base.errors import ConfigError, DependencyError, QueueError, StoreError
from worker.core.base.settings import QueueUrl, Settings
from worker.core.sqs.queue import Queue

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

EVENTS = ("s3:LifecycleExpiration:*", "s3:ObjectCreated:*", "s3:ObjectRemoved:*", "s3:ObjectRestore:Completed")
"""Everything after which an object's document may have to change. ObjectRemoved does not cover expiry (FACTS, S3 events)."""
OUR_ID = "s3-index-worker"
_DESTINATIONS = {
    "QueueConfigurations": "QueueArn",
    "TopicConfigurations": "TopicArn",
    "LambdaFunctionConfigurations": "LambdaFunctionArn",
}
Configuration = dict[str, Any]

_worker: dict[str, Any] = dict(Settings.model_fields)


class ConnectSettings(BaseSettings):
    """What connecting a bucket needs to know; it may be done before there is an index."""

    model_config = Settings.model_config

    sqs_queue_url: QueueUrl = Field(description="URL of the queue that S3 is to notify.")
    aws_region: str | None = _worker["aws_region"]


@dataclass(frozen=True, slots=True)
class KeyFilter:
    """Which keys a notification is for; empty means any."""

    prefix: str = ""
    suffix: str = ""

    def overlaps(self, other: "KeyFilter") -> bool:
        """Whether some key could match both."""
        prefixes = self.prefix.startswith(other.prefix) or other.prefix.startswith(self.prefix)
        return prefixes and (self.suffix.endswith(other.suffix) or other.suffix.endswith(self.suffix))

    def as_s3(self) -> dict[str, Any]:
        """In S3's own shape; an empty one is left out there."""
        rules = [
            {"Name": name, "Value": value}
            for name, value in (("prefix", self.prefix), ("suffix", self.suffix))
            if value
        ]
        return {"Filter": {"Key": {"FilterRules": rules}}} if rules else {}

    def __str__(self) -> str:
        return f"{self.prefix}*{self.suffix}"


def queue_arn(queue: Queue) -> str:
    """The queue's ARN. Raises ConfigError or DependencyError that names the setting."""
    try:
        return queue.attributes()["QueueArn"]
    except QueueError as error:
        kind = DependencyError if is_transient(error) else ConfigError
        raise kind(f"SQS_QUEUE_URL={queue.url}: {error}") from error


def read(s3: "S3Client", bucket: str) -> Configuration:
    """What the bucket notifies now. Raises ConfigError where it does not exist or may not be asked, StoreError."""
    with _explained(bucket, "s3:GetBucketNotification"):
        answer: dict[str, Any] = dict(s3.get_bucket_notification_configuration(Bucket=bucket))
    answer.pop("ResponseMetadata", None)
    return answer


def merged(present: Configuration, queue_arn: str, wanted: KeyFilter) -> Configuration:
    """The present configuration with our queue's in it; everything else as it was.

    Raises ConfigError where another notification for the same events and keys stands in the way: S3 would refuse ours.
    """
    if queue_arn.endswith(".fifo"):
        raise ConfigError(f"{queue_arn} is a FIFO queue, which S3 does not notify: take a standard queue")
    for entry in _entries(present):
        if _is_ours(entry, queue_arn, wanted) or not wanted.overlaps(_filter_of(entry)) or not _same_events(entry):
            continue
        raise ConfigError(
            f"{_named(entry)} already has {', '.join(entry['Events'])} of {_filter_of(entry)}, and S3 lets only one notification "
            f"have these events of a key. Choose keys with --prefix or --suffix that it has not, or remove it, or let "
            "both listen to one SNS topic or to EventBridge"
        )
    queues = [dict(entry) for entry in present.get("QueueConfigurations", [])]
    ours = next((entry for entry in queues if _is_ours(entry, queue_arn, wanted)), None)
    if ours is None:
        ours = {"Id": _id_of(wanted), "QueueArn": queue_arn, "Events": [], **wanted.as_s3()}
        queues.append(ours)
    ours["Events"] = sorted({*ours["Events"], *EVENTS})
    return {**present, "QueueConfigurations": queues}


def difference(present: Configuration, to_be: Configuration) -> str:
    """What would change, as a unified diff; empty where nothing does."""
    before, after = _lines(present), _lines(to_be)
    return "\n".join(difflib.unified_diff(before, after, "now", "to be", n=100, lineterm=""))


def write(s3: "S3Client", bucket: str, shown: Configuration, to_be: Configuration) -> None:
    """Put it, if the bucket's notifications are still as they were shown; and see that it is so.

    Raises ConfigError where they changed meanwhile, or S3 may not send to the queue; StoreError.
    """
    if _lines(read(s3, bucket)) != _lines(shown):
        raise ConfigError(f"the notifications of {bucket} have changed meanwhile: run the command again")
    try:
        with _explained(bucket, "s3:PutBucketNotification"):
            s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration=to_be)  # type: ignore[arg-type]
    except StoreError as error:
        if error.code == "InvalidArgument":
            raise ConfigError(
                f"{bucket}: {error}. S3 notifies a queue in the bucket's own region, and only where the queue's policy lets "
                "s3.amazonaws.com send to it for this bucket: see docs/setup.md"
            ) from error
        raise
    if difference(read(s3, bucket), to_be):
        raise ConfigError(
            f"{bucket} notifies otherwise than what was put: somebody else is changing it; run the command again"
        )


# -- inside ----------------------------------------------------------------------------------------------------------


def _entries(configuration: Configuration) -> Iterator[dict[str, Any]]:
    return (entry for name in _DESTINATIONS for entry in configuration.get(name, []))


def _is_ours(entry: dict[str, Any], queue_arn: str, wanted: KeyFilter) -> bool:
    return entry.get("QueueArn") == queue_arn and _filter_of(entry) == wanted


def _filter_of(entry: dict[str, Any]) -> KeyFilter:
    rules = entry.get("Filter", {}).get("Key", {}).get("FilterRules", [])
    found = {
        str(rule["Name"]).lower(): str(rule["Value"]) for rule in rules
    }  # S3 answers "Prefix" where "prefix" was put
    return KeyFilter(found.get("prefix", ""), found.get("suffix", ""))


def _same_events(entry: dict[str, Any]) -> bool:
    return any(_covers(mine, theirs) or _covers(theirs, mine) for mine in EVENTS for theirs in entry["Events"])


def _covers(wide: str, event: str) -> bool:
    return event == wide or (wide.endswith("*") and event.startswith(wide[:-1]))


def _named(entry: dict[str, Any]) -> str:
    arn = next((entry[name] for name in _DESTINATIONS.values() if name in entry), "?")
    return f"the notification {entry.get('Id', '(without an id)')} to {arn}"


def _id_of(wanted: KeyFilter) -> str:
    """One id for each filter: a configuration may not have an id twice."""
    if wanted == KeyFilter():
        return OUR_ID
    return f"{OUR_ID}-{hashlib.sha256(str(wanted).encode()).hexdigest()[:8]}"


def _lines(configuration: Configuration) -> list[str]:
    """A configuration in one spelling, whatever order and case S3 answers in."""
    spelled: dict[str, Any] = {}
    for name, value in configuration.items():
        if name not in _DESTINATIONS:
            spelled[name] = value
        elif value:
            spelled[name] = sorted(map(_spelled, value), key=lambda entry: json.dumps(entry, sort_keys=True))
    return json.dumps(spelled, indent=2, sort_keys=True, ensure_ascii=False).splitlines()


def _spelled(entry: dict[str, Any]) -> dict[str, Any]:
    rest = {name: value for name, value in entry.items() if name != "Filter"}
    return {**rest, "Events": sorted(entry["Events"]), **_filter_of(entry).as_s3()}


@contextmanager
def _explained(bucket: str, action: str) -> Iterator[None]:
    """Say which bucket and which permission a refusal is about."""
    try:
        with aws_errors(StoreError):
            yield
    except StoreError as error:
        if is_transient(error) or error.code == "InvalidArgument":
            raise
        if error.code == "NoSuchBucket":
            raise ConfigError(f"{bucket}: there is no such bucket") from error
        raise ConfigError(f"{bucket}: {error}. It needs {action} on arn:aws:s3:::{bucket}") from error
