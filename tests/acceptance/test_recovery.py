"""Recoveries that fail midway: the index is killed, a bucket mistyped, a mapping rejects everything."""

import json
import subprocess
import sys
from collections.abc import Iterator

import pytest

from recovery.cli.recover_dlq import main
from testing.aws import queue_depth, s3_event, s3_record
from testing.dead_letters import fill_dlq, kept_keys
from testing.site import Site, make_site
from testing.waiting import wait_until
from testing.worker import base_env
from tests.support.in_process import run_in_process
from tests.support.size import sized

DEAD_LETTERS = sized(1_000, usual=600)


@pytest.fixture
def site(seaweedfs, elasticmq, opensearch) -> Iterator[Site]:
    made = make_site(seaweedfs, elasticmq, opensearch)
    yield made
    made.close()


def test_an_index_killed_in_the_middle_archives_nothing_and_loses_nothing(site, opensearch):
    keys = [f"docs/{number:05}.txt" for number in range(DEAD_LETTERS)]
    etags = site.put_all({key: f"text of {key}" for key in keys})
    fill_dlq(site, keys, etags, endpoint=site.env["AWS_ENDPOINT_URL_SQS"])
    already = site.count()
    process = subprocess.Popen(
        [sys.executable, "-m", "recovery.cli.recover_dlq", "--kind", "RECOVERABLE", "--json"],
        env={**base_env(), **site.env}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    wait_until(lambda: site.count() > already + 100, 60, "a hundred documents")
    opensearch.kill()
    out, errors = process.communicate(timeout=120)
    assert process.returncode == 69, errors
    summary = json.loads(out)
    assert (summary["archived"], summary["kept"]) == (0, 0)
    assert queue_depth(site.sqs, site.queues.dlq)[1] == 0, "everything is visible again"
    assert site.state_keys("dlq-archive/") == []
    opensearch.restart()
    left = sum(queue_depth(site.sqs, site.queues.dlq))
    assert left == DEAD_LETTERS - summary["handled"]
    done = run_in_process(main, site.env, "--json")
    assert done.returncode == 0, done.stderr
    assert site.documents().keys() == set(kept_keys(keys))


def test_a_mistyped_bucket_stops_the_run_and_the_dlq_keeps_the_rest(site):
    bodies = [json.dumps({"key": f"docs/{number}.txt"}) for number in range(400)]
    send(site, bodies)
    other = f"{site.bucket}-other"
    site.s3.create_bucket(Bucket=other)
    done = run_in_process(main, {**site.env, "S3_BUCKET": other})
    assert done.returncode == 78, done.stderr
    assert "check S3_BUCKET, the region and the endpoint" in done.stderr
    visible, hidden, _ = queue_depth(site.sqs, site.queues.dlq)
    assert visible >= 200
    assert hidden == 0


def test_a_mapping_that_rejects_everything_stops_the_run_and_the_dlq_keeps_the_rest(site):
    site.ask("PUT", f"/{site.index}-000001", {
        "mappings": {"properties": {"content": {"type": "date"}}}, "aliases": {site.index: {"is_write_index": True}},
    })  # fmt: skip
    keys = [f"docs/{number}.txt" for number in range(400)]
    for key in keys:
        site.put(key, "no date")
    send(site, [s3_event(s3_record(site.bucket, key)) for key in keys])
    done = run_in_process(main, site.env)
    assert done.returncode == 78, done.stderr
    assert "the mapping of the index" in done.stderr
    visible, hidden, _ = queue_depth(site.sqs, site.queues.dlq)
    assert visible >= 200
    assert hidden == 0
    assert len(site.state_keys("retry-index/")) >= 400 - visible


def send(site: Site, bodies: list[str]) -> None:
    for start in range(0, len(bodies), 10):
        entries = [{"Id": str(at), "MessageBody": body} for at, body in enumerate(bodies[start : start + 10])]
        assert not site.sqs.send_message_batch(QueueUrl=site.queues.dlq, Entries=entries).get("Failed")  # type: ignore[arg-type]
