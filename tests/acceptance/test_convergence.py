"""Two workers on one queue, one of them slow between observation and write, while objects change.

Whatever order the events come in, in the end the index holds what S3 holds, etag by etag.
"""

import random
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from testing.site import Site, make_site
from testing.worker import running
from tests.support.size import sized

KEYS = 200
SECONDS = sized(25, usual=10)
CHANGERS = 4
SLOW = """
import random, time
from worker.core.indexing.pipeline import Pipeline
_document = Pipeline.document
def slowed(self, snapshot, **options):
    if random.random() < 0.5:
        time.sleep(random.random() * 2)
    return _document(self, snapshot, **options)
Pipeline.document = slowed
"""


@pytest.fixture
def site(seaweedfs, elasticmq, opensearch) -> Iterator[Site]:
    made = make_site(seaweedfs, elasticmq, opensearch, versioned=True)
    yield made
    made.close()


def change(site: Site, rng: random.Random, key: str) -> None:
    """Overwrite, remove, or restore (remove the delete marker of) one object, and send its event."""
    action = rng.choice(["put", "put", "remove", "restore"])
    if action == "put":
        site.put(key, f"{key} {rng.random()}")
        site.send(key)
    elif action == "remove":
        site.s3.delete_object(Bucket=site.bucket, Key=key)
        site.send(key, "ObjectRemoved:DeleteMarkerCreated")
    else:
        versions = site.s3.list_object_versions(Bucket=site.bucket, Prefix=key)
        latest = [each for each in versions.get("DeleteMarkers", []) if each["IsLatest"]]
        for marker in latest:
            site.s3.delete_object(Bucket=site.bucket, Key=key, VersionId=marker["VersionId"])
            site.send(key, "ObjectRemoved:Delete")


def change_for_a_while(site: Site, seed: int, keys: list[str], until: float) -> int:
    rng, changes = random.Random(seed), 0
    while time.monotonic() < until:
        change(site, rng, rng.choice(keys))
        changes += 1
    return changes


@pytest.mark.slow("objects change for ten seconds under two workers, one of them slow")
def test_two_workers_converge_to_what_s3_holds(site, tmp_path):
    keys = [f"k/{number:03}.txt" for number in range(KEYS)]
    slow = tmp_path / "slow"
    slow.mkdir()
    (slow / "sitecustomize.py").write_text(SLOW)
    # Each key is changed by one thread, as S3 orders the changes of a key; events are delivered in any order.
    with (
        running(site.env, tmp_path, name="fast"),
        running({**site.env, "PYTHONPATH": f"{slow}:."}, tmp_path, name="slow") as slowed,
        ThreadPoolExecutor(CHANGERS) as pool,
    ):
        until = time.monotonic() + SECONDS  # from here: starting two workers takes a while
        parts = [pool.submit(change_for_a_while, site, n, keys[n::CHANGERS], until) for n in range(CHANGERS)]
        changes = sum(part.result() for part in parts)
        site.wait_empty(60)
        assert slowed.events("message.settled")
    s3_holds: dict[str, str] = {}
    for page in site.s3.get_paginator("list_objects_v2").paginate(Bucket=site.bucket):
        s3_holds.update((found["Key"], found["ETag"].strip('"')) for found in page.get("Contents", []))
    index_holds = {key: document["etag"] for key, document in site.documents().items()}
    print(f"\n{changes} changes of {KEYS} keys in {SECONDS} s; {len(s3_holds)} objects at the end")
    assert threading.active_count() < 50
    assert index_holds == s3_holds
    assert site.dead_letters() == []
