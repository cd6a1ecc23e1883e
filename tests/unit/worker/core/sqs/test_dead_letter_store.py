"""Stored dead letters: one record for a life, whatever copies come, and whatever their failure records claim."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testing.fakes import Fakes
from testing.memory import NOW_MS
from worker.core.base.errors import StoreError
from worker.core.s3.state import DEAD_LETTERS_PREFIX
from worker.core.sqs import dead_letter_store
from worker.core.sqs.dead_letter import DeadLetter
from worker.core.sqs.dead_letter_store import Arrival, read, take_in, write
from worker.core.sqs.failure_record import FailureRecord
from worker.core.sqs.stored_dead_letter import Claim, Sending, StoredDeadLetter, StoredState

QUEUE = "http://sqs/q/source"
NO_CONDITIONS = StoreError("no such thing", code="NotImplemented")


def dead_letter(name="m-1", body="body", **failure):
    record = FailureRecord(source_queue=QUEUE, **failure) if failure else None
    return DeadLetter(name, body, {"SentTimestamp": "1790000000000"}, {}, failure=record)


def arrive(fakes, *dead_letters):
    return [take_in(fakes.state, one, at_ms=NOW_MS) for one in dead_letters]


def keys(fakes):
    return sorted(fakes.under(DEAD_LETTERS_PREFIX))


def test_a_record_is_named_by_its_day_and_by_the_id_that_stays():
    fakes = Fakes()
    native = dead_letter()
    failed = dead_letter("m-2", source_message_id="s-2", first_failed_at="2026-10-01T23:59:59.000+00:00")
    returned = dead_letter(
        "m-3", source_message_id="s-3", dead_letter_id="d-3", first_failed_at="2026-10-02T00:00:00+00:00"
    )
    arrive(fakes, native, failed, returned)
    assert keys(fakes) == [
        "dead-letters/2026-09-21/m-1.json", "dead-letters/2026-10-01/s-2.json", "dead-letters/2026-10-02/d-3.json"
    ]  # fmt: skip


def test_the_same_delivery_twice_is_one_record_and_changes_nothing():
    fakes = Fakes()
    [(first, new)] = arrive(fakes, dead_letter(source_message_id="s"))
    assert write(fakes.state, replace(first, state=StoredState.SENT)) is not None
    [(again, repeated)] = arrive(fakes, dead_letter(source_message_id="s"))
    assert (new, repeated) == (Arrival.NEW, Arrival.REPEATED)
    assert again.state is StoredState.SENT, "nothing is reopened"
    assert len(keys(fakes)) == 1


def test_what_returns_is_the_same_dead_letter_with_one_more_arrival_and_its_newest_failure():
    fakes = Fakes()
    [(first, _)] = arrive(fakes, dead_letter(source_message_id="s", message="first"))
    sending = Sending(NOW_MS, "op@host", "run", QUEUE, NOW_MS + 1)
    write(fakes.state, replace(first, state=StoredState.SENT, sent=sending))
    [(again, how)] = arrive(fakes, dead_letter("m-9", source_message_id="s-9", dead_letter_id="s", message="second",
                                               first_failed_at=""))  # fmt: skip
    assert how is Arrival.RETURNED
    assert (again.state, again.sent, list(again.arrivals)) == (StoredState.OPEN, sending, ["m-1", "m-9"])
    assert again.dead_letter.failure is not None
    assert again.dead_letter.failure.message == "second"
    assert again.dead_letter.names == {"s", "m-1", "m-9"}
    assert read(fakes.state, again.key) == again


@pytest.mark.parametrize(
    "forged",
    [
        dead_letter("m-2", "another body", dead_letter_id="s"),
        dead_letter("m-2", "another body", source_message_id="s"),
        replace(dead_letter("m-2"), failure=FailureRecord(source_queue="http://sqs/q/other", dead_letter_id="s")),
    ],
)
def test_an_id_that_is_another_s_is_not_believed(forged):
    fakes = Fakes()
    [(real, _), (other, how)] = arrive(fakes, dead_letter(source_message_id="s"), forged)
    assert how is Arrival.NEW
    assert (real.dead_letter.id, other.dead_letter.id) == ("s", "m-2")
    [(same, repeated)] = arrive(fakes, forged)
    assert (same.key, repeated) == (other.key, Arrival.REPEATED)


def test_even_its_own_id_may_have_been_taken_by_a_forger():
    fakes = Fakes()
    arrive(fakes, dead_letter("f-1", "forged", source_message_id="m-1"))
    [(real, how)] = arrive(fakes, dead_letter("m-1", "real"))
    assert how is Arrival.NEW
    assert real.dead_letter.id.startswith("m-1-")
    assert {record["body"] for record in fakes.under(DEAD_LETTERS_PREFIX).values()} == {"forged", "real"}


def test_a_record_that_is_none_is_left_alone_and_the_dead_letter_gets_another_name():
    fakes = Fakes()
    key = "dead-letters/2026-09-21/m-1.json"
    fakes.s3.records[key] = b"[]"
    [(stored, _)] = arrive(fakes, dead_letter())
    assert stored.key != key
    assert fakes.s3.records[key] == b"[]"


@given(name=st.text(min_size=1, max_size=300))
def test_any_id_in_a_failure_record_is_stored_and_read(name):
    fakes = Fakes()
    one = dead_letter(dead_letter_id=name, source_message_id=name[::-1])
    [(stored, _)] = arrive(fakes, one)
    found = read(fakes.state, stored.key)
    assert found == stored
    assert found is not None
    assert found.dead_letter.body == "body"
    assert arrive(fakes, one) == [(stored, Arrival.REPEATED)]


def test_fields_of_others_and_of_newer_versions_are_kept():
    fakes = Fakes()
    [(stored, _)] = arrive(fakes, dead_letter())
    record = json.loads(fakes.s3.records[stored.key])
    fakes.s3.records[stored.key] = json.dumps({**record, "owner": "経理"}).encode()
    found = read(fakes.state, stored.key)
    assert found is not None
    assert write(fakes.state, replace(found, claim=Claim("op", "run", NOW_MS))) is not None
    assert fakes.under(DEAD_LETTERS_PREFIX)[stored.key]["owner"] == "経理"


def test_a_record_of_an_earlier_version_is_read_as_open():
    fakes = Fakes()
    key = "dead-letters/2026-01-01/m-1.json"
    fakes.s3.records[key] = json.dumps({**dead_letter().as_json(), "failure": {"kind": "SYSTEM_ERROR"}}).encode()
    found = read(fakes.state, key)
    assert found is not None
    assert (found.state, found.dead_letter.id, list(found.arrivals)) == (StoredState.OPEN, "m-1", ["m-1"])
    assert found.dead_letter.kind == "SYSTEM_ERROR"


@pytest.mark.parametrize(
    "wrong",
    [{"state": "lost"}, {"arrivals": 7}, {"arrivals": [{"message_id": "m"}]}, {"sent": {"by": "x"}}, {"claim": {}},
     {"claim": {"holder": "h", "run": "r", "until_ms": "soon"}}, {"arrivals": [{"message_id": "m", "at_ms": 10**40}]}],
)  # fmt: skip
def test_a_record_with_a_wrong_field_is_none(wrong):
    raw = json.dumps({**dead_letter().as_json(), **wrong}).encode()
    with pytest.raises(ValueError, match="is not a record of dead-letters/"):
        StoredDeadLetter.from_json(raw, "k")


def test_of_two_writers_of_one_record_the_second_is_refused():
    fakes = Fakes()
    [(stored, _)] = arrive(fakes, dead_letter())
    assert write(fakes.state, replace(stored, claim=Claim("a", "a", 1))) is not None
    assert write(fakes.state, replace(stored, claim=Claim("b", "b", 1))) is None
    assert fakes.under(DEAD_LETTERS_PREFIX)[stored.key]["claim"]["holder"] == "a"


def test_a_store_without_conditional_writes_stores_dead_letters_too():
    fakes = Fakes()
    fakes.faults.add("state.claim", NO_CONDITIONS, times=1_000)
    [(stored, new)] = arrive(fakes, dead_letter())
    [(_, repeated)] = arrive(fakes, dead_letter())
    assert (new, repeated) == (Arrival.NEW, Arrival.REPEATED)
    found = read(fakes.state, stored.key)
    assert found is not None
    assert write(fakes.state, replace(found, state=StoredState.SENT)) is not None


def test_a_record_that_others_write_all_the_time_is_an_error_and_not_a_loop(monkeypatch):
    fakes = Fakes()
    arrive(fakes, dead_letter())
    monkeypatch.setattr(dead_letter_store, "write", lambda *_: None)
    with pytest.raises(StoreError, match="written by others"):
        arrive(fakes, dead_letter("m-2", dead_letter_id="m-1"))


def test_a_record_is_about_two_kilobytes():
    fakes = Fakes()
    [(stored, _)] = arrive(
        fakes, dead_letter(body="x" * 700, stack="s" * 500, message="m" * 100, source_message_id="s")
    )
    assert len(fakes.s3.records[stored.key]) < 2_048
