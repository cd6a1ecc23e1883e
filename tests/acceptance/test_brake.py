"""A bad deploy fails everything: the worker stops by itself, a restart does not matter, and nothing is lost."""

import json
import os
import shlex
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from recovery.cli.main import main as dlq
from testing.ports import free_ports
from testing.process import LOOPBACK
from testing.site import Site, make_site
from testing.waiting import wait_until
from testing.worker import running
from tests.support.in_process import run_in_process
from worker.brake import MIN_FAILED
from worker.cli import main
from worker.core.s3.brakes import BRAKES_PREFIX
from worker.core.s3.workers import WORKERS_PREFIX

MESSAGES = 200
DEAD = MIN_FAILED + 1
BUG = """
from worker.core.base import retry
from worker.core.indexing.pipeline import Pipeline

retry.SHORTEST_RELEASE_S = retry.LONGEST_RELEASE_S = 1  # a test cannot wait for a minute

def document(self, snapshot):
    raise KeyError("title")

{bug}Pipeline.document = document
"""


@pytest.fixture
def site(seaweedfs, elasticmq, opensearch) -> Iterator[Site]:
    made = make_site(seaweedfs, elasticmq, opensearch)
    yield made
    made.close()


def deploy(folder: Path, env: dict[str, str], *, has_bug: bool) -> dict[str, str]:
    """The environment of a worker that Python itself breaks, or does not."""
    (folder / "sitecustomize.py").write_text(BUG.format(bug="" if has_bug else "# "))
    path = f"{folder}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    return {**env, "PAUSE_POLL_S": "1", "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}


def dead(site: Site) -> int:
    attributes = site.sqs.get_queue_attributes(QueueUrl=site.queues.dlq, AttributeNames=["ApproximateNumberOfMessages"])
    return int(attributes["Attributes"]["ApproximateNumberOfMessages"])


def asked(port: int, path: str) -> str:
    with urllib.request.urlopen(f"http://{LOOPBACK}:{port}/{path}", timeout=5) as answer:
        text: str = answer.read().decode()
    return text


def record(site: Site, worker: Any) -> dict[str, Any]:
    found = [one for one in site.state_records(WORKERS_PREFIX) if one["pid"] == worker.pid]
    return found[0] if found else {}


@pytest.mark.timeout(300)
def test_a_bad_deploy_dead_letters_a_few_messages_and_resume_and_the_printed_command_index_everything(site, tmp_path):
    keys = [f"docs/{number:03}.txt" for number in range(MESSAGES)]
    site.put_all(dict.fromkeys(keys, "text"))
    [port] = free_ports(1)
    bad = deploy(tmp_path, {**site.env, "METRICS_PORT": str(port)}, has_bug=True)
    with running(bad, tmp_path) as worker:
        site.send_all(keys)
        [applied] = worker.wait_for(lambda: worker.events("brake.applied"), timeout_s=30, what="the brake")
        wait_until(lambda: dead(site) == DEAD, 20, "the dead letters")
        wait_until(lambda: site.has_state(BRAKES_PREFIX), 10, "the record of the brake")
        assert (applied["failed"], applied["of"]) == (DEAD, DEAD)
        assert "worker_brake_on 1.0" in asked(port, "metrics")
        health = json.loads(asked(port, "healthz"))
        assert (health["brake_on"], health["state"]) == (True, "resting")
        wait_until(lambda: record(site, worker).get("brake_reason"), 20, "the worker's record")
        stats = run_in_process(dlq, site.env, "stats")
        assert "31 × KeyError: 'title'" in stats.stdout
        assert worker.stop() == 0

    with running(bad, tmp_path) as worker:  # systemd or a human starts the same deploy again
        assert worker.events("gate.shut", name="brake")
        site.send("docs/000.txt")
        wait_until(lambda: site.depth()[0] == MESSAGES - DEAD + 1, 20, "all others in the queue")
        assert worker.stop() == 0
    assert (dead(site), site.count()) == (DEAD, 0)

    with running(deploy(tmp_path, site.env, has_bug=False), tmp_path) as worker:
        assert site.count() == 0
        resumed = run_in_process(main, site.env, "resume")
        assert resumed.returncode == 0
        assert "31 of 31 messages had failed" in resumed.stderr
        wait_until(lambda: site.count() == MESSAGES - DEAD + 1, 60, "what had stayed in the queue")
        [command] = [line.partition(": ")[2] for line in resumed.stderr.splitlines() if "send them again" in line]
        program, *args = shlex.split(command)
        assert program == "dlq"
        assert run_in_process(dlq, site.env, *args, "--yes").returncode == 0
        wait_until(lambda: site.count() == MESSAGES, 60, "every document")
        assert worker.stop() == 0
    assert site.dead_letters() == []
    assert not site.has_state(BRAKES_PREFIX)
