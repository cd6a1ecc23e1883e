"""Bulk requests: what is acknowledged, what is stored for retry, and when the breaker opens."""

import threading
import time
from typing import Any

import pytest

from worker import batches
from worker.batcher import Batcher
from worker.core.base.breaker import Breaker
from worker.core.base.clock import S3Clock
from worker.core.base.errors import IndexUnavailableError, StoreError
from worker.core.base.liveness import Liveness
from worker.core.base.throttle import Throttle
from worker.core.index import WriteResult, WriteStatus
from worker.core.index.document import Write
from worker.core.indexing.fresh_writer import MAX_OBSERVATION_AGE_MS, MAX_WRITE_AGE_MS

WRITTEN = WriteResult(WriteStatus.WRITTEN)


class FakeIndex:
    def __init__(self, answer):
        self.answer, self.seen = answer, []

    def write(self, writes):
        self.seen.append([write.key for write in writes])
        if isinstance(self.answer, Exception):
            raise self.answer
        return [self.answer.get(write.key, WRITTEN) for write in writes]


class SlowIndex(FakeIndex):
    """Answers a bulk request only when released by `go_on`, and a ping only if `pings`, which may be an error to raise."""

    description = "a slow index"

    def __init__(self, *, pings):
        super().__init__({})
        self.pings, self.go_on = pings, threading.Event()

    def write(self, writes):
        self.go_on.wait(5)
        return super().write(writes)

    def ping(self):
        if isinstance(self.pings, Exception):
            raise self.pings
        if not self.pings:
            self.go_on.wait(5)


class FakeRetry:
    def __init__(self, error=None):
        self.error, self.records = error, []

    def put_all(self, records):
        self.records.extend(records)
        return [self.error] * len(records)


@pytest.fixture(autouse=True)
def _hurried(monkeypatch):
    monkeypatch.setattr(batches, "IDLE_TURN_S", 0.01)


def run(keys, *, answer=None, index=None, retry_error=None, age_ms=0, breaker=None, rounds=1):
    """Submit these keys and flush; what was acknowledged, stored, and asked of the index."""
    clock, index = S3Clock(), index or FakeIndex(answer or {})
    retry: Any = FakeRetry(retry_error)
    breaker = breaker or Breaker("index", failures=2, probe=lambda: None, interval_s=60)
    batcher = Batcher(
        index,
        retry,
        breaker=breaker,
        clock=clock,
        documents=200,
        size_bytes=10_000,
        wait_s=0.01,
        throttle=Throttle("index"),
    )
    acknowledged: dict[str, tuple[WriteStatus, StoreError | None]] = {}

    def submit(key: str) -> None:
        write = Write("b", key, clock.now_ms() - age_ms, "e", b"{}")
        batcher.submit(write, lambda status, error: acknowledged.update({key: (status, error)}))

    for _ in range(rounds):
        for key in keys:
            submit(key)
        batcher.stop()
        batcher.run(Liveness(60))
    breaker.stop()
    return acknowledged, retry.records, index.seen, breaker


def test_documents_in_flight_share_one_request():
    acknowledged, stored, seen, _ = run(["a", "b", "c"])
    assert seen == [["a", "b", "c"]]
    assert stored == []
    assert set(acknowledged.values()) == {(WriteStatus.WRITTEN, None)}


def test_requests_are_bounded_in_bytes():
    keys = ["x" * 4_000 + str(n) for n in range(4)]
    _, _, seen, _ = run(keys)
    assert sorted(len(batch) for batch in seen) == [2, 2]


@pytest.mark.parametrize("error", [IndexUnavailableError("refused"), RuntimeError("a bug")])
def test_what_the_index_cannot_take_is_stored_for_retry_and_acknowledged(error):
    acknowledged, stored, _, _ = run(["a", "b"], answer=error)
    assert [record.write.key for record in stored] == ["a", "b"]
    assert not any(record.rejected for record in stored)
    assert set(acknowledged.values()) == {(WriteStatus.UNAVAILABLE, None)}


def test_each_item_of_a_request_has_its_own_fate():
    answer = {
        "bad": WriteResult(WriteStatus.REJECTED, "mapper_parsing_exception"),
        "busy": WriteResult(WriteStatus.UNAVAILABLE, "429"),
        "old": WriteResult(WriteStatus.SUPERSEDED),
    }
    acknowledged, stored, _, _ = run(["good", "bad", "busy", "old"], answer=answer)
    assert {record.write.key: record.rejected for record in stored} == {"bad": True, "busy": False}
    assert {key: status.value for key, (status, _) in acknowledged.items()} == {
        "good": "written", "bad": "rejected", "busy": "unavailable", "old": "superseded",
    }  # fmt: skip


def test_what_retry_index_refuses_too_is_acknowledged_with_its_error():
    error = StoreError("down", code="SlowDown")
    acknowledged, _, _, _ = run(["a"], answer=IndexUnavailableError("x"), retry_error=error)
    assert acknowledged == {"a": (WriteStatus.UNAVAILABLE, error)}


def test_an_open_breaker_spares_the_index():
    _, _, seen, breaker = run(["a"], answer=IndexUnavailableError("x"), rounds=3)
    assert len(seen) == 2
    assert breaker.is_open


def test_an_observation_too_old_to_be_written_is_stored_for_retry():
    acknowledged, stored, seen, _ = run(["a"], age_ms=MAX_OBSERVATION_AGE_MS + 1_000)
    assert ([record.rejected for record in stored], seen) == ([False], [])
    assert acknowledged["a"] == (WriteStatus.STALE, None)


def test_a_rejected_document_does_not_open_the_breaker():
    rejected = {"a": WriteResult(WriteStatus.REJECTED, "x")}
    assert not run(["a"], answer=rejected, rounds=4)[3].is_open


def test_a_breaker_closes_when_its_probe_succeeds_and_reports_it():
    well = threading.Event()
    changes: list[BaseException | None] = []

    def probe():
        if not well.is_set():
            raise IndexUnavailableError("still unavailable")

    breaker = Breaker("index", failures=1, probe=probe, interval_s=0.01)
    breaker.on_change(changes.append)
    breaker.failed(IndexUnavailableError("x"))
    time.sleep(0.05)
    assert breaker.is_open
    well.set()
    until = time.monotonic() + 5
    while breaker.is_open and time.monotonic() < until:
        time.sleep(0.01)
    assert [error is None for error in changes] == [False, True]


def test_a_success_resets_the_count():
    breaker = Breaker("index", failures=2, probe=lambda: None, interval_s=60)
    for _ in range(3):
        breaker.failed(IndexUnavailableError("x"))
        breaker.succeeded()
    assert not breaker.is_open


def test_a_slow_index_that_answers_pings_has_its_time(monkeypatch):
    monkeypatch.setattr("worker.batcher.PATIENCE_S", 0.05)
    index = SlowIndex(pings=True)
    threading.Timer(0.3, index.go_on.set).start()
    acknowledged, stored, _, breaker = run(["a"], index=index)
    assert acknowledged == {"a": (WriteStatus.WRITTEN, None)}
    assert (stored, breaker.is_open) == ([], False)


@pytest.mark.parametrize("pings", [False, IndexUnavailableError("connection refused")])
def test_a_silent_index_is_given_up_long_before_its_timeout(monkeypatch, pings):
    monkeypatch.setattr("worker.batcher.PATIENCE_S", 0.05)
    monkeypatch.setattr("worker.batcher.PING_PATIENCE_S", 0.05)
    index = SlowIndex(pings=pings)
    began = time.monotonic()
    acknowledged, stored, _, breaker = run(["a"], index=index)
    assert time.monotonic() - began < 2
    index.go_on.set()
    assert acknowledged == {"a": (WriteStatus.UNAVAILABLE, None)}
    assert ([record.write.key for record in stored], breaker.is_open) == (["a"], True)


def test_what_was_written_after_the_process_was_suspended_is_stored_to_be_observed_again(monkeypatch):
    """The suspension outlasted the index's memory of removals: the write may have restored a document whose object is gone."""
    index, now_ms = FakeIndex({}), S3Clock.now_ms
    written = index.write

    def frozen(writes):
        monkeypatch.setattr(S3Clock, "now_ms", lambda self: now_ms(self) + MAX_WRITE_AGE_MS + 1)
        return written(writes)

    monkeypatch.setattr(index, "write", frozen)
    acknowledged, stored, seen, breaker = run(["a"], index=index)
    assert seen == [["a"]]
    assert [record.write.key for record in stored] == ["a"]
    assert acknowledged == {"a": (WriteStatus.STALE, None)}
    assert not breaker.is_open
