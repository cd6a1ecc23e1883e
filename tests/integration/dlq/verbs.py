"""Helpers that run `dlq` as an operator does, and fill a DLQ as a worker does."""

import json
import subprocess
from typing import Any

from recovery.cli.main import main
from testing.aws import queue_depth, s3_event, s3_record
from testing.site import Site
from testing.worker import run_module
from tests.support.in_process import run_in_process

MODULE = "recovery.cli"
MAPS = {
    "type": "maps", "city": "京都", "correlation_id": "c-1", "lat": 35.0, "lng": 135.7, "radius": 500, "category": "food",
    "enqueued_at": 1_795_000_000,
}  # fmt: skip
BINARY = {"raw": {"DataType": "Binary", "BinaryValue": b"\x00\xff\x01"}}


def dlq(site: Site, *args: str, **env: str) -> "subprocess.CompletedProcess[str]":
    """Run one verb in this process, which saves the time for imports."""
    return _without_stack(run_in_process(main, {**site.env, **env}, *args))


def dlq_process(site: Site, *args: str, **env: str) -> "subprocess.CompletedProcess[str]":
    """Run one verb in a separate process, which takes a second longer."""
    return _without_stack(run_module(MODULE, {**site.env, **env}, *args, timeout_s=90))


def _without_stack(done: "subprocess.CompletedProcess[str]") -> "subprocess.CompletedProcess[str]":
    assert "Traceback" not in done.stderr, done.stderr
    return done


def ask(site: Site, *args: str, code: int = 0, **env: str) -> Any:
    """Run a verb, check its exit code, and return the JSON that it prints."""
    done = dlq(site, *args, "--json", **env)
    assert done.returncode == code, done.stderr
    return json.loads(done.stdout)


def depth(site: Site) -> tuple[int, int]:
    """The number of visible messages in the DLQ, and of those in flight."""
    return queue_depth(site.sqs, site.queues.dlq)[:2]


def failure(error_type: str = "TimeoutError", **more: Any) -> dict[str, Any]:
    record = {
        "schema": 1, "kind": "RECOVERABLE", "error_type": error_type, "message": f"{error_type}: 例", "stack": "File …",
        "fingerprint": f"fp-{error_type}", "attempts": 1, "redrives": 0, "source_queue": "https://sqs/files", **more,
    }  # fmt: skip
    return {"failure": {"DataType": "String", "StringValue": json.dumps(record, ensure_ascii=False)}}


def dead_letter(site: Site, body: str, attributes: Any = None) -> str:
    """Send a message to the DLQ as a worker does, and return its id."""
    sent = site.sqs.send_message(QueueUrl=site.queues.dlq, MessageBody=body, MessageAttributes=attributes or {})
    return sent["MessageId"]


def about(site: Site, key: str, **more: Any) -> str:
    return dead_letter(site, s3_event(s3_record(site.bucket, key)), failure(**more))


def dead_lettered_by_sqs(site: Site, body: str) -> str:
    """Let the redrive policy move a message, which has no failure record and keeps its id."""
    name = site.send_body(body)
    for _ in range(30):
        site.sqs.receive_message(QueueUrl=site.queues.source, VisibilityTimeout=0)
        if depth(site)[0]:
            return name
    raise AssertionError("the redrive policy has not moved it")
