"""When what was sent is looked at again, and what is said of it at the end of its time."""

from hypothesis import given
from hypothesis import strategies as st

from recovery.ledger.rows import Outcome
from recovery.manager.confirm_when import SETTLED_MS, is_check_due, outcome_of
from worker.core.sqs.stored_dead_letter import Sending

HOUR_MS = 3_600_000
SENT = Sending(0, "by", "run", "queue", 2 * 900_000)


@given(st.integers(0, 10 * HOUR_MS), st.integers(0, 10 * HOUR_MS))
def test_no_look_is_skipped_and_none_is_taken_twice_however_turns_fall(first_ms, more_ms):
    whole = is_check_due(0, last_ms=0, now_ms=first_ms + more_ms)
    parts = is_check_due(0, last_ms=0, now_ms=first_ms), is_check_due(0, last_ms=first_ms, now_ms=first_ms + more_ms)
    assert whole == any(parts)


@given(st.integers(5_000, 100 * HOUR_MS))
def test_the_next_look_comes_after_half_the_age_more_or_an_hour(age_ms):
    assert is_check_due(0, last_ms=age_ms, now_ms=age_ms + min(age_ms // 2, HOUR_MS) + 2)


def test_a_new_sending_is_not_looked_at_at_once():
    assert not is_check_due(0, last_ms=-1, now_ms=4_999)
    assert is_check_due(0, last_ms=-1, now_ms=5_000)


def test_not_returned_needs_its_time_and_a_queue_that_was_empty_after_the_sending():
    assert outcome_of(SENT, now_ms=900_000, empty_ms=SETTLED_MS) is Outcome.NOT_RETURNED
    assert outcome_of(SENT, now_ms=899_999, empty_ms=SETTLED_MS) is None
    assert outcome_of(SENT, now_ms=900_000, empty_ms=SETTLED_MS - 1) is None
    assert outcome_of(SENT, now_ms=1_800_000, empty_ms=SETTLED_MS - 1) is Outcome.UNCONFIRMED
    assert outcome_of(SENT, now_ms=1_799_999, empty_ms=None) is None
    assert outcome_of(SENT, now_ms=1_800_000, empty_ms=None) is Outcome.UNCONFIRMED
    assert outcome_of(SENT, now_ms=9_800_000, empty_ms=SETTLED_MS) is Outcome.NOT_RETURNED
