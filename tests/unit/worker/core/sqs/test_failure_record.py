"""What a failed message carries to the DLQ."""

import json

import pytest

from worker.core.base.classify import FailureKind
from worker.core.base.errors import MalformedEventError
from worker.core.s3.events import parse
from worker.core.sqs.failure_record import (
    dead_letter_entry,
    failure_record,
    fingerprint,
    read_failure,
    size_bytes,
    spilled,
)


def failed(body="no json"):
    try:
        parse(body)
    except MalformedEventError as error:
        return error
    raise AssertionError(body)


def record_of(error, attributes=None):
    return failure_record(
        error, attributes=attributes or {}, receives=2, source_queue="http://q", message_id="m1", worker="w"
    )


def entry(body, attributes, *, max_bytes=1_048_576, max_attributes=10):
    return dead_letter_entry(body, attributes, record_of(failed()), max_bytes=max_bytes, max_attributes=max_attributes)


def test_body_and_attributes_stay_untouched_beside_the_failure():
    attributes = {
        "trace": {"DataType": "String", "StringValue": "t-1"},
        "raw": {"DataType": "Binary", "BinaryValue": b"\0\xff"},
    }
    sent = entry("本文", attributes)
    assert sent["MessageBody"] == "本文"
    assert {k: sent["MessageAttributes"][k] for k in attributes} == attributes
    failure = json.loads(sent["MessageAttributes"]["failure"]["StringValue"])
    assert failure["kind"] == "USER_ERROR"
    assert failure["error_type"] == "MalformedEventError"
    assert "not JSON" in failure["message"]
    assert failure["source_message_id"] == "m1"


def test_a_redriven_message_keeps_its_history():
    first = entry("b", {})["MessageAttributes"]
    again = record_of(failed(), first)
    assert again.attempts == 4
    assert again.first_failed_at == read_failure(first)["first_failed_at"]


def test_at_the_size_limit_the_stack_goes_first_then_most_of_the_text():
    full = size_bytes("x", entry("x", {})["MessageAttributes"])
    body = "x" * (2_000)
    squeezed = entry(body, {}, max_bytes=len(body) + full - 200)
    assert json.loads(squeezed["MessageAttributes"]["failure"]["StringValue"])["stack"] == ""


def test_where_nothing_fits_there_is_no_entry():
    assert entry("x" * 1000, {}, max_bytes=1_010) is None
    assert entry("x", {str(n): {"DataType": "String", "StringValue": "v"} for n in range(10)}) is None


def test_the_fingerprint_is_the_same_for_another_text_and_another_for_another_type():
    assert fingerprint(failed("a")) == fingerprint(failed("[b"))
    assert fingerprint(failed()) != fingerprint(ValueError("x"))


def test_a_spilled_message_is_lossless():
    attributes = {"raw": {"DataType": "Binary", "BinaryValue": b"\0\xff"}}
    record = record_of(ValueError("bad\x00 \ud800 text"))
    kept = json.loads(spilled("m1", "body", {"SentTimestamp": "5"}, attributes, record.as_json()))
    assert kept["body"] == "body"
    assert kept["message_attributes"]["raw"] == {"DataType": "Binary", "BinaryValue": "AP8="}
    assert kept["failure"]["kind"] == FailureKind.SYSTEM_ERROR


@pytest.mark.parametrize("value", ["", "[]", "{", None])
def test_an_unreadable_failure_record_is_as_none(value):
    assert read_failure({"failure": {"StringValue": value}}) == {}
