"""The environment of the demo: S3 and SQS in this process, and settings that lead to these, never to a user's account."""

import json
import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import AliasChoices

from worker.core.base.aws import Aws
from worker.core.base.errors import ConfigError
from worker.core.base.settings import Settings, load
from worker.core.clients import Clients, connect

BUCKET, STATE_BUCKET = "demo-files", "demo-state"
INDEX_NAME = "s3-index-worker-demo"
"""The index that the demo uses on a user's cluster, whatever OPENSEARCH_INDEX says."""
MAX_FILES = 1_000
MAX_FILE_BYTES = 100 * 1024 * 1024

_INDEX_SETTINGS = (
    "OPENSEARCH_ENDPOINT",
    "INDEX_AUTH",
    "INDEX_USER",
    "INDEX_PASSWORD",
    "INDEX_CA_FILE",
    "INDEX_VERIFY_TLS",
)
_UNWANTED = ("AWS_", "BOTO_", "MOTO_", "NOTIFY_SOCKET", "WATCHDOG_", "JOURNAL_STREAM", "CREDENTIALS_DIRECTORY")


@dataclass(frozen=True, slots=True)
class Upload:
    """The files to be indexed, and how many files of the folder are left out."""

    folder: Path
    files: Sequence[Path]
    left_out: int

    def key(self, file: Path) -> str:
        """The key under which a file is uploaded."""
        return file.relative_to(self.folder).as_posix()


def gather(folder: Path | None) -> Upload:
    """The files of a folder in order, without hidden ones, up to MAX_FILES. Raises ConfigError if there are none."""
    if folder is None:
        folder = Path(__file__).resolve().parents[2] / "samples"
        if not folder.is_dir():
            raise ConfigError("samples/ exists only in a checkout; give a folder: s3-index-worker demo FOLDER")
        files = [file for file in _files_in(folder) if file != folder / "README.md"]
    else:
        files = list(_files_in(folder))
    shown = [file for file in sorted(files) if file.stat().st_size <= MAX_FILE_BYTES][:MAX_FILES]
    if not shown:
        raise ConfigError(f"{folder} contains no readable file of up to {MAX_FILE_BYTES // 1024**2} MiB")
    return Upload(folder, shown, len(files) - len(shown))


def _files_in(folder: Path) -> Iterator[Path]:
    for at, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            file = Path(at, name)
            if not name.startswith(".") and file.is_file() and os.access(file, os.R_OK) and _is_text(str(file)):
                yield file


def _is_text(path: str) -> bool:
    """Whether a path can be a key, that is, whether its name is valid UTF-8."""
    return not any("\ud800" <= character <= "\udfff" for character in path)


def uses_cluster() -> bool:
    """Whether the documents go to an OpenSearch cluster of the user."""
    return bool(os.environ.get("OPENSEARCH_ENDPOINT"))


def index_file(temp: Path) -> Path:
    """The file of the embedded index."""
    return temp / "index.sqlite"


@contextmanager
def account(temp: Path) -> Iterator[Clients]:
    """Run S3 and SQS within this context, with environment variables that lead to them and nowhere else."""
    try:
        from moto.server import ThreadedMotoServer  # takes a second to load, and is only needed here
    except ImportError as error:
        raise ConfigError(
            f"the demo needs the extra `demo`, with moto ({error}); from a checkout: pip install '.[demo]'"
        ) from error
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # otherwise it prints a line for every request
    before = dict(os.environ)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        environment = _environment(f"http://{host}:{port}", temp)
        os.environ.clear()
        os.environ.update(environment)
        os.environ.update(_make_buckets_and_queues())
        clients = connect(load())
        try:
            yield clients
        finally:
            clients.index.close()
    finally:
        os.environ.clear()
        os.environ.update(before)
        server.stop()


def _environment(endpoint: str, temp: Path) -> dict[str, str]:
    """The user's environment, in which settings and credentials are replaced by those of the demo."""
    own = _names_of_settings() - set(_INDEX_SETTINGS)
    kept = {k: v for k, v in os.environ.items() if not k.startswith(_UNWANTED) and k.upper() not in own}
    if not uses_cluster():
        kept = {k: v for k, v in kept.items() if k not in _INDEX_SETTINGS}
        kept |= {"INDEX_URL": f"sqlite:///{index_file(temp)}", "INDEX_TIMEOUT_S": "1", "INDEX_PROBE_S": "1"}
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


def _make_buckets_and_queues() -> dict[str, str]:
    """Create buckets, queues and the notification between them; return the settings for the queues."""
    aws = Aws(region=os.environ["AWS_REGION"])
    s3, sqs = aws.s3(), aws.sqs()
    dlq = sqs.create_queue(QueueName="demo-dlq")["QueueUrl"]
    redrive = json.dumps({"deadLetterTargetArn": _arn(sqs, dlq), "maxReceiveCount": 10})
    source = sqs.create_queue(QueueName="demo", Attributes={"RedrivePolicy": redrive})["QueueUrl"]
    for bucket in (BUCKET, STATE_BUCKET):
        s3.create_bucket(Bucket=bucket)
    s3.put_bucket_notification_configuration(
        Bucket=BUCKET,
        NotificationConfiguration={
            "QueueConfigurations": [
                {"QueueArn": _arn(sqs, source), "Events": ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"]}
            ]
        },
    )
    return {"SQS_QUEUE_URL": source, "DLQ_QUEUE_URL": dlq}


def _arn(sqs: Any, url: str) -> str:
    return str(sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"])
