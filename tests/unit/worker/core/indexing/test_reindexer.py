"""The bounded run: how many items it holds, when it writes, what each item comes to, and how it ends."""

import itertools
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from testing.memory import BUCKET, DOWN, INDEX_DOWN, NOW_MS
from testing.waiting import wait_until
from worker.core.base import concurrency, retry
from worker.core.base.errors import ExtractionStoppedError, IndexUnavailableError, StoreError
from worker.core.index.document import Write
from worker.core.indexing import reindexer as reindexer_module
from worker.core.indexing.fresh_writer import MAX_OBSERVATION_AGE_MS
from worker.core.indexing.reindexer import UNDECIDED_IN_A_ROW, Observation, Reindexed, Reindexer, SkippedBuckets, Status

DENIED = StoreError("denied", code="AccessDenied")
SOON_S = 5


@pytest.fixture
def run(fakes):
    """Start a run over keys: by default each is observed at once, and needs a write."""
    pool = ThreadPoolExecutor(4)

    def started(items, observe=None, *, stop=None, window=8, rate=None, settings=None, **options):
        reindexer = Reindexer(fakes.settings(**settings or {}), fakes.clients, pool=pool, window=window, rate=rate)
        return reindexer.run(
            items, observe or wanted, object_of=lambda key: (BUCKET, key), stop=stop or threading.Event(), **options
        )

    yield started
    pool.shutdown()


def wanted(key, *, at_ms=NOW_MS, size_bytes=2):
    return Observation(f"value of {key}", Write(BUCKET, key, at_ms, "e", b'"' + b" " * (size_bytes - 2) + b'"'))


def keys(count):
    return [f"{number:03}.txt" for number in range(count)]


def all_of(groups):
    return {one.item: one for group in groups for one in group}


def written(fakes):
    return {key for _, key in fakes.index.documents}


# -- what items come to ------------------------------------------------------------------------------------------


def test_every_item_is_yielded_once_with_its_value_after_its_write_is_confirmed(fakes, run):
    for group in run(keys(50), settings={"bulk_documents": 10}):
        assert {one.status for one in group} == {Status.WRITTEN}
        assert {one.value for one in group} == {f"value of {one.item}" for one in group}
        assert {one.item for one in group} <= written(fakes)
    assert written(fakes) == set(keys(50))


def test_an_item_that_needs_no_write_is_decided_and_the_index_is_not_asked(fakes, run):
    found = all_of(run(["a"], lambda key: Observation(key.upper())))
    assert (found["a"].status, found["a"].value) == (Status.DECIDED, "A")
    assert "index.write" not in fakes.faults.calls


def test_each_write_of_a_request_has_its_own_status(fakes, run):
    fakes.index.rejects.add("bad")
    fakes.index.unavailable.add("busy")
    fakes.index.versions[BUCKET, "later"] = NOW_MS + 1

    def observe(key):
        return wanted(key, at_ms=NOW_MS - MAX_OBSERVATION_AGE_MS - 1 if key == "old" else NOW_MS)

    found = all_of(run(["good", "bad", "busy", "later", "old"], observe))
    assert {key: one.status for key, one in found.items()} == {
        "good": Status.WRITTEN, "later": Status.WRITTEN, "bad": Status.REJECTED, "busy": Status.UNDECIDED,
        "old": Status.UNDECIDED,
    }  # fmt: skip
    assert found["bad"].reason.startswith("mapper_parsing_exception")
    assert isinstance(found["busy"].error, IndexUnavailableError)
    assert "too old" in found["old"].reason
    assert all(one.value == f"value of {key}" for key, one in found.items())
    assert not any(one.is_bug for one in found.values())


@pytest.mark.parametrize(
    ("error", "attempts", "is_bug"),
    [
        (DOWN, 3, False), (OSError(28, "No space left on device"), 3, False), (MemoryError(), 3, False),
        (ExtractionStoppedError("the worker stops"), 1, False), (ZeroDivisionError("a bug"), 1, True),
    ],
)  # fmt: skip
def test_an_item_that_cannot_be_observed_is_undecided_and_harms_no_other(fakes, run, error, attempts, is_bug):
    asked = []

    def observe(key):
        asked.append(key)
        if key == "007.txt":
            raise error
        return wanted(key)

    found = all_of(run(keys(20), observe))
    failed = found.pop("007.txt")
    assert (failed.status, failed.error, failed.is_bug, failed.value) == (Status.UNDECIDED, error, is_bug, None)
    assert failed.reason
    assert {one.status for one in found.values()} == {Status.WRITTEN}
    assert asked.count("007.txt") == attempts


def test_an_item_that_fails_for_a_moment_is_observed_again(fakes, run):
    failures = iter([DOWN, DOWN])

    def observe(key):
        for error in failures:
            raise error
        return wanted(key)

    assert all_of(run(["a"], observe))["a"].status is Status.WRITTEN


def test_a_denial_is_an_object_fault_only_where_others_can_be_read(fakes, run):
    def observe(key):
        raise DENIED

    assert all_of(run(["a"], observe))["a"].status is Status.UNDECIDED
    fakes.s3.bodies["b"] = b"readable"
    assert all_of(run(["a"], observe))["a"].status is Status.OBJECT_FAULT


# -- bounds ------------------------------------------------------------------------------------------------------


def test_no_more_items_are_taken_than_the_window_and_one_request_hold(fakes, run):
    taken, yielded, most = itertools.count(1), 0, 0

    def source():
        nonlocal most
        for key in keys(200):
            most = max(most, next(taken) - yielded)
            yield key

    for group in run(source(), window=8, settings={"bulk_documents": 10}):
        yielded += len(group)
    assert yielded == 200
    assert 10 <= most <= 8 + 10


def test_no_more_are_observed_at_once_than_the_window_allows(fakes, run):
    at_once, most, lock = 0, 0, threading.Lock()

    def observe(key):
        nonlocal at_once, most
        with lock:
            at_once += 1
            most = max(most, at_once)
        time.sleep(0.002)
        with lock:
            at_once -= 1
        return wanted(key)

    all_of(run(keys(50), observe, window=2))
    assert most == 2


def test_requests_are_bounded_in_documents_and_bytes(fakes, run):
    sizes = [len(group) for group in run(keys(50), settings={"bulk_documents": 7})]
    assert max(sizes) == 7
    sizes = [
        len(group)
        for group in run(
            keys(20), lambda key: wanted(key, size_bytes=600_000), settings={"bulk_bytes": 1_000_000}
        )
    ]  # fmt: skip
    assert max(sizes) == 2


def test_an_observation_waits_no_longer_than_its_time_for_others(fakes, run, monkeypatch):
    """Files come one after another, slowly, each before the run would call it a pause."""
    monkeypatch.setattr(reindexer_module, "LONGEST_WAIT_MS", 100)
    began = time.monotonic()
    fakes.s3.clock.now_ms = lambda: NOW_MS + int((time.monotonic() - began) * 1000)

    def slow(key):
        observation = wanted(key, at_ms=fakes.s3.clock.now_ms())
        time.sleep(0.02)
        return observation

    sizes = [len(group) for group in run(keys(40), slow, window=1)]
    assert len(sizes) > 2
    assert max(sizes) < 15


def test_a_slow_file_delays_neither_the_quick_ones_nor_the_tick(fakes, run, monkeypatch):
    monkeypatch.setattr(concurrency, "TICK_S", 0.02)
    go_on, ticks = threading.Event(), itertools.count()

    def observe(key):
        if key == "000.txt":
            go_on.wait(SOON_S)
        return wanted(key)

    groups = run(keys(5), observe, tick=lambda: next(ticks))
    with closing(groups):
        first = next(groups)
        assert {one.item for one in first} == set(keys(5)[1:])
        assert written(fakes) == set(keys(5)[1:])
        threading.Timer(0.2, go_on.set).start()
        assert [one.item for one in next(groups)] == ["000.txt"]
    assert next(ticks) > 5 + 3


def test_a_rate_is_held_to_by_all_threads_together(fakes, run):
    began = time.monotonic()
    assert len(all_of(run(keys(21), rate=100))) == 21
    assert 0.2 <= time.monotonic() - began < 2


def test_a_rate_lets_what_was_observed_be_written_meanwhile(fakes, run, monkeypatch):
    monkeypatch.setattr(concurrency, "TICK_S", 0.02)
    stop = threading.Event()
    with closing(run(keys(100), rate=2, stop=stop)) as groups:
        assert [one.item for one in next(groups)] == ["000.txt"]
        began = time.monotonic()
        stop.set()
        assert list(groups) == []
    assert time.monotonic() - began < 1


# -- ends --------------------------------------------------------------------------------------------------------


def test_a_stop_in_the_middle_yields_what_was_written_and_takes_nothing_more(fakes, run):
    stop, taken = threading.Event(), []

    def source():
        for key in keys(200):
            taken.append(key)
            yield key

    ticks = itertools.count()
    found = all_of(run(source(), stop=stop, tick=lambda: stop.set() if next(ticks) == 20 else None))
    assert set(found) == written(fakes)
    assert 20 <= len(found) <= len(taken) < 40


def test_a_stop_cancels_what_has_not_begun_and_waits_for_what_has(fakes, run):
    stop, begun, ended = threading.Event(), [], []

    def observe(key):
        begun.append(key)
        if len(begun) == 4:
            stop.set()
        time.sleep(0.05)
        ended.append(key)
        return wanted(key)

    all_of(run(keys(100), observe, window=50, stop=stop))
    assert len(begun) <= 8
    assert set(ended) == set(begun)


def test_a_stop_writes_what_was_being_observed_and_ticks_meanwhile(fakes, run):
    stop, ticks = threading.Event(), []

    def observe(key):
        stop.set()
        time.sleep(1.2)  # a slow file
        return wanted(key)

    found = all_of(run(keys(100), observe, window=4, stop=stop, tick=lambda: ticks.append(1)))
    assert set(found) == written(fakes)
    assert 1 <= len(found) <= 4
    assert len(ticks) > len(found)


def test_a_run_that_is_to_finish_works_on_everything_but_no_longer_waits(fakes, run, monkeypatch):
    monkeypatch.setattr(retry, "FIRST_WAIT_S", 60)
    monkeypatch.setattr(retry, "LONGEST_WAIT_S", 60)
    stop = threading.Event()
    stop.set()

    def observe(key):
        if key == "003.txt":
            raise DOWN
        return wanted(key)

    began = time.monotonic()
    found = all_of(run(keys(20), observe, stop=stop, finish=True, rate=1))
    assert time.monotonic() - began < SOON_S
    assert {key for key, one in found.items() if one.status is Status.WRITTEN} == set(keys(20)) - {"003.txt"}
    assert found["003.txt"].status is Status.UNDECIDED


def test_an_index_that_becomes_unavailable_ends_the_run_and_what_was_yielded_is_confirmed(fakes, run):
    fakes.faults.add("index.write", INDEX_DOWN, after=2)
    found: dict[str, Reindexed[str, None]] = {}
    with pytest.raises(IndexUnavailableError):  # noqa: PT012 (what comes before the error counts)
        for group in run(keys(60), settings={"bulk_documents": 10}):
            found |= {one.item: one for one in group}
    assert set(found) == written(fakes)
    assert len(found) == 20


def test_a_source_that_fails_ends_the_run(fakes, run):
    def source():
        yield "a"
        raise DOWN

    with pytest.raises(StoreError):
        all_of(run(source()))


def test_a_run_left_early_leaves_nothing_under_way(fakes, run):
    observed = []

    def observe(key):
        observed.append(key)
        return wanted(key)

    with closing(run(keys(1_000), observe, settings={"bulk_documents": 5})) as groups:
        next(groups)
    count = len(observed)
    time.sleep(0.05)
    assert len(observed) == count < 100


def test_runs_on_several_threads_have_only_the_rate_in_common(fakes):
    pool = ThreadPoolExecutor(4)
    shared = Reindexer(fakes.settings(bulk_documents=3), fakes.clients, pool=pool, window=4, rate=100)
    founds = {}

    def go(name):
        groups = shared.run(
            [f"{name}-{key}" for key in keys(15)], wanted, object_of=lambda key: (BUCKET, key), stop=threading.Event()
        )
        founds[name] = set(all_of(groups))

    began = time.monotonic()
    threads = [threading.Thread(target=go, args=(name,)) for name in ("a", "b")]
    for thread in threads:
        thread.start()
    wait_until(lambda: len(founds) == 2, SOON_S, "both runs")
    assert founds == {name: {f"{name}-{key}" for key in keys(15)} for name in ("a", "b")}
    assert time.monotonic() - began >= 29 / 100
    pool.shutdown()


# -- too many undecided ------------------------------------------------------------------------------------------


def test_a_bucket_is_skipped_after_so_many_undecided_for_one_cause():
    skipped = SkippedBuckets()
    for _ in range(UNDECIDED_IN_A_ROW - 1):
        skipped.count("a", DENIED)
    assert skipped.why("a") is None
    skipped.count("a", DENIED)
    why = skipped.why("a")
    assert why is not None
    assert "50 objects in a row could not be read, the last: denied" in why
    assert skipped.why("b") is None


@pytest.mark.parametrize("between", [None, DOWN])
def test_one_decided_or_another_cause_begins_the_count_again(between):
    skipped = SkippedBuckets()
    for error in [*[DENIED] * (UNDECIDED_IN_A_ROW - 1), between, *[DENIED] * (UNDECIDED_IN_A_ROW - 1)]:
        skipped.count("a", error)
    assert skipped.why("a") is None


def test_an_index_that_takes_none_of_many_single_documents_ends_the_run(fakes, run):
    fakes.index.unavailable.update(keys(200))
    with pytest.raises(IndexUnavailableError, match="50 documents in a row"):
        all_of(run(keys(200), settings={"bulk_documents": 1}))


def test_documents_that_wait_for_their_request_take_bounded_memory_and_one_over_the_bound_goes_alone(
    fakes, run, monkeypatch
):
    monkeypatch.setattr(reindexer_module, "DOCUMENTS_BYTES", 1_000)
    monkeypatch.setattr(concurrency, "TICK_S", 0.05)
    groups = list(run(keys(6), lambda key: wanted(key, size_bytes=2_000)))
    assert [len(group) for group in groups] == [1] * 6
    small = list(run(keys(6), lambda key: wanted(key, size_bytes=2)))
    assert max(map(len, small)) > 1


def test_a_run_that_is_left_while_documents_wait_for_memory_ends(run, monkeypatch):
    monkeypatch.setattr(reindexer_module, "DOCUMENTS_BYTES", 1_000)
    began = time.monotonic()
    with closing(run(keys(6), lambda key: wanted(key, size_bytes=2_000))) as groups:
        next(groups)
    assert time.monotonic() - began < SOON_S
