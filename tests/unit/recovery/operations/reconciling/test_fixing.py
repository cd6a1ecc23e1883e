"""`fix` sends or indexes what is lost, removes what is gone and nothing else, stops when told, and refuses what looks wrong."""

import json
import threading
from dataclasses import replace

import pytest

from recovery.cli.view.reconciled import fixed_sentences
from recovery.operations.backfilling import gate
from recovery.operations.progress import ignore_progress
from recovery.operations.reconciling.fixing import (
    CHANGED,
    EXISTS,
    FUTURE,
    MAX_REASONS,
    OTHER_REASONS,
    REFUSED_IN_A_ROW,
    Fixed,
    FixRequest,
    fix,
    refusal,
)
from testing.memory import BUCKET, DOWN, INDEX_DOWN, NOW_MS, SQS_DOWN
from tests.support.reconciled import OLD_MS, Scene
from worker.core.base.errors import IndexUnavailableError, PausedError, StoreError
from worker.core.indexing.reindexer import UNDECIDED_IN_A_ROW
from worker.core.s3.state import PAUSE_KEY
from worker.core.sqs.queue import MAX_BATCH, Refusal

NO_BUCKET = StoreError("no such bucket", code="NoSuchBucket")
FUTURE_MS = NOW_MS + 86_400_000
PAUSED = json.dumps({"by": "ann", "reason": "upgrade"}).encode()


@pytest.fixture
def place(fakes, tmp_path):
    return Scene(fakes, tmp_path)


def fixed(place, *, stop=None, meanwhile=lambda: None, on_progress=ignore_progress, **how):
    """What a fix does after a reconciliation; `meanwhile`: what happens while the operator reads the question."""
    done = []

    def run(work):
        meanwhile()
        clients, request = place.fakes.clients, FixRequest(**how)
        event = stop or threading.Event()
        done.append(fix(place.settings, clients, place.request(), request, work, stop=event, on_progress=on_progress))

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
    assert (done.sent, dict(done.kept), done.is_complete) == (2, {"InvalidMessageContents": 1}, False)
    assert done.examples == {"InvalidMessageContents": "b: bad"}


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
    assert (done.removed, dict(done.kept), done.examples) == (0, {error.code: 1}, {error.code: f"orphan: {error}"})
    assert (BUCKET, "orphan") in place.fakes.index.documents


def test_a_document_whose_object_came_back_is_kept(place):
    orphan(place, "orphan")
    done = fixed(place, meanwhile=lambda: place.put("orphan"))
    assert (done.removed, dict(done.kept)) == (0, {EXISTS: 1})
    assert (BUCKET, "orphan") in place.fakes.index.documents


def test_a_document_that_another_bucket_has_by_now_is_not_removed(place):
    """As with DOCUMENT_IDS=key, where one document has the id of two objects."""
    orphan(place, "k")

    def taken_over():
        place.fakes.index.documents["other", "k"] = place.fakes.index.documents.pop((BUCKET, "k"))

    done = fixed(place, meanwhile=taken_over)
    assert (done.removed, done.is_complete, list(place.fakes.index.documents)) == (0, True, [("other", "k")])
    assert "index.write" not in place.fakes.faults.calls


def test_a_document_that_has_another_version_by_now_is_not_removed(place):
    orphan(place, "k")
    done = fixed(place, meanwhile=lambda: orphan(place, "k", NOW_MS - 500))
    assert (done.removed, dict(done.kept), done.examples) == (0, {CHANGED: 1}, {CHANGED: "k"})
    assert place.fakes.index.documents[BUCKET, "k"][0] == NOW_MS - 500


def test_an_orphan_from_the_future_is_removed_with_its_own_version(place):
    orphan(place, "orphan", FUTURE_MS)
    done = fixed(place)
    assert (done.removed, place.fakes.index.documents) == (1, {})


@pytest.mark.parametrize("direct", [False, True])
@pytest.mark.parametrize("etag", [None, "another"])
def test_a_version_from_the_future_is_kept_while_its_object_exists(place, direct, etag):
    """The index would remember it for longer than a message can be delayed, and refuse the object in that time."""
    place.put("a.txt")
    document = place.fakes.document("a.txt", **({"etag": etag} if etag else {}))
    place.fakes.index.documents[BUCKET, "a.txt"] = FUTURE_MS, document
    place.fakes.index.versions[BUCKET, "a.txt"] = FUTURE_MS
    done = fixed(place, direct=direct)
    assert (dict(done.kept), done.sent, done.indexed, done.is_complete) == ({FUTURE: 1}, 0, 0, False)
    assert done.examples == {FUTURE: "a.txt, until 2026-11-19 11:06:40+00:00"}
    assert (jobs(place), place.fakes.index.documents) == ([], {(BUCKET, "a.txt"): (FUTURE_MS, document)})


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


def test_documents_from_the_future_are_not_counted_as_removed(place):
    assert not refusal(result(place, objects=1000, documents=1000, orphans=100, future=900))


def test_while_the_fleet_is_paused_nothing_is_fixed_unless_asked(place):
    place.put("a")
    place.fakes.s3.records[PAUSE_KEY] = PAUSED
    with pytest.raises(PausedError):
        fixed(place)
    assert jobs(place) == []
    assert fixed(place, while_paused=True).sent == 1


@pytest.mark.parametrize("work", ["send", "index", "remove"])
@pytest.mark.parametrize("while_paused", [False, True])
def test_a_pause_of_the_fleet_in_the_middle_ends_a_fix_with_the_reason(place, monkeypatch, work, while_paused):
    monkeypatch.setattr(gate, "ASK_EVERY_S", 0)
    count = 200
    for number in range(count):
        orphan(place, f"{number:03}") if work == "remove" else place.put(f"{number:03}.txt")
    place.settings = place.fakes.settings(bulk_documents=10)

    def pause(now):
        if now.done >= count / 4:
            place.fakes.s3.records[PAUSE_KEY] = PAUSED

    done = fixed(place, direct=work == "index", while_paused=while_paused, on_progress=pause)
    number = done.sent + done.indexed + done.removed
    assert not done.kept, "what was begun is done"
    if while_paused:
        assert (number, done.ended_by, done.is_complete) == (count, "", True)
        return
    assert count / 4 <= number < count
    assert (done.ended_by.startswith("the fleet is paused by ann: upgrade."), done.is_complete) == (True, False)
    [event] = place.fakes.under("s3-index-worker/audit/").values()
    assert event["result"]["ended_by"] == done.ended_by


def test_a_pause_that_cannot_be_read_any_more_ends_a_fix_too(place, monkeypatch):
    monkeypatch.setattr(gate, "ASK_EVERY_S", 0)
    for number in range(100):
        place.put(f"{number:03}.txt")

    def fail(now):
        place.fakes.faults.add("state.get", StoreError("denied", code="AccessDenied"))

    done = fixed(place, on_progress=fail)
    assert (done.sent, done.ended_by) == (MAX_BATCH, "whether the fleet is paused cannot be read: denied")


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


@pytest.mark.parametrize("orphans", [False, True])
def test_nothing_is_sent_or_removed_once_it_is_stopped_while_it_waits(place, orphans):
    for number in range(3 * MAX_BATCH):
        orphan(place, f"{number}") if orphans else place.put(f"{number}", modified_ms=OLD_MS)
    stop = threading.Event()
    threading.Timer(0.5, stop.set).start()
    done = fixed(place, stop=stop, rate=0.1)
    did = done.removed if orphans else done.sent
    assert did == (1 if orphans else MAX_BATCH)  # what may begin without waiting
    assert done.stopped


def test_it_ends_where_the_queue_takes_nothing_any_more(place):
    for number in range(10 * MAX_BATCH):
        place.put(f"{number:03}")
    place.fakes.faults.add("source.send", SQS_DOWN, after=2)
    done = fixed(place)
    assert (done.sent, dict(done.kept)) == (2 * MAX_BATCH, {"ServiceUnavailable": REFUSED_IN_A_ROW * MAX_BATCH})
    assert done.examples == {"ServiceUnavailable": "020: down"}
    assert done.ended_by == "the queue refused 3 batches in a row, the last: ServiceUnavailable: down"
    assert f"ended early, and nothing after that was tried: {done.ended_by}" in list(fixed_sentences(done))
    assert not done.is_complete


def test_a_queue_that_refuses_some_of_each_batch_does_not_end_it(place):
    for number in range(5 * MAX_BATCH):
        place.put(f"{number:03}")
    place.fakes.source.refuses = {1: Refusal("InvalidMessageContents", "bad", senders_fault=True)}
    done = fixed(place)
    assert (done.sent, dict(done.kept), done.ended_by) == (45, {"InvalidMessageContents": 5}, "")


@pytest.mark.parametrize("direct", [False, True])
def test_it_ends_where_the_bucket_cannot_be_read_any_more(place, direct):
    count = 10 * UNDECIDED_IN_A_ROW
    for number in range(count):
        place.put(f"{number:03}.txt") if direct else orphan(place, f"{number:03}")
    place.settings = place.fakes.settings(bulk_documents=UNDECIDED_IN_A_ROW)

    def fail():
        place.put("lost")
        place.fakes.faults.add("s3.read", DOWN)

    done = fixed(place, direct=direct, meanwhile=fail)
    assert "50 objects in a row could not be read" in done.ended_by
    assert (done.removed, done.indexed, done.sent) == (0, 0, 0)
    assert UNDECIDED_IN_A_ROW <= done.kept.total() < count / 2
    assert not done.is_complete


def test_what_is_kept_is_counted_by_code_however_many_keys_it_names():
    done = Fixed()
    for number in range(1000):
        done.keep("SlowDown", f"{number}: down")
    assert (dict(done.kept), done.examples) == ({"SlowDown": 1000}, {"SlowDown": "0: down"})
    for number in range(1000):
        done.keep(f"code {number}", "x")
    assert (len(done.kept), done.kept[OTHER_REASONS]) == (MAX_REASONS + 1, 1000 - MAX_REASONS + 1)
