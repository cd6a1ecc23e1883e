"""config/cloudformation.yaml: it passes the linter, grants what config/iam grants, and its alarms are on what is measured."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.pages import sections
from tools.alarms import SQS_NAMESPACE, TEMPLATE, Alarm, alarms, chosen, template
from worker.core.base.cloudwatch import FIGURES
from worker.queue_checks import LEAST_RECEIVES

IAM = Path(__file__).resolve().parents[3] / "config/iam"
RESOURCES = template()["Resources"]
ALARMS = {one.name: one for one in alarms()}
RUNS = {"worker": "Worker", "operator": "Operator", "reader": "Reader", "manager": "Manager", "manager-purge": "ManagerPurge",
        "pause": "Pause",        "connect": "Connect", "cloudwatch": "CloudWatch", "index": "Index"}  # fmt: skip


def properties(name: str):
    return RESOURCES[name]["Properties"]


def test_the_linter_has_nothing_to_say():
    lint = subprocess.run(
        [Path(sys.executable).with_name("cfn-lint"), "--non-zero-exit-code", "informational", str(TEMPLATE)],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert (lint.returncode, lint.stdout) == (0, ""), lint.stderr


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
    assert {rule["Prefix"] for rule in rules} == {"dlq-archive/", "s3-index-worker/audit/"}


def test_nobody_but_the_hosts_and_named_roles_writes_to_the_state_bucket():
    [statement] = properties("StateBucketPolicy")["PolicyDocument"]["Statement"]
    assert (statement["Effect"], statement["Principal"]) == ("Deny", "*")
    assert set(statement["Action"]) == {"s3:PutObject", "s3:DeleteObject", "s3:DeleteObjectVersion"}
    _, some, none = statement["Condition"]["ArnNotEquals"]["aws:PrincipalArn"]["If"]
    assert none == [{"GetAtt": "HostRole.Arn"}]
    assert some["Split"][1]["Sub"][0] == "${HostRole.Arn},${Others}"


def test_deleting_the_stack_keeps_all_messages_and_records():
    for name in ("Queue", "DeadLetterQueue", "StateBucket"):
        assert RESOURCES[name]["DeletionPolicy"] == RESOURCES[name]["UpdateReplacePolicy"] == "Retain"


def test_only_s3_for_this_bucket_and_account_may_send():
    [statement] = properties("QueuePolicy")["PolicyDocument"]["Statement"]
    assert statement["Principal"] == {"Service": "s3.amazonaws.com"}
    assert set(statement["Condition"]) == {"ArnEquals", "StringEquals"}


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
            assert {namespace for namespace, _ in one.metrics} == {"CloudWatchNamespace"}, one.name


def test_every_figure_that_an_alarm_is_on_is_sent():
    own = {metric for one in ALARMS.values() for namespace, metric in one.metrics if namespace != SQS_NAMESPACE}
    assert own <= set(FIGURES)
    assert set(FIGURES) - own == {"Lag"}  # queue-age is on SQS's own


@pytest.mark.parametrize(
    ("name", "sign", "threshold", "seconds", "missing"),
    [
        ("dlq-depth", ">", 10, 300, "notBreaching"),
        ("no-poll", "<", 1, 300, "breaching"),
        ("queue-age", ">", 3_600, 300, "notBreaching"),
        ("error-rate", ">", 10, 600, "notBreaching"),
        ("stored-for-retry", ">", 0, 900, "notBreaching"),
        ("spilled", ">", 0, 300, "notBreaching"),
        ("parked", ">", 0, 300, "notBreaching"),
        ("archived", ">", 0, 300, "notBreaching"),
        ("delete-failures", ">", 0, 600, "notBreaching"),
        ("dlq-age", ">", 86_400, 10_800, "notBreaching"),
        ("dlq-expiry", "<", 3 * 86_400, 10_800, "notBreaching"),
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
    assert expression("no-poll") == (
        "received + empty", {"received": "NumberOfMessagesReceived", "empty": "NumberOfEmptyReceives"}
    )  # fmt: skip
    assert expression("error-rate") == (
        "IF(settled >= 20, 100 * failed / settled, 0)", {"settled": "MessagesSettled", "failed": "MessagesFailed"}
    )  # fmt: skip


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
    if isinstance(value, dict) and set(value) == {"Sub"}:
        value = value["Sub"]
    if not isinstance(value, str):
        return {name: spelled(one) for name, one in value.items()} if isinstance(value, dict) else value
    for there, here in (
        ("${AWS::Partition}", "aws"), ("${AWS::Region}", "REGION"), ("${AWS::AccountId}", "ACCOUNT"),
        ("${QueueName}-dlq", "DLQ"), ("${QueueName}", "QUEUE"), ("${StateBucketName}", "STATE-BUCKET"),
        ("${FilesBucket}", "BUCKET"), ("${OpenSearchDomain}", "DOMAIN"),
    ):  # fmt: skip
        value = value.replace(there, here)
    return value
