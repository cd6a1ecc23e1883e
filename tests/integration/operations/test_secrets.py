"""No secret and no body is ever logged, at `debug` either; and no command shows a secret."""

import json

import pytest

from testing.worker import WorkerProcess
from tests.integration.operations.conftest import BODY, Night

pytestmark = pytest.mark.timeout(600)  # the first test has the whole night in its set-up


def test_no_secret_and_no_body_is_in_the_worker_s_log(night: Night):
    assert '"level":"debug"' in night.logs
    for mark in (*night.secrets, BODY):
        assert [line for line in night.logs.splitlines() if mark in line] == []


def test_the_log_was_of_messages_that_failed_in_every_way(night: Night):
    """Or there would have been nothing to quote."""
    lines = night.lines
    events = {line["event"] for line in lines}
    assert {"dlq.handed_off", "dlq.spilled", "index.stored_for_retry", "breaker.opened", "replay.record"} <= events
    assert {line["error_type"] for line in lines if "error_type" in line} >= {
        "MalformedEventError",
        "UnreadableFileError",
    }


def test_no_secret_is_shown_by_any_command(runbook: Night):
    assert len(runbook.answers) > 60
    for answer in runbook.answers:
        assert not any(mark in answer.out + answer.err for mark in runbook.secrets), answer.line


def test_what_an_index_says_of_a_document_it_refuses_does_not_quote_it(night: Night, tmp_path):
    index = f"{night.site.index}-picky"
    night.site.ask("PUT", f"/{index}", {"mappings": {"properties": {"content": {"type": "date"}}}})
    night.site.put("refused.txt", f"text {BODY}")
    worker = WorkerProcess({**night.env, "OPENSEARCH_INDEX": index, "METRICS_PORT": "0"}, tmp_path, name="picky")
    try:
        night.worker.stop()  # or it would have taken the message
        worker.start()
        night.site.send("refused.txt")
        worker.wait_for(
            lambda: worker.events("index.stored_for_retry", rejected=True), timeout_s=20, what="the refusal"
        )
        assert worker.stop() == 0
    finally:
        worker.kill()
    assert BODY not in worker.log_tail(10_000)
    [name] = [key for key in night.site.state_keys("retry-index/") if "refused.txt" in key]
    head = night.site.s3.head_object(Bucket=night.site.state_bucket, Key=name)
    assert BODY not in json.dumps(head["Metadata"])
