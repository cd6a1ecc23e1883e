"""Settings that contradict each other, or name what cannot be, are told with their name and what would be correct."""

import pytest

from worker.core.base.errors import ConfigError
from worker.core.base.settings import load

SQS = "https://sqs.eu-central-1.amazonaws.com/1"
SOUND = {
    "sqs_queue_url": f"{SQS}/files", "dlq_queue_url": f"{SQS}/files-dlq", "state_bucket": "state-bucket",
    "index_url": "http://127.0.0.1:9200",
}  # fmt: skip


def test_what_is_given_counts():
    assert load(**SOUND, long_poll_s=20, shutdown_timeout_s=21).shutdown_timeout_s == 21


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"dlq_queue_url": SOUND["sqs_queue_url"]}, "are the same queue"),
        ({"sqs_queue_url": f"{SQS}/files.fifo"}, r"SQS_QUEUE_URL=.*files\.fifo is a FIFO queue, which S3 cannot notify"),
        ({"dlq_queue_url": f"{SQS}/files-dlq.fifo"}, "DLQ_QUEUE_URL=.* is a FIFO queue"),
        ({"state_bucket": None}, "STATE_BUCKET is missing: the bucket of retry-index/"),
        ({"state_bucket": None, "s3_bucket": "files"}, "STATE_BUCKET is missing, and S3_BUCKET is the bucket of the files"),
        ({"state_bucket": "files", "s3_bucket": "files"}, "STATE_BUCKET=files is the bucket of the files"),
        ({"state_bucket": "s3://state"}, "STATE_BUCKET"),
        ({"long_poll_s": 20, "shutdown_timeout_s": 20}, "SHUTDOWN_TIMEOUT_S must exceed LONG_POLL_S"),
        ({"index_timeout_s": 26}, "INDEX_TIMEOUT_S"),
        ({"index_url": "localhost"}, "INDEX_URL='localhost': .*https://HOST"),
        ({"metrics_port": 65_000, "worker_instance": 1_000}, "METRICS_PORT"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_told_with_the_name_of_the_setting(monkeypatch, wrong, said):
    for name in ("S3_BUCKET", "STATE_BUCKET"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ConfigError, match=said):
        load(**{**SOUND, **wrong})


@pytest.mark.parametrize("given", [{"state_bucket": None}, {"state_bucket": "files"}])
def test_the_bucket_of_the_files_can_hold_the_records_where_that_is_said(given):
    assert load(**{**SOUND, **given}, s3_bucket="files", state_bucket_shared="yes").state == "files"
