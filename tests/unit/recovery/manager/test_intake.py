"""Intake: stored, in the ledger, and only then deleted; what fails in between comes again and is known."""

import json
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recovery.ledger.errors import LedgerError
from recovery.ledger.rows import State as RowState
from recovery.ledger.selection import Selection
from recovery.manager.intake import AT_ONCE, BACK_S
from tests.support.size import sized
from worker.core.base.errors import QueueError, StoreError
from worker.core.s3.state import DEAD_LETTERS_PREFIX
from worker.core.sqs import dead_letter_store
from worker.core.sqs.dead_letter import DeadLetter
from worker.core.sqs.queue import MAX_BATCH

QUEUE = "http://sqs/q/source"
ALL = Selection(states=tuple(RowState))


def fill(fakes, count, **more):
    for number in range(count):
        failure = {"kind": "RECOVERABLE", "error_type": "TimeoutError", "message": "例", "source_message_id": f"s{number}",
                   "source_queue": QUEUE, "fingerprint": "f1", **more}  # fmt: skip
        fakes.dead_letter(f"m{number}", f"契約/{number}.txt", failure=failure)


def drain(intake):
    while intake.once(wait_s=0):
        pass


def counting(call, sizes):
    """The same call, which notes how much it is given."""

    def counted(given):
        sizes.append(len(given))
        return call(given)

    return counted


def identities(ledger, selection=ALL):
    return sorted(row.identity for row in ledger.page(selection, limit=1_000).rows)


def test_a_dead_letter_is_stored_has_a_row_and_has_left_the_dlq(fakes, intake, ledger):
    fill(fakes, 3)
    fakes.dlq.add("native", "not JSON")
    drain(intake)
    assert fakes.dlq.messages == {}
    assert identities(ledger) == ["native", "s0", "s1", "s2"]
    assert len(fakes.under(DEAD_LETTERS_PREFIX)) == 4
    row = ledger.get("m1")
    assert row is not None
    assert (row.identity, row.state, row.kind, row.error_type, row.message) == (
        "s1",
        "open",
        "RECOVERABLE",
        "TimeoutError",
        "例",
    )
    assert (row.bucket, row.object_key, row.type, row.fault) == ("files", "契約/1.txt", "s3-event", None)
    assert row.key in fakes.under(DEAD_LETTERS_PREFIX)
    native = ledger.get("native")
    assert native is not None
    assert "is not JSON" in str(native.fault)
    assert [row.identity for row in ledger.page(Selection(key_contains="約")).rows] != []


def test_the_service_in_which_it_failed_is_in_its_row_and_counted(fakes, intake, ledger):
    fill(fakes, 2, source_service="billing")
    drain(intake)
    assert ledger.stats().by_service == {"billing": 2}


def test_the_same_delivery_twice_changes_nothing_and_is_deleted(fakes, intake, ledger):
    fill(fakes, 1)
    again = fakes.dlq.messages["m0"]
    drain(intake)
    ledger.change("s0", version=None, by="op", action="sent", state=RowState.SENT)
    fakes.dlq.messages["m0"] = again
    drain(intake)
    row = ledger.get("s0")
    assert (fakes.dlq.messages, row.state, row.attempts, row.version) == ({}, RowState.SENT, 1, 2)


def test_what_returns_is_the_same_dead_letter_with_one_more_attempt(fakes, intake, ledger):
    fill(fakes, 1)
    body = fakes.dlq.messages["m0"].body
    drain(intake)
    ledger.change("s0", version=None, by="op", action="sent", state=RowState.SENT)
    failure = {"kind": "SYSTEM_ERROR", "error_type": "KeyError", "source_message_id": "s9", "source_queue": QUEUE,
               "dead_letter_id": "s0", "redrives": 1}  # fmt: skip
    fakes.dlq.add("m9", body, {"failure": {"DataType": "String", "StringValue": json.dumps(failure)}})
    drain(intake)
    row = ledger.get("m9")
    assert (row.identity, row.state, row.attempts, row.redrives, row.error_type) == ("s0", "open", 2, 1, "KeyError")
    assert identities(ledger) == ["s0"]
    assert [event.action for event in ledger.events("s0")] == ["sent", "returned"]


def test_a_forged_id_makes_a_dead_letter_of_its_own(fakes, intake, ledger):
    fill(fakes, 1)
    drain(intake)
    fakes.dead_letter("m9", "other.txt", failure={"dead_letter_id": "s0", "source_queue": QUEUE})
    drain(intake)
    assert identities(ledger) == ["m9", "s0"]


@pytest.mark.parametrize("dies_after", ["state.claim", "ledger"])
def test_a_kill_between_two_steps_causes_a_second_delivery_that_finds_its_own(
    fakes, intake, ledger, monkeypatch, dies_after
):
    fill(fakes, 2)
    before = dict(fakes.dlq.messages)
    if dies_after == "ledger":
        monkeypatch.setattr(intake, "_delete", lambda _: None)
        drain(intake)
        monkeypatch.undo()
    else:
        for message in before.values():
            one = DeadLetter.received(message)
            dead_letter_store.take_in(fakes.state, one, at_ms=1)
    fakes.dlq.hidden.clear()
    drain(intake)
    assert (fakes.dlq.messages, identities(ledger), len(fakes.under(DEAD_LETTERS_PREFIX))) == ({}, ["s0", "s1"], 2)
    assert {row.attempts for row in ledger.page(ALL).rows} == {1}


def test_while_s3_refuses_the_dlq_keeps_its_messages(fakes, intake, ledger):
    fill(fakes, 2)
    fakes.faults.add("state.claim", StoreError("denied", code="AccessDenied"), times=100)
    with pytest.raises(StoreError):
        intake.once(wait_s=0)
    assert sorted(fakes.dlq.messages) == ["m0", "m1"]
    assert (identities(ledger), intake.seen.oldest_waiting_ms is None) == ([], False)


def test_what_could_be_stored_is_taken_in_although_another_could_not(fakes, intake, ledger):
    fill(fakes, 3)
    fakes.faults.add("state.claim", StoreError("denied", code="AccessDenied"), after=1, times=1)
    with pytest.raises(StoreError):
        intake.once(wait_s=0)
    assert (list(fakes.dlq.messages), identities(ledger)) == (["m1"], ["s0", "s2"])


def test_while_the_ledger_refuses_the_dlq_keeps_its_messages(fakes, intake, ledger, monkeypatch):
    fill(fakes, 2)
    full = LedgerError("the ledger is full")

    def refuse(_):
        raise full

    monkeypatch.setattr(ledger, "take_in", refuse)
    with pytest.raises(LedgerError):
        intake.once(wait_s=0)
    assert sorted(fakes.dlq.messages) == ["m0", "m1"]
    monkeypatch.undo()
    fakes.dlq.hidden.clear()
    drain(intake)
    assert (fakes.dlq.messages, identities(ledger), len(fakes.under(DEAD_LETTERS_PREFIX))) == ({}, ["s0", "s1"], 2)


def test_full_receives_are_taken_in_together_and_deleted_as_many_as_a_call_takes(fakes, intake, ledger, monkeypatch):
    fill(fakes, 2 * AT_ONCE + 3)
    written: list[int] = []
    deleted: list[int] = []
    take_in, delete = ledger.take_in, fakes.dlq.delete
    monkeypatch.setattr(ledger, "take_in", counting(take_in, written))
    monkeypatch.setattr(fakes.dlq, "delete", counting(delete, deleted))
    assert [intake.once(wait_s=0) for _ in range(4)] == [AT_ONCE, AT_ONCE, 3, 0]
    assert (written, fakes.dlq.messages) == ([AT_ONCE, AT_ONCE, 3], {})
    assert (max(deleted), sum(deleted)) == (MAX_BATCH, 2 * AT_ONCE + 3)


def test_what_came_is_taken_in_although_a_further_receive_failed(fakes, intake, ledger):
    fill(fakes, AT_ONCE)
    fakes.faults.add("dlq.receive", QueueError("down", code="ServiceUnavailable"), after=1, times=1)
    assert intake.once(wait_s=0) == MAX_BATCH
    assert (len(fakes.dlq.messages), len(identities(ledger))) == (AT_ONCE - MAX_BATCH, MAX_BATCH)


def test_all_that_came_together_is_given_back_while_s3_refuses(fakes, intake, monkeypatch):
    fill(fakes, AT_ONCE)
    change = fakes.dlq.change_visibility
    calls: list[int] = []
    monkeypatch.setattr(fakes.dlq, "change_visibility", counting(change, calls))
    fakes.faults.add("state.claim", StoreError("denied", code="AccessDenied"), times=100)
    with pytest.raises(StoreError):
        intake.once(wait_s=0)
    assert sorted(fakes.dlq.changed) == sorted((f"r-m{number}", BACK_S) for number in range(AT_ONCE))
    assert max(calls) == MAX_BATCH


def test_intake_rests_longer_each_time_and_says_why_until_something_succeeds(fakes, intake):
    error = QueueError("down", code="ServiceUnavailable")
    intake.rest.begin(error)
    assert intake.rest.reason == "down"
    assert not intake.rest.wait(intake._stop, at_most_s=0)
    intake.rest.end()
    assert intake.rest.reason == ""
    assert intake.rest.wait(intake._stop, at_most_s=0)


def test_a_record_that_was_missing_is_open_again_when_the_dlq_delivers_it_once_more(fakes, intake, ledger):
    fill(fakes, 1)
    again = fakes.dlq.messages["m0"]
    drain(intake)
    fakes.s3.records.clear()
    ledger.change("s0", version=None, by="check", action="missing", state=RowState.MISSING)
    fakes.dlq.messages["m0"] = again
    drain(intake)
    assert (ledger.get("s0").state, len(fakes.under(DEAD_LETTERS_PREFIX))) == (RowState.OPEN, 1)


CALLS = ("dlq.receive", "dlq.delete", "dlq.hide", "state.claim", "state.get", "state.put")


@pytest.mark.timeout(sized(900, usual=180))
@settings(
    max_examples=sized(300, usual=25), deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)  # fmt: skip
@given(
    count=st.integers(1, 25),
    call=st.sampled_from(CALLS),
    after=st.integers(0, 4),
    times=st.sampled_from([1, 3, 1_000_000]),
)
def test_whichever_call_fails_no_dead_letter_is_lost_and_none_is_there_twice(
    fakes, intake, ledger, count, call, after, times
):
    number = len(ledger.page(ALL, limit=1_000).rows)
    bodies = set()
    for at in range(number, number + count):
        fakes.dead_letter(f"m{at}", f"{at}.txt", failure={"source_message_id": f"s{at}", "source_queue": QUEUE})
        bodies.add(fakes.dlq.messages[f"m{at}"].body)
    kind = QueueError if call.startswith("dlq") else StoreError
    fakes.faults.add(call, kind("x", code="ServiceUnavailable"), after=after, times=times)
    for _ in range(10):
        try:
            intake.once(wait_s=0)
        except (QueueError, StoreError):
            fakes.dlq.hidden.clear()
    held = {message.body for message in fakes.dlq.messages.values()}
    held |= {record["body"] for record in fakes.under(DEAD_LETTERS_PREFIX).values()}
    assert bodies <= held
    fakes.faults.plan.clear()
    fakes.dlq.hidden.clear()
    drain(intake)
    assert fakes.dlq.messages == {}
    assert len(ledger.page(ALL, limit=1_000).rows) == len(fakes.under(DEAD_LETTERS_PREFIX)) == number + count


def test_a_failed_job_takes_far_less_than_a_tenth_of_a_second_and_about_two_kilobytes(fakes, intake):
    fill(fakes, 200, stack="s" * 400)
    began = time.monotonic()
    drain(intake)
    assert (time.monotonic() - began) / 200 < 0.1
    sizes = [len(json.dumps(record)) for record in fakes.under(DEAD_LETTERS_PREFIX).values()]
    assert max(sizes) < 2_500
