"""Add the queue to a bucket's notifications.

PutBucketNotificationConfiguration replaces the whole configuration at once, so what others have configured is read, kept
and shown.

In a filter, special characters of a prefix or suffix are percent-encoded.

Sources: S3 API reference, PutBucketNotificationConfiguration; S3 User Guide, "Configuring event notifications using object
key name filtering": two filters for one event type may not overlap in both prefix and suffix.
"""

import difflib
import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from pydantic import Field

from worker.core.base.aws import aws_errors
from worker.core.base.classify import is_transient
from worker.core.base.errors import ConfigError, DependencyError, QueueError, StoreError
from worker.core.base.jsontypes import JsonObject
from worker.core.base.names import QueueUrl, is_bucket_name
from worker.core.base.settings import Settings
from worker.core.base.settings_model import SettingsModel
from worker.core.sqs.queue import Queue

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

EVENTS = ("s3:LifecycleExpiration:*", "s3:ObjectCreated:*", "s3:ObjectRemoved:*", "s3:ObjectRestore:Completed")
"""All events after which a document may have to change. ObjectRemoved excludes expiry (docs/evidence.md, S3 events)."""
OUR_ID = "s3-index-worker"
_DESTINATIONS = {
    "QueueConfigurations": "QueueArn",
    "TopicConfigurations": "TopicArn",
    "LambdaFunctionConfigurations": "LambdaFunctionArn",
}
Configuration = JsonObject

_worker: dict[str, Any] = dict(Settings.model_fields)


class ConnectSettings(SettingsModel):
    """The settings for connecting a bucket, which may be done before there is an index."""

    sqs_queue_url: QueueUrl = Field(description="URL of the queue that S3 is to notify.")
    aws_region: str | None = _worker["aws_region"]


@dataclass(frozen=True, slots=True)
class KeyFilter:
    """The keys that a notification applies to; empty means all."""

    prefix: str = ""
    suffix: str = ""

    def overlaps(self, other: "KeyFilter") -> bool:
        """Whether a key could match both filters."""
        prefixes = self.prefix.startswith(other.prefix) or other.prefix.startswith(self.prefix)
        return prefixes and (self.suffix.endswith(other.suffix) or other.suffix.endswith(self.suffix))

    def as_s3(self) -> JsonObject:
        """The filter in S3's own format, in which an empty filter is omitted, and special characters are percent-encoded."""
        return self._spelled(quote)

    def as_shown(self) -> JsonObject:
        """The same for people: not encoded."""
        return self._spelled(str)

    def _spelled(self, spell: Callable[[str], str]) -> JsonObject:
        rules = [
            {"Name": name, "Value": spell(value)}
            for name, value in (("prefix", self.prefix), ("suffix", self.suffix))
            if value
        ]
        return {"Filter": {"Key": {"FilterRules": rules}}} if rules else {}

    def __str__(self) -> str:
        return f"{self.prefix}*{self.suffix}"


def queue_arn(queue: Queue) -> str:
    """The queue's ARN. Raises ConfigError or DependencyError, which give the name of the setting."""
    try:
        return queue.attributes()["QueueArn"]
    except QueueError as error:
        kind = DependencyError if is_transient(error) else ConfigError
        raise kind(f"SQS_QUEUE_URL={queue.url}: {error}") from error


def read(s3: "S3Client", bucket: str) -> Configuration:
    """The bucket's current notifications.

    Raises ConfigError if the bucket does not exist or access is denied, otherwise StoreError.
    """
    with _explained(bucket, "s3:GetBucketNotification"):
        answer: JsonObject = dict(s3.get_bucket_notification_configuration(Bucket=bucket))
    answer.pop("ResponseMetadata", None)
    return answer


def merged(present: Configuration, queue_arn: str, wanted: KeyFilter) -> Configuration:
    """The present configuration with our queue added; everything else is unchanged.

    Raises ConfigError if S3 would reject it, because there is another notification for the same events and keys.
    """
    if queue_arn.endswith(".fifo"):
        raise ConfigError(f"{queue_arn} is a FIFO queue, which S3 cannot notify: use a standard queue")
    for entry in _entries(present):
        if _is_ours(entry, queue_arn, wanted) or not wanted.overlaps(_filter_of(entry)) or not _same_events(entry):
            continue
        raise ConfigError(
            f"{_named(entry)} already receives {', '.join(entry['Events'])} for {_filter_of(entry)}, and S3 allows only one "
            "notification for an event of a key. Use --prefix or --suffix to choose other keys, or remove that notification, "
            "or send the events to an SNS topic or to EventBridge, to which both can subscribe"
        )
    queues = [dict(entry) for entry in present.get("QueueConfigurations", [])]
    ours = next((entry for entry in queues if _is_ours(entry, queue_arn, wanted)), None)
    if ours is None:
        ours = {"Id": _id_of(wanted), "QueueArn": queue_arn, "Events": [], **wanted.as_s3()}
        queues.append(ours)
    ours["Events"] = sorted({*ours["Events"], *EVENTS})
    return {**present, "QueueConfigurations": queues}


def difference(present: Configuration, to_be: Configuration) -> str:
    """What would change, as a unified diff; empty if nothing would."""
    before, after = _lines(present), _lines(to_be)
    return "\n".join(difflib.unified_diff(before, after, "now", "to be", n=100, lineterm=""))


def write(s3: "S3Client", bucket: str, shown: Configuration, to_be: Configuration) -> None:
    """Write the configuration if the bucket's notifications are still as they were shown, and check the result.

    Raises ConfigError if they have changed in the meantime, or if S3 may not send to the queue; otherwise StoreError.
    """
    if _lines(read(s3, bucket)) != _lines(shown):
        raise ConfigError(f"the notifications of {bucket} have changed in the meantime: run the command again")
    try:
        with _explained(bucket, "s3:PutBucketNotification"):
            s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration=to_be)  # type: ignore[arg-type]
    except StoreError as error:
        if error.code == "InvalidArgument":
            raise ConfigError(
                f"{bucket}: {error}. The queue must be in the bucket's region, and its policy must allow s3.amazonaws.com to "
                "send messages to it for this bucket: see docs/setup.md"
            ) from error
        raise
    if difference(read(s3, bucket), to_be):
        raise ConfigError(
            f"the notifications of {bucket} are not what was written: someone else is changing them; run the command again"
        )


# -- inside ----------------------------------------------------------------------------------------------------------


def _entries(configuration: Configuration) -> Iterator[JsonObject]:
    return (entry for name in _DESTINATIONS for entry in configuration.get(name, []))


def _is_ours(entry: JsonObject, queue_arn: str, wanted: KeyFilter) -> bool:
    return entry.get("QueueArn") == queue_arn and _filter_of(entry) == wanted


def _filter_of(entry: JsonObject) -> KeyFilter:
    rules = entry.get("Filter", {}).get("Key", {}).get("FilterRules", [])
    # S3 returns "Prefix" even if "prefix" was written, and values as they were written: percent-encoded or not
    found = {str(rule["Name"]).lower(): unquote(str(rule["Value"])) for rule in rules}
    return KeyFilter(found.get("prefix", ""), found.get("suffix", ""))


def _same_events(entry: JsonObject) -> bool:
    return any(_covers(mine, theirs) or _covers(theirs, mine) for mine in EVENTS for theirs in entry["Events"])


def _covers(wide: str, event: str) -> bool:
    return event == wide or (wide.endswith("*") and event.startswith(wide[:-1]))


def _named(entry: JsonObject) -> str:
    arn = next((entry[name] for name in _DESTINATIONS.values() if name in entry), "?")
    return f"the notification {entry.get('Id', '(without an id)')} to {arn}"


def _id_of(wanted: KeyFilter) -> str:
    """A separate id for each filter, because ids in a configuration must be unique."""
    if wanted == KeyFilter():
        return OUR_ID
    return f"{OUR_ID}-{hashlib.sha256(str(wanted).encode()).hexdigest()[:8]}"


def _lines(configuration: Configuration) -> list[str]:
    """A configuration in a normal form, whatever order and case S3 uses in its answer."""
    spelled: JsonObject = {}
    for name, value in configuration.items():
        if name not in _DESTINATIONS:
            spelled[name] = value
        elif value:
            spelled[name] = sorted(map(_spelled, value), key=lambda entry: json.dumps(entry, sort_keys=True))
    return json.dumps(spelled, indent=2, sort_keys=True, ensure_ascii=False).splitlines()


def _spelled(entry: JsonObject) -> JsonObject:
    rest = {name: value for name, value in entry.items() if name != "Filter"}
    return {**rest, "Events": sorted(entry["Events"]), **_filter_of(entry).as_shown()}


@contextmanager
def _explained(bucket: str, action: str) -> Iterator[None]:
    """Add the bucket and the required permission to the message of an error."""
    try:
        with aws_errors(StoreError):
            yield
    except StoreError as error:
        if is_transient(error) or error.code == "InvalidArgument":
            raise
        if error.code == "NoSuchBucket":
            raise ConfigError(f"{bucket}: the bucket does not exist") from error
        raise ConfigError(f"{bucket}: {error}. This requires {action} on arn:aws:s3:::{bucket}") from error


def destinations_of(configuration: Configuration) -> list[str]:
    """The ARNs to which a bucket's notifications are sent, and `EventBridge` if it gets them too."""
    found = {str(entry[name]) for kind, name in _DESTINATIONS.items() for entry in configuration.get(kind, [])}
    return sorted(found | ({"EventBridge"} if "EventBridgeConfiguration" in configuration else set()))


def sources_of(policy: str) -> list[str]:
    """The buckets that a queue's policy names as the source of notifications."""
    try:
        statements = json.loads(policy)["Statement"]
        conditions = [
            one.get("Condition", {}) for one in (statements if isinstance(statements, list) else [statements])
        ]
        values = [
            arn
            for condition in conditions
            for test in condition.values()
            for name, arns in test.items()
            if name.lower() == "aws:sourcearn"
            for arn in ([arns] if isinstance(arns, str) else arns)
        ]
    except (ValueError, KeyError, TypeError, AttributeError):
        return []
    found = (arn.partition(":s3:::")[2] for arn in values if ":s3:::" in arn)
    return sorted({bucket for bucket in found if is_bucket_name(bucket)})
