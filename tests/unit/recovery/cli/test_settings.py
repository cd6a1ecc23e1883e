"""Options and settings of `dlq`: the options win, and nothing of them is left in the environment."""

import os

import pytest

from recovery.cli.settings import ToolOptions, load_tool
from worker.core.base.errors import ConfigError

DLQ, SOURCE = "http://sqs/q/dlq", "http://sqs/q/source"


def test_options_win_over_settings_and_are_not_put_into_the_environment(monkeypatch):
    monkeypatch.setenv("DLQ_QUEUE_URL", "http://sqs/q/other")
    monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", "http://127.0.0.1:1")
    environment = dict(os.environ)
    options = ToolOptions(dlq=DLQ, queue=SOURCE, region="eu-west-3", endpoint_url="http://127.0.0.1:2")
    settings, aws = load_tool(options)
    assert (settings.dlq_queue_url, settings.sqs_queue_url, settings.aws_region) == (DLQ, SOURCE, "eu-west-3")
    sqs = aws.sqs()
    assert (sqs.meta.endpoint_url, sqs.meta.region_name) == ("http://127.0.0.1:2", "eu-west-3")
    assert aws.s3().meta.endpoint_url != "http://127.0.0.1:2", "the address is that of SQS alone"
    assert dict(os.environ) == environment


def test_settings_count_where_there_is_no_option(monkeypatch):
    monkeypatch.setenv("DLQ_URL", DLQ)
    monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", "http://127.0.0.1:1")
    settings, aws = load_tool(ToolOptions())
    assert (settings.dlq_queue_url, settings.sqs_queue_url) == (DLQ, None)
    assert (aws.region, aws.sqs().meta.endpoint_url) == ("eu-central-1", "http://127.0.0.1:1")


def test_two_names_with_two_values_are_both_named(monkeypatch):
    monkeypatch.setenv("DLQ_URL", DLQ)
    monkeypatch.setenv("DLQ_QUEUE_URL", "http://sqs/q/other")
    with pytest.raises(ConfigError, match=r"DLQ_QUEUE_URL=http://sqs/q/other and DLQ_URL=http://sqs/q/dlq"):
        load_tool(ToolOptions())
    assert load_tool(ToolOptions(dlq=SOURCE))[0].dlq_queue_url == SOURCE, "an option needs neither"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (ToolOptions(), "DLQ_QUEUE_URL"),
        (ToolOptions(dlq="ftp://x"), "DLQ_QUEUE_URL="),
        (ToolOptions(dlq=DLQ, profile="nobody"), "AWS_PROFILE"),
    ],
)
def test_what_is_missing_or_wrong_is_named(options, said):
    with pytest.raises(ConfigError, match=said):
        load_tool(options)


def test_options_can_be_given_to_another_verb():
    options = ToolOptions(dlq="files-dlq", endpoint_url="http://127.0.0.1:2")
    assert options.as_arguments() == ["--dlq", "files-dlq", "--endpoint-url", "http://127.0.0.1:2"]
    assert ToolOptions().as_arguments() == []


def test_the_worker_s_settings_agree_with_the_options_of_a_verb(context, monkeypatch):
    monkeypatch.setenv("INDEX_URL", "sqlite:////tmp/never-opened.db")
    monkeypatch.setenv("SQS_QUEUE_URL", "http://sqs/q/source")
    settings = context("recover").worker_settings()
    assert (settings.dlq_queue_url, settings.sqs_queue_url) == (DLQ, SOURCE)
