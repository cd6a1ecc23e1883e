"""S3 that notifies SQS by itself: moto's server, as SeaweedFS sends no events and ElasticMQ receives none from it."""

import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from moto.server import ThreadedMotoServer

from testing.aws import s3_client, sqs_client
from testing.process import LOOPBACK

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import QueueConfigurationTypeDef


@dataclass(frozen=True)
class NotifyingBucket:
    """A bucket and the queue its events arrive in, both at one endpoint; any key pair is accepted."""

    endpoint: str
    bucket: str
    queue_url: str


@contextmanager
def notifying_bucket(bucket: str = "notifying", queue: str = "notified") -> Iterator[NotifyingBucket]:
    """Run moto for as long as the block lasts. As in S3, the queue's first message is an s3:TestEvent.

    Moto's events have no sequencer, versionId or userIdentity, and an ObjectRemoved one has a size. About 60 puts and
    45 receives a second (docs/evidence.md, Servers for tests and benchmarks).
    """
    with moto_endpoint() as endpoint:
        yield NotifyingBucket(endpoint, bucket, _connect(endpoint, bucket, queue))


@contextmanager
def moto_endpoint() -> Iterator[str]:
    """An empty account with every service of moto's, at one address."""
    server = ThreadedMotoServer(ip_address=LOOPBACK, port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        endpoint = f"http://{host}:{port}"
        with urllib.request.urlopen(urllib.request.Request(f"{endpoint}/moto-api/reset", method="POST"), timeout=10):
            yield endpoint  # its state is the process's, and an earlier test's
    finally:
        server.stop()


def _connect(endpoint: str, bucket: str, queue: str) -> str:
    with closing(s3_client(endpoint)) as s3, closing(sqs_client(endpoint)) as sqs:
        queue_url = sqs.create_queue(QueueName=queue)["QueueUrl"]
        attributes = sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=["QueueArn"])["Attributes"]
        s3.create_bucket(Bucket=bucket)
        notify: QueueConfigurationTypeDef = {
            "QueueArn": attributes["QueueArn"],
            "Events": ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"],
        }
        s3.put_bucket_notification_configuration(
            Bucket=bucket, NotificationConfiguration={"QueueConfigurations": [notify]}
        )
    return str(queue_url)
