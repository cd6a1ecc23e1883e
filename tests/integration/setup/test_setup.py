"""docs/setup.md, typed line by line against moto: the template and the plain commands make the same things."""

import json
import os
import re
import shlex
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

import boto3
import pytest

from testing.worker import run_cli
from tests.support import awscli
from tests.support.moto_server import moto_endpoint
from tests.support.pages import Typed, typed
from worker.notifications import EVENTS

PAGE = typed("setup.md")
ACCOUNT_URL = "https://sqs.eu-central-1.amazonaws.com"
QUEUE_ATTRIBUTES = (
    "MessageRetentionPeriod",
    "VisibilityTimeout",
    "ReceiveMessageWaitTimeSeconds",
    "SqsManagedSseEnabled",
)

pytestmark = [
    pytest.mark.filterwarnings("ignore:Tried to parse AWS::"),  # moto has no alarms and no queue policies in a stack
]


@dataclass
class Account:
    """An account at moto, in which the page's lines are typed."""

    endpoint: str

    def type(self, line: str) -> None:
        words = shlex.split(line.replace(ACCOUNT_URL, self.endpoint).replace("$SQS_QUEUE_URL", self.url("files")))
        assert awscli.main(words[1:]) == 0

    def url(self, queue: str) -> str:
        return f"{self.endpoint}/123456789012/{queue}"

    def client(self, service: str):
        return closing(boto3.client(service, region_name=awscli.REGION))  # type: ignore[call-overload]  # any service


@pytest.fixture
def account(monkeypatch) -> Iterator[Account]:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    with moto_endpoint() as endpoint:
        for name, value in (
            ("AWS_ENDPOINT_URL", endpoint),
            ("AWS_ACCESS_KEY_ID", "any"),
            ("AWS_SECRET_ACCESS_KEY", "any"),
        ):
            monkeypatch.setenv(name, value)
        made = Account(endpoint)
        with made.client("s3") as s3:
            s3.create_bucket(Bucket="our-files", CreateBucketConfiguration={"LocationConstraint": awscli.REGION})
        yield made


def lines(*sections: str) -> list[Typed]:
    return [one for one in PAGE if one.section in sections and one.program == "aws"]


def queue_facts(account: Account):
    """The attributes of both queues that matter."""
    with account.client("sqs") as sqs:
        found = [
            sqs.get_queue_attributes(QueueUrl=account.url(name), AttributeNames=["All"])["Attributes"]
            for name in ("files", "files-dlq")
        ]
    return [
        {name: one.get(name) for name in QUEUE_ATTRIBUTES} | {"RedrivePolicy": redrive(one.get("RedrivePolicy", "{}"))}
        for one in found
    ]


def redrive(policy: str):
    return {name: str(value) for name, value in json.loads(policy).items()}


def rules(account: Account):
    """The state bucket's lifecycle."""
    with account.client("s3") as s3:
        found = s3.get_bucket_lifecycle_configuration(Bucket="our-worker-state")["Rules"]
    return sorted((rule.get("Prefix") or rule["Filter"]["Prefix"], rule["Expiration"]["Days"]) for rule in found)


@pytest.fixture
def by_template(account):
    for one in lines("By template"):
        account.type(one.line)
    return account


@pytest.fixture
def by_hand(account):
    for one in lines("By hand"):
        account.type(one.line)
    return account


EXPECTED_QUEUES = [
    {
        "MessageRetentionPeriod": "604800", "VisibilityTimeout": "600", "ReceiveMessageWaitTimeSeconds": "10",
        "SqsManagedSseEnabled": "true",
        "RedrivePolicy": {"deadLetterTargetArn": "arn:aws:sqs:eu-central-1:123456789012:files-dlq", "maxReceiveCount": "20"},
    },
    {
        "MessageRetentionPeriod": "1209600", "VisibilityTimeout": "120", "ReceiveMessageWaitTimeSeconds": "0",
        "SqsManagedSseEnabled": "true", "RedrivePolicy": {},
    },
]  # fmt: skip


def test_the_template_makes_queues_bucket_role_and_policies(by_template):
    assert queue_facts(by_template) == EXPECTED_QUEUES
    with by_template.client("iam") as iam:
        names = {
            re.sub(r".*-(\w+Policy)-.*", r"\1", one["PolicyName"])
            for one in iam.list_policies(Scope="Local")["Policies"]
        }
        assert len(iam.list_instance_profiles()["InstanceProfiles"]) == 1
    assert names == {
        f"{one}Policy"
        for one in ("Worker", "Operator", "Reader", "Manager", "ManagerPurge", "Pause", "Connect", "CloudWatch")
    }


def test_the_plain_commands_make_the_same(by_hand):
    assert queue_facts(by_hand) == EXPECTED_QUEUES
    assert rules(by_hand) == [("dlq-archive/", 365), ("s3-index-worker/audit/", 400)]
    with by_hand.client("iam") as iam:
        assert iam.list_role_policies(RoleName="s3-index-worker")["PolicyNames"] == ["worker", "operator"]
    with by_hand.client("sqs") as sqs:
        attributes = sqs.get_queue_attributes(QueueUrl=by_hand.url("files"), AttributeNames=["Policy"])["Attributes"]
    [statement] = json.loads(attributes["Policy"])["Statement"]
    assert statement["Condition"]["ArnEquals"] == {"aws:SourceArn": "arn:aws:s3:::our-files"}


def test_then_the_bucket_is_connected_and_one_object_is_sent(by_hand):
    env = {
        "AWS_ENDPOINT_URL": by_hand.endpoint, "AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any",
        "AWS_REGION": awscli.REGION, "SQS_QUEUE_URL": by_hand.url("files"),
    }  # fmt: skip
    for one in PAGE:
        if one.program == "s3-index-worker":
            words = shlex.split(one.line)[1:]
            answer = run_cli(env, *words, *(() if "--dry-run" in words else ("--yes",)))
            assert answer.returncode == 0, answer.stderr
    with by_hand.client("s3") as s3:
        [entry] = s3.get_bucket_notification_configuration(Bucket="our-files")["QueueConfigurations"]
    assert sorted(entry["Events"]) == list(EVENTS)
    for one in lines("The bucket's notifications"):
        by_hand.type(one.line)


def test_every_line_of_the_page_is_typed_by_one_of_these():
    done = lines("By template", "By hand", "The bucket's notifications")
    others = [one.line for one in PAGE if one not in done and one.program != "s3-index-worker"]
    assert others == ["systemctl enable --now dlq-stats.timer"]  # tests/systemd/test_pages.py
