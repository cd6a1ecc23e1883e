"""config/cloudformation.yaml: it passes the linter, grants what config/iam grants, and its alarms are on what is measured."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.pages import DOCS, sections
from tools.alarms import SQS_NAMESPACE, TEMPLATE, Alarm, alarms, chosen, metrics_in_alarms, template, template_of
from worker.core.base.cloudwatch import FIGURES
from worker.queue_checks import LEAST_RECEIVES

IAM = Path(__file__).resolve().parents[3] / "config/iam"
RESOURCES = template()["Resources"]
ALARMS = {one.name: one for one in alarms()}
SETUP = (DOCS / "setup.md").read_text()
RUNS = {"worker": "Worker", "operator": "Operator", "reader": "Reader", "manager": "Manager", "manager-purge": "ManagerPurge",
        "pause": "Pause",        "connect": "Connect", "cloudwatch": "CloudWatch", "index": "Index", "serverless": "Serverless",
        "kms": "Kms", "logs": "Logs", "release": "Release"}  # fmt: skip


def properties(name: str):
    return RESOURCES[name]["Properties"]


def test_the_linter_has_nothing_to_say():
    templates = [str(path) for path in TEMPLATE.parent.glob("*.yaml")]
    assert len(templates) == 2
    lint = subprocess.run(
        [Path(sys.executable).with_name("cfn-lint"), "--non-zero-exit-code", "informational", *templates],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert (lint.returncode, lint.stdout) == (0, ""), lint.stderr


def test_the_template_fits_into_the_request_that_the_page_types():
    """A body has at most 51,200 bytes; larger templates must be in S3 (CloudFormation API Reference, CreateStack)."""
    assert TEMPLATE.stat().st_size < 51_200


@pytest.mark.parametrize("name", [path.stem for path in IAM.glob("*.json")])
def test_each_policy_is_the_one_of_config_iam(name):
    written = json.loads((IAM / f"{name}.json").read_text())
    assert plain(properties(f"{RUNS[name]}Policy")["PolicyDocument"]) == plain(written)


def test_the_dead_letter_queue_keeps_messages_longest_and_the_redrive_policy_is_patient():
    queue, dlq = properties("Queue"), properties("DeadLetterQueue")
    assert dlq["MessageRetentionPeriod"] == 14 * 86_400 > queue["MessageRetentionPeriod"]
    assert queue["RedrivePolicy"]["deadLetterTargetArn"] == {"GetAtt": "DeadLetterQueue.Arn"}
    assert template()["Parameters"]["MaxReceiveCount"]["MinValue"] == LEAST_RECEIVES
    assert template()["Parameters"]["VisibilityTimeout"]["Default"] == 600


def test_what_waits_in_the_state_bucket_never_expires():
    rules = properties("StateBucket")["LifecycleConfiguration"]["Rules"]
    expires = {rule["Prefix"] for rule in rules if "ExpirationInDays" in rule}
    assert expires == {"dlq-archive/", "s3-index-worker/audit/"}


def test_what_was_deleted_from_the_state_bucket_can_be_brought_back_for_some_days():
    bucket = properties("StateBucket")
    assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
    old = {one["Id"]: one for one in bucket["LifecycleConfiguration"]["Rules"] if "NoncurrentVersionExpiration" in one}
    assert {name: one.get("Prefix", "") for name, one in old.items()} == {
        "old-versions": "", "old-retries": "retry-index/", "old-workers": "s3-index-worker/workers/"
    }  # fmt: skip
    assert old["old-versions"]["NoncurrentVersionExpiration"] == {"NoncurrentDays": {"Ref": "OldVersionsDays"}}
    assert (
        old["old-versions"]["ExpiredObjectDeleteMarker"] is True
    )  # without it, each deletion leaves a marker for ever


STATEMENTS = {one["Sid"]: one for one in properties("StateBucketPolicy")["PolicyDocument"]["Statement"]}


def test_nobody_but_the_hosts_and_named_roles_writes_to_the_state_bucket():
    statement = STATEMENTS["NobodyElseWrites"]
    assert (statement["Effect"], statement["Principal"]) == ("Deny", "*")
    assert set(statement["Action"]) == {"s3:PutObject", "s3:DeleteObject", "s3:DeleteObjectVersion"}
    _, some, none = statement["Condition"]["ArnNotEquals"]["aws:PrincipalArn"]["If"]
    assert none == [{"GetAtt": "HostRole.Arn"}]
    assert some["Split"][1]["Sub"][0] == "${HostRole.Arn},${Others}"


def test_nobody_but_the_hosts_and_named_roles_reads_messages_and_texts():
    statement = STATEMENTS["NobodyElseReads"]
    assert (statement["Effect"], statement["Principal"]) == ("Deny", "*")
    assert {one["Sub"].partition("/")[2] for one in statement["Resource"]} == {
        "retry-index/*", "dead-letters/*", "dlq-archive/*", "s3-index-worker/audit/*"
    }  # fmt: skip
    _, names = statement["Condition"]["ArnNotEquals"]["aws:PrincipalArn"]["Split"][1]["Join"]
    assert [one.get("GetAtt") or one["If"][0] for one in names] == ["HostRole.Arn", "HasWriters", "HasReaders"]


def test_the_state_bucket_is_reached_over_tls_alone():
    statement = STATEMENTS["OnlyOverTls"]
    assert (statement["Effect"], statement["Principal"], statement["Action"]) == ("Deny", "*", "s3:*")
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert len(statement["Resource"]) == 2


def test_deleting_the_stack_keeps_all_messages_and_records():
    for name in ("Queue", "DeadLetterQueue", "StateBucket"):
        assert RESOURCES[name]["UpdateReplacePolicy"] == "Retain"
        assert RESOURCES[name]["DeletionPolicy"] in {"Retain", "RetainExceptOnCreate"}


def test_a_failed_creation_leaves_no_name_behind_at_which_the_next_one_fails():
    named = {
        name for name, one in RESOURCES.items() if {"QueueName", "BucketName", "LogGroupName"} & set(one["Properties"])
    }
    kept = {name for name, one in RESOURCES.items() if "DeletionPolicy" in one}
    assert named == kept == {"Queue", "DeadLetterQueue", "StateBucket", "LogGroup"}
    assert {RESOURCES[name]["DeletionPolicy"] for name in kept} == {"RetainExceptOnCreate"}


def test_only_s3_for_this_bucket_and_account_may_send_and_a_named_topic_or_rule():
    statement, *optional = properties("QueuePolicy")["PolicyDocument"]["Statement"]
    assert statement["Principal"] == {"Service": "s3.amazonaws.com"}
    assert set(statement["Condition"]) == {"ArnEquals", "StringEquals"}
    assert {one["If"][0]: one["If"][1]["Principal"]["Service"] for one in optional} == {
        "HasSourceTopic": "sns.amazonaws.com", "HasEventRule": "events.amazonaws.com"
    }  # fmt: skip
    for one in optional:
        assert one["If"][1]["Condition"] == {"ArnEquals": {"aws:SourceArn": {"Ref": one["If"][0][3:] + "Arn"}}}


def test_the_data_access_policy_is_the_one_of_config_opensearch():
    text = properties("ServerlessAccess")["Policy"]["Sub"]
    for there, here in (
        ("${ServerlessCollection}", "COLLECTION"), ("${IndexName}", "files"),
        ("${HostRole.Arn}", "arn:aws:iam::ACCOUNT:role/s3-index-worker"),
    ):  # fmt: skip
        text = text.replace(there, here)
    assert json.loads(text) == json.loads((IAM.parent / "opensearch/serverless-access.json").read_text())


def test_a_role_has_at_most_as_many_policies_as_aws_attaches():
    assert len(properties("HostRole")["ManagedPolicyArns"]) <= 10  # IAM User Guide, "IAM and AWS STS quotas"


def test_a_key_of_ours_replaces_those_of_aws():
    for name in ("Queue", "DeadLetterQueue"):
        assert properties(name)["KmsMasterKeyId"] == {"If": ["HasKey", {"Ref": "KmsKeyArn"}, {"Ref": "AWS::NoValue"}]}
        assert properties(name)["SqsManagedSseEnabled"] == {"If": ["HasKey", {"Ref": "AWS::NoValue"}, True]}
    [rule] = properties("StateBucket")["BucketEncryption"]["If"][1]["ServerSideEncryptionConfiguration"]
    assert rule["ServerSideEncryptionByDefault"] == {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": {"Ref": "KmsKeyArn"}}


def test_the_key_s_policy_lets_every_service_use_it_that_sends_to_the_queue_or_alarms():
    statements = json.loads((IAM.parent / "kms-key-policy.json").read_text())["Statement"]
    services = {one["Principal"]["Service"]: one for one in statements if "Service" in one["Principal"]}
    senders = {
        one["Principal"]["Service"] for one in map(chosen, properties("QueuePolicy")["PolicyDocument"]["Statement"])
    }
    assert set(services) == senders | {"cloudwatch.amazonaws.com"}
    accounts = {
        name: one["Condition"]["StringEquals"]["aws:SourceAccount"]
        for name, one in services.items()
        if "Condition" in one
    }
    assert accounts["s3.amazonaws.com"] == "FILES-OWNER"  # as in config/queue-policy.json
    assert accounts["sns.amazonaws.com"] == ["ACCOUNT", "FILES-OWNER"]
    for name, one in services.items():
        assert one["Action"] == ["kms:GenerateDataKey*", "kms:Decrypt"]
        assert ("Condition" in one) == (
            name != "events.amazonaws.com"
        )  # EventBridge names no source (docs/evidence.md)


# -- hosts -------------------------------------------------------------------------------------------------------------


def test_the_hosts_of_the_group_run_the_script_of_the_page():
    data = template_of("config/autoscaling.yaml")["Resources"]["LaunchTemplate"]["Properties"]["LaunchTemplateData"]
    script = (IAM.parent / "user-data.sh").read_text()
    assert data["UserData"]["Fn::Base64"]["Sub"] == script.replace("s3://our-releases/", "s3://${ReleaseBucket}/")
    assert len(script.encode()) < 16 * 1024  # EC2 User Guide, "Run commands when you launch an EC2 instance"
    parts = script.replace("s3://our-releases/", "").split("${")
    assert len(parts) == 1  # CloudFormation would take it for a parameter


def test_the_agent_sends_what_our_units_write():
    config = json.loads((IAM.parent / "cloudwatch-agent.json").read_text())
    [collected] = config["logs"]["logs_collected"]["journald"]["collect_list"]
    ours = {re.sub(r"@\d+\.", "@.", unit) for unit in collected["units"]}
    assert ours == {path.name for path in (IAM.parents[1] / "systemd").glob("*.service")}
    assert (collected["log_group_name"], collected["log_stream_name"]) == ("s3-index-worker", "{instance_id}")


# -- alarms ------------------------------------------------------------------------------------------------------------


def test_every_alarm_has_its_section_in_the_runbook():
    assert set(ALARMS) <= set(sections("runbook.md"))
    for name, one in ALARMS.items():
        assert one.properties["AlarmDescription"].endswith(f" docs/runbook.md#{name}")


def test_alarms_on_the_workers_figures_are_made_only_where_these_are_sent():
    for one in ALARMS.values():
        always = [part for part in one.properties.get("Metrics", []) if "MetricStat" in part]
        namespaces = {part["MetricStat"]["Metric"]["Namespace"] for part in always if not one.is_own}
        assert namespaces <= {SQS_NAMESPACE}, one.name
        if one.is_own:
            assert "CloudWatchNamespace" in {namespace for namespace, _ in one.metrics}, one.name


def test_every_figure_that_an_alarm_is_on_is_sent():
    own = {metric for one in ALARMS.values() for namespace, metric in one.metrics if namespace != SQS_NAMESPACE}
    assert own <= set(FIGURES)
    assert set(FIGURES) - own == {"Lag", "StoredForRetry", "Parked"}  # for graphs: alarms are on ages and on what waits


@pytest.mark.parametrize(
    ("name", "sign", "threshold", "seconds", "missing"),
    [
        ("dlq-depth", ">", 10, 300, "notBreaching"),
        ("dlq-waiting", ">", 0, 86_400, "notBreaching"),
        ("no-poll", "<", 1, 300, "breaching"),
        ("no-figures", "<", 1, 900, "breaching"),
        ("no-dlq-figures", "<", 1, 10_800, "breaching"),
        ("queue-age", ">", 3_600, 300, "notBreaching"),
        ("error-rate", ">", 10, 600, "notBreaching"),
        ("index-unavailable", ">", 0, 300, "ignore"),
        ("stored-for-retry", ">", 0, 1_800, "ignore"),
        ("braked", ">", 0, 60, "ignore"),
        ("spilled", ">", 0, 300, "notBreaching"),
        ("parked", ">", 0, 300, "ignore"),
        ("archived", ">", 0, 300, "notBreaching"),
        ("delete-failures", ">", 0, 600, "notBreaching"),
        ("dlq-age", ">", 86_400, 10_800, "ignore"),
        ("dlq-expiry", "<", 3 * 86_400, 10_800, "ignore"),
    ],
)
def test_an_alarm_goes_off_when_its_page_says(name, sign, threshold, seconds, missing):
    one = ALARMS[name]
    compared = {">": "GreaterThanThreshold", "<": "LessThanThreshold"}[sign]
    assert (one.properties["ComparisonOperator"], one.properties["Threshold"]) == (compared, threshold)
    assert period_s(one) * one.properties["EvaluationPeriods"] == seconds
    assert one.properties["TreatMissingData"] == missing


def test_depth_counts_visible_and_invisible_dead_letters_and_a_poll_may_be_empty():
    without = {"visible": "ApproximateNumberOfMessagesVisible", "held": "ApproximateNumberOfMessagesNotVisible"}
    chosen_expression, parts = expression("dlq-depth")
    assert chosen_expression == {"If": ["SendsFigures", "visible + held + FILL(stored, 0)", "visible + held"]}
    assert parts == {**without, "stored": "StoredDeadLetters"}
    polls = {"received": "NumberOfMessagesReceived", "empty": "NumberOfEmptyReceives"}
    for name, sent in (("no-figures", "MessagesSettled"), ("no-dlq-figures", "DlqOldestAge")):
        given, parts = expression(name)
        assert given == "IF(FILL(received, 0) + FILL(empty, 0) > 0, FILL(samples, 0), 1)"
        assert parts == {"samples": sent, **polls}
    assert expression("no-poll") == (
        "received + empty", polls
    )  # fmt: skip
    assert expression("error-rate") == (
        "IF(settled >= 20, 100 * failed / settled, 0)", {"settled": "MessagesSettled", "failed": "MessagesFailed"}
    )  # fmt: skip


def test_the_outputs_that_name_a_setting_name_one_of_the_example_and_the_page_s_namespace_is_the_example_s():
    example = (TEMPLATE.parent / "worker.env.example").read_text()
    named = {one["Description"] for one in template()["Outputs"].values() if one["Description"].isupper()}
    assert named == {"SQS_QUEUE_URL", "DLQ_QUEUE_URL", "STATE_BUCKET", "CLOUDWATCH_NAMESPACE"}
    given = dict(re.findall(r"^#?([A-Z_]+)=(.*)$", example, re.MULTILINE))
    assert named <= set(given)
    typed_name = re.search(r"ParameterKey=CloudWatchNamespace,ParameterValue=(\S+)", SETUP)
    assert typed_name is not None
    assert given["CLOUDWATCH_NAMESPACE"] == typed_name[1]


def test_the_page_counts_metrics_and_alarms_as_aws_does():
    composite = sum(one["Type"] == "AWS::CloudWatch::CompositeAlarm" for one in RESOURCES.values())
    assert f"{len(FIGURES)} metrics of our own" in SETUP
    assert f"{metrics_in_alarms()} metrics in alarms, and {composite} composite alarm," in SETUP


# -- reading the template ----------------------------------------------------------------------------------------------


def period_s(one: Alarm) -> int:
    if "Period" in one.properties:
        return int(one.properties["Period"])
    [period] = {part["MetricStat"]["Period"] for part in map(chosen, one.properties["Metrics"]) if "MetricStat" in part}
    return int(period)


def expression(name: str):
    [asked, *parts] = ALARMS[name].properties["Metrics"]
    return asked["Expression"], {part["Id"]: part["MetricStat"]["Metric"]["MetricName"] for part in map(chosen, parts)}


def plain(policy):
    """A policy in one spelling: lists, and names as config/iam has them."""
    return [{name: spelled(value) for name, value in sorted(one.items())} for one in policy["Statement"]]


def spelled(value):
    if isinstance(value, list):
        return [spelled(one) for one in value]
    if value == {"Ref": "CloudWatchNamespace"}:
        return "NAMESPACE"
    if value == {"Ref": "KmsKeyArn"}:
        return "arn:aws:kms:REGION:ACCOUNT:key/KEY-ID"
    if isinstance(value, dict) and set(value) == {"Sub"}:
        value = value["Sub"]
    if not isinstance(value, str):
        return {name: spelled(one) for name, one in value.items()} if isinstance(value, dict) else value
    for there, here in (
        ("${AWS::Partition}", "aws"), ("${AWS::Region}", "REGION"), ("${AWS::AccountId}", "ACCOUNT"),
        ("${QueueName}-dlq", "DLQ"), ("${QueueName}", "QUEUE"), ("${StateBucketName}", "STATE-BUCKET"),
        ("${FilesBucket}", "BUCKET"), ("${OpenSearchDomain}", "DOMAIN"),
        ("${ServerlessCollectionId}", "COLLECTION-ID"), ("${LogGroupName}", "LOG-GROUP"), ("${ReleaseBucket}", "RELEASES"),
    ):  # fmt: skip
        value = value.replace(there, here)
    return value
