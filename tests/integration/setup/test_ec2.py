"""docs/ec2.md: every line for `aws` is typed, against moto where it has the service."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.integration.setup.conftest import Account, lines_of
from tests.support import awscli
from tests.support.pages import typed
from tests.support.template import Filled
from tools.alarms import template_of

PAGE = typed("ec2.md")
BY_HAND = lines_of("setup.md", "By hand")
ON_A_HOST = ["dnf", "rpm", "/opt/aws/amazon-cloudwatch-agent/bin/amazon-cloudwatch-agent-ctl"]
"""What only a host with Amazon Linux has."""
HOSTS = "config/autoscaling.yaml"

pytestmark = [pytest.mark.filterwarnings("ignore:Tried to parse AWS::")]  # moto has no scaling policies in a stack


@pytest.fixture
def network(account: Account) -> dict[str, str]:
    """A VPC in the account; what the page calls its parts, and what they are called there."""
    with account.client("ec2") as ec2:
        vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/24")["Subnet"]["SubnetId"]
        groups = [
            ec2.create_security_group(GroupName=name, Description=name, VpcId=vpc)["GroupId"]
            for name in ("hosts", "index")
        ]
        table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
        image = ec2.describe_images(Owners=["amazon"])["Images"][0]["ImageId"]
        instance = ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1)["Instances"][0]["InstanceId"]
    with account.client("s3") as s3:
        s3.create_bucket(Bucket="our-releases", CreateBucketConfiguration={"LocationConstraint": awscli.REGION})
    return {
        "vpc-0123456789abcdef0": vpc, "subnet-0123456789abcdef0": subnet, "sg-0123456789abcdef0": groups[0],
        "sg-0123456789abcdef1": groups[1], "rtb-0123456789abcdef0": table, "i-0123456789abcdef0": instance,
        "resolve:ssm:/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64": image,
    }  # fmt: skip


def type_all(account: Account, network: dict[str, str]) -> None:
    for one in BY_HAND:
        account.type(one.line)
    Path("worker.env").write_text("INDEX_URL=https://search.example.com\n")
    for one in PAGE:
        if one.program == "git":
            Path("source.tar.gz").write_bytes(b"source")
        elif one.program == "aws":
            line = one.line.replace("GROUP", group(account)) if one.line.endswith(" GROUP") else one.line
            account.type(re.sub("|".join(network), lambda found: network[found[0]], line))


def group(account: Account) -> str:
    with account.client("autoscaling") as autoscaling:
        [found] = autoscaling.describe_auto_scaling_groups()["AutoScalingGroups"]
    return str(found["AutoScalingGroupName"])


def test_every_line_for_aws_is_correct_and_does_what_the_page_says(account, network):
    type_all(account, network)
    with account.client("ec2") as ec2:
        instances = [one for made in ec2.describe_instances()["Reservations"] for one in made["Instances"]]
        kinds = {one["VpcEndpointType"] for one in ec2.describe_vpc_endpoints()["VpcEndpoints"]}
        [index] = ec2.describe_security_groups(GroupIds=[network["sg-0123456789abcdef1"]])["SecurityGroups"]
        [launch] = ec2.describe_launch_template_versions(Versions=["$Latest"], LaunchTemplateId=launch_template(ec2))[
            "LaunchTemplateVersions"
        ]
    profiles = [one["IamInstanceProfile"]["Arn"] for one in instances if "IamInstanceProfile" in one]
    assert len(profiles) >= 2
    assert all(arn.endswith(":instance-profile/s3-index-worker") for arn in profiles)
    assert kinds == {"Gateway", "Interface"}
    assert [one["FromPort"] for one in index["IpPermissions"]] == [443]
    assert launch["LaunchTemplateData"]["MetadataOptions"]["HttpTokens"] == "required"
    with account.client("s3") as s3:
        assert s3.get_object(Bucket="our-releases", Key="s3-index-worker/source.tar.gz")["Body"].read() == b"source"
    with account.client("logs") as logs:
        assert [one["retentionInDays"] for one in logs.describe_log_groups()["logGroups"]] == [30]
    with account.client("iam") as iam:
        put = iam.list_role_policies(RoleName="s3-index-worker")["PolicyNames"]
    assert {"release", "logs"} <= set(put)


def launch_template(ec2: Any) -> str:
    [found] = ec2.describe_launch_templates()["LaunchTemplates"]
    return str(found["LaunchTemplateId"])


def test_the_number_of_hosts_follows_the_messages_that_wait_for_each():
    made = Filled(
        template_of(HOSTS), {}, {"Group": "hosts", "LaunchTemplate": "lt", "LaunchTemplate.LatestVersionNumber": "1"}
    )
    tracking = made.properties("Backlog")["TargetTrackingConfiguration"]
    metrics = {one["Id"]: one for one in tracking["CustomizedMetricSpecification"]["Metrics"]}
    [asked] = [one for one in metrics.values() if one["ReturnData"]]
    assert asked["Expression"] == "waiting / hosts"
    assert metrics["waiting"]["MetricStat"]["Metric"]["Dimensions"] == [{"Name": "QueueName", "Value": "files"}]
    [enabled] = made.properties("Group")["MetricsCollection"]
    assert enabled["Metrics"] == [metrics["hosts"]["MetricStat"]["Metric"]["MetricName"]]
    assert template_of(HOSTS)["Parameters"]["LeastHosts"]["MinValue"] == 1  # or it would be divided by 0


def test_the_lines_that_are_not_typed_here_are_those_that_only_a_host_has():
    others = [one.program for one in PAGE if one.program != "aws"]
    assert others == ["git", *ON_A_HOST]


def test_the_source_is_archived_as_the_page_says(tmp_path):
    [line] = [one.line for one in PAGE if one.program == "git"]
    line = line.replace("source.tar.gz", str(tmp_path / "source.tar.gz"))
    try:
        subprocess.run(["bash", "-c", line], check=True, timeout=60, capture_output=True)
    except subprocess.CalledProcessError:
        pytest.skip("this is no checkout")
    names = subprocess.run(
        ["tar", "-tzf", str(tmp_path / "source.tar.gz")], check=True, capture_output=True, text=True
    ).stdout
    assert {"Makefile", "systemd/install", "requirements.lock", "config/cloudwatch-agent.json"} <= set(
        names.splitlines()
    )
