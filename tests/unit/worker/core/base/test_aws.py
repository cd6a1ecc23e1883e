"""Success answers that are not from SQS or S3, such as a proxy's page: transient, like missing answers."""

import http.server
import threading
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime

import pytest
from botocore import utils
from botocore.utils import parse_timestamp

from worker.core.base.aws import Aws
from worker.core.base.classify import is_transient
from worker.core.base.errors import ConfigError, DependencyError, QueueError, StoreError
from worker.core.s3.state import S3State
from worker.core.s3.store import S3ObjectStore
from worker.core.sqs.queue import SqsQueue

LISTING = (
    "<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>a</Key><LastModified>{}</LastModified>"
    "<ETag>&quot;e&quot;</ETag><Size>3</Size></Contents></ListBucketResult>"
)
PAGES = [b"<html>sign in</html>", b"\x00\x01 neither JSON nor XML \xff", b"{}", b'{"Messages": [{}], "Failed": [{}]}']


class Impostor(http.server.ThreadingHTTPServer):
    """Answers everything with one page and one status."""

    page, status = b"", 200
    head_status = 200


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Impostor

    def _answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        head = self.command == "HEAD"
        self.send_response(self.server.head_status if head else self.server.status)
        self.send_header("Content-Length", str(len(self.server.page)))
        self.end_headers()
        self.wfile.write(b"" if head else self.server.page)

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _answer  # noqa: N815

    def log_message(self, *_args: object) -> None:
        """Nothing."""


@pytest.fixture
def impostor(monkeypatch) -> Iterator[Impostor]:
    server = Impostor(("127.0.0.1", 0), _Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    for name, value in {
        "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_ENDPOINT_URL_SQS": url, "AWS_ENDPOINT_URL_S3": url,
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def objects(impostor, tmp_path):
    return a_store(Aws(region="us-east-1"), tmp_path)


def a_store(aws, folder):
    return S3ObjectStore(aws, spool_bytes=1024, max_object_bytes=1024, temp_dir=folder)


@pytest.mark.parametrize("page", PAGES)
def test_a_queue_that_answers_something_else_has_not_answered(impostor, page):
    impostor.page = page
    client = Aws(region="us-east-1").sqs()
    queue = SqsQueue(client, f"http://127.0.0.1:{impostor.server_port}/q/files")
    with pytest.raises(QueueError) as raised:
        queue.attributes()
    assert is_transient(raised.value)
    for confirmed in (
        lambda: 0 not in queue.delete(["receipt"]),
        lambda: 0 not in queue.change_visibility([("receipt", 0)]),
        lambda: 0 not in queue.send([{"MessageBody": "body"}]),
    ):
        with suppress(QueueError):
            assert not confirmed()
    client.close()


@pytest.mark.parametrize("page", PAGES)
def test_an_object_without_an_etag_is_no_object(impostor, objects, page):
    impostor.page = page
    with pytest.raises(StoreError) as raised:
        objects.read("bucket", "key")
    assert is_transient(raised.value)


@pytest.mark.parametrize("page", PAGES)
def test_a_record_without_an_etag_is_no_record(impostor, objects, page):
    impostor.page = page
    state = S3State(objects, "bucket")
    for call in (
        lambda: state.get("retry-index/a.json"),
        lambda: state.put("retry-index/a.json", b"{}"),
        lambda: state.claim("lease.json", b"{}", instead_of=None),
        state.pause_record,
    ):
        with pytest.raises(StoreError) as raised:
            call()
        assert is_transient(raised.value)


@pytest.mark.parametrize(
    ("said", "is_slow"),
    [("2026-11-29T17:43:00.123Z", False), ("2026-11-29T17:43:00", True), ("Sun, 29 Nov 2026 17:43:00 GMT", True)],
)
def test_botocore_s_slow_parser_reads_only_times_that_are_not_as_s3_writes_them(
    impostor, objects, monkeypatch, said, is_slow
):
    asked = []

    def slowly(one):
        asked.append(one)
        return parse_timestamp(one)

    monkeypatch.setattr(utils, "parse_timestamp", slowly)
    impostor.page = LISTING.format(said).encode()
    [found] = objects.list_page("bucket", "", None).objects
    assert found.modified_ms // 1000 == datetime(2026, 11, 29, 17, 43, tzinfo=UTC).timestamp()
    assert asked == ([said] if is_slow else [])


@pytest.mark.parametrize("status", [400, 403, 404])
def test_a_refused_head_says_nothing_and_only_a_get_can_tell_why(impostor, objects, status):
    """An expired token is a 400, a wrong clock a 403, and a refused HEAD has no error code to distinguish them."""
    impostor.head_status = status
    etag, observed_at_ms = objects.head("bucket", "key")
    assert etag is None
    assert observed_at_ms > 0


def test_a_region_that_cannot_be_is_named(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    with pytest.raises(ConfigError, match=r"AWS_REGION .*not a region"):
        Aws(region="not a region").sqs()


@pytest.mark.parametrize("config", ["", "[default]\ncredential_process = false\n"], ids=["none", "failing process"])
def test_credentials_that_cannot_be_retrieved_at_present_are_no_wrong_setting(monkeypatch, tmp_path, config):
    for given in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(given, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    (tmp_path / "config").write_text(config)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    with pytest.raises(DependencyError, match="credentials"):
        Aws(region="eu-central-1").credentials()


def test_a_token_file_that_cannot_be_read_is_transient_in_every_call(monkeypatch, tmp_path):
    for given in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(given, raising=False)
    monkeypatch.setenv("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/worker")
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(tmp_path / "none"))
    aws = Aws(region="eu-central-1")
    for call in (
        lambda: SqsQueue(aws.sqs(), "https://sqs.eu-central-1.amazonaws.com/1/q").attributes(),
        lambda: a_store(aws, tmp_path).check_bucket("files"),
    ):
        with pytest.raises((QueueError, StoreError)) as raised:
            call()
        assert is_transient(raised.value), raised.value


@pytest.mark.parametrize("status", [500, 503, 529])
def test_a_status_of_the_server_s_fault_is_transient_whatever_its_code(impostor, tmp_path, status):
    impostor.status = status
    impostor.page = b"<Error><Code>XMinioServerNotInitialized</Code><Message>not yet</Message></Error>"
    with pytest.raises(StoreError, match="XMinioServerNotInitialized") as raised:
        a_store(Aws(region="eu-central-1"), tmp_path).check_bucket("files")
    assert is_transient(raised.value)


def test_credentials_that_are_given_in_part_are_told(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY", raising=False)
    with pytest.raises(ConfigError, match="Partial credentials"):
        Aws(region="eu-central-1").credentials()
