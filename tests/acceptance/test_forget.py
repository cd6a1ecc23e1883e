"""A bucket is deleted, which sends no event: `forget` removes its documents, says so, and is recorded."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from testing.site import Site, make_site
from testing.worker import running
from tests.support.in_process import run_in_process
from worker.cli import main

FILES = [f"契約書/{number}.txt" for number in range(30)]


@pytest.fixture
def site(seaweedfs, elasticmq, opensearch) -> Iterator[Site]:
    made = make_site(seaweedfs, elasticmq, opensearch)
    yield made
    made.close()


@pytest.fixture
def indexed(site: Site, tmp_path: Path) -> Site:
    """Thirty files that a worker has indexed."""
    with running(site.env, tmp_path) as worker:
        for key in FILES:
            site.put(key, "text")
        site.send_all(FILES)
        site.wait_empty()
        assert worker.stop() == 0
    return site


def forget(site, *args):
    answer = run_in_process(main, site.env, "forget", *args, "--json")
    return answer.returncode, json.loads(answer.stdout) if answer.stdout else answer.stderr


def test_a_deleted_bucket(indexed):
    for key in FILES:
        indexed.s3.delete_object(Bucket=indexed.bucket, Key=key)
    indexed.s3.delete_bucket(Bucket=indexed.bucket)
    place = f"s3://{indexed.bucket}/"
    code, said = forget(indexed, f"s3://{indexed.bucket}", "--yes")
    assert (code, said["removed"], said["existing"], said["undecided"]) == (0, 30, 0, {})
    [record] = indexed.state_keys("s3-index-worker/audit/")
    body = json.loads(indexed.s3.get_object(Bucket=indexed.state_bucket, Key=record)["Body"].read())
    assert (body["action"], body["place"], body["result"]["removed"]) == ("forget", place, 30)
    assert forget(indexed, place, "--yes")[0] == 1
    indexed.s3.create_bucket(Bucket=indexed.bucket)


def test_a_bucket_that_exists_keeps_its_documents_unless_told_otherwise(indexed):
    for key in FILES[:10]:
        indexed.s3.delete_object(Bucket=indexed.bucket, Key=key)
    code, said = forget(indexed, f"s3://{indexed.bucket}/契約書/", "--yes")
    assert (code, said["removed"], said["existing"]) == (3, 10, 20)
    code, said = forget(indexed, f"s3://{indexed.bucket}/", "--existing", "--yes")
    assert (code, said["removed"]) == (0, 20)


@pytest.mark.parametrize(
    ("place", "why"),
    [
        ("our-files", "should be s3://BUCKET"),
        ("s3://", "cannot be a bucket's name"),
        ("s3://Our Files/x", "cannot be a bucket's name"),
        ("s3:///x", "cannot be a bucket's name"),
    ],
)
def test_a_place_that_is_none_is_refused(site, place, why):
    code, error = forget(site, place, "--yes")
    assert code == 64
    assert why in " ".join(error.replace("│", " ").split())


def test_it_asks_first(indexed):
    code, error = forget(indexed, f"s3://{indexed.bucket}/")
    assert code == 64
    assert "--yes" in error
