"""S3 that notifies the queue by itself (moto): no event is made by the test."""

from contextlib import closing

import pytest

from testing.aws import s3_client, sqs_client
from testing.waiting import wait_until
from testing.worker import running
from tests.support.in_process import run_in_process
from tests.support.moto_server import notifying_bucket
from worker.cli import main

KEYS = ["経理/予算 案+1%.txt", "a+b c.txt", "🌸 花見.txt", "100%/半角ｶﾅ.txt"]


@pytest.fixture
def env(tmp_path):
    with notifying_bucket() as made:
        with closing(s3_client(made.endpoint)) as s3:
            s3.create_bucket(Bucket="worker-state")
        with closing(sqs_client(made.endpoint)) as sqs:
            dlq = sqs.create_queue(QueueName="failed")["QueueUrl"]
        yield {
            "AWS_ENDPOINT_URL_S3": made.endpoint,
            "AWS_ENDPOINT_URL_SQS": made.endpoint,
            "AWS_ACCESS_KEY_ID": "any",
            "AWS_SECRET_ACCESS_KEY": "any",
            "AWS_REGION": "us-east-1",
            "SQS_QUEUE_URL": made.queue_url,
            "DLQ_QUEUE_URL": dlq,
            "S3_BUCKET": made.bucket,
            "STATE_BUCKET": "worker-state",
            "INDEX_URL": f"sqlite:///{tmp_path}/index.db",
            "LOG_FORMAT": "json",
        }


def keys_found(env, query):
    answer = run_in_process(main, env, "search", query)
    return [line.split("/", 3)[-1] for line in answer.stdout.splitlines() if line.startswith("s3://")]


def test_what_s3_itself_sends_is_indexed_and_removed(env, tmp_path):
    with closing(s3_client(env["AWS_ENDPOINT_URL_S3"])) as s3, running(env, tmp_path) as worker:
        for key in KEYS:
            s3.put_object(Bucket=env["S3_BUCKET"], Key=key, Body="東京都の書類".encode())
        worker.wait_for(
            lambda: len(worker.events("message.settled", note="indexed")) == len(KEYS), timeout_s=20, what="4"
        )
        assert worker.events("message.settled", note="skipped: test event")
        assert sorted(keys_found(env, "東京")) == sorted(KEYS)
        s3.delete_object(Bucket=env["S3_BUCKET"], Key=KEYS[0])
        worker.wait_for(lambda: worker.events("message.settled", note="removed"), timeout_s=20, what="the removal")
        wait_until(lambda: sorted(keys_found(env, "東京")) == sorted(KEYS[1:]), 5, "one hit less")
        assert worker.stop() == 0
