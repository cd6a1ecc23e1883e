"""docs/setup.md, typed line by line against moto: the template and the plain commands make the same things."""

import json
import re
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest

from testing.waiting import wait_until
from tests.integration.setup.conftest import ROOT, Account, lines_of
from tests.support import awscli
from tests.support.in_process import run_in_process
from tests.support.pages import Typed, typed
from tests.support.template import Filled
from tests.support.tls import serving
from tools.alarms import template
from worker.cli import main
from worker.core.s3.events import ObjectRef, parse
from worker.notifications import EVENTS

PAGE = typed("setup.md")
AFTER_A_FAILURE = "describe-stack-events", "delete-stack", "stack-delete-complete"
QUEUE_ATTRIBUTES = (
    "MessageRetentionPeriod",
    "VisibilityTimeout",
    "ReceiveMessageWaitTimeSeconds",
    "SqsManagedSseEnabled",
)

pytestmark = [
    pytest.mark.filterwarnings("ignore:Tried to parse AWS::"),  # moto has no alarms and no queue policies in a stack
]


def lines(*sections: str) -> list[Typed]:
    return lines_of("setup.md", *sections)


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
    return sorted(
        (rule["Filter"]["Prefix"], rule["Expiration"]["Days"])
        for rule in found
        if rule.get("Expiration", {}).get("Days")
    )


@pytest.fixture
def by_template(account):
    for one in lines("By template"):
        if not any(word in one.line for word in AFTER_A_FAILURE):
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


def versions(account: Account) -> list[str]:
    """The rules that remove old versions, and whether there are versions."""
    with account.client("s3") as s3:
        assert s3.get_bucket_versioning(Bucket="our-worker-state")["Status"] == "Enabled"
        found = s3.get_bucket_lifecycle_configuration(Bucket="our-worker-state")["Rules"]
    return sorted(rule["ID"] for rule in found if "NoncurrentVersionExpiration" in rule)


def test_the_plain_commands_make_the_same_bucket_as_the_template(by_hand):
    template = filled(by_hand)
    assert versions(by_hand) == ["old-retries", "old-versions", "old-workers"]
    with by_hand.client("s3") as s3:
        policy = json.loads(s3.get_bucket_policy(Bucket="our-worker-state")["Policy"])
    assert policy == template.properties("StateBucketPolicy")["PolicyDocument"]


def test_the_policies_that_are_put_have_no_placeholder_left(by_hand):
    made = {path.stem: json.loads(path.read_text()) for path in Path("policies").glob("*.json")}
    assert len(made) == len([*Path("config/iam").glob("*.json")]) + 4
    assert set(re.findall(r"\b[A-Z][A-Z-]{2,}\b", json.dumps(made))) == {"AWS"}
    with by_hand.client("iam") as iam:
        put = iam.get_role_policy(RoleName="s3-index-worker", PolicyName="worker")["PolicyDocument"]
    assert put == made["worker"]


def test_then_the_bucket_is_connected_and_one_object_is_sent(by_hand):
    env = {
        "AWS_ENDPOINT_URL": by_hand.endpoint, "AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any",
        "AWS_REGION": awscli.REGION, "SQS_QUEUE_URL": by_hand.url("files"),
    }  # fmt: skip
    for one in PAGE:
        if one.line.startswith("s3-index-worker connect-bucket"):
            words = shlex.split(one.line)[1:]
            answer = run_in_process(main, env, *words, *(() if "--dry-run" in words else ("--yes",)))
            assert answer.returncode == 0, answer.stderr
    with by_hand.client("s3") as s3:
        [entry] = s3.get_bucket_notification_configuration(Bucket="our-files")["QueueConfigurations"]
    assert sorted(entry["Events"]) == list(EVENTS)
    for one in lines("The bucket's notifications"):
        by_hand.type(one.line)


def test_a_failed_stack_is_deleted_and_made_again(by_template):
    for one in lines("By template"):
        if any(word in one.line for word in AFTER_A_FAILURE):
            by_template.type(one.line)
    [create, *_] = lines("By template")
    by_template.type(create.line)
    assert queue_facts(by_template) == EXPECTED_QUEUES


# -- other ways to the queue -------------------------------------------------------------------------------------------

TOPIC = "arn:aws:sns:eu-central-1:123456789012:our-files-events"
RULE = "arn:aws:events:eu-central-1:123456789012:rule/our-files"
QUEUE = "arn:aws:sqs:eu-central-1:123456789012:files"
MORE = {
    "SourceTopicArn": TOPIC, "SourceTopicRaw": "false", "EventRuleArn": RULE, "FilesBucketAccount": "210987654321",
    "ServerlessCollection": "our-collection", "ServerlessCollectionId": "1tg2xudton46knx2a95g", "LogGroupName": "journal",
    "StateWriters": "arn:aws:iam::123456789012:role/ops", "StateReaders": "arn:aws:iam::123456789012:role/look",
}  # fmt: skip


def filled(account: Account, **parameters: str) -> Filled:
    """The template with the page's parameters and these, as for the account."""
    role = "arn:aws:iam::123456789012:role/s3-index-worker"
    known = {
        "Queue": account.url("files"), "Queue.Arn": QUEUE, "StateBucket": "our-worker-state",
        "StateBucket.Arn": "arn:aws:s3:::our-worker-state", "HostRole.Arn": role,
    }  # fmt: skip
    given = {
        "AWS::AccountId": "123456789012", "AWS::Region": awscli.REGION, "AWS::Partition": "aws",
        "FilesBucket": "our-files", "StateBucketName": "our-worker-state",
    }  # fmt: skip
    return Filled(template(), {**given, **parameters}, known)


def deploy(account: Account, **parameters: str) -> dict[str, str]:
    """Create the stack with these parameters beside those of the page; its outputs."""
    [create, wait, *_] = lines("By template")
    more = " ".join(f"ParameterKey={name},ParameterValue={value}" for name, value in parameters.items())
    account.type(f"{create.line} {more}")
    account.type(wait.line)
    with account.client("cloudformation") as cloudformation:
        [stack] = cloudformation.describe_stacks(StackName="s3-index-worker")["Stacks"]
    assert stack["StackStatus"] == "CREATE_COMPLETE"
    return {one["OutputKey"]: one["OutputValue"] for one in stack["Outputs"]}


def received(account: Account, key: str) -> ObjectRef:
    """What the worker makes of the message that is about this key."""
    refs: list[Any] = []
    with account.client("sqs") as sqs:

        def found() -> list[ObjectRef]:
            answer = sqs.receive_message(QueueUrl=account.url("files"), MaxNumberOfMessages=10, WaitTimeSeconds=1)
            refs.extend(ref for one in answer.get("Messages", []) for ref in parse(one["Body"]))
            return [ref for ref in refs if isinstance(ref, ObjectRef) and ref.key == key]

        return wait_until(found, 20, f"the event of {key}")[0]


def notify(account: Account, **configuration: Any) -> None:
    """Let S3 send the events of the bucket somewhere, and put an object."""
    with account.client("s3") as s3:
        s3.put_bucket_notification_configuration(Bucket="our-files", NotificationConfiguration=configuration)
        s3.put_object(Bucket="our-files", Key="契約 1.txt", Body=b"x")


def make_topic(account: Account) -> None:
    with account.client("sns") as sns:
        assert sns.create_topic(Name="our-files-events")["TopicArn"] == TOPIC


def to_topic() -> dict[str, Any]:
    return {"TopicConfigurations": [{"TopicArn": TOPIC, "Events": ["s3:ObjectCreated:*"]}]}


def test_the_template_takes_events_of_a_topic_a_rule_and_another_account(account):
    make_topic(account)
    with account.client("kms") as kms:
        key = kms.create_key()["KeyMetadata"]["Arn"]
    outputs = deploy(account, **MORE, KmsKeyArn=key)
    assert outputs["HostRoleArn"].startswith("arn:aws:iam::123456789012:role/")
    assert outputs["QueueArn"] == QUEUE
    made = filled(account, **MORE)
    policy = made.properties("QueuePolicy")["PolicyDocument"]
    assert {one["Sid"]: one["Condition"] for one in policy["Statement"]} == {
        "S3MayNotify": {
            "ArnEquals": {"aws:SourceArn": "arn:aws:s3:::our-files"}, "StringEquals": {"aws:SourceAccount": "210987654321"}
        },
        "TopicMaySend": {"ArnEquals": {"aws:SourceArn": TOPIC}},
        "RuleMaySend": {"ArnEquals": {"aws:SourceArn": RULE}},
    }  # fmt: skip
    with account.client("sqs") as sqs:
        for name in ("files", "files-dlq"):
            found = sqs.get_queue_attributes(QueueUrl=account.url(name), AttributeNames=["All"])["Attributes"]
            assert found["KmsMasterKeyId"] == key
    with account.client("logs") as logs:
        assert [one["logGroupName"] for one in logs.describe_log_groups()["logGroups"]] == ["journal"]
    readers, writers = (
        next(one for one in made.properties("StateBucketPolicy")["PolicyDocument"]["Statement"] if one["Sid"] == sid)
        for sid in ("NobodyElseReads", "NobodyElseWrites")
    )
    ops, look = (f"arn:aws:iam::123456789012:role/{name}" for name in ("ops", "look"))
    role = "arn:aws:iam::123456789012:role/s3-index-worker"
    assert readers["Condition"]["ArnNotEquals"]["aws:PrincipalArn"] == [role, ops, look]
    assert writers["Condition"]["ArnNotEquals"]["aws:PrincipalArn"] == [role, ops]


@pytest.mark.parametrize("raw", ["true", "false"])
def test_an_event_comes_through_the_topic_of_the_template(account, raw):
    make_topic(account)
    deploy(account, SourceTopicArn=TOPIC, SourceTopicRaw=raw)
    made = filled(account, SourceTopicArn=TOPIC, SourceTopicRaw=raw)
    subscription = made.properties("SourceSubscription")
    with account.client("sns") as sns:  # moto makes no subscriptions in a stack
        sns.subscribe(
            TopicArn=subscription["TopicArn"], Protocol=subscription["Protocol"], Endpoint=subscription["Endpoint"],
            Attributes={"RawMessageDelivery": subscription["RawMessageDelivery"]},
        )  # fmt: skip
    assert subscription["Region"] == awscli.REGION
    notify(account, **to_topic())
    assert received(account, "契約 1.txt").bucket == "our-files"


OTHER_WAYS = lines("Other ways to the queue")


def test_an_event_comes_through_a_topic_that_was_subscribed_by_hand(by_hand):
    make_topic(by_hand)
    for one in OTHER_WAYS[:2]:
        by_hand.type(one.line)
    notify(by_hand, **to_topic())
    assert received(by_hand, "契約 1.txt").bucket == "our-files"
    with by_hand.client("sqs") as sqs:
        found = sqs.get_queue_attributes(QueueUrl=by_hand.url("files"), AttributeNames=["Policy"])["Attributes"][
            "Policy"
        ]
    expected = filled(by_hand, SourceTopicArn=TOPIC, EventRuleArn=RULE).properties("QueuePolicy")["PolicyDocument"]
    assert json.loads(found) == expected


def test_an_event_comes_through_eventbridge(by_hand):
    for one in OTHER_WAYS[2:4]:
        by_hand.type(one.line)
    notify(by_hand, EventBridgeConfiguration={})
    assert received(by_hand, "契約 1.txt").bucket == "our-files"


def test_the_bucket_of_another_account_gets_a_policy(by_hand):
    for one in OTHER_WAYS[4:]:
        by_hand.type(one.line)
    with by_hand.client("s3") as s3:
        policy = json.loads(s3.get_bucket_policy(Bucket="our-files")["Policy"])
    assert {one["Action"] for one in policy["Statement"]} == {"s3:GetObject", "s3:ListBucket"}


def test_a_key_of_one_s_own_is_made_by_hand(by_hand):
    for one in lines("A key of your own"):
        by_hand.type(one.line)
    key = "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
    with by_hand.client("sqs") as sqs:
        for name in ("files", "files-dlq"):
            found = sqs.get_queue_attributes(QueueUrl=by_hand.url(name), AttributeNames=["All"])["Attributes"]
            assert found["KmsMasterKeyId"] == key
    with by_hand.client("kms") as kms:
        [made] = kms.list_keys()["Keys"]
        policy = json.loads(kms.get_key_policy(KeyId=made["KeyId"], PolicyName="default")["Policy"])
    assert policy == json.loads(Path("policies/kms-key-policy.json").read_text())
    with by_hand.client("iam") as iam:
        assert "kms" in iam.list_role_policies(RoleName="s3-index-worker")["PolicyNames"]


# -- the index ---------------------------------------------------------------------------------------------------------


def test_the_role_is_put_and_mapped(account, monkeypatch):
    with serving() as (port, record):
        monkeypatch.setenv("INDEX_URL", f"http://127.0.0.1:{port}")
        for one in (one for one in PAGE if one.line.startswith("s3-index-worker index")):
            line = one.line.replace("s3-index-worker index", f"PYTHONPATH={ROOT} {sys.executable} -m worker index")
            account.type(line)
    role, mapping = record.asked
    assert (role.method, role.path) == ("PUT", "/_plugins/_security/api/roles/s3-index-worker")
    assert json.loads(role.body) == json.loads(Path("config/opensearch/role.json").read_text())
    assert mapping.path == "/_plugins/_security/api/rolesmapping/s3-index-worker"
    assert json.loads(mapping.body)["backend_roles"] == ["arn:aws:iam::123456789012:role/s3-index-worker"]


def test_the_lines_for_a_collection_are_correct(by_hand):
    for one in lines("A Serverless collection"):
        by_hand.type(one.line)
    with by_hand.client("iam") as iam:
        assert "serverless" in iam.list_role_policies(RoleName="s3-index-worker")["PolicyNames"]


def test_every_line_of_the_page_is_typed_by_one_of_these():
    done = lines(
        "By template", "By hand", "The bucket's notifications", "A key of your own", "Other ways to the queue",
        "A Serverless collection",
    )  # fmt: skip
    others = [one.line for one in PAGE if one not in done and one.program != "s3-index-worker"]
    assert others == ["systemctl enable --now dlq-stats.timer"]  # tests/systemd/test_pages.py
