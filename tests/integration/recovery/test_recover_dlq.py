"""`recover_dlq` as an operator runs it, on the real servers: its results and exit codes."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from recovery.cli.recover_dlq import main
from testing.aws import queue_depth
from testing.dead_letters import expected, fill_dlq, kept_keys
from testing.site import Site, make_site
from testing.waiting import wait_until
from testing.worker import base_env
from tests.support.in_process import run_in_process
from tests.support.signals import ENDINGS
from tests.support.size import sized
from worker.cli import main as worker

MODULE = "recovery.cli.recover_dlq"
HURRIED = "tests.chaos.hurried"
"""With it, what a killed run held is visible again after 5 s instead of 120."""


@pytest.fixture
def site(seaweedfs, elasticmq, opensearch) -> Iterator[Site]:
    made = make_site(seaweedfs, elasticmq, opensearch)
    yield made
    made.close()


def filled(site: Site, count: int) -> list[str]:
    keys = [f"帳票/{number:05}.txt" for number in range(count)]
    etags = site.put_all({key: f"text of {key}" for key in keys})
    fill_dlq(site, keys, etags, endpoint=site.env["AWS_ENDPOINT_URL_SQS"])
    return keys


def recover(site: Site, *options: str, **env: str) -> "subprocess.CompletedProcess[str]":
    return run_in_process(main, {**site.env, **env}, *options)


def dlq_depth(site: Site) -> tuple[int, int, int]:
    return queue_depth(site.sqs, site.queues.dlq)


def test_a_recovery_empties_the_dlq_and_its_summary_matches_the_servers(site):
    keys = filled(site, 400)
    done = recover(site, "--batch-size", "50", "--json")
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert {name: summary[name] for name in expected(400)} == expected(400)
    assert site.documents().keys() == set(kept_keys(keys))
    assert dlq_depth(site) == (0, 0, 0)
    assert len(site.state_keys("dlq-archive/")) == expected(400)["archived"]
    assert site.state_keys("retry-index/") == []


def test_a_dry_recovery_leaves_everything_unchanged_and_visible(site):
    filled(site, 60)
    before = site.documents()
    done = recover(site, "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "dry run: nothing was written, deleted or left hidden" in done.stdout
    assert dlq_depth(site) == (60, 0, 0)
    assert (site.documents(), site.state_keys("")) == (before, [])
    summary = json.loads(recover(site, "--dry-run", "--json").stdout)
    assert {name: summary[name] for name in expected(60)} == expected(60)


def test_two_recoveries_at_once_do_no_harm(site):
    keys = filled(site, 400)
    command = [sys.executable, "-m", MODULE, "--batch-size", "20", "--json"]
    runs = [
        subprocess.Popen(command, env={**base_env(), **site.env}, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        for _ in range(2)
    ]
    summaries = [json.loads(run.communicate(timeout=120)[0]) for run in runs]
    assert sum(summary["handled"] for summary in summaries) >= 400
    assert {run.returncode for run in runs} <= {0, 3}
    assert site.documents().keys() == set(kept_keys(keys))
    assert len(site.state_keys("dlq-archive/")) == expected(400)["archived"]
    assert dlq_depth(site) == (0, 0, 0)


def test_a_recovery_changes_nothing_if_the_index_is_unavailable_at_the_start(site, opensearch):
    filled(site, 20)
    opensearch.pause()
    try:
        done = recover(site, INDEX_TIMEOUT_S="2")
    finally:
        opensearch.resume()
    assert done.returncode == 69, done.stderr
    assert "Nothing was touched" in done.stderr
    assert "Traceback" not in done.stderr
    assert dlq_depth(site) == (20, 0, 0)


def test_recovery_is_refused_while_the_fleet_is_paused(site):
    filled(site, 20)
    assert run_in_process(worker, site.env, "pause", "--reason", "索引の更新").returncode == 0
    done = recover(site)
    assert (done.returncode, "索引の更新" in done.stderr) == (75, True)
    assert dlq_depth(site) == (20, 0, 0)
    assert recover(site, "--while-paused", "--yes").returncode == 0
    assert dlq_depth(site) == (0, 0, 0)


@pytest.mark.parametrize(
    ("options", "env", "code", "message"),
    [
        (["--batch-size", "0"], {}, 64, "--batch-size"),
        (["--batch-size", "1001"], {}, 64, "--batch-size"),
        (["--older-than", "soon"], {}, 64, "--older-than"),
        (["--kind", "nonsense"], {}, 64, "--kind"),
        (["--frobnicate"], {}, 64, "--frobnicate"),
        ([], {"DLQ_QUEUE_URL": ""}, 78, "DLQ_QUEUE_URL"),
        ([], {"STATE_BUCKET": "no-such-bucket-here"}, 78, "no-such-bucket-here"),
    ],
)
def test_mistyped_options_of_recover_dlq_are_named_without_a_stack_trace(site, options, env, code, message):
    done = recover(site, *options, **env)
    assert done.returncode == code, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_messages_in_flight_elsewhere_are_reported(site):
    filled(site, 20)
    in_flight = site.sqs.receive_message(QueueUrl=site.queues.dlq, MaxNumberOfMessages=10)["Messages"]
    done = recover(site)
    assert done.returncode == 3, done.stderr
    assert "held by another command" in done.stdout
    assert dlq_depth(site) == (0, len(in_flight), 0)


@pytest.mark.parametrize(("number", "code"), ENDINGS)
def test_a_signal_lets_a_recovery_finish_its_batches_and_releases_the_rest(site, number, code):
    keys = filled(site, 400)
    process = subprocess.Popen(
        [sys.executable, "-m", MODULE, "--batch-size", "5", "--rate", "100", "--json"],
        env={**base_env(), **site.env},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    wait_until(lambda: sum(dlq_depth(site)) < 380, 30, "some work done")
    process.send_signal(number)
    out, _ = process.communicate(timeout=30)
    assert process.returncode == code
    summary = json.loads(out)
    visible, hidden, _ = dlq_depth(site)
    assert (hidden, visible) == (0, 400 - summary["handled"])
    assert recover(site).returncode == 0
    assert site.documents().keys() == set(kept_keys(keys))


@pytest.mark.slow("a run is killed three times; what it held comes back after 5 s")
def test_repeated_kill_9_loses_nothing_and_archives_nothing_twice(site):
    keys = filled(site, 400)
    env = {**base_env(), **site.env}
    for _ in range(sized(10, usual=3)):
        process = subprocess.Popen(
            [sys.executable, "-m", HURRIED, MODULE, "--batch-size", "5", "--rate", "60"],
            env=env,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        before = dlq_depth(site)
        wait_until(lambda: dlq_depth(site) != before or process.poll() is not None, 20, "some work")  # noqa: B023
        time.sleep(0.2)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    wait_until(lambda: dlq_depth(site)[1] == 0, 60, "messages of the killed runs to become visible")
    assert recover(site).returncode == 0
    assert site.documents().keys() == set(kept_keys(keys))
    assert len(site.state_keys("dlq-archive/")) == expected(400)["archived"]
    assert dlq_depth(site) == (0, 0, 0)
