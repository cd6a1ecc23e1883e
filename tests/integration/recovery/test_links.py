"""A link to a file at a real S3: who has it downloads the file, under its name."""

import urllib.request

import pytest

from testing.servers import REGION
from worker.core.base.aws import Aws
from worker.core.base.errors import StoreError
from worker.core.s3.links import DownloadLinks


@pytest.fixture
def links(aws_env, monkeypatch):
    for name, value in aws_env.items():
        monkeypatch.setenv(name, value)
    return DownloadLinks(Aws(region=REGION))


def test_a_link_downloads_the_file_as_it_is_now_under_its_name(links, s3, bucket):
    key = "経理/見積書 +1.html"
    s3.put_object(Bucket=bucket, Key=key, Body=b"<script>alert(1)</script>", ContentType="text/html")
    with urllib.request.urlopen(links.sign(bucket, key, "見積書 +1.html"), timeout=20) as answer:
        assert answer.read() == b"<script>alert(1)</script>"
        assert answer.headers["Content-Type"] == "application/octet-stream"
        assert answer.headers["Content-Disposition"].startswith("attachment; ")
        assert "filename*=UTF-8''%E8%A6%8B%E7%A9%8D%E6%9B%B8%20%2B1.html" in answer.headers["Content-Disposition"]


def test_an_object_that_is_gone_has_no_link(links, bucket):
    with pytest.raises(StoreError) as raised:
        links.sign(bucket, "gone.txt", "gone.txt")
    assert raised.value.code == "NoSuchKey"
