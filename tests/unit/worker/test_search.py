"""`s3-index-worker search` as typed: several arguments, exclusions, exact phrases, and mistakes."""

import orjson
import pytest

from testing.ports import free_ports
from tests.support.in_process import run_in_process
from worker.cli import main
from worker.core.index.document import Write
from worker.core.index.sqlite import SqliteIndex

ENV = {
    "SQS_QUEUE_URL": "http://sqs/q/source", "DLQ_QUEUE_URL": "http://sqs/q/dlq", "S3_BUCKET": "files",
    "STATE_BUCKET": "files-state", "AWS_REGION": "eu-central-1",
}  # fmt: skip
TEXTS = {
    "report.txt": "the quarterly forecast of spring",
    "draft.txt": "a forecast, quarterly, and a draft of it",
    "japan.txt": "件名:請求書 四半期の業績予測",
    "clock.txt": "the meeting is at 12:30",
}


def _document(key, text):
    source = {"bucket": "b", "file_key": key, "file_name": key, "content": text}
    return Write("b", key, 1, "etag", orjson.dumps(source))


@pytest.fixture
def typed(tmp_path):
    path = tmp_path / "index.sqlite"
    index = SqliteIndex(path, timeout_s=5)
    index.write([_document(key, text) for key, text in TEXTS.items()])
    index.close()

    def type_(*args):
        done = run_in_process(main, {**ENV, "INDEX_URL": f"sqlite:///{path}"}, "search", *args)
        assert "Traceback" not in done.stderr
        keys = sorted(line.removeprefix("s3://b/") for line in done.stdout.splitlines() if line.startswith("s3://"))
        return done.returncode, keys, done.stderr

    return type_


@pytest.mark.parametrize(
    ("args", "keys"),
    [
        (("quarterly", "forecast"), ["draft.txt", "report.txt"]),
        (("quarterly forecast",), ["draft.txt", "report.txt"]),
        (('"quarterly forecast"',), ["report.txt"]),
        (('"quarterly', 'forecast"'), ["report.txt"]),
        (("forecast", "-draft"), ["report.txt"]),
        (("-draft", "forecast"), ["report.txt"]),
        (("forecast", "-hidden"), ["draft.txt", "report.txt"]),
        (("--", "forecast", "-draft"), ["report.txt"]),
        (("件名:請求書",), ["japan.txt"]),
        (("12:30",), ["clock.txt"]),
        (("forecast", "--limit", "1"), None),
    ],
)
def test_arguments_are_one_query(typed, args, keys):
    code, found, _ = typed(*args)
    assert code == 0
    assert found == keys or (keys is None and len(found) == 1)


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("",), "query: nothing was asked for"),
        ((), "QUERY is missing: "),
        (
            ("report", "size:>banana"),
            "query: size:>banana: '>banana' is not a size; give a number with b, kb, mb, gb or tb",
        ),
        (("-draft",), "query: -draft: only says what to leave out"),
        (("report", "--size", "0"), "'size:>1mb'"),
        (("report", "--from=2026"), "'after:2026'"),
        (("report", "--limit", "0"), "--limit"),
        (("report", "--limit", "-5"), "--limit"),
        (("report", "--jsn"), "--jsn"),
        (("x\x1b[2J:>", "ab\x1b[2J:c", "size:\x1b[2J"), "size:"),
    ],
)
def test_a_mistake_is_exit_64_and_says_what_would_be_right(typed, args, said):
    code, found, error = typed(*args)
    assert (code, found) == (64, [])
    assert said in " ".join(error.replace("│", " ").split())
    assert "\x1b[2J" not in error


def test_a_mistake_is_said_before_anything_is_asked():
    [port] = free_ports(1)
    done = run_in_process(main, {**ENV, "INDEX_URL": f"http://127.0.0.1:{port}"}, "search", "foo:bar")
    assert done.returncode == 64
