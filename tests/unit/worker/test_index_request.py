"""`s3-index-worker index`: what is sent, what is printed, and what is refused before anything is sent."""

import io
import json
import subprocess
from collections.abc import Iterator

import pytest

from tests.support.in_process import run_in_process
from tests.support.tls import Asked, Record, serving
from worker.cli import main
from worker.core.base.errors import ExitCode

HEALTH = b'{"status":"green","name":"\\u202ex"}'
TABLE = b"health status index\ngreen  open   files\x1b[2J\n"
SECRET = "PASSWORDMARK91c2"


class Index:
    """A server that answers as OpenSearch does, and what it was asked."""

    def __init__(self, port: int, record: Record) -> None:
        self.url, self.record = f"http://127.0.0.1:{port}", record

    @property
    def asked(self) -> list[Asked]:
        return self.record.asked

    def run(self, *args: str, **env: str) -> "subprocess.CompletedProcess[str]":
        return run_in_process(main, {"INDEX_URL": self.url, **env}, "index", *args)


def respond(asked: Asked) -> tuple[int, dict[str, str], bytes]:
    path = asked.path.partition("?")[0]
    if path.startswith("/status/"):
        status = int(path.removeprefix("/status/"))
        error = {"error": {"type": "some_exception", "reason": f"why {asked.authorization}"}, "status": status}
        return status, {}, json.dumps(error).encode()
    if path.startswith("/_cat/"):
        return 200, {"Content-Type": "text/plain"}, TABLE
    return 200, {"Content-Type": "application/json"}, HEALTH


@pytest.fixture
def index() -> Iterator[Index]:
    with serving(respond=respond) as (port, record):
        yield Index(port, record)


def given(monkeypatch, text: str) -> None:
    """What is on stdin."""
    monkeypatch.setattr(io, "StringIO", lambda: io.TextIOWrapper(io.BytesIO(text.encode())))


def test_json_is_printed_on_indented_lines_without_what_controls_a_terminal(index):
    done = index.run("GET", "/_cluster/health")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == '{\n  "status": "green",\n  "name": "\\u202ex"\n}\n'
    assert index.run("get", "_cluster/health", "--json").stdout == '{"status":"green","name":"\\u202ex"}\n'
    assert [one.path for one in index.asked] == ["/_cluster/health", "/_cluster/health"]


def test_text_is_printed_as_it_is_but_for_what_controls_a_terminal(index):
    done = index.run("GET", "/_cat/indices?v")
    assert (done.returncode, done.stdout) == (0, "health status index\ngreen  open   files\ufffd[2J\n")
    assert json.loads(index.run("GET", "/_cat/indices?v", "--json").stdout) == TABLE.decode()


def test_it_signs_in_as_the_worker_does_and_needs_no_queue(index):
    index.run("GET", "/", INDEX_USER="worker", INDEX_PASSWORD=SECRET)
    key = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_REGION": "eu-west-1"}
    index.run("GET", "/", INDEX_AUTH="es", **key)
    assert [one.authorization.split()[0] for one in index.asked] == ["Basic", "AWS4-HMAC-SHA256"]
    assert "/eu-west-1/es/aws4_request" in index.asked[1].authorization


@pytest.mark.parametrize(
    ("status", "code", "label"),
    [
        (400, ExitCode.USAGE, "refused"),
        (404, ExitCode.NOT_FOUND, "refused"),
        (403, ExitCode.DEPENDENCY, "unavailable"),
        (503, ExitCode.DEPENDENCY, "unavailable"),
    ],
)
def test_a_refusal_is_a_sentence_on_stderr_with_an_exit_code(index, status, code, label):
    done = index.run("GET", f"/status/{status}", INDEX_USER="worker", INDEX_PASSWORD=SECRET)
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.startswith(f"{label}: {index.url} answered {status}: some_exception: why Basic (hidden)")


def test_a_body_is_an_argument_or_comes_from_stdin(index, monkeypatch):
    index.run("POST", "/files/_search", "--data", '{"size": 1}')
    given(monkeypatch, '{"query": {"match": {"content": "契約"}}}')
    index.run("GET", "/files/_count", "--data", "-")
    given(monkeypatch, '{"index":{}}\n\n{"query":{}}\n')
    index.run("POST", "/_msearch", "-d", "-")
    assert [one.body.decode() for one in index.asked] == [
        '{"size": 1}', '{"query": {"match": {"content": "契約"}}}', '{"index":{}}\n{"query":{}}\n'
    ]  # fmt: skip


def test_what_may_change_something_is_not_sent_unasked(index):
    writing = ("/files/_delete_by_query", "/files/_doc?x=_search", "/files/_doc/_search")
    for method, path in (("PUT", "/files"), *(("POST", path) for path in writing)):
        done = index.run(method, path, "--data", "{}")
        assert (done.returncode, done.stdout) == (ExitCode.USAGE, "")
        assert "--yes" in done.stderr
    assert index.asked == []
    assert index.run("PUT", "/files", "--data", "{}", "--yes").returncode == 0
    assert [(one.method, one.path, one.body) for one in index.asked] == [("PUT", "/files", b"{}")]


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("DELETE", "/files"), "DELETE"),
        (("GET", "https://other.example.com/x"), "PATH"),
        (("GET", "/files/a b"), "PATH"),
        (("GET", "/files#x"), "PATH"),
        (("GET", "/files\x1b"), "PATH"),
        (("PUT", "/files", "--yes", "--data", "{"), "JSON"),
        (("PUT", "/files", "--yes", "--data", "@role.json"), "< FILE"),
    ],
)
def test_a_wrong_request_is_explained_and_not_sent(index, args, said):
    done = index.run(*args)
    assert (done.returncode, done.stdout) == (ExitCode.USAGE, "")
    assert said in done.stderr
    assert index.asked == []


def test_other_characters_of_a_path_are_encoded(index):
    index.run("GET", "/files/_doc/b%2F契約.txt?routing=契")
    assert index.asked[0].path == "/files/_doc/b%2F%E5%A5%91%E7%B4%84.txt?routing=%E5%A5%91"


def test_an_sqlite_file_takes_no_requests(tmp_path):
    done = run_in_process(main, {"INDEX_URL": f"sqlite:///{tmp_path}/index.sqlite"}, "index", "GET", "/")
    assert (done.returncode, done.stdout) == (ExitCode.CONFIG, "")
    assert "INDEX_URL is an SQLite file" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_missing_address_is_named():
    done = run_in_process(main, {}, "index", "GET", "/")
    assert (done.returncode, done.stderr.split(":")[:2]) == (
        ExitCode.CONFIG,
        ["configuration", " INDEX_URL is missing"],
    )
