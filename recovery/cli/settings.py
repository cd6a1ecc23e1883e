"""The settings of `dlq`, with deprecated names for some of them. None of them concerns the index."""

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field

from recovery.operations.dead_letters.message_types import MessageTypes, load_types
from worker.core.base.aws import Aws, aws_errors
from worker.core.base.classify import is_transient
from worker.core.base.errors import ConfigError, DependencyError, QueueError
from worker.core.base.names import BucketName, QueueUrl, own_state_bucket
from worker.core.base.settings import Settings
from worker.core.base.settings_model import Rule, SettingsModel, load_as, two_values

CONNECTIONS = 48
"""Maximum number of concurrent requests to one service."""
ALIASES = {
    "dlq": ("DLQ_QUEUE_URL", "DLQ_URL"),
    "queue": ("SQS_QUEUE_URL", "FRONTIER_URL"),
}
"""For each option, the names of its setting. The first is also the worker's; the others are deprecated."""

_worker: dict[str, Any] = dict(Settings.model_fields)


def _own_bucket(settings: Any) -> str | None:
    try:
        state_of(settings)
    except ValueError as error:
        return str(error)
    return None


def state_of(settings: Any) -> str | None:
    """The state bucket of these settings; None if none is set. Raises ValueError if it is the bucket of the files."""
    if settings.state_bucket is None and not (settings.s3_bucket and settings.state_bucket_shared):
        return None
    return own_state_bucket(settings.state_bucket, settings.s3_bucket, shared=settings.state_bucket_shared)


class ToolSettings(SettingsModel):
    """The settings of `dlq`. Those that the worker has, too, are defined there."""

    rules: ClassVar[tuple[Rule, ...]] = (_own_bucket,)

    sqs_queue_url: QueueUrl | None = Field(
        None, description="URL of the queue to redrive to; also --queue, or FRONTIER_URL (deprecated)."
    )
    dlq_queue_url: QueueUrl = Field(
        description="URL of the dead-letter queue; also --dlq, or DLQ_URL (deprecated)."
    )  # fmt: skip
    aws_region: str | None = _worker["aws_region"]
    s3_bucket: BucketName | None = _worker["s3_bucket"]
    state_bucket: BucketName | None = _worker["state_bucket"]
    state_bucket_shared: bool = _worker["state_bucket_shared"]
    cloudwatch_namespace: str | None = _worker["cloudwatch_namespace"]
    log_level: Literal["debug", "info", "warning", "error"] = _worker["log_level"]
    log_format: Literal["auto", "json", "console"] = _worker["log_format"]
    message_types_dir: Path | None = Field(
        None, description="Folder of message types (NAME.json, one JSON Schema each), instead of the included one."
    )

    @property
    def state(self) -> str | None:
        """The name of the state bucket; None if none is set."""
        return state_of(self)


@dataclass(frozen=True, slots=True)
class ToolOptions:
    """The options of every verb that take precedence over its settings."""

    dlq: str | None = None
    queue: str | None = None
    region: str | None = None
    endpoint_url: str | None = None
    """Address of SQS."""
    profile: str | None = None

    def as_arguments(self) -> list[str]:
        """Return the options as arguments for another verb."""
        given = ((f"--{name.replace('_', '-')}", value) for name, value in asdict(self).items() if value)
        return [text for pair in given for text in pair]


def declared_types() -> MessageTypes:
    """The message types, for a program that takes its other settings from the worker. Raises ConfigError."""
    settings, _ = load_tool(ToolOptions())
    return load_types(settings.message_types_dir, default_bucket=settings.s3_bucket)


def load_tool(options: ToolOptions) -> tuple[ToolSettings, Aws]:
    """Load the settings and the AWS configuration; the options take precedence. Raises ConfigError, DependencyError."""
    region = options.region or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or None
    aws = Aws(
        region=region, profile=options.profile or None, sqs_endpoint=options.endpoint_url or None, connections=CONNECTIONS
    )  # fmt: skip
    queues = {
        "dlq_queue_url": options.dlq or _single_value("dlq"),
        "sqs_queue_url": options.queue or _single_value("queue"),
    }
    given = {name: value if "://" in value else queue_url(aws, value) for name, value in queues.items() if value}
    if options.region:
        given["aws_region"] = options.region
    return load_as(ToolSettings, **given), aws


def queue_url(aws: Aws, name: str) -> str:
    """Return the URL of a queue of this account. Raises ConfigError if there is no such queue, and DependencyError."""
    try:
        with aws_errors(QueueError):
            return aws.sqs().get_queue_url(QueueName=name)["QueueUrl"]
    except QueueError as error:
        if is_transient(error):
            raise DependencyError(f"the queue {name}: {error}") from None
        raise ConfigError(f"the queue {name}: {error}; it must be the name or URL of a queue of this account") from None


def _single_value(option: str) -> str | None:
    """Return the value of a setting with several names. Raises ConfigError if they have different values."""
    if wrong := two_values(list(ALIASES[option])):
        raise ConfigError(wrong)
    return next((value for name in ALIASES[option] if (value := os.environ.get(name))), None)
