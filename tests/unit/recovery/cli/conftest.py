"""Contexts with fakes: the tests call verbs as functions, without a command line or network."""

from collections.abc import Callable
from typing import Any

import pytest

from recovery.cli.context import CommandContext
from recovery.cli.settings import ToolOptions, load_tool
from testing.memory import BUCKET, STATE
from worker.terminal import Signals

NAMES = ("DLQ_URL", "DLQ_QUEUE_URL", "SQS_QUEUE_URL", "FRONTIER_URL", "STATE_BUCKET", "S3_BUCKET", "INDEX_URL")


@pytest.fixture(autouse=True)
def _environment(monkeypatch):
    for name in (*NAMES, "OPENSEARCH_ENDPOINT", "AWS_PROFILE", "AWS_ENDPOINT_URL_SQS", "CLOUDWATCH_NAMESPACE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "nobody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "nothing")


@pytest.fixture
def context(fakes, monkeypatch) -> Callable[..., CommandContext]:
    """Create the context of one verb; with `state=False`, it has no state bucket."""

    def made(verb: str = "redrive", *, state: bool = True, as_json: bool = True) -> CommandContext:
        for name, value in (("DLQ_URL", "http://sqs/q/dlq"), ("FRONTIER_URL", "http://sqs/q/source")):
            monkeypatch.setenv(name, value)
        if state:
            monkeypatch.setenv("S3_BUCKET", BUCKET)
            monkeypatch.setenv("STATE_BUCKET", STATE)
        settings, aws = load_tool(ToolOptions())
        found = CommandContext(settings, aws, verb, Signals(), as_json=as_json)
        on_fakes: Any = found
        on_fakes.dlq = fakes.dlq
        on_fakes.source = lambda: fakes.source
        on_fakes.objects = fakes.s3
        on_fakes.state = fakes.state if state else None
        found.check_dlq()
        return found

    return made
