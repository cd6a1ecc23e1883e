"""Every row of the replay's table, and that no single failing call loses a record."""

import contextlib
import json
import threading

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.size import sized
from tests.support.world import BUCKET, DOWN, INDEX_DOWN, NOW_MS, World
from worker.core import retry
from worker.core.document import Write
from worker.core.errors import DependencyError, IndexAwayError, StoreError, WorkerError
from worker.core.extract.extractor import Extractor
from worker.core.index import WriteResult, WriteStatus
from worker.core.outside import AWAY_TOGETHER, make_extractor
from worker.core.pipeline import MAX_LOOK_AGE_MS, Pipeline
from worker.core.replay import KEPT_IN_A_ROW, MAX_ATTEMPTS, Replay, Result
from worker.core.retrystore import RetryRecord, RetryStore
from worker.core.state import PARKED_PREFIX, RETRY_PREFIX

STORED_MS = NOW_MS - 86_400_000
DENIED = StoreError("denied", code="AccessDenied")


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch):
    monkeypatch.setattr(retry, "FIRST_WAIT_S", 0.0001)
    monkeypatch.setattr(retry, "LONGEST_WAIT_S", 0.0001)


@pytest.fixture
def world():
    return World()


def waits(world, key, *, etag=None, removal=False, rejected=False, at_ms=STORED_MS):
    """A record of this object: by default of what S3 still holds."""
    world.s3.holds.setdefault(key, f"text of {key}".encode())
    document = None if removal else orjson.dumps({"file_key": key, "content": "stored", "etag": etag or "?"})
    write = Write(BUCKET, key, at_ms, None if removal else etag or world.s3.etag(key), document)
    record = RetryRecord(write, "the index is away", rejected=rejected)
    world.s3.records[record.name] = record.as_json()
    return record.name


def replayed(world, *, stop=None, tick=lambda: None, settings=None, **options):
    chosen = settings or world.settings()
    extractor: Extractor = make_extractor(chosen)
    store = RetryStore(world.state)
    try:
        pipeline = Pipeline(chosen, world.outside.objects, extractor)
        run = Replay(chosen, world.outside, pipeline, store, threads=4)
        return run.run(stop=stop or threading.Event(), tick=tick, **options)
    finally:
        store.close()
        extractor.close()


def content(world, key):
    return world.index.documents[BUCKET, key][1]["content"]


# -- the table ---------------------------------------------------------------------------------------------------


def test_an_object_that_is_as_it_was_gets_its_stored_document_at_the_time_of_this_look(world):
    waits(world, "経理/見積 書.txt")
    assert replayed(world) == {Result.REPLAYED: 1}
    assert content(world, "経理/見積 書.txt") == "stored"
    assert world.index.versions[BUCKET, "経理/見積 書.txt"] == NOW_MS
    assert world.s3.records == {}
    assert "s3.read" not in world.faults.calls


def test_an_object_that_was_overwritten_is_read_anew(world):
    waits(world, "a.txt", etag="an older one")
    assert replayed(world) == {Result.REBUILT: 1}
    assert content(world, "a.txt") == "text of a.txt"
    assert world.s3.records == {}


def test_an_object_that_is_gone_leaves_the_index(world):
    waits(world, "a.txt")
    world.indexed("a.txt")
    del world.s3.holds["a.txt"]
    assert replayed(world) == {Result.REMOVED: 1}
    assert world.index.documents == {}
    assert world.s3.records == {}


def test_a_removal_whose_object_is_there_again_is_read_anew(world):
    waits(world, "back.txt", removal=True)
    waits(world, "gone.txt", removal=True)
    del world.s3.holds["gone.txt"]
    assert replayed(world) == {Result.REBUILT: 1, Result.REMOVED: 1}
    assert set(world.index.documents) == {(BUCKET, "back.txt")}


def test_whoever_looked_later_wins_and_the_record_is_done(world):
    waits(world, "a.txt")
    world.indexed("a.txt")
    world.index.versions[BUCKET, "a.txt"] = NOW_MS + 1
    assert replayed(world) == {Result.REPLAYED: 1}
    assert "content" not in world.index.documents[BUCKET, "a.txt"][1]
    assert world.s3.records == {}


def test_a_refused_document_counts_its_attempts_and_is_parked_with_its_history(world):
    name = waits(world, "a.txt")
    world.index.rejects.add("a.txt")
    for attempt in range(1, MAX_ATTEMPTS):
        assert replayed(world) == {Result.REJECTED: 1}
        record = world.under(RETRY_PREFIX)[name]
        assert (record["attempts"], record["rejected"]) == (attempt, True)
    assert replayed(world) == {Result.PARKED: 1}
    [(parked, record)] = world.under(RETRY_PREFIX).items()
    assert parked == PARKED_PREFIX + name.removeprefix(RETRY_PREFIX)
    assert record["attempts"] == len(record["history"]) == MAX_ATTEMPTS
    assert all("mapper_parsing_exception" in each["reason"] for each in record["history"])
    assert replayed(world) == {}


def test_what_is_parked_is_replayed_when_asked_for_and_stays_parked_while_it_is_refused(world):
    name = waits(world, "a.txt")
    parked = PARKED_PREFIX + name.removeprefix(RETRY_PREFIX)
    world.s3.records[parked] = world.s3.records.pop(name)
    world.index.rejects.add("a.txt")
    assert replayed(world, prefix=PARKED_PREFIX) == {Result.PARKED: 1}
    assert world.under(RETRY_PREFIX)[parked]["attempts"] == 1
    world.index.rejects.clear()
    assert replayed(world, prefix=PARKED_PREFIX) == {Result.REPLAYED: 1}
    assert world.s3.records == {}


@pytest.mark.parametrize(
    "raw",
    [
        b"no json at all", b"[1]", b'{"schema": 99}', b'{"schema": 1}',
        RetryRecord(Write(BUCKET, "x", 1, "e", b"null"), "r", rejected=False).as_json(),
        RetryRecord(Write(BUCKET, "x", 1, "e", b'"text"'), "r", rejected=False).as_json(),
        RetryRecord(Write(BUCKET, "", 1, "e", b"{}"), "r", rejected=False).as_json(),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_parked_as_it_is_and_spoils_nothing_else(world, raw):
    waits(world, "a.txt")
    world.s3.records[RETRY_PREFIX + "2026-01-01/broken.json"] = raw
    assert replayed(world) == {Result.REPLAYED: 1, Result.PARKED: 1}
    assert world.s3.records == {PARKED_PREFIX + "2026-01-01/broken.json": raw}
    assert replayed(world, prefix=PARKED_PREFIX) == {Result.PARKED: 1}
    assert world.s3.records == {PARKED_PREFIX + "2026-01-01/broken.json": raw}


@pytest.mark.parametrize(
    "document", [{"file_key": "経理/a.txt", "bucket": BUCKET}, {"file_key": "経理/a.txt"}, {"content": "old"}]
)
def test_a_bare_document_of_the_earlier_system_is_read_anew_from_s3(world, document):
    world.s3.holds["経理/a.txt"] = b"text of now"
    world.s3.records[RETRY_PREFIX + "2025-12-31/経理/a.txt.json"] = json.dumps(document).encode()
    assert replayed(world) == {Result.REBUILT: 1}
    assert content(world, "経理/a.txt") == "text of now"
    assert world.s3.records == {}


@pytest.mark.parametrize("call", ["s3.head", "s3.read"])
def test_an_s3_that_fails_in_passing_keeps_the_record_and_counts_no_attempt(world, call):
    name = waits(world, "a.txt", etag=None if call == "s3.head" else "an older one")
    before = dict(world.s3.records)
    world.faults.add(call, DOWN)
    assert replayed(world) == {Result.KEPT: 1}
    assert world.s3.records == before
    world.faults.plan.clear()
    world.faults.add(call, DOWN, times=1)
    assert replayed(world).keys() <= {Result.REPLAYED, Result.REBUILT}, "tried again in place"
    assert name not in world.s3.records


def test_a_denial_is_the_objects_own_fault_only_where_others_can_be_read(world):
    name = waits(world, "a.txt", etag="an older one")
    world.s3.denied.add("a.txt")
    assert replayed(world) == {Result.KEPT: 1}
    world.s3.holds["b.txt"] = b"readable"
    assert replayed(world) == {Result.REJECTED: 1}
    assert world.under(RETRY_PREFIX)[name]["attempts"] == 1


def test_a_look_that_has_become_too_old_is_not_written(world, monkeypatch):
    waits(world, "a.txt")
    monkeypatch.setattr(world.s3, "head", lambda _b, key: (world.s3.etag(key), NOW_MS - MAX_LOOK_AGE_MS - 1))
    assert replayed(world) == {Result.KEPT: 1}
    assert world.index.documents == {}
    assert len(world.s3.records) == 1


def test_an_index_so_slow_that_looks_grow_old_is_not_asked_a_second_time(world, monkeypatch):
    waits(world, "a.txt")

    def slow(_writes):
        world.faults.calls.append("index.write")
        world.s3.clock.now_ms = lambda: NOW_MS + MAX_LOOK_AGE_MS + 1
        raise INDEX_DOWN

    monkeypatch.setattr(world.index, "write", slow)
    with pytest.raises(IndexAwayError, match="too long"):
        replayed(world)
    assert world.faults.calls.count("index.write") == 1
    assert len(world.s3.records) == 1


# -- a run -------------------------------------------------------------------------------------------------------


def test_an_index_that_goes_away_in_the_middle_ends_the_run_and_what_is_not_confirmed_stays(world):
    names = {key: waits(world, key) for key in (f"{number:03}.txt" for number in range(60))}
    world.faults.add("index.write", INDEX_DOWN, after=2)
    with pytest.raises(IndexAwayError):
        replayed(world, settings=world.settings(bulk_documents=10))
    written = {key for _, key in world.index.documents}
    assert len(written) == 20
    assert set(world.s3.records) == {name for key, name in names.items() if key not in written}


def answers(world, monkeypatch, *statuses):
    """The index's answers, in the order of the request."""
    found = [WriteResult(status, f"429 {status}") for status in statuses]
    monkeypatch.setattr(world.index, "write", lambda writes: found[: len(writes)])


def test_a_document_that_the_index_does_not_take_now_stays_and_holds_no_other_up(world, monkeypatch):
    names = {waits(world, f"{number}.txt") for number in range(3)}
    answers(world, monkeypatch, WriteStatus.WRITTEN, WriteStatus.AWAY, WriteStatus.SUPERSEDED)
    assert replayed(world) == {Result.REPLAYED: 2, Result.KEPT: 1}
    assert len(names & set(world.s3.records)) == 1


def test_an_index_that_takes_none_of_a_request_is_away(world, monkeypatch):
    names = {waits(world, f"{number:02}.txt") for number in range(AWAY_TOGETHER)}
    answers(world, monkeypatch, *[WriteStatus.AWAY] * AWAY_TOGETHER)
    with pytest.raises(IndexAwayError, match="429"):
        replayed(world)
    assert set(world.s3.records) == names


def test_an_index_that_takes_none_of_many_small_requests_ends_the_run(world, monkeypatch):
    for number in range(2 * KEPT_IN_A_ROW):
        waits(world, f"{number:03}.txt")
    answers(world, monkeypatch, *[WriteStatus.AWAY] * AWAY_TOGETHER)
    with pytest.raises(DependencyError, match="in a row"):
        replayed(world, settings=world.settings(bulk_documents=AWAY_TOGETHER - 1))
    assert len(world.s3.records) == 2 * KEPT_IN_A_ROW


def test_an_s3_that_is_away_for_all_ends_the_run(world):
    for number in range(4 * KEPT_IN_A_ROW):
        waits(world, f"{number:03}.txt")
    world.faults.add("s3.head", DOWN)
    with pytest.raises(DependencyError, match="records in a row could not be decided"):
        replayed(world, settings=world.settings(bulk_documents=KEPT_IN_A_ROW))
    assert len(world.s3.records) == 4 * KEPT_IN_A_ROW
    assert world.faults.calls.count("s3.head") < 3 * 2 * KEPT_IN_A_ROW


def test_a_dry_run_changes_nothing_and_says_what_would_be_done(world):
    waits(world, "same.txt")
    waits(world, "other.txt", etag="an older one")
    waits(world, "gone.txt")
    del world.s3.holds["gone.txt"]
    world.s3.records[RETRY_PREFIX + "2026-01-01/broken.json"] = b"?"
    before = dict(world.s3.records)
    found = replayed(world, dry_run=True)
    assert found == {Result.REPLAYED: 1, Result.REBUILT: 1, Result.REMOVED: 1, Result.PARKED: 1}
    assert (world.s3.records, world.index.documents) == (before, {})
    assert not {"state.put", "state.delete", "index.write"} & set(world.faults.calls)


def test_limit_and_prefix_choose_and_the_oldest_day_comes_first(world):
    days = {day: waits(world, f"day-{day}.txt", at_ms=NOW_MS - day * 86_400_000) for day in (1, 2, 3)}
    assert replayed(world, limit=1) == {Result.REPLAYED: 1}
    assert days[3] not in world.s3.records
    assert replayed(world, prefix=days[1].rpartition("/")[0]) == {Result.REPLAYED: 1}
    assert list(world.s3.records) == [days[2]]


def test_what_the_index_refused_is_left_to_an_operator_by_a_run_that_asks_so(world):
    refused = waits(world, "refused.txt", rejected=True)
    waits(world, "away.txt")
    assert replayed(world, rejected_too=False) == {Result.REPLAYED: 1}
    assert list(world.s3.records) == [refused]
    assert replayed(world) == {Result.REPLAYED: 1}


def test_a_run_that_is_stopped_finishes_what_is_in_hand(world):
    for number in range(200):
        waits(world, f"{number:03}.txt")
    stop = threading.Event()
    ticks = iter(range(1000))
    found = replayed(world, stop=stop, tick=lambda: stop.set() if next(ticks) == 20 else None)
    assert 0 < found.total() < 200
    assert len(world.s3.records) == 200 - found.total() == 200 - len(world.index.documents)


def test_a_bug_of_ours_keeps_its_record_and_ends_nothing(world, monkeypatch):
    waits(world, "a.txt")
    waits(world, "b.txt")
    look = world.s3.head
    monkeypatch.setattr(world.s3, "head", lambda b, key: look(b, key) if key == "a.txt" else 1 / 0)
    assert replayed(world) == {Result.REPLAYED: 1, Result.KEPT: 1}


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
    passing=st.booleans(),
    runs=st.sampled_from([1, MAX_ATTEMPTS]),
)
def test_any_mix_and_any_single_failing_call_loses_nothing(kinds, call, after, times, passing, runs):
    world = World()
    for number, kind in enumerate(kinds):
        _put_record(world, number, kind)
    world.faults.add(
        call, INDEX_DOWN if call.startswith("index") else DOWN if passing else DENIED, after=after, times=times
    )
    for _ in range(runs):
        with contextlib.suppress(WorkerError):  # and nothing else: no call may fail in a way that nobody foresaw
            replayed(world, settings=world.settings(bulk_documents=4))
    for number, kind in enumerate(kinds):
        assert _is_somewhere(world, number, kind), (number, kind)


def _put_record(world, number, kind):
    key = f"{kind}-{number}.txt"
    if kind == "broken":
        world.s3.records[f"{RETRY_PREFIX}2026-01-01/{key}.json"] = b"broken"
        return
    if kind == "earlier":
        world.s3.holds[key] = b"x"
        world.s3.records[f"{RETRY_PREFIX}2026-01-01/{key}.json"] = b'{"content": "old"}'
        return
    waits(world, key, etag="an older one" if kind in {"changed", "denied"} else None)
    if kind == "gone":
        world.indexed(key)
        del world.s3.holds[key]
    if kind == "rejected":
        world.index.rejects.add(key)
    if kind == "denied":
        world.s3.denied.add(key)


def _is_somewhere(world, number, kind):
    """Right in the index, or still in `retry-index/`, parked or not."""
    key = f"{kind}-{number}.txt"
    if any(f"/{key}." in name for name in world.s3.records):
        return True
    found = world.index.documents.get((BUCKET, key))
    if kind == "gone":
        return found is None
    return found is not None and found[1].get("etag") in {world.s3.etag(key), "?"}
