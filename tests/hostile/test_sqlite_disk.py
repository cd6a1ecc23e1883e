"""Attack 6: the index in a file, whose disk is full or read-only. Documents wait in retry-index/, and come in by themselves."""

import contextlib
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from testing.site import Site, make_site
from testing.waiting import wait_until
from testing.worker import WorkerProcess, running
from tests.hostile.test_worker import fill
from worker.core.base.errors import IndexUnavailableError
from worker.core.base.settings import load
from worker.core.index.open import open_index


@pytest.fixture
def site(seaweedfs, elasticmq, opensearch) -> Iterator[Site]:
    with closing(make_site(seaweedfs, elasticmq, opensearch)) as made:
        yield made


KEYS = [f"{number}.txt" for number in range(20)]


def env_of(site: Site, disk: Path) -> dict[str, str]:
    for key in KEYS:
        site.put(key, f"text of {key} " * 3_000)
    return {**site.env, "INDEX_URL": f"sqlite:///{disk}/index.db", "INDEX_PROBE_S": "1"}


def are_all_found(site: Site, env: dict[str, str]) -> bool:
    settings = load(**{name.lower(): value for name, value in env.items() if not name.startswith("AWS_")})
    with closing(open_index(settings)) as index, contextlib.suppress(IndexUnavailableError):
        return None not in index.stored([(site.bucket, key) for key in KEYS])
    return False


def check_that_all_wait(site: Site, worker: WorkerProcess) -> None:
    wait_until(
        lambda: len(worker.events("message.settled", note="stored_for_retry")) == len(KEYS), 40, "all to be stored"
    )
    assert sorted(site.state_record(name)["key"] for name in site.state_keys("retry-index/")) == sorted(KEYS)


def check_that_all_come_in(site: Site, env: dict[str, str]) -> None:
    wait_until(lambda: are_all_found(site, env), 60, "every document")
    wait_until(lambda: site.state_keys("retry-index/") == [], 20, "no record left")
    site.wait_empty()
    assert site.dead_letters() == []


def test_a_full_disk_under_the_index_makes_documents_wait_and_they_come_in_when_there_is_room(
    site, small_disk, tmp_path
):
    env = env_of(site, small_disk)
    with running(env, tmp_path) as worker:
        fill(small_disk / "filler")
        site.send_all(KEYS)
        check_that_all_wait(site, worker)
        assert all("disk is full" in site.state_record(name)["reason"] or "unavailable" in site.state_record(name)["reason"]
                   for name in site.state_keys("retry-index/"))  # fmt: skip
        wait_until(lambda: worker.events("breaker.probe_failed"), 40, "a probe that sees the full disk")
        assert worker.events("breaker.closed") == []
        (small_disk / "filler").unlink()
        check_that_all_come_in(site, env)
        assert worker.stop() == 0


def test_a_read_only_folder_of_the_index_makes_documents_wait_and_they_come_in_when_it_is_writable(
    site, small_disk, tmp_path
):
    env = env_of(site, small_disk)
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with running(env, tmp_path) as worker:
        site.send_all(KEYS)
        check_that_all_wait(site, worker)
        subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)
        check_that_all_come_in(site, env)
        assert worker.stop() == 0
