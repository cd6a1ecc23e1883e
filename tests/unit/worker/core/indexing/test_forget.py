"""`forget` removes the documents of objects that are gone, keeps those of objects that exist, and says what S3 did not tell."""

import threading

import pytest

from testing.memory import BUCKET, DOWN, NOW_MS
from worker.core.base.errors import StoreError
from worker.core.indexing.forget import Forgetter
from worker.core.s3.objects import Place

NO_BUCKET = StoreError("The specified bucket does not exist", code="NoSuchBucket")


@pytest.fixture
def forgotten(fakes):
    def run(prefix="", *, existing=False, dry_run=False):
        forgetter = Forgetter(
            fakes.settings(), fakes.clients, Place(BUCKET, prefix), existing=existing, dry_run=dry_run
        )
        forgetter.run(stop=threading.Event())
        return forgetter.result

    return run


def fill(fakes, count, *, there=()):
    for number in range(count):
        key = f"{number:04}.txt"
        fakes.s3.bodies[key] = b"x"
        fakes.indexed(key)
        if key not in there:
            del fakes.s3.bodies[key]


def test_documents_of_objects_that_are_gone_leave_the_index(fakes, forgotten):
    fill(fakes, 25, there={"0003.txt"})
    fakes.index.documents["other", "0001.txt"] = NOW_MS, {}
    result = forgotten()
    assert (result.removed, result.existing, result.is_complete) == (24, 1, False)
    assert list(fakes.index.documents) == [(BUCKET, "0003.txt"), ("other", "0001.txt")]


def test_documents_of_a_deleted_bucket_leave_the_index(fakes, forgotten):
    fill(fakes, 130)
    fakes.faults.add("s3.read", NO_BUCKET)
    assert (forgotten().removed, fakes.index.documents) == (130, {})


def test_only_what_begins_with_the_prefix_is_removed(fakes, forgotten):
    fill(fakes, 25)
    assert forgotten("001").removed == 10
    assert len(fakes.index.documents) == 15


def test_a_dry_run_says_what_it_would_do(fakes, forgotten):
    fill(fakes, 5, there={"0003.txt"})
    result = forgotten(dry_run=True)
    assert (result.removed, result.existing, len(fakes.index.documents)) == (4, 1, 5)


def test_what_s3_denies_is_kept_and_a_bucket_that_is_denied_ends_the_run(fakes, forgotten):
    fill(fakes, 500)
    fakes.s3.denied_buckets.add(BUCKET)
    result = forgotten()
    assert (result.removed, len(fakes.index.documents), result.is_complete) == (0, 500, False)
    assert "skipped in this run" in result.stopped_by


@pytest.mark.parametrize("error", [StoreError("Access Denied", code="AccessDenied"), DOWN])
def test_existing_removes_whatever_s3_says(fakes, forgotten, error):
    fill(fakes, 20, there={"0003.txt"})
    fakes.faults.add("s3.read", error)
    assert (forgotten(existing=True).removed, fakes.index.documents) == (20, {})


def test_a_document_that_changed_meanwhile_is_kept(fakes, forgotten):
    fill(fakes, 1)
    fakes.index.versions[BUCKET, "0000.txt"] = NOW_MS + 1
    forgotten()
    assert len(fakes.index.documents) == 1, "the index holds a later observation"
