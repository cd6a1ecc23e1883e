"""What a failure record says, and that any stored record, however damaged, can be read."""

import hashlib
import json
from pathlib import Path
from types import ModuleType

import orjson
import pytest

from worker.core.base.classify import FailureKind
from worker.core.base.errors import MalformedEventError, QueueError, StoreError, UnreadableFileError
from worker.core.base.reasons import Reason
from worker.core.s3.events import parse
from worker.core.sqs.failure_record import MAX_COUNT, FailureRecord, fingerprint


def failed(body="no json"):
    try:
        parse(body)
    except MalformedEventError as error:
        return error
    raise AssertionError(body)


def record_of(error, attributes=None):
    attributes = attributes or {}
    return FailureRecord.of_error(
        error, earlier=FailureRecord.of(attributes), attributes=attributes, receives=2, source_queue="http://q",
        message_id="m1", worker="w",
    )  # fmt: skip


def attributes_with(record):
    return {"failure": {"DataType": "String", "StringValue": record if isinstance(record, str) else json.dumps(record)}}


# -- writing -----------------------------------------------------------------------------------------------------


def test_a_record_says_what_failed_where_and_how_often():
    failure = record_of(failed()).as_json()
    assert (failure["kind"], failure["error_type"]) == ("USER_ERROR", "MalformedEventError")
    assert "not JSON" in failure["message"]
    assert (failure["source_message_id"], failure["attempts"], failure["redrives"]) == ("m1", 2, 0)


def test_a_redriven_message_keeps_its_history():
    first = record_of(failed())
    again = record_of(failed(), attributes_with(first.redriven("d-1").as_text()))
    assert (again.attempts, again.redrives, again.first_failed_at) == (4, 1, first.first_failed_at)
    assert again.dead_letter_id == "d-1"
    newer = record_of(failed(), attributes_with({**first.as_json(), "added_by": "a newer version"}))
    assert newer.as_json()["added_by"] == "a newer version"


def test_a_redrive_dates_what_has_no_record_by_when_it_was_sent():
    assert FailureRecord().redriven("d-1", sent_ms=1_790_000_000_000).first_failed_at == "2026-09-21T14:13:20.000+00:00"
    assert FailureRecord().redriven("d-1").first_failed_at == ""
    assert FailureRecord(first_failed_at="then").redriven("d-1", sent_ms=1).first_failed_at == "then"


def test_the_correlation_id_is_the_message_s():
    attributes = {"correlationId": {"DataType": "String", "StringValue": "c-1"}}
    assert record_of(failed(), attributes).correlation_id == "c-1"


def test_what_is_written_is_what_is_read():
    record = record_of(ValueError("bad\x00 \ud800 text \uffff"))
    assert FailureRecord.parse(record.as_text()) == record


def test_long_texts_are_cut_where_they_are_written():
    record = FailureRecord(message="m" * 5_000, stack="s" * 9_000 + "end")
    message, stack = (str(record.as_json()[name]) for name in ("message", "stack"))
    assert (len(message), len(stack)) == (500, 2_000)
    assert stack.endswith("end")
    assert record.as_json(stack_chars=0)["stack"] == ""


def test_a_message_that_fails_again_keeps_what_another_service_said_of_it():
    told = FailureRecord(
        source_service="maps", routing_key="maps.high", metadata={"city": "京都"}, correlation_id="c-1"
    )
    again = record_of(failed(), attributes_with(told.as_text()))
    assert (again.source_service, again.routing_key, again.metadata) == ("maps", "maps.high", {"city": "京都"})
    assert (again.correlation_id, again.error_type) == ("c-1", "MalformedEventError")


def test_metadata_can_be_left_out_and_metadata_of_a_wrong_type_is():
    record = FailureRecord(message="m", metadata={"a": [1, None]})
    assert FailureRecord.parse(record.as_text()) == record
    assert "metadata" not in record.as_json(metadata=False)
    assert "metadata" not in FailureRecord(message="m").as_json(), "as records have always been"
    assert FailureRecord.from_json({"message": "m", "metadata": "text"}) == FailureRecord(message="m")


# -- reading -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["", "[]", "{", "{}", "7", "null", None, 5, "[" * 5_000, '{"kind": "\\ud800"}'])
def test_an_unreadable_record_counts_as_none(value):
    assert FailureRecord.of({"failure": {"StringValue": value}}) is None


@pytest.mark.parametrize("count", [-1, "3", None, True, 1.5, [1]])
def test_an_invalid_count_counts_as_zero(count):
    record = FailureRecord.from_json({"kind": "RECOVERABLE", "redrives": count, "attempts": count, "schema": count})
    assert record is not None
    assert (record.redrives, record.attempts, record.schema) == (0, 0, 1)


def test_a_count_that_json_cannot_hold_after_one_more_is_clamped():
    record = FailureRecord.parse('{"redrives": 18446744073709551615}')
    assert record is not None
    assert record.redriven("d-1").redrives == MAX_COUNT + 1
    read_again = FailureRecord.parse(record.redriven("d-1").as_text())
    assert read_again is not None
    assert read_again.redrives == MAX_COUNT


def test_what_is_of_a_wrong_type_is_left_out_and_the_rest_is_read():
    record = FailureRecord.from_json({"kind": "NEW_KIND", "error_type": 7, "message": "m", "stack": ["s"]})
    assert record == FailureRecord(kind=FailureKind.UNKNOWN, message="m")


def test_fields_of_a_newer_writer_survive_a_redrive():
    newer = {"schema": 2, "kind": "RECOVERABLE", "redrives": 1, "region": "eu", "trace": {"id": [1, None]}}
    record = FailureRecord.from_json(newer)
    assert record is not None
    again = json.loads(record.redriven("d-1").as_text())
    assert again == {**newer, "attempts": 0, "redrives": 2, "dead_letter_id": "d-1"}


def test_unknown_fields_that_cannot_be_written_are_dropped():
    deep = '{"a": ' * 500 + "1" + "}" * 500
    record = FailureRecord.parse(f'{{"kind": "RECOVERABLE", "deep": {deep}}}')
    assert record is not None
    assert (record.kind, record.unknown) == (FailureKind.RECOVERABLE, {})
    orjson.loads(record.as_text())


# -- the fingerprint ---------------------------------------------------------------------------------------------


def test_the_fingerprint_is_the_same_for_another_text_and_another_for_another_type():
    assert fingerprint(failed("a")) == fingerprint(failed("[b"))
    assert fingerprint(failed()) != fingerprint(ValueError("x"))


def test_the_reason_separates_causes_and_nothing_else_of_an_error_with_one_does():
    causes = [
        UnreadableFileError("s3://a/b: x", Reason.CORRUPT_PDF), UnreadableFileError("s3://a/b: x", Reason.BROKEN_ZIP),
        UnreadableFileError("s3://a/b: x", Reason.ZIP_BOMB), UnreadableFileError("s3://a/b: x", Reason.TIMEOUT),
        MalformedEventError("x", Reason.NOT_JSON), MalformedEventError("x", Reason.UNKNOWN_EVENT),
        StoreError("x", code="NoSuchBucket"), StoreError("x", code="AccessDenied"), QueueError("x", code="AccessDenied"),
    ]  # fmt: skip
    assert len({fingerprint(error) for error in causes}) == len(causes)
    assert fingerprint(failed("a")) == fingerprint(MalformedEventError("another text, raised nowhere", Reason.NOT_JSON))


def test_a_record_names_the_reason_and_one_of_an_earlier_version_stays_in_its_group():
    assert record_of(failed()).as_json()["reason"] == "not-json"
    assert record_of(StoreError("x", code="NoSuchBucket")).reason == "NoSuchBucket"
    assert "reason" not in record_of(KeyError("a bug")).as_json()
    old = {"schema": 1, "kind": "USER_ERROR", "error_type": "UnreadableFileError", "fingerprint": "3d2572ea9916"}
    read = FailureRecord.from_json(old)
    assert read is not None
    assert (read.reason, read.fingerprint, read.redriven("d-1").fingerprint) == ("", "3d2572ea9916", "3d2572ea9916")


def test_the_fingerprint_of_an_error_without_a_reason_is_the_one_that_it_has_always_had():
    assert fingerprint(ValueError("raised nowhere")) == hashlib.sha256(b"ValueError ").hexdigest()[:12]


FAILING = "def fail():\n    raise ValueError('x')\n"


def raised_in(folder: Path, name: str) -> ValueError:
    """The error of a module of this name, installed in this folder."""
    module = ModuleType(name)
    file = folder.joinpath(*name.split(".")).with_suffix(".py")
    exec(compile(FAILING, str(file), "exec"), module.__dict__)
    try:
        module.fail()
    except ValueError as error:
        return error
    raise AssertionError(name)


def test_two_installations_in_different_folders_give_one_fingerprint():
    here = raised_in(Path("/opt/s3-index-worker/lib"), "worker.core.s3.events")
    there = raised_in(Path("/home/me/worker/src/recovery"), "worker.core.s3.events")
    assert fingerprint(here) == fingerprint(there)
    assert fingerprint(here) != fingerprint(raised_in(Path("/opt/s3-index-worker/lib"), "worker.core.s3.state"))


def test_a_folder_named_worker_on_a_library_s_path_does_not_count():
    libraries = [
        raised_in(Path(folder), name)
        for folder, name in (("/srv/worker/site-packages", "library.loop"), ("/site-packages", "library.worker.loop"))
    ]
    assert {fingerprint(error) for error in libraries} == {fingerprint(ValueError("raised nowhere"))}


def test_the_innermost_frame_of_this_program_counts_whatever_library_it_calls():
    caller = ModuleType("recovery.caller")
    exec("def call(fail):\n    fail()\n", caller.__dict__)

    def called_by_us(folder, name):
        with pytest.raises(ValueError, match="x") as raised:
            caller.call(lambda: raise_again(raised_in(folder, name)))
        return raised.value

    def raise_again(error):
        raise error

    one, other = called_by_us(Path("/a"), "library.loop"), called_by_us(Path("/b"), "other.thing")
    assert fingerprint(one) == fingerprint(other)
    assert fingerprint(one) != fingerprint(ValueError("raised nowhere"))
