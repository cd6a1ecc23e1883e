"""Every row of the replay's table, and that no single failing call loses a record."""

import contextlib
import json
import threading
from datetime import timedelta

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from testing.fakes import Fakes
from testing.memory import BUCKET, DOWN, INDEX_DOWN, NOON, NOW_MS
from tests.support.size import sized
from worker.core.base.errors import BudgetError, IndexUnavailableError, StoreError, WorkerError
from worker.core.clients import make_extractor
from worker.core.extract import FAILURES
from worker.core.extract.extractor import Extractor
from worker.core.index import WriteResult, WriteStatus
from worker.core.index.document import Write
from worker.core.indexing.fresh_writer import MAX_OBSERVATION_AGE_MS, UNAVAILABLE_TOGETHER
from worker.core.indexing.meter import NoMeter
from worker.core.indexing.pipeline import Pipeline
from worker.core.indexing.reindexer import UNDECIDED_IN_A_ROW
from worker.core.indexing.replay import MAX_ATTEMPTS, RecordResult, Replay, Result
from worker.core.indexing.retry_store import RetryRecord, RetryStore
from worker.core.s3.state import HELD_PREFIX, PARKED_PREFIX, RETRY_PREFIX, safe_name

STORED_MS = NOW_MS - 86_400_000
DENIED = StoreError("denied", code="AccessDenied")


def waits(fakes, key, *, etag=None, removal=False, rejected=False, at_ms=STORED_MS, status="ok"):
    """A record of this object: by default of what S3 still holds."""
    fakes.s3.bodies.setdefault(key, f"text of {key}".encode())
    seen = etag or fakes.s3.etag(key)
    document = fakes.document(key, status=status, content="stored", etag=seen)
    write = Write(BUCKET, key, at_ms, None if removal else seen, None if removal else orjson.dumps(document))
    record = RetryRecord(write, "the index is unavailable", rejected=rejected)
    fakes.s3.records[record.name] = record.as_json()
    return record.name


def held(fakes, key, scope="s3://files/"):
    """A record of an object that waits for the cap of its prefix."""
    fakes.s3.bodies[key] = f"text of {key}".encode()
    store = RetryStore(fakes.state)
    store.hold(BUCKET, key, STORED_MS, scope=scope, reason="spent")
    store.close()


def replayed(fakes, *, stop=None, tick=lambda: None, settings=None, may_release=lambda _: False, meter=None, **options):
    chosen = settings or fakes.settings()
    extractor: Extractor = make_extractor(chosen)
    store = RetryStore(fakes.state)
    try:
        pipeline = Pipeline(chosen, fakes.clients.objects, extractor=extractor, meter=meter)
        run = Replay(
            chosen, fakes.clients, pipeline=pipeline, retry=store, threads=4, may_release=may_release
        )  # fmt: skip
        return run.run(stop=stop or threading.Event(), tick=tick, **options)
    finally:
        store.close()
        extractor.close()


def content(fakes, key):
    return fakes.index.documents[BUCKET, key][1]["content"]


# -- the table ---------------------------------------------------------------------------------------------------


def test_an_object_that_is_as_it_was_gets_its_stored_document_with_the_time_of_this_observation(fakes):
    waits(fakes, "経理/見積 書.txt")
    assert replayed(fakes) == {Result.REPLAYED: 1}
    assert content(fakes, "経理/見積 書.txt") == "stored"
    assert fakes.index.versions[BUCKET, "経理/見積 書.txt"] == NOW_MS
    assert fakes.s3.records == {}
    assert "s3.read" not in fakes.faults.calls


def test_an_object_that_was_overwritten_is_read_again(fakes):
    waits(fakes, "a.txt", etag="an older one")
    assert replayed(fakes) == {Result.REBUILT: 1}
    assert content(fakes, "a.txt") == "text of a.txt"
    assert fakes.s3.records == {}


def test_an_object_whose_metadata_changed_in_place_is_read_again(fakes):
    waits(fakes, "a.txt")
    fakes.s3.modified["a.txt"] = NOON + timedelta(hours=1)  # the same bytes, and so the same etag
    assert replayed(fakes) == {Result.REBUILT: 1}
    assert content(fakes, "a.txt") == "text of a.txt"


@pytest.mark.parametrize("status", sorted(FAILURES))
def test_a_document_of_a_file_that_could_not_be_read_does_not_replace_one_that_was_read_since(fakes, status):
    waits(fakes, "a.txt", status=status)
    fakes.indexed("a.txt")
    assert replayed(fakes) == {Result.REBUILT: 1}
    assert content(fakes, "a.txt") == "text of a.txt"


def test_a_held_object_is_read_as_it_is_now_once_its_cap_has_room_and_not_before(fakes):
    held(fakes, "a.txt")
    held(fakes, "b.txt", scope="s3://files/b")
    held(fakes, "gone.txt")
    fakes.indexed("gone.txt")
    del fakes.s3.bodies["gone.txt"]
    assert replayed(fakes) == {}
    assert replayed(fakes, may_release=lambda scope: scope == safe_name("s3://files/")) == {
        Result.REBUILT: 1, Result.REMOVED: 1
    }  # fmt: skip
    assert content(fakes, "a.txt") == "text of a.txt"
    assert (BUCKET, "gone.txt") not in fakes.index.documents
    assert len(fakes.s3.records) == 1
    assert replayed(fakes, prefix=HELD_PREFIX) == {Result.REBUILT: 1}, "an operator may have them read at once"


def test_a_held_object_that_is_refused_again_is_kept(fakes):
    class Spent(NoMeter):
        def reading(self, bucket, key):
            raise BudgetError("spent", scope="s3://files/")

    held(fakes, "a.txt")
    before = dict(fakes.s3.records)
    assert replayed(fakes, may_release=lambda _: True, meter=Spent()) == {Result.KEPT: 1}
    assert fakes.s3.records == before
    assert "s3.read" not in fakes.faults.calls


def test_a_held_object_whose_document_the_index_rejects_waits_as_any_other(fakes):
    held(fakes, "a.txt")
    fakes.index.rejects.add("a.txt")
    assert replayed(fakes, may_release=lambda _: True) == {Result.REJECTED: 1}
    [(name, record)] = fakes.under(RETRY_PREFIX).items()
    assert not name.startswith(HELD_PREFIX)
    assert (record["rejected"], record["attempts"]) == (True, 1)
    fakes.index.rejects.clear()
    assert replayed(fakes) == {Result.REBUILT: 1}
    assert fakes.s3.records == {}


def test_records_that_cannot_be_read_end_the_run_as_an_error_of_the_state_bucket(fakes):
    for number in range(4 * UNDECIDED_IN_A_ROW):
        waits(fakes, f"{number:03}.txt")
    fakes.faults.add("state.get", DENIED)
    with pytest.raises(StoreError, match="the records in state cannot be read"):
        replayed(fakes, settings=fakes.settings(bulk_documents=10))
    assert fakes.faults.calls.count("state.get") < 3 * UNDECIDED_IN_A_ROW
    assert len(fakes.s3.records) == 4 * UNDECIDED_IN_A_ROW


def test_what_is_excluded_since_is_parked_and_its_removal_still_removes(fakes):
    name = waits(fakes, "a.tmp")
    waits(fakes, "gone.tmp")
    fakes.indexed("gone.tmp")
    del fakes.s3.bodies["gone.tmp"]
    assert replayed(fakes, settings=fakes.settings(exclude_keys=("*.tmp",))) == {Result.PARKED: 1, Result.REMOVED: 1}
    assert fakes.index.documents == {}
    assert list(fakes.s3.records) == [PARKED_PREFIX + name.removeprefix(RETRY_PREFIX)]


def test_an_object_that_is_gone_leaves_the_index(fakes):
    waits(fakes, "a.txt")
    fakes.indexed("a.txt")
    del fakes.s3.bodies["a.txt"]
    assert replayed(fakes) == {Result.REMOVED: 1}
    assert fakes.index.documents == {}
    assert fakes.s3.records == {}


def test_a_removal_whose_object_is_there_again_is_read_again(fakes):
    waits(fakes, "back.txt", removal=True)
    waits(fakes, "gone.txt", removal=True)
    del fakes.s3.bodies["gone.txt"]
    assert replayed(fakes) == {Result.REBUILT: 1, Result.REMOVED: 1}
    assert set(fakes.index.documents) == {(BUCKET, "back.txt")}


def test_a_later_observation_wins_and_the_record_is_done(fakes):
    waits(fakes, "a.txt")
    fakes.indexed("a.txt")
    fakes.index.versions[BUCKET, "a.txt"] = NOW_MS + 1
    assert replayed(fakes) == {Result.REPLAYED: 1}
    assert "content" not in fakes.index.documents[BUCKET, "a.txt"][1]
    assert fakes.s3.records == {}


def test_a_refused_document_counts_its_attempts_and_is_parked_with_its_history(fakes):
    name = waits(fakes, "a.txt")
    fakes.index.rejects.add("a.txt")
    for attempt in range(1, MAX_ATTEMPTS):
        assert replayed(fakes) == {Result.REJECTED: 1}
        record = fakes.under(RETRY_PREFIX)[name]
        assert (record["attempts"], record["rejected"]) == (attempt, True)
    assert replayed(fakes) == {Result.PARKED: 1}
    [(parked, record)] = fakes.under(RETRY_PREFIX).items()
    assert parked == PARKED_PREFIX + name.removeprefix(RETRY_PREFIX)
    assert record["attempts"] == len(record["history"]) == MAX_ATTEMPTS
    assert all("mapper_parsing_exception" in each["reason"] for each in record["history"])
    assert replayed(fakes) == {}


def test_what_is_parked_is_replayed_when_asked_for_and_stays_parked_while_it_is_refused(fakes):
    name = waits(fakes, "a.txt")
    parked = PARKED_PREFIX + name.removeprefix(RETRY_PREFIX)
    fakes.s3.records[parked] = fakes.s3.records.pop(name)
    fakes.index.rejects.add("a.txt")
    assert replayed(fakes, prefix=PARKED_PREFIX) == {Result.PARKED: 1}
    assert fakes.under(RETRY_PREFIX)[parked]["attempts"] == 1
    fakes.index.rejects.clear()
    assert replayed(fakes, prefix=PARKED_PREFIX) == {Result.REPLAYED: 1}
    assert fakes.s3.records == {}


@pytest.mark.parametrize(
    "raw",
    [
        b"no json at all", b"[1]", b'{"schema": 99}', b'{"schema": 1}',
        RetryRecord(Write(BUCKET, "x", 1, "e", b"null"), "r", rejected=False).as_json(),
        RetryRecord(Write(BUCKET, "x", 1, "e", b'"text"'), "r", rejected=False).as_json(),
        RetryRecord(Write(BUCKET, "", 1, "e", b"{}"), "r", rejected=False).as_json(),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_parked_as_it_is_and_spoils_nothing_else(fakes, raw):
    waits(fakes, "a.txt")
    fakes.s3.records[RETRY_PREFIX + "2026-01-01/broken.json"] = raw
    assert replayed(fakes) == {Result.REPLAYED: 1, Result.PARKED: 1}
    assert fakes.s3.records == {PARKED_PREFIX + "2026-01-01/broken.json": raw}
    assert replayed(fakes, prefix=PARKED_PREFIX) == {Result.PARKED: 1}
    assert fakes.s3.records == {PARKED_PREFIX + "2026-01-01/broken.json": raw}


@pytest.mark.parametrize(
    "document", [{"file_key": "経理/a.txt", "bucket": BUCKET}, {"file_key": "経理/a.txt"}, {"content": "old"}]
)
@pytest.mark.parametrize("prefix", [RETRY_PREFIX, PARKED_PREFIX])
def test_a_bare_document_of_the_earlier_system_is_read_again_from_s3(fakes, document, prefix):
    fakes.s3.bodies["経理/a.txt"] = b"text of now"
    fakes.s3.records[prefix + "2025-12-31/経理/a.txt.json"] = json.dumps(document).encode()
    assert replayed(fakes, prefix=prefix) == {Result.REBUILT: 1}
    assert content(fakes, "経理/a.txt") == "text of now"
    assert fakes.s3.records == {}


@pytest.mark.parametrize("call", ["s3.head", "s3.read"])
def test_an_s3_that_fails_for_a_moment_keeps_the_record_and_counts_no_attempt(fakes, call):
    name = waits(fakes, "a.txt", etag=None if call == "s3.head" else "an older one")
    before = dict(fakes.s3.records)
    fakes.faults.add(call, DOWN)
    assert replayed(fakes) == {Result.KEPT: 1}
    assert fakes.s3.records == before
    fakes.faults.plan.clear()
    fakes.faults.add(call, DOWN, times=1)
    assert replayed(fakes).keys() <= {Result.REPLAYED, Result.REBUILT}, "tried again at once"
    assert name not in fakes.s3.records


def test_a_denial_is_an_object_fault_only_where_others_can_be_read(fakes):
    name = waits(fakes, "a.txt", etag="an older one")
    fakes.s3.denied.add("a.txt")
    assert replayed(fakes) == {Result.KEPT: 1}
    fakes.s3.bodies["b.txt"] = b"readable"
    assert replayed(fakes) == {Result.REJECTED: 1}
    assert fakes.under(RETRY_PREFIX)[name]["attempts"] == 1


def test_an_observation_that_has_become_too_old_is_not_written(fakes, monkeypatch):
    waits(fakes, "a.txt")
    monkeypatch.setattr(fakes.s3, "head", lambda _b, key: (fakes.s3.state(key), NOW_MS - MAX_OBSERVATION_AGE_MS - 1))
    assert replayed(fakes) == {Result.KEPT: 1}
    assert fakes.index.documents == {}
    assert len(fakes.s3.records) == 1


def test_an_index_so_slow_that_observations_grow_old_is_not_asked_a_second_time(fakes, monkeypatch):
    waits(fakes, "a.txt")

    def slow(_writes):
        fakes.faults.calls.append("index.write")
        fakes.s3.clock.now_ms = lambda: NOW_MS + MAX_OBSERVATION_AGE_MS + 1
        raise INDEX_DOWN

    monkeypatch.setattr(fakes.index, "write", slow)
    with pytest.raises(IndexUnavailableError, match="too long"):
        replayed(fakes)
    assert fakes.faults.calls.count("index.write") == 1
    assert len(fakes.s3.records) == 1


# -- a run -------------------------------------------------------------------------------------------------------


def test_an_index_that_becomes_unavailable_in_the_middle_ends_the_run_and_what_is_not_confirmed_stays(fakes):
    names = {key: waits(fakes, key) for key in (f"{number:03}.txt" for number in range(60))}
    fakes.faults.add("index.write", INDEX_DOWN, after=2)
    with pytest.raises(IndexUnavailableError):
        replayed(fakes, settings=fakes.settings(bulk_documents=10))
    written = {key for _, key in fakes.index.documents}
    assert len(written) == 20
    assert set(fakes.s3.records) == {name for key, name in names.items() if key not in written}


def answers(fakes, monkeypatch, *statuses):
    """The index's answers, in the order of the request."""
    found = [WriteResult(status, f"429 {status}") for status in statuses]
    monkeypatch.setattr(fakes.index, "write", lambda writes: found[: len(writes)])


def test_a_document_that_the_index_does_not_take_now_stays_and_delays_no_other(fakes, monkeypatch):
    names = {waits(fakes, f"{number}.txt") for number in range(3)}
    answers(fakes, monkeypatch, WriteStatus.WRITTEN, WriteStatus.UNAVAILABLE, WriteStatus.SUPERSEDED)
    assert replayed(fakes) == {Result.REPLAYED: 2, Result.KEPT: 1}
    assert len(names & set(fakes.s3.records)) == 1


def test_an_index_that_takes_none_of_a_request_is_unavailable(fakes, monkeypatch):
    names = {waits(fakes, f"{number:02}.txt") for number in range(UNAVAILABLE_TOGETHER)}
    answers(fakes, monkeypatch, *[WriteStatus.UNAVAILABLE] * UNAVAILABLE_TOGETHER)
    with pytest.raises(IndexUnavailableError, match="429"):
        replayed(fakes)
    assert set(fakes.s3.records) == names


def test_an_index_that_takes_none_of_many_small_requests_ends_the_run(fakes, monkeypatch):
    for number in range(2 * UNDECIDED_IN_A_ROW):
        waits(fakes, f"{number:03}.txt")
    answers(fakes, monkeypatch, *[WriteStatus.UNAVAILABLE] * UNAVAILABLE_TOGETHER)
    with pytest.raises(IndexUnavailableError, match="in a row"):
        replayed(fakes, settings=fakes.settings(bulk_documents=UNAVAILABLE_TOGETHER - 1))
    assert len(fakes.s3.records) == 2 * UNDECIDED_IN_A_ROW


def test_a_bucket_that_cannot_be_read_is_skipped_after_some_tries_and_the_records_of_others_go_on(fakes):
    """Those of the denied bucket are older, and sort first."""
    for number in range(4 * UNDECIDED_IN_A_ROW):
        write = Write("denied-bucket", f"{number:03}.txt", STORED_MS, None, None)
        record = RetryRecord(write, "the index is unavailable", rejected=False)
        fakes.s3.records[record.name] = record.as_json()
    for number in range(30):
        waits(fakes, f"{number:03}.txt")
    fakes.s3.denied_buckets.add("denied-bucket")
    results: list[RecordResult] = []
    counts = replayed(fakes, on_result=results.append)
    assert counts == {Result.REPLAYED: 30, Result.KEPT: 4 * UNDECIDED_IN_A_ROW}
    assert len(fakes.s3.records) == 4 * UNDECIDED_IN_A_ROW
    assert fakes.faults.calls.count("s3.read") < 2 * UNDECIDED_IN_A_ROW
    assert sum("its bucket is skipped in this run" in one.reason for one in results) > 2 * UNDECIDED_IN_A_ROW


def test_a_dry_run_changes_nothing_and_says_what_would_be_done(fakes):
    waits(fakes, "same.txt")
    waits(fakes, "other.txt", etag="an older one")
    waits(fakes, "gone.txt")
    del fakes.s3.bodies["gone.txt"]
    fakes.s3.records[RETRY_PREFIX + "2026-01-01/broken.json"] = b"?"
    before = dict(fakes.s3.records)
    found = replayed(fakes, dry_run=True)
    assert found == {Result.REPLAYED: 1, Result.REBUILT: 1, Result.REMOVED: 1, Result.PARKED: 1}
    assert (fakes.s3.records, fakes.index.documents) == (before, {})
    assert not {"state.put", "state.delete", "index.write"} & set(fakes.faults.calls)


def test_limit_and_prefix_choose_and_the_oldest_day_comes_first(fakes):
    days = {day: waits(fakes, f"day-{day}.txt", at_ms=NOW_MS - day * 86_400_000) for day in (1, 2, 3)}
    assert replayed(fakes, limit=1) == {Result.REPLAYED: 1}
    assert days[3] not in fakes.s3.records
    assert replayed(fakes, prefix=days[1].rpartition("/")[0]) == {Result.REPLAYED: 1}
    assert list(fakes.s3.records) == [days[2]]


def test_what_the_index_refused_is_left_to_an_operator_by_a_run_that_asks_so(fakes):
    refused = waits(fakes, "refused.txt", rejected=True)
    waits(fakes, "a.txt")
    assert replayed(fakes, rejected_too=False) == {Result.REPLAYED: 1}
    assert list(fakes.s3.records) == [refused]
    assert replayed(fakes) == {Result.REPLAYED: 1}


def test_a_run_that_is_stopped_finishes_what_it_has_observed(fakes):
    for number in range(200):
        waits(fakes, f"{number:03}.txt")
    stop = threading.Event()
    ticks = iter(range(1000))
    found = replayed(fakes, stop=stop, tick=lambda: stop.set() if next(ticks) == 20 else None)
    assert 0 < found.total() < 200
    assert len(fakes.s3.records) == 200 - found.total() == 200 - len(fakes.index.documents)


def test_a_bug_keeps_its_record_and_ends_nothing(fakes, monkeypatch):
    waits(fakes, "a.txt")
    waits(fakes, "b.txt")
    observe = fakes.s3.head
    monkeypatch.setattr(fakes.s3, "head", lambda b, key: observe(b, key) if key == "a.txt" else 1 / 0)
    assert replayed(fakes) == {Result.REPLAYED: 1, Result.KEPT: 1}


# -- nothing lost ------------------------------------------------------------------------------------------------

KINDS = ("same", "changed", "gone", "rejected", "denied", "earlier", "broken")
CALLS = ("s3.head", "s3.read", "index.write", "state.get", "state.put", "state.delete", "state.list")


@pytest.mark.timeout(sized(900, usual=180))
@settings(
    max_examples=sized(500, usual=40), suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
@given(
    kinds=st.lists(st.sampled_from(KINDS), min_size=1, max_size=25),
    call=st.sampled_from(CALLS),
    after=st.integers(0, 6),
    times=st.sampled_from([1, 3, 1_000_000]),
    transient=st.booleans(),
    runs=st.sampled_from([1, MAX_ATTEMPTS]),
)
def test_any_mix_and_any_single_failing_call_loses_nothing(kinds, call, after, times, transient, runs):
    fakes = Fakes()
    for number, kind in enumerate(kinds):
        _put_record(fakes, number, kind)
    fakes.faults.add(
        call, INDEX_DOWN if call.startswith("index") else DOWN if transient else DENIED, after=after, times=times
    )
    for _ in range(runs):
        with contextlib.suppress(WorkerError):  # and nothing else: no call may fail in a way that nobody foresaw
            replayed(fakes, settings=fakes.settings(bulk_documents=4))
    for number, kind in enumerate(kinds):
        assert _is_somewhere(fakes, number, kind), (number, kind)


def _put_record(fakes, number, kind):
    key = f"{kind}-{number}.txt"
    if kind == "broken":
        fakes.s3.records[f"{RETRY_PREFIX}2026-01-01/{key}.json"] = b"broken"
        return
    if kind == "earlier":
        fakes.s3.bodies[key] = b"x"
        fakes.s3.records[f"{RETRY_PREFIX}2026-01-01/{key}.json"] = b'{"content": "old"}'
        return
    waits(fakes, key, etag="an older one" if kind in {"changed", "denied"} else None)
    if kind == "gone":
        fakes.indexed(key)
        del fakes.s3.bodies[key]
    if kind == "rejected":
        fakes.index.rejects.add(key)
    if kind == "denied":
        fakes.s3.denied.add(key)


def _is_somewhere(fakes, number, kind):
    """Right in the index, or still in `retry-index/`, parked or not."""
    key = f"{kind}-{number}.txt"
    if any(f"/{key}." in name for name in fakes.s3.records):
        return True
    found = fakes.index.documents.get((BUCKET, key))
    if kind == "gone":
        return found is None
    return found is not None and found[1].get("etag") == fakes.s3.etag(key)
