"""All settings, read from the environment: name, unit, bounds and purpose. They are validated together, before the start.

A setting such as a password may also be given as a file in `$CREDENTIALS_DIRECTORY` (systemd's LoadCredential=), named
after the setting in lower case. The file takes precedence over the environment.
"""

import os
import platform
import tempfile
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AliasChoices, Field, SecretStr, ValidationInfo, field_validator
from pydantic_settings import NoDecode

from worker.core.base.budget import Caps, Prices
from worker.core.base.names import BucketName, IndexName, IndexUrl, QueueUrl, Region, own_state_bucket
from worker.core.base.settings_model import Rule, SettingsModel, load_as
from worker.core.base.settings_rules import RULES

KIB = 1024
MIB = 1024 * KIB
MAX_INDEX_TIMEOUT_S = 25
"""The age rule (core/indexing/fresh_writer.py) counts on it: a longer request could outlast the index's memory of removals."""


class Settings(SettingsModel):
    """All settings of the worker and of the recovery commands."""

    rules: ClassVar[tuple[Rule, ...]] = RULES

    # -- queue ---------------------------------------------------------------------------------------------------
    sqs_queue_url: QueueUrl = Field(description="URL of the queue that S3 notifies.")
    dlq_queue_url: QueueUrl = Field(description="URL of the dead-letter queue, which receives failed messages.")
    sqs_visibility_timeout: int = Field(
        600,
        ge=30,
        le=43_200,
        description="Seconds for which a message in flight stays hidden; renewed after a third of this time.",
    )
    message_deadline_s: int = Field(
        900,
        ge=60,
        le=18_000,
        description="Seconds after which a message that still waits in the worker goes back to the queue; the work on one "
        "that makes no progress for longer is stuck.",
    )
    long_poll_s: int = Field(10, ge=0, le=20, description="Seconds for which one receive waits for messages.")
    receivers: int = Field(
        4, ge=1, le=32, description="Maximum number of polling threads; only one is active while the queue is quiet."
    )

    # -- S3 ------------------------------------------------------------------------------------------------------
    aws_region: Region | None = Field(
        None,
        validation_alias=AliasChoices("AWS_REGION", "AWS_DEFAULT_REGION"),
        description="Region of queue, buckets and index. Default: the region of the AWS profile.",
    )
    s3_bucket: BucketName | None = Field(None, description="Bucket for messages that name only a key.")
    state_bucket: BucketName | None = Field(
        None,
        description="Bucket of retry-index/, dead-letters/, dlq-archive/ and s3-index-worker/, which no one else may write to.",
    )
    state_bucket_shared: bool = Field(
        False,
        description="Allow S3_BUCKET as the state bucket, where whoever uploads files can forge the worker's records.",
    )
    include_keys: Annotated[list[str], NoDecode] = Field(
        [], description="Comma-separated globs: only keys that match one of them are indexed. Empty: all keys."
    )
    exclude_keys: Annotated[list[str], NoDecode] = Field(
        [], description="Comma-separated globs: keys that match one of them are skipped."
    )
    max_object_bytes: int = Field(
        100 * MIB, ge=0, le=5 * 1024**4, description="Bytes above which only an object's name and metadata are indexed."
    )
    spool_bytes: int = Field(
        4 * MIB,
        ge=64 * KIB,
        le=64 * MIB,
        description="Bytes above which an object is read into a temporary file instead of memory.",
    )

    # -- index ---------------------------------------------------------------------------------------------------
    index_url: IndexUrl = Field(
        validation_alias=AliasChoices("INDEX_URL", "OPENSEARCH_ENDPOINT"),
        description="https://host:port of OpenSearch, or sqlite:///path of an embedded index.",
    )
    opensearch_index: IndexName = Field(
        "files", description="Name of the index or alias to which documents are written."
    )
    index_auth: Literal["auto", "none", "basic", "es", "aoss"] = Field(
        "auto",
        description="Sign-in: basic (INDEX_USER, INDEX_PASSWORD), AWS SigV4 for the service es or aoss, or none; "
        "auto: basic if INDEX_USER is set, SigV4 for an amazonaws.com host, otherwise none.",
    )
    index_user: str | None = Field(None, description="User name for basic authentication.")
    index_password: SecretStr | None = Field(
        None, description="Password for basic authentication; preferably given as a systemd credential."
    )
    index_ca_file: Path | None = Field(
        None, description="PEM file of the certificate authority that signed the index's certificate."
    )
    index_verify_tls: bool = Field(True, description="Whether the index's certificate is verified.")
    index_timeout_s: int = Field(
        20, ge=1, le=MAX_INDEX_TIMEOUT_S, description="Timeout in seconds of one request to the index."
    )
    document_ids: Literal["auto", "bucket-key", "key"] = Field(
        "auto",
        description="`_id` of documents: bucket/key, or the plain key as in an index of the earlier system; "
        "auto: as in the existing index.",
    )
    bulk_documents: int = Field(200, ge=1, le=5_000, description="Maximum number of documents in one bulk request.")
    bulk_bytes: int = Field(4 * MIB, ge=64 * KIB, le=8 * MIB, description="Maximum size of one bulk request in bytes.")
    bulk_wait_ms: int = Field(
        30, ge=0, le=5_000, description="Milliseconds for which a document waits for others to join its bulk request."
    )
    bulk_requests: int = Field(2, ge=1, le=16, description="Maximum number of concurrent bulk requests.")
    index_probe_s: float = Field(5, gt=0, le=300, description="Seconds between probes of an unavailable index.")

    reconcile_young_s: int = Field(
        900,
        ge=0,
        le=86_400,
        description="Seconds after a change during which `reconcile_index` does not expect the object in the index yet.",
    )

    # -- work ----------------------------------------------------------------------------------------------------
    worker_concurrency: int = Field(16, ge=1, le=256, description="Number of messages that are processed at once.")
    max_in_flight: int = Field(
        512,
        ge=10,
        le=20_000,
        description="Maximum number of messages in flight, including those that wait for the index.",
    )
    max_bytes_in_flight: int = Field(
        256 * MIB,
        ge=16 * MIB,
        description="Maximum number of bytes of objects and documents in memory; messages may take as much again.",
    )
    max_content_chars: int = Field(
        10_000_000,
        ge=0,
        le=10_000_000,
        description="Characters of text kept of one file; longer text is cut, and its document is marked as truncated.",
    )
    extract_processes: int = Field(
        default_factory=lambda: max(1, min(8, os.cpu_count() or 1)),
        ge=1,
        le=64,
        description="Child processes that parse office files, PDF and mail. Default: one per core, at most 8.",
    )
    extract_timeout_s: float = Field(60, gt=0, le=600, description="Time limit in seconds for parsing one file.")
    extract_memory_bytes: int = Field(
        2 * 1024 * MIB, ge=512 * MIB, description="Address space in bytes of one child process (RLIMIT_AS)."
    )
    temp_dir: Path = Field(
        default_factory=lambda: Path(tempfile.gettempdir()), description="Folder for temporary files."
    )

    # -- budgets -------------------------------------------------------------------------------------------------
    budget_caps: Caps = Field(
        (),
        description="Comma-separated KIND=NUMBER and s3://BUCKET/PREFIX:KIND=NUMBER: the most that all workers together may "
        "use in a day (UTC), in all or under a prefix. Kinds: objects, bytes, seconds (of extraction), dollars.",
    )
    budget_prices: Prices = Field(
        {"objects": 2e-6, "seconds": 2e-5},
        description="Comma-separated KIND=DOLLARS: what one object, byte or second of extraction costs, for caps in dollars.",
    )

    # -- life ----------------------------------------------------------------------------------------------------
    shutdown_timeout_s: int = Field(
        25,
        ge=5,
        le=600,
        description="Seconds from SIGTERM to exit, including the open poll; unfinished messages reappear in the queue.",
    )
    pause_poll_s: float = Field(12, gt=0, le=60, description="Seconds between reads of s3-index-worker/pause.json.")
    metrics_host: str = Field("127.0.0.1", description="Address of /metrics and /healthz.")
    metrics_port: int = Field(9464, ge=0, le=65_535, description="Port of /metrics and /healthz; 0 switches them off.")
    worker_instance: int = Field(
        0,
        ge=0,
        le=1024,
        description="Number of this worker if there are several on a host (the N of s3-index-worker@N); "
        "added to METRICS_PORT.",
    )
    cloudwatch_namespace: str | None = Field(
        None, description="CloudWatch namespace to which metrics are sent; empty: none are sent."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Lowest level that is logged.")
    log_format: Literal["auto", "json", "console"] = Field(
        "auto", description="auto: colour on a terminal, otherwise JSON lines, with <N> priorities under systemd."
    )
    worker_name: str = Field(
        default_factory=lambda: f"{platform.node()}:{os.getpid()}",
        description="Name of this worker in documents, failure records and s3-index-worker/workers/; "
        "@WORKER_INSTANCE is appended to a name that is set.",
    )

    @field_validator("include_keys", "exclude_keys", mode="before")
    @classmethod
    def _split_globs(cls, value: Any) -> Any:
        return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value

    @field_validator("worker_name")
    @classmethod
    def _with_instance(cls, value: str, info: ValidationInfo) -> str:
        return f"{value}@{instance}" if (instance := info.data.get("worker_instance")) else value

    @property
    def state(self) -> str:
        """The name of the state bucket."""
        return own_state_bucket(self.state_bucket, self.s3_bucket, shared=self.state_bucket_shared)


def load(**overrides: Any) -> Settings:
    """Load the worker's settings; see `load_as`. Raises ConfigError."""
    return load_as(Settings, **overrides)
