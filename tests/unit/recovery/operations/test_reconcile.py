"""`reconcile`: every object is in exactly one state, whatever is held where, and only what persists counts as lost."""

import json
import os
import sqlite3
import threading

import pytest

from recovery.operations.reconcile import record_fixed, work_on
from recovery.operations.reconciling.request import STATES, ReconcileError
from recovery.operations.reconciling.work_file import WorkFile
from testing.memory import BUCKET, NOW_MS, SQS_DOWN
from tests.support.reconciled import OLD_MS, Scene, iso
from worker.core.base.errors import ConfigError, DependencyError, IndexUnavailableError, QueueError, StoreError
from worker.core.indexing.retry_store import parked_name, waiting_name
from worker.core.s3.reconciled import read_reconciled_bucket

YEAR_MS = 365 * 86_400 * 1000
DENIED = StoreError("denied", code="AccessDenied")


@pytest.fixture
def place(fakes, tmp_path):
    return Scene(fakes, tmp_path)


# -- states and their order of precedence --------------------------------------------------------------------------------


def test_an_empty_bucket_is_accounted_for(place):
    result = place.run()
    assert (result.objects, result.orphans, result.is_accounted, sum(result.states.values())) == (0, 0, True, 0)


def test_each_object_has_the_state_of_the_place_in_which_it_is(place):
    for key in ("current", "waiting", "parked", "dead", "archived", "stale", "missing", "skipped/", "young"):
        place.put(key, b"" if key == "skipped/" else b"x")
    place.put("young", modified_ms=NOW_MS - 899_000)
    place.indexed("current")
    place.indexed("stale", etag="another")
    place.record("waiting")
    place.record("parked", etag=place.fakes.s3.etag("parked"), parked=True)
    place.dead("m1", "dead", etag=place.fakes.s3.etag("dead"))
    place.archived("m2", "archived", etag=place.fakes.s3.etag("archived"))
    place.fakes.index.documents[BUCKET, "orphan"] = NOW_MS - 1000, {"etag": "e"}
    result = place.run()
    assert {state.value: count for state, count in result.states.items()} == dict.fromkeys(map(str, STATES), 1)
    assert (result.objects, result.size_bytes, result.orphans, result.documents) == (9, 8, 1, 3)
    assert result.examples == {"stale": ["stale"], "missing": ["missing"], "orphan": ["orphan"]}
    assert result.unaccounted == 3


@pytest.mark.parametrize("first", range(9))
def test_of_several_states_the_first_counts(place, first):
    """An object in all states from this one on."""
    key = "dir/" if first == 0 else "a.txt"
    place.put(key, b"" if first == 0 else b"x", modified_ms=NOW_MS - 1000 if first <= 1 else OLD_MS)
    etag = place.fakes.s3.etag(key)
    if first <= 2:
        place.indexed(key)
    elif first <= 7:
        place.indexed(key, etag="another")
    makers = {
        3: lambda: place.record(key), 4: lambda: place.record(key, etag=etag, parked=True),
        5: lambda: place.dead("m1", key, etag=etag), 6: lambda: place.archived("m2", key, etag=etag),
    }  # fmt: skip
    for number, make in makers.items():
        if number >= first:
            make()
    assert place.states() == {STATES[first].value: 1}


def test_what_is_excluded_is_skipped_and_counted_if_it_is_in_the_index(place):
    place.settings = place.fakes.settings(include_keys="*.txt,*.log", exclude_keys="tmp/*")
    for key in ("a.txt", "b.jpg", "tmp/c.txt", "dir/"):
        place.put(key, b"" if key == "dir/" else b"x")
    for key in ("a.txt", "b.jpg"):
        place.indexed(key)
    result = place.run()
    assert {state.value: count for state, count in result.states.items() if count} == {"skipped": 3, "current": 1}
    assert result.skipped_indexed == 1


def test_our_own_records_are_skipped_in_the_state_bucket_alone(place):
    place.put("retry-index/a.json")
    assert place.states() == {"missing": 1}
    place.settings = place.fakes.settings().model_copy(update={"state_bucket": BUCKET, "state_bucket_shared": True})
    assert place.states() == {"skipped": 1}


@pytest.mark.parametrize(("age_s", "state"), [(0, "young"), (900, "missing"), (899, "young"), (-60, "young")])
def test_an_object_is_young_for_as_long_as_the_setting_says(place, age_s, state):
    place.put("a.txt", modified_ms=NOW_MS - age_s * 1000)
    assert place.states() == {state: 1}


def test_the_setting_may_say_another_time(place):
    place.settings = place.fakes.settings(reconcile_young_s=10)
    place.put("a.txt", modified_ms=NOW_MS - 11_000)
    assert place.states() == {"missing": 1}


# -- an old dead letter must not hide a lost newer version -----------------------------------------------------------------


@pytest.mark.parametrize("where", ["parked", "dead", "stored", "archived"])
@pytest.mark.parametrize(
    ("etag", "failed_ms", "counts"),
    [
        ("present", OLD_MS - YEAR_MS, True),
        ("another", NOW_MS - 1000, False),
        (None, OLD_MS, True),
        (None, OLD_MS - 1000, False),
    ],
)
def test_what_is_held_counts_only_for_the_present_state(place, where, etag, failed_ms, counts):
    place.put("a.txt")
    etag = place.fakes.s3.etag("a.txt") if etag == "present" else etag
    if where == "parked":
        place.record("a.txt", etag=etag, parked=True, at_ms=failed_ms)
    elif where == "archived":
        place.archived("m1", "a.txt", etag=etag, failed_ms=failed_ms)
    else:
        place.dead("m1", "a.txt", etag=etag, failed_ms=failed_ms)
    if where == "stored":
        place.fakes.store("m1")
    state = "dead" if where == "stored" else where
    assert place.states() == {state if counts else "missing": 1}


def test_a_dead_letter_without_a_failure_record_counts_from_when_it_was_sent(place):
    place.put("a.txt")
    place.fakes.dlq.add("m1", place.body("a.txt", None), sent_ms=OLD_MS)
    assert place.states() == {"dead": 1}


def test_what_was_restored_from_the_archive_is_no_longer_held_there(place):
    place.put("a.txt")
    place.archived("m1", "a.txt", restored=True)
    assert place.states() == {"missing": 1}


def test_a_retry_record_counts_whatever_it_is_about_because_a_replay_observes_the_object(place):
    place.put("a.txt")
    place.record("a.txt", etag="another", at_ms=OLD_MS - YEAR_MS)
    assert place.states() == {"waiting": 1}


def test_a_bare_document_of_the_earlier_system_waits_too(place):
    place.put("a.txt")
    place.fakes.s3.records["retry-index/2026-01-01/a.txt.json"] = json.dumps({"content": "x"}).encode()
    assert place.states() == {"waiting": 1}


def test_what_is_held_for_a_budget_waits_whatever_has_become_of_its_object_since(place):
    place.put("a.txt")
    place.held("a.txt", at_ms=OLD_MS - YEAR_MS)
    assert place.states() == {"waiting": 1}


@pytest.mark.parametrize(("held", "moved", "state"), [(True, waiting_name, "waiting"), (False, parked_name, "parked")])
def test_what_a_replay_moves_while_the_records_are_listed_is_seen_in_one_of_the_two_places(place, held, moved, state):
    place.put("a.txt")
    (place.held if held else place.record)("a.txt")
    [name] = place.fakes.under("retry-index/")
    list_keys = place.fakes.state.keys

    def keys(prefix):
        for key in list(list_keys(prefix)):
            if key == name and prefix == "retry-index/":
                place.fakes.s3.records[moved(name)] = place.fakes.s3.records.pop(name)
            yield key

    place.fakes.state.keys = keys
    assert place.states() == {state: 1}


def test_records_of_other_buckets_and_prefixes_hold_nothing_here(place):
    place.put("b/a.txt")
    place.fakes.dlq.add("m1", json.dumps({"bucket": "other", "key": "b/a.txt"}), sent_ms=NOW_MS)
    place.record("c/a.txt")
    assert place.states("b/") == {"missing": 1}


def test_what_cannot_be_read_is_counted_and_holds_nothing(place):
    place.put("a.txt")
    for name in ("retry-index/2026-01-01/x.json", "retry-index/parked/2026-01-01/y.json", "retry-index/held/s/z.json"):
        place.fakes.s3.records[name] = b"noise"
    place.fakes.s3.records["dlq-archive/2026-01-01/z.json"] = b"noise"
    place.fakes.dlq.add("m1", "noise")
    result = place.run()
    assert (result.unread, result.unaccounted) == (3, 1)


def test_the_dead_letter_queue_is_left_as_it_was(place):
    place.put("a.txt")
    for number in range(25):
        place.dead(f"m{number}", "a.txt")
    place.run()
    assert (len(place.fakes.dlq.messages), place.fakes.dlq.hidden) == (25, set())
    assert not place.fakes.under("s3-index-worker/holders/")


def test_an_unreadable_file_that_is_found_by_name_is_current_and_counted_as_dead_too(place):
    place.put("a.pdf")
    place.indexed("a.pdf", status="unreadable")
    etag = place.fakes.s3.etag("a.pdf")
    place.dead("m1", "a.pdf", etag=etag)
    place.dead("m2", "a.pdf", etag=etag)
    result = place.run()
    assert (result.current_dead, result.states[STATES[2]], result.is_accounted) == (1, 1, True)


# -- the second look -------------------------------------------------------------------------------------------------------


def between(place, change):
    """Let something change between the first look and the second."""
    index = place.fakes.clients.source  # its depth is read before and after; the state bucket is listed in between
    before = place.fakes.state.keys
    assert index is not None

    def keys(prefix):
        if prefix == "retry-index/":
            change()
        return before(prefix)

    place.fakes.state.keys = keys


def test_an_object_that_was_indexed_meanwhile_is_current(place):
    place.put("a.txt")
    between(place, lambda: place.indexed("a.txt"))
    assert place.states() == {"current": 1}


@pytest.mark.parametrize(
    "change",
    [
        lambda place: place.put("a.txt", b"newer"),
        lambda place: place.put("a.txt", modified_ms=OLD_MS + 5000),
        lambda place: place.fakes.s3.bodies.pop("a.txt", None),
        lambda place: place.indexed("a.txt", etag="another"),
    ],
    ids=["overwritten", "touched", "removed", "indexed in an older state"],
)
def test_what_has_changed_meanwhile_is_young(place, change):
    place.put("a.txt")
    between(place, lambda: change(place))
    assert place.states() == {"young": 1}


def test_an_object_that_s3_refuses_to_show_stays_missing(place):
    place.put("a.txt")
    place.fakes.s3.head = lambda bucket, key: (None, NOW_MS)
    place.fakes.s3.denied.add("a.txt")
    place.put("b.txt")
    place.indexed("b.txt")
    assert place.states() == {"missing": 1, "current": 1}


@pytest.mark.parametrize(
    "change",
    [
        lambda place: place.put("a.txt"),
        lambda place: place.fakes.index.documents.pop((BUCKET, "a.txt"), None),
        lambda place: place.fakes.index.documents.update({(BUCKET, "a.txt"): (NOW_MS, {"etag": "e"})}),
    ],
    ids=["created", "removed from the index", "written again"],
)
def test_an_orphan_counts_only_if_it_persists(place, change):
    place.fakes.index.documents[BUCKET, "a.txt"] = NOW_MS - 1000, {"etag": "e"}
    assert place.run().orphans == 1
    between(place, lambda: change(place))
    assert place.run().orphans == 0


# -- listing and index -----------------------------------------------------------------------------------------------------


def test_a_listing_in_any_order_and_with_repeated_keys_gives_the_same_states(place):
    keys = ["report/1.txt", "report 2.txt", "z", "a", "契約/a", "\U0001f338", "a//b", "x/../y", "dir/a"]
    for key in keys:
        place.put(key)
        place.indexed(key)
    place.put("lost")
    place.fakes.s3.page_size = 2
    pages = place.fakes.s3.list_page
    repeated = pages(BUCKET, "", None).objects

    def list_page(bucket, prefix, token):
        page = pages(bucket, prefix, token)
        return type(page)([*page.objects, *(repeated if token == "4" else [])], page.token)

    place.fakes.s3.list_page = list_page
    assert place.states() == {"current": len(keys), "missing": 1}


def test_a_listing_that_fails_in_the_middle_makes_the_run_failed(place):
    for number in range(5):
        place.put(f"{number}")
        place.indexed(f"{number}")
    place.fakes.s3.page_size = 2
    place.fakes.faults.add("s3.list", DENIED, after=1)
    with pytest.raises(StoreError):
        place.run()
    assert read_reconciled_bucket(place.fakes.state, BUCKET) is None


def test_a_transient_failure_of_a_page_is_tried_again(place):
    place.put("a.txt")
    place.indexed("a.txt")
    place.fakes.faults.add("s3.list", StoreError("slow", code="SlowDown"), times=2)
    place.fakes.faults.add("index.entries", IndexUnavailableError("429"), times=2)
    assert place.states() == {"current": 1}


def test_an_index_that_cannot_be_read_makes_the_run_failed(place):
    place.put("a.txt")
    place.fakes.faults.add("index.entries", IndexUnavailableError("down"))
    with pytest.raises(IndexUnavailableError):
        place.run()


def test_a_queue_or_state_bucket_that_cannot_be_read_makes_the_run_failed(place):
    place.put("a.txt")
    place.fakes.faults.add("dlq.receive", SQS_DOWN)
    with pytest.raises(QueueError):
        place.run()
    place.fakes.faults.plan.clear()
    place.fakes.faults.add("state.get", DENIED)
    place.record("a.txt")
    with pytest.raises(StoreError):
        place.run()


def test_a_bucket_that_does_not_exist_is_said_so_before_anything_is_read(place):
    place.fakes.faults.add("s3.check_bucket", StoreError("no such bucket", code="NoSuchBucket"), after=1)
    with pytest.raises(ConfigError, match=f"the bucket {BUCKET} cannot be listed"):
        place.run()
    assert "s3.list" not in place.fakes.faults.calls


def test_only_what_begins_with_the_prefix_is_compared(place):
    for key in ("a/1", "a/2", "b/1"):
        place.put(key)
    place.indexed("a/1")
    place.fakes.index.documents[BUCKET, "b/orphan"] = NOW_MS - 1000, {"etag": "e"}
    result = place.run("a/")
    assert (result.objects, result.documents, result.orphans, result.unaccounted) == (2, 1, 0, 1)


def test_documents_that_nothing_of_ours_reaches_are_counted_and_not_compared(place):
    place.put("a.txt")
    place.indexed("a.txt")
    place.fakes.index.documents[BUCKET, "b.txt"] = NOW_MS - 1000, {"etag": "e"}
    place.fakes.index.unreachable.add("b.txt")
    place.fakes.index.without_names = 7
    result = place.run()
    assert (result.unreachable, result.nameless, result.orphans, result.documents) == (1, 7, 0, 1)


def test_a_version_from_the_future_is_found_even_if_the_object_is_current(place):
    place.put("a.txt")
    place.fakes.index.documents[BUCKET, "a.txt"] = NOW_MS + 61_000, place.fakes.document("a.txt")
    place.put("b.txt")
    place.fakes.index.documents[BUCKET, "b.txt"] = NOW_MS + 59_000, place.fakes.document("b.txt")
    result = place.run()
    assert (result.future, result.unaccounted, result.is_accounted) == (1, 1, False)


def test_messages_that_wait_are_counted_because_they_may_be_about_what_is_lost(place):
    place.put("a.txt")
    place.fakes.source.add("m1", "{}")
    place.fakes.source.also["ApproximateNumberOfMessagesDelayed"] = "2"
    place.fakes.dlq.add("m2", "{}")
    place.fakes.dlq.hidden.add("m2")
    assert place.run().unsettled == 4


def test_a_sample_compares_so_many_objects_and_says_nothing_of_orphans(place):
    for number in range(50):
        place.put(f"{number}")
        place.indexed(f"{number}")
    place.fakes.index.documents[BUCKET, "orphan"] = NOW_MS - 1000, {"etag": "e"}
    result = place.run(sample=10)
    assert (result.objects, sum(result.states.values()), result.documents, result.orphans) == (10, 10, 10, 0)
    assert place.run(sample=100).objects == 50
    assert read_reconciled_bucket(place.fakes.state, BUCKET) is None


def test_only_what_was_modified_lately_is_compared(place):
    place.put("old.txt", modified_ms=NOW_MS - 7_200_000)
    place.put("new.txt", modified_ms=NOW_MS - 3_000_000)
    assert place.states(since_s=3600) == {"missing": 1}
    assert read_reconciled_bucket(place.fakes.state, BUCKET) is None


# -- the record ------------------------------------------------------------------------------------------------------------


def test_the_result_of_a_whole_bucket_is_recorded_with_what_was_lost_twice(place):
    for key in ("a", "b", "c"):
        place.put(key)
    place.indexed("a")
    place.run()
    stored = place.recorded()
    assert (stored.objects, stored.unaccounted, stored.repeated, stored.at_ms) == (3, 2, 0, NOW_MS)
    assert stored.states["missing"] == 2
    place.indexed("b")
    place.run()
    stored = place.recorded()
    assert (stored.unaccounted, stored.repeated) == (1, 1)
    place.run("a")  # a part of it is no result of the bucket
    assert place.recorded() == stored


def test_what_is_lost_while_messages_wait_does_not_count_towards_the_alert(place):
    place.put("a")
    place.run()
    place.fakes.source.add("m1", "{}")
    assert place.run().unaccounted == 1
    stored = place.recorded()
    assert (stored.unaccounted, stored.repeated) == (1, 0), "as it was known before"
    place.fakes.source.messages.clear()
    place.run()
    assert place.recorded().repeated == 1, "a busy queue in between does not make it forgotten"
    record_fixed(place.fakes.clients, place.request())
    assert (place.recorded().unaccounted, place.recorded().repeated) == (0, 0)


def test_a_dead_letter_that_was_sent_to_the_queue_again_has_not_failed_again(place):
    place.put("a.txt")
    failure = {"schema": 1, "kind": "USER_ERROR", "error_type": "E", "last_failed_at": iso(OLD_MS - YEAR_MS)}
    attributes = {"failure": {"DataType": "String", "StringValue": json.dumps(failure)}}
    place.fakes.dlq.add("m1", place.body("a.txt", None), attributes, sent_ms=NOW_MS)
    assert place.states() == {"missing": 1}


def test_a_parked_record_of_the_earlier_system_counts_from_the_day_in_its_name(place):
    place.put("a.txt")
    place.fakes.s3.records["retry-index/parked/2020-01-01/files/a.txt.json"] = json.dumps(
        {"bucket": BUCKET, "file_key": "a.txt"}
    ).encode()
    assert place.states() == {"missing": 1}


# -- the work file ---------------------------------------------------------------------------------------------------------


def test_a_run_that_failed_goes_on_where_it_was_and_a_finished_one_leaves_nothing(place):
    for number in range(10):
        place.put(f"{number}")
        place.indexed(f"{number}")
    place.fakes.s3.page_size = 2
    place.fakes.faults.add("s3.list", DENIED, after=3)
    with pytest.raises(StoreError):
        place.run()
    place.fakes.faults.plan.clear()
    place.fakes.faults.calls.clear()
    assert place.states() == {"current": 10}
    assert place.fakes.faults.calls.count("s3.list") == 2
    assert list(place.folder.glob("*.sqlite*")) == []


def test_a_run_that_was_stopped_says_nothing_and_is_continued(place):
    for number in range(10):
        place.put(f"{number}")
    place.fakes.s3.page_size = 2
    stop, pages = threading.Event(), place.fakes.s3.list_page

    def list_page(bucket, prefix, token):
        if token == "4":
            stop.set()
        return pages(bucket, prefix, token)

    place.fakes.s3.list_page = list_page
    assert place.run(stop=stop) is None
    place.fakes.faults.calls.clear()
    assert place.states() == {"missing": 10}
    assert place.fakes.faults.calls.count("s3.list") < 5


def test_a_token_that_s3_does_not_know_any_more_begins_the_listing_again(place):
    for number in range(6):
        place.put(f"{number}")
        place.indexed(f"{number}")
    place.fakes.s3.page_size = 2
    place.fakes.faults.add("s3.list", StoreError("token", code="InvalidArgument"), after=2, times=2)
    with pytest.raises(StoreError):
        place.run()
    assert place.states() == {"current": 6}


def test_a_work_file_that_is_damaged_or_too_old_is_begun_anew(place):
    place.put("a.txt")
    place.indexed("a.txt")
    with work_on(place.settings, place.fakes.clients, place.request(), place.folder):
        pass
    [path] = place.folder.glob("*.sqlite")
    path.write_bytes(b"noise" * 1000)
    assert place.states() == {"current": 1}
    with work_on(place.settings, place.fakes.clients, place.request(), place.folder) as work:
        work.remember(listing_read=1, listed=99)
    for left in place.folder.glob("*.sqlite*"):
        os.utime(left, (1, 1))
    assert place.states() == {"current": 1}


def test_a_result_that_is_known_is_not_used_again_even_if_the_command_fails_after_it(place):
    place.put("a.txt")

    def fail(_):
        raise IndexUnavailableError("down")

    with pytest.raises(IndexUnavailableError):
        place.run(while_open=fail)
    place.put("b.txt")
    assert place.states() == {"missing": 2}


def test_of_two_runs_for_one_place_the_second_is_refused(place):
    def second(_):
        with pytest.raises(DependencyError, match="another run for the same place"):
            place.run()

    assert place.run(while_open=second).is_accounted


def test_a_full_disk_is_said_to_be_the_work_files(place, monkeypatch):
    def full(*_):
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(WorkFile, "add_objects", full)
    with pytest.raises(DependencyError, match=r"the work file .*\.sqlite: database or disk is full"):
        place.run()


def test_states_that_do_not_add_up_to_the_listing_are_an_error_and_no_result(place, monkeypatch):
    place.put("a.txt")
    place.put("b.txt")
    account = WorkFile.account

    def lose(self, *, orphans):
        account(self, orphans=orphans)
        self._db.execute("DELETE FROM accounted WHERE key='a.txt'")
        return 1

    monkeypatch.setattr(WorkFile, "account", lose)
    with pytest.raises(ReconcileError, match="1 objects have a state, but the listing has 2"):
        place.run()
    assert read_reconciled_bucket(place.fakes.state, BUCKET) is None


def test_what_an_interrupted_run_has_read_of_the_index_decides_nothing(place):
    for number in range(3):
        place.put(f"{number}")
        place.indexed(f"{number}")
    place.fakes.faults.add("state.list", DENIED, times=1)
    with pytest.raises(StoreError):
        place.run()
    place.fakes.faults.plan.clear()
    place.fakes.index.documents.clear()
    assert place.states() == {"missing": 3}


@pytest.mark.parametrize("more", [{"sample": 2}, {"since_s": 60}])
def test_a_partial_run_leaves_no_file(place, more):
    place.put("a")
    stop = threading.Event()
    stop.set()
    assert place.run(stop=stop, **more) is None
    assert list(place.folder.rglob("*.sqlite*")) == []


def test_the_work_file_is_nobody_elses_and_old_ones_go(place):
    place.folder.mkdir(mode=0o700, exist_ok=True)
    left = place.folder / "reconcile-old-0.sqlite"
    left.touch()
    os.utime(left, (0, 0))
    place.put("a")
    place.run()
    assert not left.exists()
    place.folder.chmod(0o755)
    with pytest.raises(DependencyError, match="chmod 700"):
        place.run()
