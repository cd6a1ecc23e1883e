"""`doctor` with three different faults: each has its own exact hint."""

import json
from collections.abc import Iterator

import pytest

from testing.servers import Identity
from testing.site import Site, make_site
from testing.worker import run_cli, running
from tests.support.in_process import run_in_process
from worker.cli import main


@pytest.fixture
def site(seaweedfs, elasticmq, opensearch) -> Iterator[Site]:
    made = make_site(seaweedfs, elasticmq, opensearch)
    yield made
    made.close()


def doctor(env):
    answer = run_in_process(main, env, "doctor", "--json")
    return answer.returncode, {check["name"]: check for check in json.loads(answer.stdout) if check["level"] != "ok"}


def test_all_is_well_once_a_worker_has_run(site, tmp_path):
    with running(site.env, tmp_path) as worker:
        assert worker.stop() == 0
    code, found = doctor(site.env)
    assert (code, found) == (0, {})


def test_a_wrong_queue_url_is_named(site):
    code, found = doctor({**site.env, "SQS_QUEUE_URL": site.queues.source + "x"})
    assert code == 1
    assert found["queue"]["hint"].startswith(f"SQS_QUEUE_URL={site.queues.source}x: no such queue")


def test_a_missing_permission_is_named(site, seaweedfs):
    reader: Identity = seaweedfs.grant("Read", "List")
    env = {**site.env, "AWS_ACCESS_KEY_ID": reader.access_key, "AWS_SECRET_ACCESS_KEY": reader.secret_key}
    code, found = doctor(env)
    assert code == 1
    assert found["state bucket: write"]["hint"].startswith(f"allow s3:PutObject on s3://{site.state_bucket}/")


def test_an_index_that_is_down_is_a_warning_and_says_what_happens(site):
    code, found = doctor({**site.env, "INDEX_URL": "http://127.0.0.1:9"})
    assert code == 0
    assert found["index"]["level"] == "warning"
    assert "retry-index/" in found["index"]["hint"]


def test_the_table_is_whole_in_a_pipe(site):
    answer = run_in_process(main, {**site.env, "SQS_QUEUE_URL": site.queues.source + "x"}, "doctor")
    assert f"SQS_QUEUE_URL={site.queues.source}x: no such queue" in answer.stdout
    assert answer.returncode == 1


@pytest.mark.parametrize(
    ("name", "value", "right"),
    [
        ("SQS_QUEUE_URL", "nope", "it should be https://sqs."),
        ("S3_BUCKET", "s3://files", "without s3://"),
        ("INDEX_URL", "localhost", "https://HOST"),
        ("WORKER_CONCURRENCY", "many", "a whole number from 1 to 256"),
        ("METRICS_PORT", "70000", "65,535"),
    ],
)
def test_a_wrong_setting_names_itself_its_value_and_what_would_be_right(site, name, value, right):
    answer = run_cli({**site.env, name: value}, "run")
    assert answer.returncode == 78
    assert f"{name}='{value}'" in answer.stderr
    assert right in answer.stderr
    assert "Traceback" not in answer.stderr
