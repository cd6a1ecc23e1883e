"""What the manager does by itself, with a real fleet: it waits for an outage to end, retries, and confirms."""

import json
from collections.abc import Iterator

import pytest

from testing.aws import s3_event, s3_record
from testing.site import Site, make_site
from testing.waiting import wait_until
from testing.worker import WorkerProcess
from tests.integration.dlq.verbs import ask, dlq

RETRIES = {"RETRY_FIRST_S": "1", "MANAGER_PORT": "0"}
GOOD = [f"契約/{number}.txt" for number in range(8)]
BAD = [f"bad/{number}.pdf" for number in range(6)]


@pytest.fixture
def site(seaweedfs, elasticmq, opensearch) -> Iterator[Site]:
    """A deployment with an index that is asked."""
    made = make_site(seaweedfs, elasticmq, opensearch)
    yield made
    made.close()


@pytest.fixture
def worker(site, tmp_path) -> Iterator[WorkerProcess]:
    """A worker that is not started yet."""
    made = WorkerProcess(site.env, tmp_path)
    yield made
    made.kill()


def fail(site: Site, keys: list[str], prefix: str) -> None:
    """Messages about these keys failed for a transient reason."""
    for number, key in enumerate(keys):
        failure = {
            "kind": "RECOVERABLE", "error_type": "TimeoutError", "message": "no answer in 30 s", "attempts": 1, "redrives": 0,
            "source_queue": site.queues.source, "source_message_id": f"{prefix}-{number}", "fingerprint": "5b1f2c7d90aa",
        }  # fmt: skip
        text = json.dumps(failure)
        body = s3_event(s3_record(site.bucket, key))
        site.sqs.send_message(
            QueueUrl=site.queues.dlq, MessageBody=body,
            MessageAttributes={"failure": {"DataType": "String", "StringValue": text}},
        )  # fmt: skip


def audited(site: Site, action: str) -> list[str]:
    """The ids of the dead letters that this action was done with, according to the audit."""
    entries = [one for one in site.state_records("s3-index-worker/audit/") if one["action"] == action]
    return sorted(name for one in entries for name in one["ids"])


@pytest.mark.slow("a worker and a manager are started, and what they do takes its time")
def test_what_failed_in_an_outage_is_retried_and_recovered_and_a_rival_redrive_sends_nothing_twice(
    site, worker, manager_of, tmp_path
):
    site.put_all(dict.fromkeys(GOOD, "text"))
    site.put_all(dict.fromkeys(BAD, b"%PDF-1.7 nonsense"))
    fail(site, [*GOOD, BAD[0]], "outage")
    manager = manager_of(**RETRIES, LEDGER_URL=f"sqlite:///{tmp_path}/ledger.sqlite").start()

    def waits() -> bool:
        said = manager.ask("/health")["retries"]
        return bool(said["waiting"] == 9 and "no worker" in said["waiting_for"])

    wait_until(waits, timeout_s=40, what="the retries wait for a worker")
    assert site.depth() == (0, 0, 0)
    listed = ask(site, "list")
    assert {one["status"].split()[0] for one in listed} == {"retry"}

    worker.start()
    wait_until(lambda: manager.count("state:recovered") == 8, timeout_s=90, what="all good ones are recovered")
    [back] = manager.ask("/api/v1/messages?q=state:open")["items"]
    assert (back["object_key"], back["attempts"], back["retries"], back["redrives"]) == (BAD[0], 2, 1, 0)
    assert (back["kind"], manager.count("state:any")) == ("USER_ERROR", 9)
    assert audited(site, "confirm") == sorted(f"outage-{number}" for number in range(8))
    assert len(audited(site, "retry")) == 9
    assert f'dlq_retries_total{{result="sent"}} {9.0}' in manager.ask("/metrics")

    fail(site, BAD[1:], "race")

    def are_back() -> bool:
        dlq(site, "redrive", "--kind", "RECOVERABLE", "--yes")
        return bool(manager.count("state:open%20kind:USER_ERROR") == 6)

    wait_until(are_back, timeout_s=60, what="all bad ones are back")
    items = [one for one in manager.ask("/api/v1/messages")["items"] if one["identity"].startswith("race")]
    assert [(one["attempts"], one["retries"] + one["redrives"]) for one in items] == [(2, 1)] * 5
    assert not manager.events("thread.died")
