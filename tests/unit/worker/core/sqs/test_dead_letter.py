"""A dead letter as received, as JSON, and as the entry that sends it on: nothing is lost, and no record is trusted blindly."""

import json
from dataclasses import replace

import pytest

from worker.core.sqs.dead_letter import Attribute, DeadLetter, Refused, SendEntry, entry_bytes
from worker.core.sqs.failure_record import FailureRecord
from worker.core.sqs.queue import Message

ATTRIBUTES: dict[str, Attribute] = {
    "trace": {"DataType": "String", "StringValue": "t-1"},
    "raw": {"DataType": "Binary", "BinaryValue": b"\0\xff"},
}
RECORD = FailureRecord(error_type="ValueError", message="m" * 400, stack="s" * 1_500)


def failure_of(entry):
    return json.loads(entry["MessageAttributes"]["failure"]["StringValue"])


def entry(body, attributes, record=RECORD, *, max_bytes=1_048_576):
    return DeadLetter("m1", body, {}, attributes).entry(record, max_bytes=max_bytes)


def taken(entry: SendEntry | Refused) -> SendEntry:
    assert not isinstance(entry, Refused)
    return entry


# -- sending on --------------------------------------------------------------------------------------------------


def test_body_and_attributes_stay_untouched_beside_the_failure():
    sent = entry("本文", ATTRIBUTES)
    assert sent["MessageBody"] == "本文"
    assert {name: sent["MessageAttributes"][name] for name in ATTRIBUTES} == ATTRIBUTES
    assert failure_of(sent)["error_type"] == "ValueError"


def test_a_received_attribute_is_sent_without_the_empty_lists_of_the_answer():
    received = {"trace": {"DataType": "String", "StringValue": "t", "StringListValues": [], "BinaryListValues": []}}
    assert entry("x", received)["MessageAttributes"]["trace"] == {"DataType": "String", "StringValue": "t"}


def test_at_the_size_limit_the_stack_goes_first_then_most_of_the_text():
    whole = entry_bytes(entry("x", {}))
    assert failure_of(entry("x", {}, max_bytes=whole))["stack"] == RECORD.stack
    without_stack = failure_of(entry("x", {}, max_bytes=whole - 1))
    assert (without_stack["stack"], without_stack["message"]) == ("", RECORD.message)
    assert len(failure_of(entry("x", {}, max_bytes=whole - 1_600))["message"]) == 80


def test_metadata_goes_before_the_stack():
    record = replace(RECORD, metadata={"city": "京都"})
    whole = entry_bytes(taken(entry("x", {}, record)))
    assert failure_of(entry("x", {}, record, max_bytes=whole))["metadata"] == {"city": "京都"}
    without = failure_of(entry("x", {}, record, max_bytes=whole - 1))
    assert ("metadata" in without, without["stack"]) == (False, RECORD.stack)


def test_where_nothing_fits_it_is_refused_in_a_sentence():
    refused = entry("x" * 1_000, {}, max_bytes=1_010)
    assert isinstance(refused, Refused)
    assert "no room for a failure record" in refused.reason
    full = {str(n): {"DataType": "String", "StringValue": "v"} for n in range(10)}
    assert isinstance(entry("x", full), Refused)
    assert "10 attributes" in entry("x", full).reason
    assert not isinstance(entry("x", full, None), Refused), "without a record there is room"


def test_a_fifo_queue_gets_the_group_and_a_deduplication_id_of_its_own():
    dead_letter = DeadLetter("m1", "x", {"MessageGroupId": "g", "AWSTraceHeader": "Root=1"}, {})
    first, second = (taken(dead_letter.entry(None, max_bytes=100, fifo=True)) for _ in range(2))
    assert first["MessageGroupId"] == "g"
    assert first["MessageDeduplicationId"] != second["MessageDeduplicationId"]
    assert first["MessageSystemAttributes"]["AWSTraceHeader"]["StringValue"] == "Root=1"


# -- as JSON -----------------------------------------------------------------------------------------------------


def test_a_dead_letter_survives_its_json_form_unchanged():
    attributes: dict[str, Attribute] = {
        **ATTRIBUTES,
        "failure": {"DataType": "String", "StringValue": '{ "kind" : "RECOVERABLE" }'},
    }
    dead_letter = DeadLetter("m1", "本文", {"SentTimestamp": "5"}, attributes)
    stored = json.loads(json.dumps(dead_letter.as_json()))
    assert stored["message_attributes"]["raw"] == {"DataType": "Binary", "BinaryValue": "AP8="}
    assert DeadLetter.from_json(stored) == dead_letter
    assert dead_letter.failure is not None
    beside = {**stored, "failure": dead_letter.failure.as_json()}
    assert DeadLetter.from_json(beside) == dead_letter, "the same record beside it changes nothing"


def test_a_failure_record_beside_the_message_counts():
    stored = DeadLetter("m1", "x", {}, {"failure": {"DataType": "String", "StringValue": '{"redrives": 1}'}}).as_json()
    read = DeadLetter.from_json({**stored, "failure": {"kind": "SYSTEM_ERROR", "redrives": 2}}, stored_key="k")
    assert (read.kind, read.redrives, read.stored_key) == ("SYSTEM_ERROR", 2, "k")
    assert failure_of(read.entry(None, max_bytes=1_000))["redrives"] == 2
    assert DeadLetter.from_json(read.as_json(), stored_key="k") == read


@pytest.mark.parametrize(
    ("body", "count"), [("x", 10), ("x" * 1_000, 0)], ids=["all attributes in use", "a body at the limit"]
)
def test_what_left_no_room_for_its_failure_record_can_be_sent_again(body, count):
    """The worker stores such a message in dead-letters/, with its record beside it."""
    attributes: dict[str, Attribute] = {
        f"a{number}": {"DataType": "String", "StringValue": "v"} for number in range(count)
    }
    spilled = DeadLetter("m1", body, {}, attributes).as_json()
    read = DeadLetter.from_json({**spilled, "failure": {"kind": "SYSTEM_ERROR"}})
    assert read.kind == "SYSTEM_ERROR"
    sent = taken(read.entry(None, max_bytes=1_000))
    assert (sent["MessageBody"], sent["MessageAttributes"]) == (body, attributes)


@pytest.mark.parametrize(
    "wrong",
    [
        None, [], "x", {}, {"message_id": 5}, {"body": None}, {"system_attributes": []},
        {"system_attributes": {"SentTimestamp": "x"}}, {"system_attributes": {"SentTimestamp": "9" * 30}},
        {"message_attributes": {"n": {"StringValue": "x"}}},
        {"message_attributes": {"n": {"DataType": "String", "StringValue": 5}}},
        {"message_attributes": {"n": {"DataType": "Binary", "BinaryValue": "no base64!"}}},
    ],
)  # fmt: skip
def test_what_is_no_dead_letter_is_refused_where_it_is_read(wrong):
    sound = DeadLetter("m1", "x", {}, {}).as_json()
    with pytest.raises(ValueError, match="it is no"):
        DeadLetter.from_json({**sound, **wrong} if isinstance(wrong, dict) and wrong else wrong)


def test_a_received_message_is_known_by_the_id_it_had_in_its_source_queue():
    failure = {"failure": {"DataType": "String", "StringValue": '{"source_message_id": "s1"}'}}
    received = DeadLetter.received(Message("m1", "r1", "x", {"ApproximateReceiveCount": "3"}, failure))
    assert (received.receipt, received.receives) == ("r1", 3)
    assert DeadLetter.received(Message("m2", "r2", "x", {}, failure)).identity == received.identity
    assert DeadLetter.received(Message("m1", "r1", "another body", {}, failure)).identity != received.identity
    assert DeadLetter.received(Message("s1", "r1", "x", {}, {})).identity == received.identity
    assert DeadLetter.received(Message("m2", "r2", "x", {}, {})).identity != received.identity


@pytest.mark.parametrize(
    "own", [{"DataType": "String", "StringValue": "timeout"}, {"DataType": "Binary", "BinaryValue": b"\xff"}]
)
def test_a_producers_own_failure_attribute_is_kept_under_another_name(own):
    dead_letter = DeadLetter("m", "body", {}, {"failure": own})
    entry = dead_letter.entry(FailureRecord(error_type="OSError"), max_bytes=10**6)
    assert not isinstance(entry, Refused)
    attributes = entry["MessageAttributes"]
    assert attributes["failure_of_producer"] == own
    assert json.loads(attributes["failure"]["StringValue"])["error_type"] == "OSError"
    again = DeadLetter("m", "body", {}, attributes).entry(FailureRecord(error_type="KeyError"), max_bytes=10**6)
    assert not isinstance(again, Refused)
    assert again["MessageAttributes"]["failure_of_producer"] == own
