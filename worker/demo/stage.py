"""The environment of the demo: S3 and SQS in this process, and settings that lead to these, never to a user's account."""

import json
import logging
import os
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from pydantic import AliasChoices

from worker.core.base.aws import Aws
from worker.core.base.errors import ConfigError
from worker.core.base.settings import Settings, load
from worker.core.clients import Clients, connect
from worker.core.index import Index
from worker.core.index.open import open_index
from worker.demo.own_index import INDEX_NAME, SQLITE, OwnIndex, own_url

BUCKET, STATE_BUCKET = "demo-files", "demo-state"
_INDEX_SETTINGS = (
    "INDEX_URL",
    "OPENSEARCH_ENDPOINT",
    "INDEX_AUTH",
    "INDEX_USER",
    "INDEX_PASSWORD",
    "INDEX_CA_FILE",
    "INDEX_VERIFY_TLS",
)
_UNWANTED = ("AWS_", "BOTO_", "MOTO_", "NOTIFY_SOCKET", "WATCHDOG_", "JOURNAL_STREAM", "CREDENTIALS_DIRECTORY")


@contextmanager
def account(temp: Path, keep: Path | None) -> Iterator[tuple[Clients, OwnIndex]]:
    """Run S3 and SQS within this context, with environment variables that lead to them and nowhere else.

    Where the user has set no index, it is a file in `keep`, or in `temp`, which the caller deletes.
    """
    try:
        from moto.moto_server.utilities import RegexConverter
        from moto.server import ThreadedMotoServer  # takes a second to load, and is only needed here
    except ImportError as error:
        raise ConfigError(
            f"the demo needs the extra `demo`, with moto ({error}); from a checkout: pip install '.[demo]'"
        ) from error
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # otherwise it prints a line for every request
    let_keys_have_line_breaks(RegexConverter)
    before = dict(os.environ)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        environment = _environment(f"http://{host}:{port}", temp, own_url(keep or temp))
        os.environ.clear()
        os.environ.update(environment)
        os.environ.update(make_buckets_and_queues(BUCKET, STATE_BUCKET, "demo"))
        settings = load()
        clients = connect(settings)
        try:
            yield clients, OwnIndex(settings, clients.aws.credentials)
        finally:
            clients.index.close()
    finally:
        os.environ.clear()
        os.environ.update(before)
        server.stop()


@contextmanager
def kept_index(folder: Path) -> Iterator[tuple[Index, OwnIndex]]:
    """The index that an earlier demo has kept: in the user's cluster, or a file in this folder. Raises ConfigError."""
    before = dict(os.environ)
    nowhere = "http://127.0.0.1:9"
    queues = {"SQS_QUEUE_URL": f"{nowhere}/000000000000/demo", "DLQ_QUEUE_URL": f"{nowhere}/000000000000/demo-dlq"}
    environment = _environment(nowhere, folder, own_url(folder)) | queues
    try:
        os.environ.clear()
        os.environ.update({**environment, "TEMP_DIR": tempfile.gettempdir()})
        settings = load()
        credentials = Aws(region=settings.aws_region).credentials
        with closing(open_index(settings, credentials)) as index:
            yield index, OwnIndex(settings, credentials)
    finally:
        os.environ.clear()
        os.environ.update(before)


def let_keys_have_line_breaks(converter: Any) -> None:
    """moto looks for keys by `.+`, which ends at a line break, and answers 404; in S3, a key may contain any character."""
    if not hasattr(converter, "of_the_demo"):
        first = converter.__init__

        def init(self: Any, url_map: Any, *items: Any) -> None:
            first(self, url_map, *items)
            self.regex = f"(?s:{self.regex})"

        converter.__init__, converter.of_the_demo = init, True


def _environment(endpoint: str, temp: Path, index_url: str) -> dict[str, str]:
    """The user's environment, in which settings and credentials are replaced with those of the demo."""
    own = _names_of_settings() - set(_INDEX_SETTINGS)
    kept = {k: v for k, v in os.environ.items() if not k.startswith(_UNWANTED) and k.upper() not in own}
    if index_url.startswith(SQLITE):
        kept = {k: v for k, v in kept.items() if k not in _INDEX_SETTINGS}
        kept |= {"INDEX_URL": index_url, "INDEX_TIMEOUT_S": "1", "INDEX_PROBE_S": "1"}
    return {
        **kept,
        "NO_PROXY": ",".join(filter(None, [kept.get("NO_PROXY") or kept.get("no_proxy"), "127.0.0.1"])),
        "AWS_ENDPOINT_URL_S3": endpoint,
        "AWS_ENDPOINT_URL_SQS": endpoint,
        "AWS_ACCESS_KEY_ID": "demo",
        "AWS_SECRET_ACCESS_KEY": "demo",
        "AWS_REGION": "us-east-1",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "S3_BUCKET": BUCKET,
        "STATE_BUCKET": STATE_BUCKET,
        "OPENSEARCH_INDEX": INDEX_NAME,
        "LONG_POLL_S": "1",
        "LOG_FORMAT": "json",
        "METRICS_PORT": "0",
        "TEMP_DIR": str(temp),
    }


def _names_of_settings() -> set[str]:
    """All environment variables that the worker reads."""
    names: set[str] = set()
    for name, field in Settings.model_fields.items():
        alias = field.validation_alias
        names.update(map(str, alias.choices) if isinstance(alias, AliasChoices) else [name.upper()])
    return names


def make_buckets_and_queues(files: str, state: str, queue: str) -> dict[str, str]:
    """Create two buckets, a queue with its dead-letter queue, policy and notification; return the settings for the queues."""
    aws = Aws(region=os.environ["AWS_REGION"])
    s3, sqs = aws.s3(), aws.sqs()
    dlq = sqs.create_queue(QueueName=f"{queue}-dlq")["QueueUrl"]
    redrive = json.dumps({"deadLetterTargetArn": _arn(sqs, dlq), "maxReceiveCount": 10})
    source = sqs.create_queue(QueueName=queue, Attributes={"RedrivePolicy": redrive})["QueueUrl"]
    allowed = {
        "Effect": "Allow",
        "Principal": {"Service": "s3.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": _arn(sqs, source),
        "Condition": {"ArnEquals": {"aws:SourceArn": f"arn:aws:s3:::{files}"}},
    }
    sqs.set_queue_attributes(
        QueueUrl=source, Attributes={"Policy": json.dumps({"Version": "2012-10-17", "Statement": [allowed]})}
    )
    for bucket in (files, state):
        s3.create_bucket(Bucket=bucket)
    s3.put_bucket_notification_configuration(
        Bucket=files,
        NotificationConfiguration={
            "QueueConfigurations": [
                {"QueueArn": _arn(sqs, source), "Events": ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"]}
            ]
        },
    )
    return {"SQS_QUEUE_URL": source, "DLQ_QUEUE_URL": dlq}


def _arn(sqs: Any, url: str) -> str:
    return str(sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"])
