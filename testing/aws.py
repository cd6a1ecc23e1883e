"""What tests do with S3 and SQS: clients, queues with a real redrive policy, and the events that S3 would send."""

import itertools
import json
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_plus

import boto3
from botocore.config import Config

from testing.servers import ADMIN, REGION, Identity

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.literals import QueueAttributeNameType
    from mypy_boto3_sqs.type_defs import MessageTypeDef

BATCH = 10  # the most messages that SQS accepts or returns in one call
TIMEOUT_S = 25  # longer than the longest poll of 20 s


# -- clients -----------------------------------------------------------------------------------------------------


def s3_client(endpoint: str, identity: Identity = ADMIN, *, attempts: int = 1) -> "S3Client":
    """Return a client that never retries, so that a test sees the first answer; the caller closes it."""
    return boto3.client("s3", endpoint_url=endpoint, **_client_options(identity, attempts))


def sqs_client(endpoint: str, *, attempts: int = 1) -> "SQSClient":
    """Return a client that never retries, so that a test sees the first answer; the caller closes it."""
    return boto3.client("sqs", endpoint_url=endpoint, **_client_options(ADMIN, attempts))


def _client_options(identity: Identity, attempts: int) -> dict[str, Any]:
    config = Config(
        retries={"mode": "standard", "total_max_attempts": attempts},
        connect_timeout=5,
        read_timeout=TIMEOUT_S,
        max_pool_connections=32,
    )
    return {
        "region_name": REGION,
        "aws_access_key_id": identity.access_key,
        "aws_secret_access_key": identity.secret_key,
        "config": config,
    }


# -- queues ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Queues:
    """A source queue and the dead-letter queue in its redrive policy."""

    source: str
    dlq: str


def create_queues(sqs: "SQSClient", name: str, *, visibility_s: int = 30, max_receive_count: int = 10) -> Queues:
    """Create `name` and `name-dlq`; `visibility_s` is the default visibility of both."""
    visibility = str(visibility_s)
    dlq = sqs.create_queue(QueueName=f"{name}-dlq", Attributes={"VisibilityTimeout": visibility})["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=dlq, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    redrive = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": max_receive_count})
    attributes: dict[QueueAttributeNameType, str] = {"VisibilityTimeout": visibility, "RedrivePolicy": redrive}
    source = sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
    return Queues(source=source, dlq=dlq)


def queue_depth(sqs: "SQSClient", queue_url: str) -> tuple[int, int, int]:
    """Return how many messages are (visible, in flight, delayed)."""
    names: list[QueueAttributeNameType] = [
        "ApproximateNumberOfMessages",
        "ApproximateNumberOfMessagesNotVisible",
        "ApproximateNumberOfMessagesDelayed",
    ]
    found = sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=names)["Attributes"]
    visible, in_flight, delayed = (int(found[name]) for name in names)
    return visible, in_flight, delayed


def drain(sqs: "SQSClient", queue_url: str) -> "list[MessageTypeDef]":
    """Receive and delete every visible message; return the messages with all attributes."""
    drained: list[MessageTypeDef] = []
    while True:
        answer = sqs.receive_message(
            QueueUrl=queue_url,
            MaxNumberOfMessages=BATCH,
            MessageAttributeNames=["All"],
            MessageSystemAttributeNames=["All"],
        )
        messages = answer.get("Messages", [])
        if not messages:
            return drained
        for message in messages:
            sqs.delete_message(QueueUrl=queue_url, ReceiptHandle=message["ReceiptHandle"])
        drained += messages


# -- events ------------------------------------------------------------------------------------------------------

_sequence = itertools.count(time.time_ns())


def next_sequencer() -> str:
    """Return a sequencer in S3's form: a hex number that is greater for each later event of a key."""
    return f"{next(_sequence):018X}"


def s3_record(
    bucket: str,
    key: str,
    event: str = "ObjectCreated:Put",
    *,
    size: int = 1024,
    etag: str = "d41d8cd98f00b204e9800998ecf8427e",
    version_id: str | None = None,
    sequencer: str | None = None,
    at: datetime | None = None,
) -> dict[str, Any]:
    """Return one record in the form that S3 sends; a removal has neither size nor eTag.

    Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
    """
    moment = (at or datetime.now(UTC)).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
    described: dict[str, Any] = {"key": quote_plus(key, safe="/"), "sequencer": sequencer or next_sequencer()}
    if event.startswith("ObjectCreated:"):
        described |= {"size": size, "eTag": etag}
    if version_id is not None:
        described["versionId"] = version_id
    return {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": REGION,
        "eventTime": moment,
        "eventName": event,
        "userIdentity": {"principalId": "AWS:AIDAJDPLRKLG7UEXAMPLE"},
        "requestParameters": {"sourceIPAddress": "127.0.0.1"},
        "responseElements": {"x-amz-request-id": "C3D13FE58DE4C810", "x-amz-id-2": "FMyUVURIY8/IgAtTv8xRjskZQpcIZ9KG"},
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": "test",
            "bucket": {
                "name": bucket,
                "ownerIdentity": {"principalId": "A3NL1KOZZKExample"},
                "arn": f"arn:aws:s3:::{bucket}",
            },
            "object": described,
        },
    }


def s3_event(*records: dict[str, Any]) -> str:
    """Return the message body with these records."""
    return json.dumps({"Records": list(records)})


def send_event(
    sqs: "SQSClient", queue_url: str, bucket: str, key: str, event: str = "ObjectCreated:Put", **fields: Any
) -> str:
    """Send the event that S3 would send for this change (`fields` as in `s3_record`); return the message id."""
    body = s3_event(s3_record(bucket, key, event, **fields))
    return sqs.send_message(QueueUrl=queue_url, MessageBody=body)["MessageId"]


def send_batch(
    sqs: "SQSClient", queue_url: str, bucket: str, keys: Iterable[str], event: str = "ObjectCreated:Put", **fields: Any
) -> int:
    """Send one event for each key, ten per call; return their number.

    If SQS refuses one, the test fails here, not later because of a lost message.
    """
    bodies = [s3_event(s3_record(bucket, key, event, **fields)) for key in keys]
    for start in range(0, len(bodies), BATCH):
        entries = [{"Id": str(n), "MessageBody": body} for n, body in enumerate(bodies[start : start + BATCH])]
        answer = sqs.send_message_batch(QueueUrl=queue_url, Entries=entries)  # type: ignore[arg-type]
        assert not answer.get("Failed"), answer["Failed"]
    return len(bodies)
