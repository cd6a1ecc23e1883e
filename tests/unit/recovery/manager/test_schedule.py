"""When dead letters are sent again by themselves: bounds, counts, groups; and which are not."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from recovery.manager.schedule import RetryRules, Scheduler, unscheduled
from recovery.operations.dead_letters.message_types import load_types
from recovery.operations.dead_letters.stored import is_retry
from testing.aws import s3_event, s3_record
from testing.memory import BUCKET, NOW_MS
from worker.core.audit import Run
from worker.core.base.classify import FailureKind
from worker.core.sqs.dead_letter import DeadLetter
from worker.core.sqs.failure_record import FailureRecord
from worker.core.sqs.stored_dead_letter import Retry, Sending, StoredDeadLetter, StoredState

TYPES = load_types(default_bucket=BUCKET)
EVENT = s3_event(s3_record(BUCKET, "a.txt"))
OURS = Run.new("dlq-manager retry", action="retry", by="manager@h").name


def stored(*, body=EVENT, kind=FailureKind.RECOVERABLE, count=0, run="", fingerprint="5b1f2c7d90aa"):
    failure = FailureRecord(kind=kind, fingerprint=fingerprint)
    dead_letter = DeadLetter("m", body, {}, {}, stored_key="dead-letters/x.json", failure=failure)
    sent = Sending(1, "b", run, "q", 2) if run else None
    return StoredDeadLetter(dead_letter, {"m": NOW_MS}, sent=sent, retry=Retry(count))


def scheduler(share=1.0, **rules):
    return Scheduler(RetryRules(**rules), TYPES, lambda: NOW_MS, lambda: share)


@given(st.integers(0, 200), st.floats(0, 1), st.floats(0.1, 1e4), st.floats(0.1, 1e6))
def test_a_wait_is_never_negative_nor_over_its_caps_and_the_longest_never_shrinks(count, share, first_s, max_s):
    rules = RetryRules(first_s=first_s, max_s=max_s)
    longest = rules.wait_s(count, 1.0)
    assert 0 <= rules.wait_s(count, share) <= longest <= max_s
    assert longest <= rules.wait_s(count + 1, 1.0)
    assert longest == max_s or longest == first_s * 2**count


@given(st.integers(0, 20), st.floats(0, 1, exclude_max=True), st.integers(0, 12))
def test_a_scheduled_one_has_retries_left_and_its_time_is_within_the_bounds(count, share, times):
    made = scheduler(share, times=times).scheduled(stored(count=count))
    assert made.is_scheduled == (count < times)
    if made.is_scheduled:
        assert NOW_MS <= made.retry.at_ms <= NOW_MS + 21_600_000
    assert made.retry.count == count


def test_the_first_waits_are_five_minutes_doubled_up_to_six_hours():
    waits = [RetryRules().wait_s(count, 1.0) for count in range(8)]
    assert waits == [300, 600, 1200, 2400, 4800, 9600, 19200, 21600]


def test_only_recoverable_valid_ones_of_types_that_allow_it_are_scheduled():
    one = scheduler()
    assert one.scheduled(stored()).is_scheduled
    for kind in (FailureKind.USER_ERROR, FailureKind.SYSTEM_ERROR, FailureKind.UNKNOWN):
        assert not one.scheduled(stored(kind=kind)).is_scheduled
    maps = '{"type":"maps","city":"x","correlation_id":"c","lat":1,"lng":1,"radius":1,"category":"x","enqueued_at":1}'
    for body in ("not JSON", '{"Records": 7}', '{"what": 1}', maps):
        assert not one.scheduled(stored(body=body)).is_scheduled
    assert not one.scheduled(replace(stored(), state=StoredState.SENT)).is_scheduled


def test_a_group_may_have_another_number_of_retries_and_the_longest_prefix_counts():
    rules = RetryRules(times=8, groups={"5b1f": 2, "5b1f2c": 0})
    assert (rules.times_of("5b1f2c7d90aa"), rules.times_of("5b1faa"), rules.times_of("77")) == (0, 2, 8)
    assert not scheduler(groups={"5b1f2c": 0}).scheduled(stored()).is_scheduled


def test_retries_are_used_up_only_by_a_return_from_the_last_one_of_its_schedule():
    one = scheduler(times=2)
    assert one.is_used_up(stored(count=2, run=OURS))
    assert not one.is_used_up(stored(count=1, run=OURS))
    assert not one.is_used_up(stored(count=2, run="dlq-redrive-20260101T000000Z-abcdef"))
    assert not one.is_used_up(stored(count=2))
    assert is_retry(OURS)


def test_what_is_not_scheduled_any_more_keeps_its_count():
    assert unscheduled(replace(stored(), retry=Retry(3, NOW_MS))).retry == Retry(3, None)
