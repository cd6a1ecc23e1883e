"""What becomes unavailable during the work: the index, S3, the worker itself."""

import signal
import time
from collections.abc import Iterator
from datetime import datetime

import pytest

from testing.site import Site, make_site
from testing.waiting import wait_until
from testing.worker import WorkerProcess, running
from tests.support.fickle import FickleEndpoint
from tests.support.in_process import run_in_process
from tests.support.size import sized
from worker.cli import main

MESSAGES = sized(5_000, usual=1_000)


@pytest.fixture
def site(seaweedfs, elasticmq, opensearch) -> Iterator[Site]:
    made = make_site(seaweedfs, elasticmq, opensearch)
    yield made
    made.close()


def fill(site: Site, count: int = MESSAGES) -> list[str]:
    """Put `count` small objects and send their events."""
    keys = [f"docs/{number:05}.txt" for number in range(count)]
    site.put_all({key: f"text of {key}" for key in keys})
    site.send_all(keys)
    return keys


def settled_at(worker: WorkerProcess) -> list[float]:
    return [datetime.fromisoformat(line["timestamp"]).timestamp() for line in worker.events("message.settled")]


def when(worker: WorkerProcess, event: str, **fields: str) -> float:
    return datetime.fromisoformat(worker.events(event, **fields)[0]["timestamp"]).timestamp()


def count_between(moments: list[float], begin: float, end: float) -> int:
    return sum(begin <= moment < end for moment in moments)


@pytest.mark.slow("the index is away for as long as a thousand messages take without it, and then starts again")
@pytest.mark.parametrize("how", ["kill", pytest.param("pause", marks=pytest.mark.extended)])
def test_an_index_that_becomes_unavailable_delays_nothing_and_loses_nothing(site, opensearch, tmp_path, how):
    keys = fill(site)
    with running(site.env, tmp_path) as worker:
        wait_until(lambda: site.count() >= MESSAGES // 5, 60, "the first documents")
        gone = time.time()
        getattr(opensearch, how)()
        site.wait_empty(120)
        opened = when(worker, "breaker.opened", breaker="index")
        moments = settled_at(worker)
        assert worker.stop() == 0
    opensearch.restart() if how == "kill" else opensearch.resume()
    assert opened - gone <= 5
    before = count_between(moments, min(moments), gone) / (gone - min(moments))
    after = count_between(moments, opened, max(moments) + 1e-6) / (max(moments) - opened)
    print(f"\n{how}: opened after {opened - gone:.1f} s; {before:.0f}/s before, {after:.0f}/s after")
    assert after >= before / 2
    assert site.dead_letters() == []
    waiting = {record["key"] for record in site.state_records("retry-index/")}
    held = set(wait_until(site.documents, 30, "documents"))
    assert held | waiting == set(keys)


@pytest.mark.slow("three workers; what the killed one had in flight comes back after 5 s")
def test_sigterm_drains_and_then_kill_9_loses_nothing(site, tmp_path):
    keys = fill(site)
    with running(site.env, tmp_path, name="first") as worker:
        wait_until(lambda: site.count() >= MESSAGES // 5, 60, "the first documents")
        began = time.monotonic()
        worker.send(signal.SIGTERM)
        assert worker.wait() == 0
        took = time.monotonic() - began
    visible, in_flight, _ = site.depth()
    print(f"\nSIGTERM: exit 0 after {took:.1f} s; {visible} visible, {in_flight} in flight")
    assert took < 30
    assert in_flight == 0
    assert visible + len(site.documents()) >= MESSAGES
    hurried = ("tests.chaos.hurried", "worker", "run")  # allows a visibility timeout of 5 s; the least is 30 s
    env = {**site.env, "SQS_VISIBILITY_TIMEOUT": "5"}
    with running(env, tmp_path, name="second", module=hurried) as worker:
        wait_until(lambda: site.count() >= MESSAGES * 3 // 5, 60, "more than half of the documents")
        worker.kill()
    with running(site.env, tmp_path, name="third"):
        site.wait_empty(120)
    assert set(site.documents()) == set(keys)
    assert site.dead_letters() == []


def test_an_endpoint_that_answers_404_to_everything_removes_nothing(site, tmp_path):
    endpoint = FickleEndpoint(site.env["AWS_ENDPOINT_URL_S3"])
    keys = [f"{number}.txt" for number in range(30)]
    for key in keys:
        site.put(key)
    site.send_all(keys)
    try:
        with running({**site.env, "AWS_ENDPOINT_URL_S3": endpoint.url}, tmp_path) as worker:
            site.wait_empty()
            endpoint.lose_everything()
            site.send_all(keys, "ObjectRemoved:Delete")
            worker.wait_for(lambda: worker.events("gate.shut", name="s3"), timeout_s=30, what="that S3 is unavailable")
            time.sleep(2)
            assert set(site.documents()) == set(keys)
            endpoint.come_back()
            worker.wait_for(
                lambda: worker.events("gate.cleared", name="s3"), timeout_s=30, what="that S3 is available again"
            )
            assert site.dead_letters() == []
            assert set(site.documents()) == set(keys)
            assert worker.stop() == 0
    finally:
        endpoint.close()


def test_a_mistyped_bucket_stops_the_worker_at_start_up(site, tmp_path):
    site.put("a.txt")
    site.send("a.txt")
    worker = WorkerProcess({**site.env, "S3_BUCKET": "no-such-bucket-here"}, tmp_path)
    with pytest.raises(AssertionError, match="S3_BUCKET=no-such-bucket-here"):
        worker.start()
    assert worker.wait() == 78
    assert site.depth()[0] == 1


def test_a_fleet_that_is_paused_polls_no_more_until_it_is_resumed(site, tmp_path):
    with running({**site.env, "PAUSE_POLL_S": "1"}, tmp_path) as worker:
        assert run_in_process(main, site.env, "pause", "--reason", "保守").returncode == 0
        worker.wait_for(lambda: worker.events("gate.shut", name="paused"), timeout_s=15, what="the pause")
        time.sleep(1.5)  # an open poll of one second may still bring a message
        site.put("later.txt")
        site.send("later.txt")
        time.sleep(2)
        assert site.depth()[0] == 1
        assert run_in_process(main, site.env, "resume").returncode == 0
        site.wait_empty(15)
    assert set(site.documents()) == {"later.txt"}
