"""`fix` sends or indexes what is lost, removes what is gone and nothing else, and refuses what looks like a mistake."""

import json
import threading
from dataclasses import replace

import pytest

from recovery.operations.reconciling.fixing import REMEMBERED_S, FixRequest, fix, refusal
from testing.memory import BUCKET, INDEX_DOWN, NOW_MS, SQS_DOWN
from tests.support.reconciled import OLD_MS, Scene
from worker.core.base.errors import IndexUnavailableError, PausedError, StoreError
from worker.core.s3.state import PAUSE_KEY
from worker.core.sqs.queue import Refusal

NO_BUCKET = StoreError("no such bucket", code="NoSuchBucket")


@pytest.fixture
def place(fakes, tmp_path):
    return Scene(fakes, tmp_path)


def fixed(place, *, stop=None, **how):
    """What a fix does after a reconciliation."""
    done = []

    def run(work):
        clients, request = place.fakes.clients, FixRequest(**how)
        done.append(fix(place.settings, clients, place.request(), request, work, stop=stop or threading.Event()))

    place.run(while_open=run)
    return done[0]


def jobs(place):
    return [json.loads(message.body) for message in place.fakes.source.messages.values()]


def test_what_is_missing_or_stale_is_sent_to_the_queue_and_nothing_else(place):
    for key in ("missing", "stale", "current", "dead"):
        place.put(key)
    place.indexed("stale", etag="another")
    place.indexed("current")
    place.dead("m1", "dead", etag=place.fakes.s3.etag("dead"))
    done = fixed(place)
    assert jobs(place) == [{"bucket": BUCKET, "key": key} for key in ("missing", "stale")]
    assert (done.sent, done.is_complete, len(place.fakes.index.documents)) == (2, True, 2)


def test_jobs_are_sent_ten_at_a_time_and_any_key_arrives_unchanged(place):
    keys = [*(f"{number:02}" for number in range(23)), "a\nb\x1f", "\uffff", "契約\U0001f338", '"\\', "x" * 1024]
    for key in keys:
        place.put(key)
    done = fixed(place)
    assert {job["key"] for job in jobs(place)} == set(keys)
    assert place.fakes.faults.calls.count("source.send") == 3
    assert all(
        message.body.isascii() and message.body.isprintable() for message in place.fakes.source.messages.values()
    )
    assert done.sent == len(keys)


def test_a_job_that_the_queue_refuses_is_kept_with_the_reason(place):
    for key in ("a", "b", "c"):
        place.put(key)
    place.fakes.source.refuses = {1: Refusal("InvalidMessageContents", "bad", senders_fault=True)}
    done = fixed(place)
    assert (done.sent, dict(done.kept), done.is_complete) == (2, {"InvalidMessageContents: bad": 1}, False)


def test_a_queue_that_does_not_answer_keeps_everything(place):
    place.put("a")
    place.fakes.faults.add("source.send", SQS_DOWN)
    done = fixed(place)
    assert (done.sent, done.kept.total()) == (0, 1)


def test_with_direct_the_objects_are_indexed_here(place):
    for key in ("a.txt", "b.txt", "gone.txt"):
        place.put(key, b"text of " + key.encode())
    place.indexed("b.txt", etag="another")
    done = fixed(place, direct=True)
    assert {key: document["etag"] for (_, key), (_, document) in place.fakes.index.documents.items()} == {
        key: place.fakes.s3.etag(key) for key in ("a.txt", "b.txt", "gone.txt")
    }
    assert (done.indexed, done.sent, jobs(place), done.is_complete) == (3, 0, [], True)
    assert place.fakes.index.documents[BUCKET, "a.txt"][1]["recovery_source"] == "reconcile"


def test_with_direct_a_document_that_the_index_rejects_is_stored_for_retry(place):
    place.put("a.txt")
    place.fakes.index.rejects.add("a.txt")
    done = fixed(place, direct=True)
    assert (done.stored_for_retry, done.is_complete, len(place.fakes.under("retry-index/"))) == (1, True, 1)


def test_with_direct_what_cannot_be_read_is_kept(place):
    for key in ("a.txt", "b.txt"):
        place.put(key)
    place.fakes.s3.denied.add("a.txt")
    done = fixed(place, direct=True)
    assert (done.indexed, dict(done.kept)) == (1, {"denied": 1})


# -- removing --------------------------------------------------------------------------------------------------------------


def orphan(place, key, version=NOW_MS - 1000):
    place.fakes.index.documents[BUCKET, key] = version, {"bucket": BUCKET, "file_key": key, "etag": "e"}
    place.fakes.index.versions[BUCKET, key] = version


def test_a_document_is_removed_once_a_get_says_that_its_object_is_gone(place):
    place.put("kept")
    place.indexed("kept")
    orphan(place, "orphan")
    place.fakes.index.documents["other", "orphan"] = NOW_MS, {"etag": "e"}
    done = fixed(place)
    assert (done.removed, done.is_complete) == (1, True)
    assert list(place.fakes.index.documents) == [(BUCKET, "kept"), ("other", "orphan")]
    assert place.fakes.index.versions[BUCKET, "orphan"] == NOW_MS
    assert "s3.read" in place.fakes.faults.calls


@pytest.mark.parametrize("error", [NO_BUCKET, StoreError("denied", code="AccessDenied")])
def test_nothing_is_removed_on_any_other_answer(place, error):
    orphan(place, "orphan")
    place.fakes.faults.add("s3.read", error)
    done = fixed(place)
    assert (done.removed, dict(done.kept)) == (0, {str(error): 1})
    assert (BUCKET, "orphan") in place.fakes.index.documents


def test_a_document_whose_object_came_back_is_kept(place):
    orphan(place, "orphan")

    def run(work):
        place.put("orphan")
        done = fix(place.settings, place.fakes.clients, place.request(), FixRequest(), work, stop=threading.Event())
        assert (done.removed, dict(done.kept)) == (0, {"the object exists": 1})

    place.run(while_open=run)
    assert (BUCKET, "orphan") in place.fakes.index.documents


def test_an_orphan_from_the_future_is_removed_with_its_own_version(place):
    orphan(place, "orphan", NOW_MS + 86_400_000)
    done = fixed(place)
    assert (done.removed, place.fakes.index.documents) == (1, {})


def test_a_version_from_the_future_is_removed_and_its_object_sent_for_when_it_is_forgotten(place):
    place.put("a.txt")
    place.fakes.index.documents[BUCKET, "a.txt"] = NOW_MS + 86_400_000, place.fakes.document("a.txt")
    place.fakes.index.versions[BUCKET, "a.txt"] = NOW_MS + 86_400_000
    delays: list[int] = []
    send = place.fakes.source.send

    def noted(entries):
        delays.extend(entry["DelaySeconds"] for entry in entries)
        return send(entries)

    place.fakes.source.send = noted
    done = fixed(place)
    assert (done.repaired, done.sent, place.fakes.index.documents) == (1, 0, {})
    assert (delays, jobs(place)) == ([REMEMBERED_S], [{"bucket": BUCKET, "key": "a.txt"}])


def test_the_removal_of_a_version_from_the_future_waits_for_the_limit_on_the_index(place, monkeypatch):
    place.put("a.txt")
    place.fakes.index.documents[BUCKET, "a.txt"] = NOW_MS + 86_400_000, place.fakes.document("a.txt")
    waited: list[int] = []
    monkeypatch.setattr(place.fakes.clients.aws.throttles.index, "wait", waited.append)
    fixed(place)
    assert waited == [1]


def test_a_version_from_the_future_stays_where_its_object_could_not_be_sent(place):
    place.put("a.txt")
    place.fakes.index.documents[BUCKET, "a.txt"] = NOW_MS + 86_400_000, place.fakes.document("a.txt")
    place.fakes.faults.add("source.send", SQS_DOWN)
    done = fixed(place)
    assert (done.repaired, list(place.fakes.index.documents)) == (0, [(BUCKET, "a.txt")])


# -- refusing --------------------------------------------------------------------------------------------------------------


def result(place, **numbers):
    return replace(place.run(), **numbers)


@pytest.mark.parametrize(
    ("objects", "documents", "orphans", "is_refused"),
    [
        (100, 100, 0, False),
        (0, 0, 0, False),
        (0, 5, 5, True),
        (200, 200, 20, False),
        (200, 200, 21, True),
        (50, 50, 20, False),
        (1000, 1000, 100, False),
        (1000, 1000, 101, True),
    ],
)
def test_a_mistyped_bucket_must_not_empty_an_index(place, objects, documents, orphans, is_refused):
    why = refusal(result(place, objects=objects, documents=documents, orphans=orphans))
    assert bool(why) is is_refused


def test_a_wrong_clock_of_this_machine_must_not_empty_an_index_either(place):
    assert refusal(result(place, objects=1000, documents=1000, orphans=50, future=51))
    assert not refusal(result(place, objects=1000, documents=1000, orphans=50, future=50))


def test_while_the_fleet_is_paused_nothing_is_fixed_unless_asked(place):
    place.put("a")
    place.fakes.s3.records[PAUSE_KEY] = json.dumps({"by": "ann", "reason": "upgrade"}).encode()
    with pytest.raises(PausedError):
        fixed(place)
    assert jobs(place) == []
    assert fixed(place, while_paused=True).sent == 1


# -- ends ------------------------------------------------------------------------------------------------------------------


def test_a_fix_is_recorded_in_the_audit_also_if_the_index_fails_in_the_middle(place):
    place.put("a")
    orphan(place, "orphan")
    place.fakes.faults.add("index.write", INDEX_DOWN)
    with pytest.raises(IndexUnavailableError):
        fixed(place)
    [event] = place.fakes.under("s3-index-worker/audit/").values()
    assert (event["action"], event["run"], event["place"]) == ("reconcile", "run-1", f"s3://{BUCKET}/")
    assert event["result"]["removed"] == 0


def test_a_fix_that_is_stopped_says_so(place):
    for number in range(5):
        place.put(f"{number}", modified_ms=OLD_MS)
    stop = threading.Event()
    send = place.fakes.source.send

    def stopping(entries):
        stop.set()
        return send(entries)

    place.fakes.source.send = stopping
    done = fixed(place, stop=stop)
    assert (done.sent, done.stopped, done.is_complete) == (5, True, False)
