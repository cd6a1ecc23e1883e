"""The deploy brake: what applies it, what it then does with messages, and what ends it."""

import threading
from types import SimpleNamespace
from typing import Any

import pytest

from testing.fakes import Fakes
from testing.memory import DOWN
from worker.brake import MIN_FAILED, WINDOW, Brake
from worker.core.base.errors import MalformedEventError, StoreError, UnreadableFileError
from worker.core.base.logs import observe
from worker.core.s3.brakes import (
    BRAKES_PREFIX,
    BrakeRecord,
    Cause,
    read_brake,
    read_brakes,
    read_resumption,
)
from worker.core.s3.pause import pause_fleet, resume_fleet
from worker.core.s3.state import PAUSE_KEY
from worker.core.s3.workers import BRAKE, MAX_TEXT
from worker.core.sqs.in_flight import InFlightMessage
from worker.core.sqs.outcome import Done, Failed, Outcome, Release
from worker.pause_gate import PauseGate

DONE = Done("indexed")
GONE = StoreError("The specified bucket does not exist", code="NoSuchBucket")


def bug() -> Failed:
    return Failed(KeyError("title"))


class Place:
    """One worker's brake, and what is said of it. Each `brake` is as of a new process."""

    def __init__(self, fakes: Fakes) -> None:
        self.fakes = fakes
        self.now_ms = 1_000
        self.restart()

    def restart(self) -> None:
        self.gate = PauseGate()
        self.brake = Brake(self.fakes.settings(), self.fakes.state, self.gate, now_ms=lambda: self.now_ms)
        self.brake.look()

    def settle(self, *outcomes: Outcome, bucket: str = "files") -> list[Outcome]:
        return [self.brake.judge(_item(bucket), outcome) for outcome in outcomes]

    def fail(self, count: int) -> list[Outcome]:
        return self.settle(*[bug()] * count)

    def stored(self) -> list[str]:
        return [key for key in self.fakes.s3.records if key.startswith(BRAKES_PREFIX)]


def _item(bucket: str) -> InFlightMessage:
    message: Any = SimpleNamespace(id="m", receives=1, received_at=0.0)
    item = InFlightMessage(message, deadline_s=1e9, settle=lambda _: None)
    item.subject = {"bucket": bucket, "key": "k"}
    return item


@pytest.fixture(autouse=True)
def _no_threads(monkeypatch):
    """What is stored soon is stored when a test says so."""

    start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if thread.name == "brake":
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)


@pytest.fixture
def place(fakes):
    return Place(fakes)


def test_exactly_what_was_counted_is_dead_lettered_when_everything_fails(place):
    outcomes = place.fail(200)
    assert [type(one) for one in outcomes] == [Failed] * (MIN_FAILED + 1) + [Release] * (199 - MIN_FAILED)
    assert outcomes[-1].delay_s >= 60
    assert "KeyError" in outcomes[-1].reason
    assert not place.gate.is_open


def test_what_succeeds_while_it_is_on_is_done(place):
    place.fail(31)
    [done, unreadable] = place.settle(DONE, Failed(UnreadableFileError("encrypted")))
    assert done is DONE
    assert isinstance(unreadable, Failed)


@pytest.mark.parametrize(
    ("done", "failed", "is_on"),
    [(0, 30, False), (0, 31, True), (31, 31, False), (31, 32, True), (99, 50, False), (99, 51, True)],
)
def test_over_half_of_the_last_hundred_and_more_than_thirty_apply_it(place, done, failed, is_on):
    place.settle(*[DONE] * done)
    place.fail(failed)
    assert place.brake.is_on is is_on
    assert place.gate.is_open is not is_on


def test_failures_that_are_over_a_hundred_messages_ago_do_not_count(place):
    place.fail(30)
    place.settle(*[DONE] * WINDOW)
    place.fail(30)
    assert not place.brake.is_on


@pytest.mark.parametrize(
    "error", [UnreadableFileError("encrypted"), MalformedEventError("no event"), StoreError("?", code="Odd")]
)
def test_what_is_at_fault_itself_or_nobody_knows_never_applies_it(place, error):
    place.settle(*[Failed(error)] * 500)
    assert not place.brake.is_on


def test_what_is_released_or_asks_for_nothing_proves_nothing(place):
    for _ in range(31):
        place.settle(Release(60, "throttled"), Done("skipped: test event"), bug())
    assert place.brake.is_on


def test_the_reason_names_what_failed_and_what_to_type(place):
    seen: list[dict[str, Any]] = []
    end = observe(lambda event, fields: seen.append({"event": event, **fields}))
    place.fail(31)
    end()
    reason = place.gate.reasons[BRAKE]
    [group] = seen[-1]["groups"]
    assert reason.startswith("brake: 31 of 31 messages went to the DLQ (31 × KeyError: 'title');")
    assert reason.endswith(f"correct it, then `s3-index-worker resume`, then `dlq redrive-all --group {group}`")
    assert len(reason) <= MAX_TEXT
    assert seen[-1]["event"] == "brake.applied"
    assert seen[-1]["commands"] == ["s3-index-worker resume", f"dlq redrive-all --group {group}"]


def test_a_deleted_bucket_is_named_and_whatever_its_error_says_the_commands_are_not_cut(place):
    bucket = "b" * 63
    place.settle(*[Failed(StoreError("x" * 5_000 + "\n", code="NoSuchBucket"))] * 100, bucket=bucket)
    reason = place.gate.reasons[BRAKE]
    assert f"(31 × NoSuchBucket in s3://{bucket}); correct it" in reason
    assert reason.endswith("`")
    assert len(reason) <= MAX_TEXT


def test_failures_in_several_buckets_are_counted_together(place):
    for number in range(31):
        place.settle(Failed(GONE), bucket=f"bucket-{number}")
    assert f"(31 × {GONE.code} in 31 buckets)" in place.gate.reasons[BRAKE]


# -- restarts --------------------------------------------------------------------------------------------------------


def test_a_restart_does_not_end_it(place):
    place.fail(31)
    place.brake.look()
    assert len(place.stored()) == 1
    place.restart()
    assert place.brake.is_on
    assert "KeyError" in place.gate.reasons[BRAKE]
    assert isinstance(place.fail(1)[0], Release)


def test_what_could_not_be_stored_is_stored_at_the_next_look(place):
    place.fail(31)
    place.fakes.faults.add("state.put", DOWN, times=1)
    with pytest.raises(StoreError):
        place.brake.look()
    place.brake.look()
    assert len(place.stored()) == 1


def test_a_record_that_cannot_be_read_brakes_all_the_same(place):
    place.fail(31)
    place.brake.look()
    [key] = place.stored()
    for raw in (b"", b"[]", b'{"reason": 1, "of": "x", "causes": [{}]}'):
        place.fakes.s3.records[key] = raw
        place.restart()
        assert "cannot be read" in place.gate.reasons[BRAKE]
        [brake], _ = read_brakes(place.fakes.state)
        assert brake.reason == place.gate.reasons[BRAKE]


def test_a_restart_does_not_reset_the_count(place):
    for _ in range(6):  # it dies after each five messages
        place.fail(5)
        place.brake.look()
        place.restart()
        assert not place.brake.is_on
    place.fail(1)
    assert place.brake.is_on
    assert place.gate.reasons[BRAKE].startswith("brake: 31 of 31 messages")


def test_what_was_counted_is_forgotten_once_it_is_a_hundred_messages_ago(place):
    place.fail(20)
    place.brake.look()
    assert len(place.stored()) == 1
    place.settle(*[DONE] * WINDOW)
    place.brake.look()
    assert place.stored() == []
    place.restart()
    place.fail(30)
    assert not place.brake.is_on


def test_what_succeeded_since_the_last_failure_is_known_after_a_restart(place):
    place.fail(29)
    place.brake.look()
    place.settle(*[DONE] * 99)
    place.brake.look()
    place.restart()
    place.fail(2)
    assert not place.brake.is_on
    place.brake.look()
    stored = read_brake(place.fakes.state, place.brake._record.worker)
    assert stored is not None
    assert (stored.failed, stored.of) == (3, WINDOW)


def test_successes_are_stored_once_a_look_and_only_if_they_change_a_number(place):
    place.fail(1)
    for _ in range(2):
        place.settle(*[DONE] * 40)
        place.brake.look()
    assert place.fakes.faults.calls.count("state.put") == 2
    place.settle(*[DONE] * 19)  # exactly a hundred messages now
    place.brake.look()
    calls = len(place.fakes.faults.calls)
    place.brake.look()
    assert len(place.fakes.faults.calls) == calls


def restarted_with(place, **stored):
    cause = Cause("aaa111", "KeyError: 'title'", "")
    record = BrakeRecord(place.brake._record.worker, causes={cause: stored["failed"]}, of=stored["of"])
    place.fakes.s3.records[record.key] = record.as_json()
    place.restart()


def test_a_restart_knows_how_many_had_succeeded(place):
    restarted_with(place, failed=20, of=60)
    place.fail(20)
    assert not place.brake.is_on
    place.fail(41)
    assert place.brake.is_on


def test_a_record_of_more_messages_than_are_looked_at_counts_as_a_hundred(place):
    restarted_with(place, failed=2**62, of=2**62)
    place.settle(*[DONE] * 49)
    place.fail(1)
    reason = place.gate.reasons[BRAKE]
    assert reason.startswith("brake: 51 of 100 messages")


def test_a_record_that_could_be_read_only_in_part_is_read_again(place):
    place.fail(31)
    place.brake.look()
    place.gate = PauseGate()
    again = Brake(place.fakes.settings(), place.fakes.state, place.gate, now_ms=lambda: 0)
    get = place.fakes.state.get

    def refuse(key):
        if key == PAUSE_KEY:
            raise DOWN
        return get(key)

    place.fakes.state.get = refuse
    with pytest.raises(StoreError):
        again.look()
    assert not again.is_known
    place.fakes.state.get = get
    again.look()
    assert (again.is_known, again.is_on) == (True, True)


def test_nothing_is_asked_of_s3_while_all_goes_well(place):
    place.settle(*[DONE] * 500)
    calls = len(place.fakes.faults.calls)
    place.brake.look()
    assert len(place.fakes.faults.calls) == calls


def test_two_workers_of_a_host_brake_on_their_own(place, fakes):
    place.fail(31)
    place.brake.look()
    other = Brake(fakes.settings(worker_instance=2), fakes.state, PauseGate(), now_ms=lambda: 0)
    other.look()
    assert not other.is_on


# -- resume ----------------------------------------------------------------------------------------------------------


def test_resume_ends_it_and_the_count_begins_afresh(place):
    place.fail(31)
    place.brake.look()
    [brake], _ = read_brakes(place.fakes.state)
    assert (brake.failed, brake.of, sum(brake.groups.values())) == (31, 31, 31)
    resume_fleet(place.fakes.state)
    assert read_brakes(place.fakes.state) == ([], 0)
    place.brake.look()
    assert place.gate.is_open
    assert place.stored() == []
    place.fail(30)
    assert not place.brake.is_on


def test_a_worker_that_was_down_while_the_fleet_was_resumed_learns_of_it(place):
    place.fail(31)
    place.brake.look()
    resume_fleet(place.fakes.state)
    place.restart()
    assert place.gate.is_open
    assert place.stored() == []


def test_a_resumption_before_it_was_applied_does_not_end_it(place):
    resume_fleet(place.fakes.state)
    place.fail(31)
    place.brake.look()
    place.brake.look()
    place.restart()
    assert place.brake.is_on


def test_a_pause_neither_ends_it_nor_loses_what_resume_has_left(place):
    resume_fleet(place.fakes.state)
    place.fail(31)
    place.brake.look()
    pause_fleet(place.fakes.state, reason="r", by="me", lasting_s=None)
    place.brake.look()
    assert place.brake.is_on
    [brake], _ = read_brakes(place.fakes.state)
    assert read_resumption(place.fakes.state).mark == brake.mark
    resume_fleet(place.fakes.state)
    place.brake.look()
    assert not place.brake.is_on


def test_what_resume_leaves_pauses_nobody(place):
    resume_fleet(place.fakes.state)
    assert place.fakes.state.pause_record() is None


def test_messages_that_are_meant_to_fail_may_for_a_while(place, monkeypatch):
    monkeypatch.setattr("worker.core.s3.pause.time.time", lambda: 1.0)
    resume_fleet(place.fakes.state, letting_fail_s=3_600)
    place.fail(31)
    place.brake.look()  # only now is the record read
    assert place.gate.is_open
    assert all(isinstance(one, Failed) for one in place.fail(500))
    place.now_ms += 3_600_000
    place.fail(31)
    place.brake.look()
    assert place.brake.is_on


def test_a_record_that_could_not_be_deleted_does_not_brake_again(place):
    place.fail(31)
    place.brake.look()
    resume_fleet(place.fakes.state)
    place.fakes.faults.add("state.delete", DOWN)
    place.brake.look()
    place.restart()
    assert place.gate.is_open
    assert read_brake(place.fakes.state, place.brake._record.worker) is not None


@pytest.mark.parametrize("times", [1, 5])
def test_resume_ends_one_whose_record_could_not_be_written(place, times):
    resume_fleet(place.fakes.state)
    place.fail(31)
    place.fakes.faults.add("state.put", DOWN, times=1)
    with pytest.raises(StoreError):
        place.brake.look()
    resume_fleet(place.fakes.state)
    place.fakes.faults.add("state.put", DOWN, times=times)
    place.brake.look()
    assert place.gate.is_open
    assert place.stored() == []


def test_what_is_counted_after_a_resume_survives_a_restart(place):
    place.fail(20)
    place.brake.look()
    place.restart()
    resume_fleet(place.fakes.state)
    place.fail(5)
    place.brake.look()
    place.restart()
    place.fail(6)
    assert place.brake.is_on


@pytest.mark.parametrize("left", [b'{"reason": "r", "until_ms": 0}', None])
@pytest.mark.parametrize("restarts", [False, True])
def test_what_an_earlier_version_leaves_of_a_pause_ends_nothing(place, left, restarts):
    """Its `pause` writes no mark, and its `resume` deletes the record."""
    resume_fleet(place.fakes.state)
    place.fail(31)
    place.brake.look()
    place.fakes.s3.records.pop(PAUSE_KEY)
    if left:
        place.fakes.s3.records[PAUSE_KEY] = left
    if restarts:
        place.restart()
    place.brake.look()
    assert place.brake.is_on
    assert len(read_brakes(place.fakes.state)[0]) == 1
    resume_fleet(place.fakes.state)
    place.brake.look()
    assert not place.brake.is_on
