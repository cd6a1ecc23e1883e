"""config/iam/manager.json against the calls that `dlq-manager` really makes: each is allowed, and no permission is unused."""

import json
import time
from functools import partial

from testing import failures
from testing.aws import queue_depth
from testing.waiting import wait_until
from testing.worker import run_module
from tests.integration.dlq.verbs import dlq
from tests.integration.manager_process.conftest import SERVE
from tests.integration.manager_process.test_operations import operation, start
from tests.support.awscalls import Recorder, allowed, idle_actions, idle_resources, needed
from tests.support.faults import refusal
from worker.core.index.sqlite import SqliteIndex
from worker.core.s3.workers import WorkerRecord, WorkerState

ROLE = "manager"
COUNT = 12


def test_the_policy_allows_what_serve_rebuild_and_doctor_call_and_nothing_else(
    site, elasticmq, manager_of, fault_proxy, tmp_path
):
    recorder = Recorder(tmp_path / "calls")
    env = {
        **recorder.env(ROLE), "AWS_ENDPOINT_URL_S3": fault_proxy.urls["s3"], "MANAGER_PORT": "0", "RETRY_FIRST_S": "1",
        "INDEX_URL": f"sqlite:///{tmp_path}/index.sqlite", "OWNERS": "*=json://127.0.0.1:9/nobody",
    }  # fmt: skip
    SqliteIndex(tmp_path / "index.sqlite", timeout_s=10).ensure()
    first, second = ({**env, "LEDGER_URL": f"sqlite:///{tmp_path}/{name}.sqlite"} for name in ("first", "second"))

    manager = manager_of(**first).start()
    fault_proxy.rules = [lambda call: refusal("s3", 403) if call.action == "PutObject" else None]
    failures.fill(elasticmq.url, site.queues.dlq, source=site.queues.source, bucket=site.bucket, count=COUNT)
    wait_until(lambda: manager.ask("/health")["intake"]["resting"], timeout_s=60, what="messages were given back")
    fault_proxy.clear()
    wait_until(lambda: _are_in(manager, site), timeout_s=120, what="all are taken in")
    wait_until(lambda: _is_owned(manager), timeout_s=60, what="an owner is recorded")
    viewed = manager.ask("/api/v1/messages")["items"][0]["identity"]
    manager.ask(f"/api/v1/messages/{viewed}/body")
    for verb, q, state in (
        ("redrive", "error:TimeoutError", "sent"), ("abandon", "error:UnreadableFileError", "abandoned"),
        ("restore", "state:abandoned", "abandoned"), ("recover", "kind:UNKNOWN", "any"),
    ):  # fmt: skip
        name = start(manager, verb, q, ramp=False)
        wait_until(partial(_has_ended, manager, name), timeout_s=60, what=f"{verb} has ended")
        assert operation(manager, name)["done"] > 0, (verb, operation(manager, name))
        assert manager.count(f"state:{state}") > 0
    manager.post("/api/v1/fleet/pause", {"reason": "a test"})
    manager.post("/api/v1/fleet/resume")
    assert dlq(site, "abandon", "--error", "QueueError", "--reason", "a test", "--yes").returncode == 0
    worker = WorkerRecord("w1", state=WorkerState.SERVING, written_at_ms=int(time.time() * 1000))
    site.s3.put_object(Bucket=site.state_bucket, Key=worker.key, Body=json.dumps(worker.as_json()).encode())
    wait_until(lambda: manager.count("state:recovered"), timeout_s=60, what="what was retried is confirmed: it is gone")
    manager.stop()
    manager_of(**first).start().stop()  # it reads whose ledger it is, and the audit

    for command in (("rebuild", "--yes"), ("doctor",)):
        done = run_module(SERVE[0], {**site.env, **second}, *command)
        assert done.returncode == 0, done.stderr

    names = {
        f"sqs {site.queues.dlq.rsplit('/', 1)[-1]}": "DLQ", f"sqs {site.queues.source.rsplit('/', 1)[-1]}": "QUEUE",
        f"s3 {site.bucket}": "BUCKET", f"s3 {site.state_bucket}": "STATE-BUCKET",
    }  # fmt: skip
    called = set(needed(recorder.calls(ROLE, names)))
    assert {one for one in called if not allowed(*one, (ROLE,))} == set()
    only_earlier = ("PauseTheFleet", "s3:DeleteObject")  # an earlier version resumes so, after `make rollback`
    assert idle_actions(ROLE, called) == {only_earlier}
    only_if_rejected = ("NameTheLedgerAuditAndArchive", "arn:aws:s3:::STATE-BUCKET/retry-index/*")  # by the index
    assert idle_resources(ROLE, called) == {only_if_rejected}


def _has_ended(manager, name):
    return operation(manager, name)["ended_at"] is not None


def _are_in(manager, site):
    return queue_depth(site.sqs, site.queues.dlq)[:2] == (0, 0) and manager.count("state:any") == COUNT


def _is_owned(manager):
    """Its object was asked who owns it, and the default was written to its record."""
    return any(item["owner"] for item in manager.ask("/api/v1/messages")["items"])
