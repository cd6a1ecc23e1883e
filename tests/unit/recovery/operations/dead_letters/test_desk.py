"""Owner, note and hold stand in the record, and stay there whatever happens to the dead letter."""

from dataclasses import replace

import pytest

from recovery.manager.records import RowMaker
from recovery.operations.dead_letters.desk import change_record, held, noted, owned_by, released
from recovery.operations.dead_letters.message_types import load_types
from recovery.operations.dead_letters.stored import why_not
from testing.memory import NOW_MS
from worker.core.base.errors import StoreError
from worker.core.s3.state import DEAD_LETTERS_PREFIX
from worker.core.sqs import dead_letter_store
from worker.core.sqs.dead_letter_store import read, take_in, write
from worker.core.sqs.failure_record import FailureRecord
from worker.core.sqs.stored_dead_letter import Hold, Retry, StoredDeadLetter


@pytest.fixture
def key(fakes):
    fakes.dead_letter("m0", "契約.txt", failure={"source_message_id": "s0", "source_queue": "http://sqs/q/source"})
    fakes.store("m0")
    [only] = fakes.under(DEAD_LETTERS_PREFIX)
    return only


def present(stored: StoredDeadLetter | None) -> StoredDeadLetter:
    assert stored is not None
    return stored


def test_what_is_said_is_in_the_record_and_the_rest_of_it_unchanged(fakes, key):
    before = present(read(fakes.state, key))
    change_record(fakes.state, key, owned_by(" 経理@example.com "))
    change_record(fakes.state, key, noted("ask Yuki\nbefore Friday"))
    change_record(fakes.state, key, held("法務の　確認待ち", by="yuki"))
    after = present(read(fakes.state, key))
    hold = Hold("法務の　確認待ち", "yuki")
    assert (after.owner, after.note, after.hold) == ("経理@example.com", "ask Yuki\nbefore Friday", hold)
    assert replace(after, owner=None, note=None, hold=None, etag=before.etag) == before


def test_nothing_is_done_with_what_is_held_until_the_hold_ends(fakes, key):
    stored = present(change_record(fakes.state, key, held("legal", by="yuki")))
    assert why_not(stored, now_ms=NOW_MS) == "yuki holds it: legal"
    stored = present(change_record(fakes.state, key, released))
    assert why_not(stored, now_ms=NOW_MS) == ""


def test_what_is_said_stays_when_the_dead_letter_returns_and_its_schedule_ends(fakes, key):
    change_record(fakes.state, key, owned_by("ana"))
    change_record(fakes.state, key, lambda stored: replace(stored, retry=Retry(2, NOW_MS)))
    stored = present(read(fakes.state, key))
    assert stored.is_scheduled
    failure = stored.dead_letter.failure or FailureRecord()
    again = replace(
        stored.dead_letter, id="m9", stored_key="", failure=failure.redriven("s0", sent_ms=stored.dead_letter.sent_ms)
    )
    returned, _ = take_in(fakes.state, again, at_ms=NOW_MS)
    assert (returned.owner, returned.retry, returned.is_scheduled) == ("ana", Retry(2), False)


def test_another_s_change_at_the_same_time_is_kept(fakes, key):
    others = iter([noted("theirs")])

    def mine(stored):
        for change in others:
            assert write(fakes.state, change(stored)) is not None
        return replace(stored, owner="me")

    stored = present(change_record(fakes.state, key, mine))
    assert (stored.owner, stored.note) == ("me", "theirs")


def test_a_record_that_is_gone_is_none_and_one_that_others_write_all_the_time_an_error(fakes, key, monkeypatch):
    assert change_record(fakes.state, key + "x", noted("n")) is None
    monkeypatch.setattr(dead_letter_store, "write", lambda *_: None)
    with pytest.raises(StoreError, match="by others all the time"):
        change_record(fakes.state, key, noted("n"))


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: owned_by("x" * 321), "owner has 321 characters; at most 320 are kept"),
        (lambda: noted("x" * 4_001), "note has 4,001 characters; at most 4,000 are kept"),
        (lambda: owned_by("a\nb"), "owner has control characters; it should be plain text"),
        (lambda: noted("a\x9bb"), "note has control characters; it should be plain text"),
        (lambda: held("\u3000", by="b"), "reason is empty; whoever meets the hold will want to know why"),
        (lambda: held("a\x1b[31m", by="b"), "reason has control characters; it should be plain text"),
    ],
)
def test_what_cannot_be_kept_is_refused_with_its_name_and_what_would_be_right(make, says):
    with pytest.raises(ValueError, match=says):
        make()


def test_the_row_says_what_the_record_says(fakes, key):
    stored = present(change_record(fakes.state, key, held("legal", by="yuki")))
    stored = present(
        change_record(fakes.state, key, lambda one: replace(one, retry=Retry(3, NOW_MS), owner="ana", note="n"))
    )
    row = RowMaker(load_types(None)).row(stored)
    assert (row.state, row.owner, row.note, row.hold) == ("scheduled", "ana", "n", "legal")
    assert (row.retries, row.retry_at_ms) == (3, NOW_MS)
