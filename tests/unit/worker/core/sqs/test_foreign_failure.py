"""Dead letters in other tools' style are understood, whatever is in them, and stay as they are when they are sent on."""

import json
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.core.base.classify import FailureKind
from worker.core.sqs.dead_letter import Attribute, DeadLetter, Refused
from worker.core.sqs.failure_record import MAX_COUNT, FailureRecord
from worker.core.sqs.foreign_failure import foreign_failure

FACTS = {
    "retry-count": "3", "error-type": "TimeoutError", "error-message": "maps did not answer in 5 s", "source-service": "maps",
    "stack-trace": 'Traceback …\n  File "/app/maps.py", line 7, in fetch\nTimeoutError: maps did not answer in 5 s',
    "metadata": '{"city": "京都", "status_code": 504}', "failed-at": "2026-11-24T02:07:24Z",
}  # fmt: skip
EXPECTED = FailureRecord(
    kind=FailureKind.RECOVERABLE, error_type="TimeoutError", message=FACTS["error-message"], stack=FACTS["stack-trace"],
    attempts=3, first_failed_at=FACTS["failed-at"], last_failed_at=FACTS["failed-at"], source_service="maps",
    metadata={"city": "京都", "status_code": 504}, fingerprint="badc80efb453",
)  # fmt: skip


def attributes_of(facts: dict[str, str]) -> dict[str, Attribute]:
    return {name: {"DataType": "String", "StringValue": value} for name, value in facts.items()}


def found(facts: dict[str, str]) -> FailureRecord:
    record = foreign_failure(attributes_of(facts), "body")
    assert record is not None
    return record


def in_envelope(**facts: Any) -> FailureRecord | None:
    return foreign_failure({}, json.dumps({"payload": {"a": 1}, **facts}, ensure_ascii=False))


# -- the three ways ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spelled", ["x-{}", "X-{}", "x_{}"])
def test_attributes_tell_of_a_failure_in_any_spelling(spelled):
    names = {name: spelled.format(name.replace("-", "_") if "_" in spelled else name) for name in FACTS}
    assert found({names[name]: value for name, value in FACTS.items()}) == EXPECTED


@pytest.mark.parametrize("spelled", ["x-{}", "{}", "X_{}"])
@pytest.mark.parametrize("separator", ["-", "_"])
def test_an_envelope_tells_the_same(spelled, separator):
    facts: dict[str, Any] = {spelled.format(name.replace("-", separator)): value for name, value in FACTS.items()}
    assert in_envelope(**facts) == EXPECTED
    assert foreign_failure({}, json.dumps(facts)) is None, "without a payload it is a message like any other"


def test_an_envelope_may_hold_numbers_lists_and_objects():
    record = in_envelope(
        retry_count=3, error_type="KeyError", error_message={"code": 7}, stack_trace=["a", "b"], metadata={"n": 1},
        failed_at=1_795_000_000, correlation_id="c-1", routing_key="maps.high",
    )  # fmt: skip
    assert record is not None
    assert (record.attempts, record.message, record.stack, record.metadata) == (3, '{"code":7}', "a\nb", {"n": 1})
    assert (record.correlation_id, record.routing_key) == ("c-1", "maps.high")
    assert record.last_failed_at == "2026-11-18T11:06:40.000+00:00"


def test_the_correlation_id_is_taken_from_wherever_messages_have_one():
    for name in ("x-correlation-id", "correlationId", "correlation_id"):
        assert found({"x-error-type": "E", name: "c-1"}).correlation_id == "c-1"


def test_times_in_milliseconds_are_read_and_others_kept():
    times = {
        text: found({"x-error-type": "E", "x-failed-at": text}).last_failed_at for text in ("1795000000123", "soon")
    }
    assert times == {"1795000000123": "2026-11-18T11:06:40.123+00:00", "soon": "soon"}


def test_a_status_in_the_metadata_says_the_kind_of_what_has_no_telling_name():
    assert found({"x-error-type": "HTTPError", "x-metadata": '{"status_code": 503}'}).kind is FailureKind.RECOVERABLE
    assert found({"x-error-type": "HTTPError", "x-metadata": '{"http_status": "404"}'}).kind is FailureKind.USER_ERROR


def test_without_a_type_it_is_read_from_the_texts():
    assert found({"x-error-message": "ValueError: no"}).error_type == "ValueError"
    assert found({"x-error-message": "it failed", "x-stack-trace": FACTS["stack-trace"]}).error_type == "TimeoutError"
    assert found({"x-retry-count": "2"}).error_type == "Error", "not the words for SQS's redrive policy"


# -- what is none --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "facts",
    [{}, {"x-metadata": "{}"}, {"x-source-service": "maps"}, {"error_type": "E"}, {"metadata": "m"}, {"x-trace": "t"}],
)
def test_attributes_that_any_message_may_have_are_no_failure(facts):
    assert foreign_failure(attributes_of(facts), "body") is None


@pytest.mark.parametrize(
    "body",
    [
        "", "{", "[]", '"payload"', '{"payload": 1}', '{"payload": 1, "retry_count": 0, "note": "no error"}',
        '{"payload": 1, "error_type": null, "error_message": ""}', '{"error_type": "E"}', '["payload", "error"]',
        '{"payload": {"error_type": "E"}}',
    ],
)  # fmt: skip
def test_a_body_that_is_no_envelope_of_a_failure_is_none(body):
    assert foreign_failure({}, body) is None


# -- whatever is in there ------------------------------------------------------------------------------------------------

NAMES = st.sampled_from(
    [f"x-{name}" for name in FACTS] + [name.replace("-", "_") for name in FACTS] + ["payload", "failure"]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


@settings(max_examples=50)
@given(
    st.dictionaries(NAMES, st.fixed_dictionaries({}, optional={"StringValue": st.text(), "BinaryValue": st.binary()})),
    st.dictionaries(NAMES, JSON).map(lambda made: json.dumps({"payload": 1, **made})) | st.text(),
)
def test_whatever_is_in_a_message_it_is_read_and_its_record_can_be_written(attributes, body):
    dead_letter = DeadLetter("m", body, {}, attributes)
    record = dead_letter.failure
    if record is not None:
        assert len(record.message) <= 500
        assert len(record.stack) <= 2_000
        assert 0 <= record.attempts <= MAX_COUNT
        assert FailureRecord.parse(record.as_text()) is not None
    assert DeadLetter.from_json(json.loads(orjson.dumps(dead_letter.as_json()))) is not None if _is_utf8(body) else True


def _is_utf8(text: str) -> bool:
    return not any("\ud800" <= c <= "\udfff" for c in text)


def test_huge_and_deep_facts_are_cut():
    deep = "[" * 900 + "]" * 900
    record = found({"x-error-type": "E" * 5_000, "x-error-message": "m" * 500_000, "x-stack-trace": "s" * 500_000 + "end",
                    "x-metadata": deep, "x-retry-count": "9" * 500})  # fmt: skip
    assert (len(record.error_type), len(record.message), len(record.stack)) == (200, 500, 2_000)
    assert record.stack.endswith("end")
    assert record.attempts in {0, MAX_COUNT}
    assert len(record.as_text()) < 10_000


def test_a_stack_whose_innermost_frame_is_first_is_cut_at_its_end():
    stack = "java.io.IOException: no\n" + "\tat com.example.A.f(A.java:1)\n" * 500
    assert found({"x-stack-trace": stack}).stack.startswith("java.io.IOException: no\n\tat com")


# -- as a dead letter ----------------------------------------------------------------------------------------------------


def test_our_own_record_counts_and_a_failure_attribute_that_is_none_does_not():
    both = attributes_of({f"x-{name}": value for name, value in FACTS.items()})
    ours = FailureRecord(error_type="OSError")
    attribute: Attribute = {"DataType": "String", "StringValue": ours.as_text()}
    assert DeadLetter("m", "b", {}, {**both, "failure": attribute}).failure == ours
    attribute = {"DataType": "String", "StringValue": "timeout"}
    assert DeadLetter("m", "b", {}, {**both, "failure": attribute}).failure == EXPECTED


@pytest.mark.parametrize("way", ["attributes", "envelope"])
def test_it_is_sent_on_and_stored_unchanged(way):
    if way == "attributes":
        attributes, body = attributes_of({f"x-{name}": value for name, value in FACTS.items()}), "本文"
    else:
        attributes, body = (
            {},
            json.dumps({"payload": 1, **{name.replace("-", "_"): text for name, text in FACTS.items()}}),
        )
    dead_letter = DeadLetter("m", body, {"SentTimestamp": "5"}, attributes)
    assert dead_letter.failure == EXPECTED
    unchanged = dead_letter.entry(None, max_bytes=100_000)
    assert not isinstance(unchanged, Refused)
    assert (unchanged["MessageBody"], unchanged["MessageAttributes"]) == (body, attributes)
    stored = dead_letter.as_json()
    assert "failure" not in stored, "it is found again in the message"
    assert DeadLetter.from_json(json.loads(json.dumps(stored))) == dead_letter
    redriven = dead_letter.entry(EXPECTED.redriven("d-1"), max_bytes=100_000)
    assert not isinstance(redriven, Refused)
    assert {**redriven["MessageAttributes"], "failure": None} == {**attributes, "failure": None}
    kept = FailureRecord.of(redriven["MessageAttributes"])
    assert kept == EXPECTED.redriven("d-1")
