"""How `dlq` finds queues, buckets and index; errors for mistyped or missing settings; CloudWatch metrics."""

import http.server
import threading
from typing import Any

import pytest

from tests.integration.dlq.verbs import about, ask, depth, dlq, dlq_process


def test_deprecated_names_and_options_select_queues(site):
    name = about(site, "a.txt")
    queues: Any = {"SQS_QUEUE_URL": "", "DLQ_QUEUE_URL": ""}
    other: Any = {**queues, "DLQ_URL": site.queues.dlq, "FRONTIER_URL": site.queues.source}
    assert [row["message_id"] for row in ask(site, "list", **other)] == [name]
    dlq_name, source_name = (url.rsplit("/", 1)[-1] for url in (site.queues.dlq, site.queues.source))
    assert [row["message_id"] for row in ask(site, "list", "--dlq", dlq_name, **queues)] == [name]
    endpoint = site.env["AWS_ENDPOINT_URL_SQS"]
    there = ["--dlq", dlq_name, "--queue", source_name, "--region", site.env["AWS_REGION"], "--endpoint-url", endpoint]
    done = dlq(site, "redrive", "--message-id", name, *there, AWS_ENDPOINT_URL_SQS="", AWS_REGION="", **queues)
    assert done.returncode == 0, done.stderr
    assert site.depth()[0] == 1


def test_the_error_for_conflicting_names_shows_both(site):
    done = dlq(site, "list", DLQ_URL="http://sqs/q/other")
    assert done.returncode == 78
    assert f"DLQ_QUEUE_URL={site.queues.dlq}" in done.stderr
    assert "DLQ_URL=http://sqs/q/other" in done.stderr
    assert dlq(site, "list", FRONTIER_URL="http://sqs/q/other").returncode == 78
    assert dlq(site, "list", DLQ_URL=site.queues.dlq).returncode == 1


@pytest.mark.parametrize(
    ("args", "env", "code", "message"),
    [
        (["list"], {"DLQ_QUEUE_URL": ""}, 78, "DLQ_QUEUE_URL is missing"),
        (["list"], {"DLQ_QUEUE_URL": "files-dlq-nobody"}, 78, "nobody"),
        (["list", "--dlq", "nobody"], {}, 78, "nobody"),
        (["list"], {"AWS_ENDPOINT_URL_SQS": "http://127.0.0.1:9"}, 69, "DLQ_QUEUE_URL"),
        (["list", "--profile", "nobody"], {}, 78, "AWS_PROFILE"),
        (["redrive", "--message-id", "x"], {"SQS_QUEUE_URL": ""}, 78, "FRONTIER_URL"),
        (["redrive"], {}, 64, "ID"),
        (["delete", "--message-id", "x", "--reason", "y"], {"STATE_BUCKET": "", "S3_BUCKET": ""}, 78, "STATE_BUCKET is missing"),
        (["delete", "--message-id", "x", "--reason", "y"], {"STATE_BUCKET": "no-such-bucket-here"}, 78, "no-such-bucket-here"),
        (["list", "--older-than", "soon"], {}, 64, "--older-than"),
        (["list"], {"MESSAGE_TYPES_DIR": "/nowhere"}, 78, "MESSAGE_TYPES_DIR"),
        (["redrive-all", "--all", "--abort-if-refail", "5"], {}, 64, "--canary"),
        (["list"], {"LOG_LEVEL": "loud"}, 78, "LOG_LEVEL"),
        (["list"], {"AWS_ENDPOINT_URL_SQS": "nonsense"}, 78, "AWS_ENDPOINT_URL_SQS"),
        (["list", "--dlq", "nobody"], {"AWS_ENDPOINT_URL_SQS": "http://127.0.0.1:9"}, 69, "nobody"),
        (["delete", "--message-id", "x", "--reason", " "], {}, 64, "--reason"),
        (["restore", "--run", "nobody"], {}, 1, "run nobody: not in dlq-archive/"),
        (["purge", "--backup", "/nowhere/all.jsonl"], {}, 64, "--backup"),
        (["interactive"], {}, 64, "terminal"),
        (["fly"], {}, 64, "fly"),
    ],
)  # fmt: skip
def test_a_mistyped_or_missing_setting_is_named_in_the_error(site, args, env, code, message):
    if "MESSAGE_TYPES_DIR" in env:
        about(site, "a.txt")
    done = dlq(site, *args, **env)
    assert done.returncode == code, done.stderr
    assert message in done.stderr


@pytest.mark.parametrize(
    ("args", "env"),
    [
        (["redrive", "--message-id", "nobody"], {}),
        (["list"], {"DLQ_QUEUE_URL": ""}),
        (["list"], {"AWS_ENDPOINT_URL_SQS": "http://127.0.0.1:9"}),
        (["fly"], {}),
    ],
)
def test_a_separate_process_behaves_as_a_call_in_this_process(site, args, env):
    """This allows the other tests to call `dlq` in their own process."""
    about(site, "a.txt")
    here, there = dlq(site, *args, **env), dlq_process(site, *args, **env)
    assert (here.returncode, here.stdout) == (there.returncode, there.stdout)
    assert here.stderr.count("\n") == there.stderr.count("\n")


def test_most_verbs_work_without_index_and_state_bucket(site, tmp_path):
    without = {"INDEX_URL": "", "STATE_BUCKET": "", "S3_BUCKET": ""}
    name = about(site, "a.txt")
    for args in (
        ["stats"],
        ["list"],
        ["groups"],
        ["inspect", "--message-id", name],
        ["export", str(tmp_path / "x.jsonl")],
    ):
        assert dlq(site, *args, **without).returncode == 0, args
    done = dlq(site, "redrive", "--message-id", name, **without)
    assert (done.returncode, "no STATE_BUCKET" in done.stderr) == (0, True)


def test_calls_are_counted_in_cloudwatch_if_this_is_switched_on(site):
    heard: list[bytes] = []

    class CloudWatch(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            heard.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(500)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), CloudWatch)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    about(site, "a.txt")
    address = f"http://127.0.0.1:{server.server_port}"
    env = {"AWS_ENDPOINT_URL_CLOUDWATCH": address, "CLOUDWATCH_NAMESPACE": "Ours"}
    done = dlq(site, "list", **env)
    server.shutdown()
    server.server_close()
    assert done.returncode == 0, "a metric that cannot be sent does not stop the work"
    for text in (b"Ours", b"Calls", b"dlq_redrive", b"State", b"list"):
        assert text in heard[0]


def test_a_mistyped_cloudwatch_address_is_reported_before_anything_is_sent(site):
    name = about(site, "a.txt")
    mistyped = {"AWS_ENDPOINT_URL_CLOUDWATCH": "nonsense", "CLOUDWATCH_NAMESPACE": "Ours"}
    done = dlq(site, "redrive", "--message-id", name, **mistyped)
    assert (done.returncode, "AWS_ENDPOINT_URL_CLOUDWATCH" in done.stderr) == (78, True)
    assert (depth(site), site.depth()[0]) == ((1, 0), 0), "otherwise, what was sent would not be recorded"
