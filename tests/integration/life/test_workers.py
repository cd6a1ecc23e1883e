"""A worker's record in the state bucket, over a real worker's life: what it says, and that nothing waits for it."""

import json

import pytest

from testing.waiting import wait_until
from testing.worker import WorkerProcess, run_module, running
from tests.support.fickle import FickleEndpoint
from tests.support.in_process import run_in_process
from worker.cli import main
from worker.core.s3.workers import FRESH_MS, WorkerRecord

PREFIX = "s3-index-worker/workers/"
QUICK = """
import worker.announcer
worker.announcer.MIN_GAP_S, worker.announcer.INTERVAL_S = 0.2, 2
"""
"""A sitecustomize: the record is written every two seconds."""


@pytest.fixture
def quick(site, tmp_path):
    (tmp_path / "sitecustomize.py").write_text(QUICK)
    return {**site.env, "PYTHONPATH": f"{tmp_path}:.", "PAUSE_POLL_S": "1", "WORKER_NAME": "倉庫/1"}


def record(site):
    found = site.state_records(PREFIX)
    assert len(found) <= 1
    return found[0] if found else {}


def becomes(site, state, timeout_s=20):
    wait_until(lambda: record(site).get("state") == state, timeout_s, f"a record that says {state}")
    return record(site)


def test_a_worker_says_that_it_serves_is_paused_and_has_stopped(site, quick, tmp_path):
    site.put("a.txt")
    with running(quick, tmp_path) as worker:
        first = becomes(site, "serving")
        assert (first["name"], first["pid"]) == ("倉庫/1", worker.pid)
        assert [first["source_queue"], first["dlq"]] == [
            url.rsplit("/", 1)[-1] for url in (site.queues.source, site.queues.dlq)
        ]
        site.send("a.txt")
        site.send_body("noise")
        wait_until(
            lambda: record(site)["figures"]["failed"] == record(site)["figures"]["done"] == 1, 20, "both counted"
        )
        assert record(site)["last_poll_at_ms"] > first["since_ms"] == record(site)["since_ms"]

        assert run_in_process(main, site.env, "pause", "--reason", "索引の更新").returncode == 0
        paused = becomes(site, "paused")
        assert "索引の更新" in paused["pause_reason"]
        assert paused["since_ms"] > first["since_ms"]
        assert run_in_process(main, site.env, "resume").returncode == 0
        becomes(site, "serving")
        assert worker.stop() == 0
        stopped = record(site)
        assert (stopped["state"], stopped["exit_code"], stopped["in_flight"]) == ("stopped", 0, 0)


def test_a_breaker_that_opens_is_resting_with_its_reason(site, quick, tmp_path):
    site.put("a.txt")
    endpoint = FickleEndpoint(site.index_url)
    try:
        with running({**quick, "INDEX_URL": endpoint.url, "INDEX_PROBE_S": "0.5"}, tmp_path):
            becomes(site, "serving")
            endpoint.close()
            for _ in range(3):
                site.send("a.txt")
            resting = becomes(site, "resting", 30)
            assert resting["breakers"]["index"]
            assert resting["open_breakers"] == 1
    finally:
        endpoint.close()


def test_a_killed_worker_leaves_a_record_that_grows_old_and_dlq_stats_shows_it_as_lost(site, quick, tmp_path):
    with running(quick, tmp_path) as worker:
        becomes(site, "serving")
        worker.kill()
    left = record(site)
    assert left["state"] == "serving"
    read = WorkerRecord.from_json(left, name="x")
    assert read.written_at_ms == left["written_at_ms"]
    [key] = site.state_keys(PREFIX)

    def shown():
        done = run_module("recovery.cli", site.env, "stats", "--json", timeout_s=90)
        assert done.returncode == 0, done.stderr
        [one] = json.loads(done.stdout)["workers"]
        return one["alive"], one["lost"]

    assert shown() == (True, False), "for three minutes nobody can tell"
    old = {**left, "written_at_ms": left["written_at_ms"] - FRESH_MS}
    site.s3.put_object(Bucket=site.state_bucket, Key=key, Body=json.dumps(old).encode())
    assert shown() == (False, True)


def test_two_workers_with_one_name_in_their_settings_have_two_records(site, quick, tmp_path):
    with (
        running({**quick, "WORKER_INSTANCE": "1"}, tmp_path, name="one") as one,
        running({**quick, "WORKER_INSTANCE": "2"}, tmp_path, name="two") as two,
    ):
        wait_until(lambda: len(site.state_keys(PREFIX)) == 2, 20, "two records")
        assert {found["name"]: found["pid"] for found in site.state_records(PREFIX)} == {
            "倉庫/1@1": one.pid, "倉庫/1@2": two.pid
        }  # fmt: skip


REFUSED = """
from worker.core.base.errors import StoreError
from worker.core.s3.state import S3State
put = S3State.put
def refused(self, key, record, **more):
    if key.startswith("s3-index-worker/workers/"):
        raise StoreError("denied", code="AccessDenied")
    return put(self, key, record, **more)
S3State.put = refused
"""
UNANSWERED = REFUSED.replace('raise StoreError("denied", code="AccessDenied")', "__import__('time').sleep(600)")
"""Sitecustomizes: the state bucket refuses the record, or does not answer."""


@pytest.mark.parametrize(("how", "lines"), [(REFUSED, 1), (UNANSWERED, 0)], ids=["refuses", "does not answer"])
def test_a_state_bucket_that_refuses_the_record_disturbs_nothing(site, quick, tmp_path, how, lines):
    (tmp_path / "sitecustomize.py").write_text(QUICK + how)
    site.put("a.txt")
    worker = WorkerProcess(quick, tmp_path)
    try:
        worker.start()
        site.send("a.txt")
        wait_until(lambda: site.documents().keys() == {"a.txt"}, 20, "the document")
        wait_until(lambda: len(worker.events("worker.record_failed", code="AccessDenied")) == lines, 10, "the line")
        assert worker.stop() == 0
        assert len(worker.events("worker.record_failed")) == lines, "once, not at every try"
        assert worker.events("worker.stopped", left=0)
        assert site.state_keys(PREFIX) == []
    finally:
        worker.kill()
