"""`backfill` sends or indexes what the index does not hold as it is, yields to live events, and goes on where it stopped."""

import json
import threading
from io import BytesIO

import pytest

from recovery.operations.backfilling import checkpoint, gate
from recovery.operations.backfilling.keys_file import KeysFile
from recovery.operations.backfilling.sources import Listing
from testing.memory import BUCKET, DOWN, INDEX_DOWN, SQS_DOWN
from tests.support.backfilled import WHOLE, Bucket
from worker.core.audit import AUDIT_PREFIX
from worker.core.base.errors import ConfigError, DependencyError, IndexUnavailableError, PausedError, StoreError
from worker.core.s3.objects import Place
from worker.core.s3.reconciled import ReconciledBucket, write_reconciled
from worker.core.s3.state import PAUSE_KEY
from worker.core.sqs.queue import Refusal

PAUSED = json.dumps({"by": "ann", "reason": "upgrade"}).encode()
DENIED = StoreError("denied", code="AccessDenied")


@pytest.fixture(autouse=True)
def _every_page_is_stored(monkeypatch):
    monkeypatch.setattr(checkpoint, "SAVE_EVERY_S", 0)
    monkeypatch.setattr(gate, "WAIT_S", 0.001)


@pytest.fixture
def bucket(fakes):
    return Bucket(fakes)


def keys_file(*keys):
    return KeysFile(BytesIO("\n".join(keys).encode()), "keys.txt", WHOLE)


# -- what is done --------------------------------------------------------------------------------------------------------


def test_every_object_is_sent_once_ten_a_call(bucket):
    bucket.put(*(f"{number:04}" for number in range(2_345)))
    assert bucket.results() == {"sent": 2_345}
    assert bucket.jobs() == sorted(bucket.fakes.s3.bodies)
    assert bucket.fakes.faults.calls.count("source.send") == 235
    assert not bucket.checkpoints()


def test_what_the_index_holds_with_the_same_etag_and_what_is_not_to_be_indexed_is_left_out(bucket):
    bucket.put("current", "stale", "missing", "tmp/x")
    bucket.fakes.s3.bodies["dir/"] = b""
    bucket.fakes.indexed("current")
    bucket.fakes.index.documents[BUCKET, "stale"] = 1, {"etag": "another"}
    bucket.settings = bucket.fakes.settings(exclude_keys="tmp/*")
    assert bucket.results() == {"sent": 2, "current": 1, "skipped": 2}
    assert bucket.jobs() == ["stale", "missing"]


def test_several_places_are_read_one_after_another(bucket):
    bucket.put("a/1", "b/1", "c/1", "b/2")
    assert bucket.results(bucket.listing(Place(BUCKET, "b/"), Place(BUCKET, "a/"))) == {"sent": 3}
    assert bucket.jobs() == ["b/1", "b/2", "a/1"]


def test_keys_alone_are_compared_by_asking_s3_for_the_etags_of_those_that_have_a_document(bucket):
    bucket.put("current", "stale", "missing")
    bucket.fakes.indexed("current")
    for key in ("stale", "gone"):
        bucket.fakes.index.documents[BUCKET, key] = 1, {"etag": "another"}
    source = keys_file("current", "stale", "missing", "gone", "never")
    assert bucket.results(source) == {"sent": 4, "current": 1}
    assert bucket.jobs() == ["stale", "missing", "gone", "never"]
    assert bucket.fakes.faults.calls.count("s3.head") == 3


def test_with_direct_the_objects_are_indexed_here_and_nothing_is_sent(bucket):
    bucket.put("a", "b", "c")
    bucket.fakes.indexed("b")
    bucket.fakes.index.documents[BUCKET, "gone"] = 1, {"etag": "e"}
    source = keys_file("a", "b", "c", "gone")
    assert bucket.results(source, direct=True) == {"indexed": 3, "current": 1}
    assert (bucket.indexed(), bucket.jobs()) == (["a", "b", "c"], [])
    assert bucket.fakes.index.documents[BUCKET, "a"][1]["recovery_source"] == "backfill"


def test_with_direct_what_is_rejected_is_stored_for_retry_and_what_cannot_be_read_has_failed(bucket):
    bucket.put("a", "b", "c")
    bucket.fakes.index.rejects.add("a")
    bucket.fakes.s3.denied.add("b")
    report = bucket.run(direct=True)
    assert report.numbers() == {
        "sent": 0, "indexed": 1, "stored_for_retry": 1, "current": 0, "skipped": 0, "failed": 1, "before": 0, "elsewhere": 0,
    }  # fmt: skip
    assert report.is_unfinished
    assert len(bucket.fakes.under("retry-index/")) == 1
    assert not bucket.checkpoints()  # another attempt would end in the same way


def test_what_was_done_is_in_the_audit_whatever_ended_it(bucket):
    bucket.put("a")
    bucket.run()
    bucket.fakes.faults.add("source.send", SQS_DOWN)
    bucket.run()
    first, second = bucket.fakes.under(AUDIT_PREFIX).values()
    assert (first["result"]["sent"], first["source"], first["by"]) == (1, f"s3://{BUCKET}/", "ann@host")
    assert (second["result"]["sent"], second["stopped_by"]) == (0, "down")


@pytest.mark.parametrize("direct", [False, True])
def test_what_was_done_is_in_the_audit_even_if_the_progress_cannot_be_shown(bucket, direct):
    bucket.put(*(f"{number:04}" for number in range(1_200)))

    def gone(now):
        if now.done >= 10:
            raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        bucket.run(on_progress=gone, direct=direct)
    [record] = bucket.fakes.under(AUDIT_PREFIX).values()
    assert record["result"]["indexed" if direct else "sent"] >= 10


def test_a_job_that_the_queue_will_never_take_has_failed_and_the_others_are_sent(bucket):
    bucket.put("a", "b", "c")
    bucket.fakes.source.refuses = {1: Refusal("InvalidMessageContents", "bad", senders_fault=True)}
    report = bucket.run()
    [cause] = report.causes()
    assert (cause.reason, cause.count, cause.samples) == ("InvalidMessageContents: bad", 1, ["b"])
    assert (report.numbers()["sent"], report.numbers()["failed"], bucket.checkpoints()) == (2, 1, {})


# -- interrupted and continued -------------------------------------------------------------------------------------------


def stop_at(count):
    """A stop event, and a progress callback that sets it once so many objects have a result."""
    stop = threading.Event()
    return stop, lambda now: stop.set() if now.done >= count else None


class KilledError(BaseException):
    """A death: an exception that no code handles."""


def killed_at(count):
    """A progress callback that is the death of the run once so many objects have a result."""

    def on_progress(now):
        if now.done >= count:
            raise KilledError

    return on_progress


def test_a_run_that_is_stopped_is_continued_after_the_last_page_that_was_done(bucket):
    bucket.put(*(f"{number:04}" for number in range(3_500)))
    stop, on_progress = stop_at(2_005)
    assert bucket.results(stop=stop, on_progress=on_progress) == {"sent": 2_010}
    [record] = bucket.checkpoints().values()
    assert (record["done"], record["position"]) == (2_000, {"place": 0, "token": "2000"})
    assert bucket.results() == {"sent": 1_500, "before": 2_000}
    assert set(bucket.jobs()) == set(bucket.fakes.s3.bodies)
    assert not bucket.checkpoints()


@pytest.mark.parametrize("direct", [False, True])
def test_one_object_among_many_current_ones_is_done_and_noted_before_more_is_read(bucket, direct):
    bucket.put(*(f"{number:05}" for number in range(6_000)))
    for number in range(1, 6_000):
        bucket.fakes.indexed(f"{number:05}")
    with pytest.raises(KilledError):
        bucket.run(on_progress=killed_at(4_000), direct=direct)
    assert (bucket.fakes.index.documents.keys() >= {(BUCKET, "00000")}) == direct
    assert bucket.jobs() == ([] if direct else ["00000"])
    [record] = bucket.checkpoints().values()
    assert record["done"] >= 3_000


@pytest.mark.parametrize("direct", [False, True])
def test_stopped_among_current_objects_it_goes_on_from_there(bucket, direct):
    bucket.put(*(f"{number:05}" for number in range(6_000)))
    for number in range(1, 6_000):
        bucket.fakes.indexed(f"{number:05}")
    stop, on_progress = stop_at(4_000)
    bucket.run(stop=stop, on_progress=on_progress, direct=direct)
    assert bucket.run(direct=direct).also["before"] >= 4_000


def test_killed_between_two_calls_whatever_was_done_is_done_again_or_known(bucket):
    bucket.put(*(f"{number:04}" for number in range(2_500)))
    runs = 0
    for name in ("source.send", "state.claim", "s3.list", "index.stored"):
        for after in (0, 1, 3):
            bucket.fakes.faults.add(name, KilledError(), after=after, times=1)
            try:
                bucket.run()
            except KilledError:
                runs += 1
    bucket.fakes.faults.plan.clear()
    bucket.run()
    assert set(bucket.jobs()) == set(bucket.fakes.s3.bodies)
    assert runs >= 8
    assert not bucket.checkpoints()


def test_a_file_of_keys_is_continued_after_its_line(bucket):
    keys = [f"{number:04}" for number in range(2_100)]
    bucket.put(*keys)
    stop, on_progress = stop_at(1_000)
    bucket.run(keys_file(*keys), stop=stop, on_progress=on_progress)
    assert bucket.results(keys_file(*keys)) == {"sent": 1_100, "before": 1_000}
    assert set(bucket.jobs()) == set(keys)


def test_another_file_place_or_index_begins_at_its_own_beginning(bucket, monkeypatch):
    bucket.put(*(f"{number:04}" for number in range(1_500)))
    stop, on_progress = stop_at(1_000)
    bucket.run(stop=stop, on_progress=on_progress)
    assert bucket.results(bucket.listing(Place(BUCKET, "0"))) == {"sent": 1_000}
    assert bucket.results(keys_file("0001")) == {"sent": 1}
    monkeypatch.setattr(type(bucket.fakes.index), "description", "another index")
    assert bucket.results() == {"sent": 1_500}


def test_with_restart_it_begins_anew_and_its_checkpoint_replaces_the_old_one(bucket):
    bucket.put(*(f"{number:04}" for number in range(1_500)))
    stop, on_progress = stop_at(1_000)
    bucket.run(stop=stop, on_progress=on_progress)
    assert bucket.results(restart=True) == {"sent": 1_500}
    assert not bucket.checkpoints()


@pytest.mark.parametrize(
    ("how", "direct"), [("killed", False), ("killed", True), ("stopped", False), ("stopped", True), ("undecided", True)]
)
def test_a_restart_that_is_interrupted_leaves_no_older_position_in_force(bucket, direct, how):
    bucket.put(*(f"{number:04}" for number in range(2_500)))
    stop, on_progress = stop_at(2_000)
    bucket.run(stop=stop, on_progress=on_progress, direct=direct)
    [record] = bucket.checkpoints().values()
    assert record["done"] >= 1_000
    bucket.fakes.index.documents.clear()
    bucket.fakes.source.messages.clear()
    if how == "killed":
        with pytest.raises(KilledError):
            bucket.run(restart=True, on_progress=killed_at(500), direct=direct)
    elif how == "stopped":
        stop, on_progress = stop_at(500)
        bucket.run(restart=True, stop=stop, on_progress=on_progress, direct=direct)
    else:
        bucket.fakes.index.unavailable.add("0500")
        bucket.run(restart=True, direct=direct)
        bucket.fakes.index.unavailable.clear()
    [record] = bucket.checkpoints().values()
    assert (record["position"], record["done"]) == ({}, 0)
    assert bucket.run(direct=direct).also["before"] == 0
    assert set(bucket.indexed() if direct else bucket.jobs()) == set(bucket.fakes.s3.bodies)


def test_a_position_that_s3_does_not_know_any_more_is_forgotten_and_the_place_read_again(bucket):
    bucket.put(*(f"{number:04}" for number in range(1_500)))
    stop, on_progress = stop_at(1_000)
    bucket.run(stop=stop, on_progress=on_progress)
    bucket.fakes.faults.add("s3.list", StoreError("no such token", code="InvalidArgument"), times=1)
    assert bucket.results() == {"sent": 1_500, "before": 1_000}


def test_a_listing_that_fails_at_its_beginning_or_for_the_moment_ends_the_run(bucket):
    bucket.put("a")
    bucket.fakes.faults.add("s3.list", DOWN)
    assert isinstance(bucket.run().failure, StoreError)
    bucket.fakes.faults.add("s3.list", StoreError("no", code="InvalidArgument"))
    assert isinstance(bucket.run().failure, StoreError)


@pytest.mark.parametrize("stored", [b"no json", b"[]", b'{"position": 3, "done": 1}', b'{"position": {}, "done": "x"}'])
def test_a_checkpoint_that_cannot_be_read_counts_as_none(bucket, stored):
    bucket.put(*(f"{number:04}" for number in range(1_500)))
    stop, on_progress = stop_at(1_000)
    bucket.run(stop=stop, on_progress=on_progress)
    [key] = bucket.checkpoints()
    bucket.fakes.s3.records[key] = stored
    assert bucket.results() == {"sent": 1_500}
    assert not bucket.checkpoints()


def test_of_two_runs_at_once_the_one_that_is_overtaken_ends(bucket):
    bucket.put(*(f"{number:04}" for number in range(3_000)))

    def overtake(now):
        if now.done == 1_500:
            [key] = bucket.checkpoints()
            bucket.fakes.s3.records[key] = json.dumps(
                {"position": {"place": 0, "token": "2000"}, "done": 2_000}
            ).encode()

    report = bucket.run(on_progress=overtake)
    assert isinstance(report.failure, DependencyError)
    assert "another run" in str(report.failure)
    [record] = bucket.checkpoints().values()
    assert record["done"] == 2_000


def test_a_store_without_conditional_writes_has_a_checkpoint_all_the_same(bucket):
    bucket.put(*(f"{number:04}" for number in range(2_500)))
    bucket.fakes.faults.add("state.claim", StoreError("no", code="NotImplemented"))
    stop, on_progress = stop_at(1_000)
    bucket.run(stop=stop, on_progress=on_progress)
    assert bucket.results() == {"sent": 1_500, "before": 1_000}
    assert not bucket.checkpoints()


def test_a_page_of_which_something_is_undecided_is_read_again_by_the_next_run(bucket):
    bucket.put(*(f"{number:04}" for number in range(2_500)))
    bucket.fakes.index.unavailable.add("1500")
    report = bucket.run(direct=True)
    assert (report.numbers()["indexed"], report.numbers()["failed"], report.failure) == (2_499, 1, None)
    [record] = bucket.checkpoints().values()
    assert record["done"] == 1_000
    bucket.fakes.index.unavailable.clear()
    assert bucket.results(direct=True) == {"indexed": 1, "current": 1_499, "before": 1_000}
    assert not bucket.checkpoints()


# -- what fails ----------------------------------------------------------------------------------------------------------


def test_a_queue_that_takes_nothing_ends_the_run_and_the_next_one_goes_on(bucket):
    bucket.put(*(f"{number:04}" for number in range(1_200)))
    bucket.fakes.faults.add("source.send", SQS_DOWN, after=110)
    report = bucket.run()
    assert (str(report.failure), report.numbers()["sent"]) == ("down", 1_100)
    bucket.fakes.faults.plan.clear()
    assert bucket.results() == {"sent": 200, "before": 1_000}


@pytest.mark.parametrize("direct", [False, True])
def test_an_index_that_does_not_answer_ends_the_run(bucket, direct):
    bucket.put("a")
    bucket.fakes.faults.add("index.stored", INDEX_DOWN)
    report = bucket.run(direct=direct)
    assert (type(report.failure), report.handled) == (IndexUnavailableError, 0)


def test_a_bucket_that_cannot_be_read_any_more_ends_the_run_and_nothing_is_passed_over(bucket):
    bucket.put(*(f"{number:04}" for number in range(2_000)))
    bucket.fakes.faults.add("s3.read", DOWN)
    report = bucket.run(direct=True)
    assert isinstance(report.failure, DependencyError)
    assert report.numbers()["failed"] < 1_000
    bucket.fakes.faults.plan.clear()
    assert bucket.results(direct=True) == {"indexed": 2_000}


def test_an_etag_that_s3_refuses_to_tell_is_for_the_worker_to_find_out_and_an_outage_ends_the_run(bucket):
    bucket.put("a")
    bucket.fakes.indexed("a")
    bucket.fakes.faults.add("s3.head", DENIED, times=1)
    assert bucket.results(keys_file("a")) == {"sent": 1}
    bucket.fakes.faults.add("s3.head", DOWN)
    assert isinstance(bucket.run(keys_file("a")).failure, StoreError)


@pytest.mark.parametrize(
    ("name", "error", "raised", "said"),
    [
        ("source.attributes", SQS_DOWN, DependencyError, "SQS_QUEUE_URL"),
        ("index.ping", INDEX_DOWN, DependencyError, "down"),
        ("s3.check_bucket", DENIED, ConfigError, "state bucket"),
    ],
)
def test_it_does_not_start_without_what_it_needs(bucket, name, error, raised, said):
    bucket.put("a")
    bucket.fakes.faults.add(name, error)
    with pytest.raises(raised, match=said):
        bucket.run()
    assert not bucket.fakes.under("s3-index-worker/")


def test_a_bucket_that_does_not_exist_is_refused_for_every_source(bucket):
    bucket.fakes.faults.add("s3.check_bucket", StoreError("no such bucket", code="NoSuchBucket"), after=1)
    with pytest.raises(ConfigError, match="the bucket files cannot be listed"):
        bucket.run(keys_file("a"))


def test_with_direct_the_queue_is_not_needed(bucket):
    bucket.put("a")
    bucket.fakes.faults.add("source.attributes", SQS_DOWN)
    assert bucket.results(direct=True) == {"indexed": 1}


def test_while_the_fleet_is_paused_it_is_refused(bucket):
    bucket.put("a")
    bucket.fakes.s3.records[PAUSE_KEY] = PAUSED
    with pytest.raises(PausedError):
        bucket.run()
    assert bucket.results(while_paused=True) == {"sent": 1}


@pytest.mark.parametrize("direct", [False, True])
@pytest.mark.parametrize("while_paused", [False, True])
def test_a_pause_of_the_fleet_during_a_run_ends_it_and_the_next_one_goes_on(bucket, monkeypatch, direct, while_paused):
    monkeypatch.setattr(gate, "ASK_EVERY_S", 0)
    bucket.put(*(f"{number:04}" for number in range(3_000)))

    def pause(now):
        if now.done >= 1_500:
            bucket.fakes.s3.records[PAUSE_KEY] = PAUSED

    report = bucket.run(on_progress=pause, direct=direct, while_paused=while_paused)
    if while_paused:
        assert (report.handled, report.failure) == (3_000, None)
        return
    assert isinstance(report.failure, PausedError)
    assert report.handled <= 2_100
    del bucket.fakes.s3.records[PAUSE_KEY]
    assert bucket.run(direct=direct).also["before"] >= (0 if direct else 1_000)  # here, results come in any order
    assert set(bucket.indexed() if direct else bucket.jobs()) == set(bucket.fakes.s3.bodies)


def test_a_pause_of_the_fleet_ends_a_run_that_waits_for_room_or_only_reads(bucket, monkeypatch):
    monkeypatch.setattr(gate, "ASK_EVERY_S", 0)
    bucket.put(*(f"{number:04}" for number in range(3_000)))
    bucket.fakes.source.add("live", "{}")

    def pause(now):
        bucket.fakes.s3.records[PAUSE_KEY] = PAUSED

    assert isinstance(bucket.run(max_depth=0, on_progress=lambda now: now.note and pause(now)).failure, PausedError)
    del bucket.fakes.s3.records[PAUSE_KEY]
    for key in bucket.fakes.s3.bodies:
        bucket.fakes.indexed(key)
    report = bucket.run(on_progress=pause)
    assert (type(report.failure), report.handled) == (PausedError, 1_000)


# -- yielding ------------------------------------------------------------------------------------------------------------


def test_it_pauses_while_more_messages_wait_than_it_may_add_to(bucket, monkeypatch):
    bucket.put(*(f"{number:04}" for number in range(100)))
    notes, deepest = [], 0

    def work(now):
        """A worker that empties the queue whenever the backfill waits for it."""
        nonlocal deepest
        deepest = max(deepest, len(bucket.fakes.source.messages))
        if now.note:
            notes.append(now.note)
            bucket.fakes.source.messages.clear()

    monkeypatch.setattr(gate, "LAG_S", 0.0)
    monkeypatch.setattr(gate, "ASK_EVERY_S", 0.0)
    assert bucket.results(max_depth=35, on_progress=work) == {"sent": 100}
    assert deepest == 40
    assert notes[:2] == [
        "40 messages wait in the queue; sending goes on at 35", "0 messages wait in the queue; sending goes on",
    ]  # fmt: skip


def test_a_queue_that_stays_full_can_be_left(bucket):
    bucket.put("a")
    bucket.fakes.source.add("live", "{}")
    stop = threading.Event()
    report = bucket.run(max_depth=0, stop=stop, on_progress=lambda now: stop.set() if now.note else None)
    assert (report.handled, report.failure) == (0, None)
    assert list(bucket.fakes.source.messages) == ["live"]


def test_it_keeps_to_its_rate(bucket):
    bucket.put(*(f"{number:04}" for number in range(30)))
    assert bucket.run(rate=100).seconds >= 0.2


def test_the_total_is_known_where_reconcile_has_counted_the_whole_buckets(bucket):
    bucket.put("a")
    write_reconciled(bucket.fakes.state, ReconciledBucket(BUCKET, 1, 5_000, 1), {})
    assert bucket.listing().total == 5_000
    assert bucket.listing(Place(BUCKET, "a/")).total is None
    assert Listing(bucket.fakes.s3, bucket.fakes.state, [WHOLE, Place("other", "")]).total is None
