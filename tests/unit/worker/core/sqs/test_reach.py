"""Where calls for a queue are sent: to its own host if that is a VPC endpoint, and otherwise where boto3 sends them."""

import pytest

from recovery.cli.context import CommandContext
from recovery.cli.settings import ToolOptions, load_tool
from tests.support.tls import Authority, serving, set_bare_environment
from worker.core.base.aws import Aws
from worker.core.base.errors import ConfigError
from worker.core.base.settings import load
from worker.core.clients import connect
from worker.terminal import Signals

VPC = "vpce-0abc-xyz.sqs.eu-central-1.vpce.amazonaws.com"
FIPS, DUAL = {"AWS_USE_FIPS_ENDPOINT": "true"}, {"AWS_USE_DUALSTACK_ENDPOINT": "true"}
OWN = {"AWS_ENDPOINT_URL_SQS": "https://queues.example.com:9324"}
FILE = "[default]\nservices = ours\n[services ours]\nsqs =\n  endpoint_url = https://file.example.com\n"


@pytest.fixture(autouse=True)
def environment(monkeypatch, tmp_path):
    set_bare_environment(monkeypatch, config=tmp_path / "config")
    return monkeypatch


@pytest.fixture
def proxy(environment, tmp_path):
    """A proxy that answers everything as a queue without messages."""
    authority = Authority(tmp_path)
    answer = {"Content-Type": "application/x-amz-json-1.0", "x-amzn-requestid": "1"}
    with serving(authority=authority, respond=lambda _: (200, answer, b'{"Attributes": {}}')) as (port, record):
        environment.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port}")
        environment.setenv("AWS_CA_BUNDLE", str(authority.path))
        yield record


CASES = {
    "usual": ("sqs.eu-central-1.amazonaws.com", {}, "", "sqs.eu-central-1.amazonaws.com", "eu-central-1"),
    "another region": ("sqs.eu-west-3.amazonaws.com", {}, "", "sqs.eu-west-3.amazonaws.com", "eu-west-3"),
    "VPC endpoint": (VPC, {}, "", VPC, "eu-central-1"),
    "VPC endpoint of a zone": ("vpce-0abc-xyz-eu-west-3a.sqs.eu-west-3.vpce.amazonaws.com", {}, "",
                               "vpce-0abc-xyz-eu-west-3a.sqs.eu-west-3.vpce.amazonaws.com", "eu-west-3"),
    "VPC endpoint in China": ("vpce-1.sqs.cn-north-1.vpce.amazonaws.com.cn", {}, "",
                              "vpce-1.sqs.cn-north-1.vpce.amazonaws.com.cn", "cn-north-1"),
    "VPC endpoint, dual stack set": (VPC, DUAL, "", VPC, "eu-central-1"),
    "VPC endpoint, FIPS set": ("vpce-1.sqs.us-east-2.vpce.amazonaws.com", FIPS, "",
                               "vpce-1.sqs.us-east-2.vpce.amazonaws.com", "us-east-2"),
    "VPC endpoint and an endpoint": (VPC, OWN, "", "queues.example.com:9324", "eu-central-1"),
    "VPC endpoint and an endpoint in the file": (VPC, {}, FILE, "file.example.com", "eu-central-1"),
    "China": ("sqs.cn-north-1.amazonaws.com.cn", {}, "", "sqs.cn-north-1.amazonaws.com.cn", "cn-north-1"),
    "isolated": ("sqs.us-iso-east-1.c2s.ic.gov", {}, "", "sqs.us-iso-east-1.c2s.ic.gov", "us-iso-east-1"),
    "older": ("eu-west-3.queue.amazonaws.com", {}, "", "sqs.eu-west-3.amazonaws.com", "eu-west-3"),
    "oldest": ("queue.amazonaws.com", {}, "", "sqs.us-east-1.amazonaws.com", "us-east-1"),
    "FIPS set": ("sqs.us-east-2.amazonaws.com", FIPS, "", "sqs-fips.us-east-2.amazonaws.com", "us-east-2"),
    "FIPS set, older": ("us-east-2.queue.amazonaws.com", FIPS, "", "sqs-fips.us-east-2.amazonaws.com", "us-east-2"),
    "FIPS in the URL": ("sqs-fips.us-east-2.amazonaws.com", {}, "", "sqs-fips.us-east-2.amazonaws.com", "us-east-2"),
    "FIPS in both": ("sqs-fips.us-east-2.amazonaws.com", FIPS, "", "sqs-fips.us-east-2.amazonaws.com", "us-east-2"),
    "dual stack set": ("sqs.eu-central-1.amazonaws.com", DUAL, "", "sqs.eu-central-1.api.aws", "eu-central-1"),
    "dual stack in the URL": ("sqs.eu-central-1.api.aws", {}, "", "sqs.eu-central-1.api.aws", "eu-central-1"),
    "a name of one's own": ("queues.example.com:8443", {}, "", "queues.example.com:8443", "eu-central-1"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_calls_for_a_queue_go_to_its_endpoint_and_are_signed_for_its_region(case, proxy, environment, tmp_path):
    host, given, config, asked, region = CASES[case]
    (tmp_path / "config").write_text(config)
    for name, value in given.items():
        environment.setenv(name, value)
    url = f"https://{host}/123456789012/files"
    settings = load(
        sqs_queue_url=url, dlq_queue_url=f"{url}-dlq", state_bucket="state-bucket", aws_region="eu-central-1",
        index_url="http://index",
    )  # fmt: skip
    clients = connect(settings)
    assert (clients.source.attributes(), clients.dlq.attributes()) == ({}, {})
    assert [one.host for one in proxy.asked] == [asked, asked]
    for one, name in zip(proxy.asked, ("files", "files-dlq"), strict=True):
        assert f"/{region}/sqs/aws4_request" in one.authorization
        assert f'"QueueUrl": "https://{host}/123456789012/{name}"'.replace(" ", "") in one.body.decode().replace(
            " ", ""
        )


def test_queue_and_dlq_may_be_at_different_hosts(proxy):
    settings = load(
        sqs_queue_url=f"https://{VPC}/1/files", dlq_queue_url="https://sqs.eu-west-3.amazonaws.com/1/dlq",
        state_bucket="state-bucket", aws_region="eu-central-1", index_url="http://index",
    )  # fmt: skip
    clients = connect(settings)
    clients.source.attributes()
    clients.dlq.attributes()
    assert [one.host for one in proxy.asked] == [VPC, "sqs.eu-west-3.amazonaws.com"]


def test_the_queues_of_the_options_are_reached_at_their_hosts_too(proxy):
    url = f"https://{VPC}/1/files"
    settings, aws = load_tool(ToolOptions(dlq=f"{url}-dlq", queue=url, region="eu-central-1"))
    context = CommandContext(settings, aws, "redrive", Signals(), as_json=False)
    for queue in (context.dlq, context.source(), context.queue(f"{url}-to")):
        queue.attributes()
    assert [one.host for one in proxy.asked] == [VPC] * 3


def test_an_endpoint_given_as_an_option_takes_precedence(proxy):
    options = ToolOptions(dlq=f"https://{VPC}/1/dlq", region="eu-central-1", endpoint_url="https://option.example.com")
    settings, aws = load_tool(options)
    CommandContext(settings, aws, "stats", Signals(), as_json=False).dlq.attributes()
    assert [one.host for one in proxy.asked] == ["option.example.com"]


def test_a_region_is_not_needed_where_the_url_names_it(proxy):
    aws = Aws()
    assert aws.sqs("https://sqs.eu-west-3.amazonaws.com/1/q").meta.region_name == "eu-west-3"


@pytest.mark.parametrize("password", ["geheim", "ge#heim"])
def test_a_url_with_a_password_is_refused_without_it(password):
    settings, aws = load_tool(ToolOptions(dlq="https://sqs.eu-west-3.amazonaws.com/1/dlq"))
    context = CommandContext(settings, aws, "redrive", Signals(), as_json=False)
    with pytest.raises(ConfigError, match="the URL of a queue") as raised:
        context.queue(f"https://user:{password}@sqs.eu-west-3.amazonaws.com/1/q")
    assert "heim" not in str(raised.value)
