"""The few settings of `dlq`, under every name that an operator may already have; none of them is the index's."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field
from pydantic_settings import BaseSettings

from worker.core.base.aws import Aws, aws_errors
from worker.core.base.classify import is_transient
from worker.core.base.errors import ConfigError, DependencyError, QueueError
from worker.core.base.settings import BucketName, QueueUrl, Settings, load_as

_worker: dict[str, Any] = dict(Settings.model_fields)

ALIASES = {
    "dlq": ("DLQ_QUEUE_URL", "DLQ_URL"),
    "queue": ("SQS_QUEUE_URL", "FRONTIER_URL"),
}
"""Option → the names of its setting; the worker knows the first."""
_OPTIONS = {"region": "AWS_REGION", "profile": "AWS_PROFILE", "endpoint_url": "AWS_ENDPOINT_URL_SQS"}


class ToolSettings(BaseSettings):
    """What `dlq` needs to know. Fields that the worker has too are as there."""

    model_config = Settings.model_config

    sqs_queue_url: QueueUrl | None = Field(
        None, description="URL of the queue to redrive to; also FRONTIER_URL, or --queue."
    )
    dlq_queue_url: QueueUrl = Field(description="URL of the dead-letter queue; also DLQ_URL, or --dlq.")
    aws_region: str | None = _worker["aws_region"]
    s3_bucket: BucketName | None = _worker["s3_bucket"]
    state_bucket: BucketName | None = _worker["state_bucket"]
    cloudwatch_namespace: str | None = _worker["cloudwatch_namespace"]
    log_level: Literal["debug", "info", "warning", "error"] = _worker["log_level"]
    log_format: Literal["auto", "json", "console"] = _worker["log_format"]
    message_types_dir: Path | None = Field(
        None, description="Folder of message types (NAME.json, a JSON Schema each), instead of ours."
    )


def load_tool(options: Mapping[str, str | None]) -> ToolSettings:
    """The settings, with the options given on the command line over them. Raises ConfigError.

    Options and aliases become the environment, so that whatever is made later in this process agrees: botocore's
    clients, and the worker's own settings for `dlq recover`.
    """
    for option, name in _OPTIONS.items():
        if value := options.get(option):
            os.environ[name] = value
    for option, names in ALIASES.items():
        value = options.get(option) or _agreed(names)
        if value:
            os.environ[names[0]] = value if "://" in value else queue_url(value)
    return load_as(ToolSettings)


def queue_url(name: str) -> str:
    """The URL of a queue of this account. Raises ConfigError where there is none of this name, DependencyError."""
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    try:
        with aws_errors(QueueError):
            return Aws(region=region, connections=1).sqs().get_queue_url(QueueName=name)["QueueUrl"]
    except QueueError as error:
        if is_transient(error):
            raise DependencyError(f"the queue {name}: {error}") from None
        raise ConfigError(
            f"the queue {name}: {error}; it would be the name or URL of a queue of this account"
        ) from None


def _agreed(names: tuple[str, ...]) -> str | None:
    """The one value of a setting that has several names. Raises ConfigError where they differ."""
    found = {name: os.environ[name] for name in names if os.environ.get(name)}
    if len(set(found.values())) > 1:
        said = " and ".join(f"{name}={value}" for name, value in found.items())
        raise ConfigError(f"{said} are two names of one setting with two values; unset one of them")
    return next(iter(found.values()), None)
