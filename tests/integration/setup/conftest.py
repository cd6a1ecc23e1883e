"""An account at moto, in which the lines of docs/setup.md and docs/ec2.md are typed."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import boto3
import pytest

from testing.binaries import do_without, shell_tools
from testing.process import UnavailableError
from tests.support import awscli
from tests.support.moto_server import moto_endpoint
from tests.support.pages import Typed, typed

ROOT = Path(__file__).resolve().parents[3]
TYPED_HERE = ("aws", "mkdir", "for")
ACCOUNT_URL = "https://sqs.eu-central-1.amazonaws.com"


@dataclass
class Account:
    """An account at moto, in which the page's lines are typed."""

    endpoint: str

    def type(self, line: str) -> None:
        """Type one line in a shell; `aws` is our substitute, in this process."""
        line = line.replace(ACCOUNT_URL, self.endpoint)
        env = {**os.environ, "SQS_QUEUE_URL": self.url("files")}
        if not line.startswith("aws "):
            subprocess.run(["bash", "-c", line], check=True, env=env, timeout=30)
            return
        split = ["bash", "-c", f"printf '%s\\0' {line}"]
        words = subprocess.run(split, capture_output=True, text=True, check=True, env=env, timeout=30).stdout
        assert awscli.main(words.split("\0")[1:-1]) == 0

    def url(self, queue: str) -> str:
        return f"{self.endpoint}/123456789012/{queue}"

    def client(self, service: str):
        return closing(boto3.client(service, region_name=awscli.REGION))  # type: ignore[call-overload]  # any service


@pytest.fixture
def account(monkeypatch, tmp_path) -> Iterator[Account]:
    try:
        shell_tools()
    except UnavailableError as reason:
        do_without("the page", reason)
    (tmp_path / "config").symlink_to(ROOT / "config")
    monkeypatch.chdir(tmp_path)
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


def lines_of(page: str, *sections: str) -> list[Typed]:
    """The lines of these sections of a page that are typed here."""
    return [one for one in typed(page) if one.section in sections and one.program in TYPED_HERE]
