"""`s3-index-worker connect-bucket` against moto's S3: the worker's notification is added, all others stay."""

import os
import pty
import subprocess
import sys
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import pytest

from testing.aws import s3_client, sqs_client
from testing.worker import base_env
from tests.support.in_process import run_in_process
from tests.support.moto_server import moto_endpoint
from worker.cli import main

REGION = "us-east-1"
ARN = f"arn:aws:sqs:{REGION}:123456789012:"


@dataclass
class Place:
    """A bucket and two queues."""

    endpoint: str
    s3: Any
    env: dict[str, str] = field(default_factory=dict)

    def notifies(self) -> dict[str, Any]:
        answer: dict[str, Any] = self.s3.get_bucket_notification_configuration(Bucket="files")
        answer.pop("ResponseMetadata")
        return answer

    def has(self, **configuration: Any) -> None:
        self.s3.put_bucket_notification_configuration(Bucket="files", NotificationConfiguration=configuration)

    def connect(self, *args: str, bucket: str = "files"):
        return run_in_process(main, self.env, "connect-bucket", bucket, *args)


@pytest.fixture(scope="module")
def account():
    with moto_endpoint() as endpoint, closing(s3_client(endpoint)) as s3, closing(sqs_client(endpoint)) as sqs:
        for name in ("ours", "theirs"):
            sqs.create_queue(QueueName=name)
        s3.create_bucket(Bucket="files")
        env = {
            "AWS_ENDPOINT_URL": endpoint, "AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any", "AWS_REGION": REGION,
            "SQS_QUEUE_URL": f"{endpoint}/123456789012/ours",
        }  # fmt: skip
        yield Place(endpoint, s3, env)


@pytest.fixture
def place(account):
    account.has()
    return account


def queue(name, *events, prefix="", suffix="", **more):
    rules = [{"Name": kind, "Value": value} for kind, value in (("prefix", prefix), ("suffix", suffix)) if value]
    filtered = {"Filter": {"Key": {"FilterRules": rules}}} if rules else {}
    return {"QueueArn": ARN + name, "Events": list(events), **filtered, **more}


def test_a_bucket_without_notifications_notifies_the_queue(place):
    answer = place.connect("--yes")
    assert answer.returncode == 0, answer.stderr
    [entry] = place.notifies()["QueueConfigurations"]
    assert (entry["QueueArn"], entry["Id"]) == (ARN + "ours", "s3-index-worker")
    assert "s3:LifecycleExpiration:*" in entry["Events"]
    assert '+        "s3:ObjectCreated:*",' in answer.stdout


def test_once_more_there_is_nothing_to_do(place):
    place.connect("--yes")
    before = place.notifies()
    answer = place.connect()
    assert (answer.returncode, answer.stdout) == (0, "")
    assert answer.stderr.startswith("nothing to do")
    assert place.notifies() == before


def test_what_others_have_set_up_stays_as_it_was(place):
    theirs = queue("theirs", "s3:ObjectTagging:*", Id="audit")
    here = queue("theirs", "s3:ObjectCreated:*", prefix="scans/", suffix=".tif", Id="scans")
    place.has(QueueConfigurations=[theirs, here])
    before = place.notifies()
    assert place.connect("--prefix", "legal/", "--yes").returncode == 0
    after = place.notifies()
    assert after["QueueConfigurations"][:2] == before["QueueConfigurations"]
    assert after["QueueConfigurations"][2]["Filter"]["Key"]["FilterRules"] == [{"Name": "prefix", "Value": "legal/"}]


def test_a_conflicting_notification_is_named_and_nothing_is_changed(place):
    place.has(QueueConfigurations=[queue("theirs", "s3:ObjectCreated:Put", Id="scans")])
    before = place.notifies()
    answer = place.connect("--yes")
    assert answer.returncode == 78
    assert f"the notification scans to {ARN}theirs already receives" in answer.stderr
    assert "Traceback" not in answer.stderr
    assert place.notifies() == before


def test_a_dry_run_shows_the_difference_and_changes_nothing_and_without_a_terminal_it_needs_yes(place):
    answer = place.connect("--dry-run")
    assert answer.returncode == 0
    assert f'+      "QueueArn": "{ARN}ours"' in answer.stdout
    assert place.notifies() == {}
    answer = place.connect()
    assert (answer.returncode, "--yes" in answer.stderr) == (64, True)
    assert place.notifies() == {}


@pytest.mark.parametrize(("answered", "code", "count"), [("y", 0, 1), ("n", 3, 0)])
def test_on_a_terminal_it_asks(place, answered, code, count):
    controller, terminal = pty.openpty()
    try:
        os.write(controller, f"{answered}\n".encode())
        done = subprocess.run(
            [sys.executable, "-m", "worker", "connect-bucket", "files"], env={**base_env(), **place.env}, stdin=terminal,
            capture_output=True, text=True, timeout=30, check=False,
        )  # fmt: skip
    finally:
        os.close(controller)
        os.close(terminal)
    assert done.returncode == code, done.stderr
    assert "Change the notifications of files?" in done.stderr
    assert len(place.notifies().get("QueueConfigurations", [])) == count


def test_a_bucket_or_queue_that_is_not_there_is_named(place):
    answer = place.connect("--yes", bucket="nowhere-at-all")
    assert (answer.returncode, "nowhere-at-all: the bucket does not exist" in answer.stderr) == (78, True)
    missing = {**place.env, "SQS_QUEUE_URL": place.env["SQS_QUEUE_URL"] + "x"}
    answer = run_in_process(main, missing, "connect-bucket", "files", "--yes")
    assert (answer.returncode, "SQS_QUEUE_URL=" in answer.stderr) == (78, True)
