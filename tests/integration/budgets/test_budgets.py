"""Budgets with real workers and servers: three of them on one cap, one killed; a cap on a prefix, over midnight and raised."""

import json
from contextlib import ExitStack

import pytest

from testing.waiting import wait_until
from testing.worker import run_cli, running

CUSTOM = """
import os
import worker.budgets
from worker.core.base import clock, retry
from worker.core.s3 import store
worker.budgets.REFRESH_S = 0.5
retry.SHORTEST_RELEASE_S, retry.LONGEST_RELEASE_S = 1, 2

reads = os.open({folder!r} + "/reads", os.O_APPEND | os.O_CREAT | os.O_WRONLY)
read = store.S3ObjectStore.read
def counted(self, bucket, key, **more):
    os.write(reads, b".")
    return read(self, bucket, key, **more)
store.S3ObjectStore.read = counted

now_ms = clock.S3Clock.now_ms
def shifted(self):
    return now_ms(self) + 86_400_000 * os.path.getsize({folder!r} + "/midnights")
clock.S3Clock.now_ms = shifted
"""
"""A sitecustomize: reads are counted in a file, S3's clock is as many days ahead as another file has bytes, and waits are
short."""
HELD = "retry-index/held/"


class Life:
    """What the workers of a test have in common."""

    def __init__(self, site, folder, caps):
        self.site, self.folder = site, folder
        (folder / "sitecustomize.py").write_text(CUSTOM.format(folder=str(folder)))
        (folder / "midnights").touch()
        self.env = {
            **site.env, "PYTHONPATH": f"{folder}:.", "BUDGET_CAPS": caps, "SQS_VISIBILITY_TIMEOUT": "30",
            "PAUSE_POLL_S": "1", "BULK_WAIT_MS": "10",
        }  # fmt: skip

    @property
    def reads(self):
        return (self.folder / "reads").stat().st_size

    def midnight(self):
        with (self.folder / "midnights").open("a") as file:
            file.write(".")

    def budget(self, *options):
        done = run_cli(self.env, "budget", "--json", *options)
        assert done.returncode == 0, done.stderr
        return {one["cap"]: one for one in json.loads(done.stdout)["caps"]}


@pytest.mark.slow("a killed worker's messages reappear after their visibility timeout, half a minute")
def test_three_workers_one_of_them_killed_stay_within_a_cap_pause_and_go_on_when_it_is_raised(site, tmp_path):
    life, cap, objects = Life(site, tmp_path, "objects=600"), 600, 900
    keys = [f"{number:03}.txt" for number in range(objects)]
    site.put_all(dict.fromkeys(keys, "text"))
    with ExitStack() as stack:
        workers = [stack.enter_context(running(life.env, tmp_path, name=name)) for name in ("one", "two", "three")]
        site.send_all(keys)
        wait_until(lambda: life.reads > 200, 30, "a third of the cap")
        workers[0].kill()
        for worker in workers[1:]:
            [shut] = worker.wait_for(lambda one=worker: one.events("gate.shut"), timeout_s=60, what="a pause")
            assert "today's budget of objects is used up" in shut["reason"]
        assert cap * 0.97 <= life.reads <= cap * 1.01, "the killed worker's slice is lost for the day"
        found = life.budget()["objects"]
        assert (found["used"], found["left"]) == (600, 0)
        assert any(worker.events("budget.counted", level="warning") for worker in workers)

        life.budget("--raise", "objects=1000")
        wait_until(lambda: site.count() == objects, 60, "all documents")
        site.wait_empty(60)
        assert all(worker.events("gate.cleared", name="budget") for worker in workers[1:])
        assert all(worker.stop() == 0 for worker in workers[1:])
    assert life.reads <= 1_600
    assert life.budget()["objects"]["used"] >= life.reads, "what was read is counted"
    assert site.dead_letters() == []


def test_objects_over_the_cap_of_their_prefix_are_held_and_read_the_next_day_or_once_it_is_raised(site, tmp_path):
    cap = f"s3://{site.bucket}/legal/:objects"
    life = Life(site, tmp_path, f"{cap}=5")
    legal, other = [[f"{folder}/{number:02}.txt" for number in range(20)] for folder in ("legal", "other")]
    site.put_all(dict.fromkeys(legal + other, "text"))
    with running(life.env, tmp_path) as worker:
        site.send_all(legal + other)
        site.wait_empty(60)
        wait_until(lambda: site.count() == 25, 20, "the others, and five")
        assert set(other) <= site.documents().keys()
        assert len(site.state_keys(HELD)) == life.budget()[cap]["held"] == 15
        assert worker.events("gate.shut") == []

        gone, changed = sorted(set(legal) - site.documents().keys())[:2]
        site.s3.delete_object(Bucket=site.bucket, Key=gone)
        etag = site.put(changed, "another text")

        life.midnight()
        wait_until(lambda: len(site.state_keys(HELD)) == 10, 40, "five more, read the next day")
        life.budget("--raise", f"{cap}=100")
        wait_until(lambda: not site.state_keys(HELD), 40, "nothing held")
        wait_until(lambda: site.count() == 39, 20, "every document")
        found = site.documents()
        assert gone not in found
        assert found[changed]["etag"] == etag
        assert worker.stop() == 0
    assert site.state_keys("retry-index/") == []
    assert site.dead_letters() == []


def test_without_caps_nothing_is_asked(site, tmp_path):
    site.put("a.txt")
    with running(site.env, tmp_path) as worker:
        site.send("a.txt")
        wait_until(lambda: site.count() == 1, 20, "the document")
        assert worker.stop() == 0
    assert not site.has_state("s3-index-worker/budgets/")
