"""The worker catches up by itself after an outage of the index: it is enough to restore the index."""

import time
from collections.abc import Iterator

import pytest

from testing.site import Site, make_site
from testing.waiting import wait_until
from testing.worker import running
from tests.support.size import sized
from worker.core.s3.state import CONTROL_PREFIX, RETRY_PREFIX

MESSAGES = sized(6_000, usual=900)
CHANGED = 50
HEALED_WITHIN_S = 60


@pytest.fixture
def site(seaweedfs, elasticmq, opensearch) -> Iterator[Site]:
    made = make_site(seaweedfs, elasticmq, opensearch)
    yield made
    made.close()


def fill(site: Site) -> dict[str, str]:
    """Put `count` small objects and send their events; etags by key."""
    keys = [f"docs/{number:05}.txt" for number in range(MESSAGES)]
    etags = site.put_all({key: f"text of {key}" for key in keys})
    site.send_all(keys)
    return etags


@pytest.mark.slow("the index dies, starts again, and what waited is replayed")
@pytest.mark.timeout(300)
def test_an_outage_of_the_index_heals_by_itself_within_a_minute(site, opensearch, tmp_path):
    etags = fill(site)
    with running(site.env, tmp_path) as worker:
        wait_until(lambda: site.count() >= MESSAGES // 12, 60, "the first documents")
        opensearch.kill()
        try:
            site.wait_empty(120)
            waited = [record["key"] for record in site.state_records(RETRY_PREFIX)[: 2 * CHANGED]]
            overwritten, removed = waited[:CHANGED], waited[CHANGED:]
            for key in overwritten:  # S3's events of these are lost on purpose: a replay observes S3 itself
                etags[key] = site.put(key, f"another text of {key}, written during the outage")
            for key in removed:
                site.s3.delete_object(Bucket=site.bucket, Key=key)
                del etags[key]
            stored = len(site.state_keys(RETRY_PREFIX))
        finally:
            opensearch.restart()
        back = time.monotonic()
        wait_until(lambda: not site.has_state(RETRY_PREFIX), HEALED_WITHIN_S, "an empty retry-index/")
        took = time.monotonic() - back
        print(f"\n{stored} records healed {took:.1f} s after the index was back")
        assert stored >= MESSAGES // 3
        assert {key: document["etag"] for key, document in site.documents().items()} == etags
        finished = worker.events("replay.finished")
        assert sum(line["counts"].get("rebuilt", 0) for line in finished) >= CHANGED
        assert sum(line["counts"].get("removed", 0) for line in finished) >= CHANGED
        assert site.dead_letters() == []
        wait_until(lambda: not site.has_state(f"{CONTROL_PREFIX}replay-lease"), 10, "the released lease")
        assert worker.stop() == 0


def test_what_waits_when_a_worker_starts_is_indexed_and_two_workers_take_turns(site, opensearch, tmp_path):
    keys = [f"late/{number:03}.txt" for number in range(100)]
    site.put_all(dict.fromkeys(keys, "text"))
    opensearch.pause()
    try:
        with running({**site.env, "INDEX_TIMEOUT_S": "2"}, tmp_path, name="before") as worker:
            site.send_all(keys)
            site.wait_empty(60)
            assert worker.stop() == 0
    finally:
        opensearch.resume()
    assert len(site.state_keys(RETRY_PREFIX)) == len(keys)
    with running(site.env, tmp_path, name="one") as one, running(site.env, tmp_path, name="two") as two:
        wait_until(lambda: not site.has_state(RETRY_PREFIX), HEALED_WITHIN_S, "an empty retry-index/")
        assert (one.stop(), two.stop()) == (0, 0)
        runs = [line["counts"] for worker in (one, two) for line in worker.events("replay.finished")]
        assert sum(counts.get("replayed", 0) for counts in runs) == len(keys)
    assert site.documents().keys() == set(keys)
