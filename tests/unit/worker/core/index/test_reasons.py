"""Why an index refuses, as it is logged: OpenSearch quotes from the document, and no body is ever logged."""

from worker.core.index.client import reason_of

MARK = "秘密の本文"


def reason(kind, text, *causes):
    cause = None
    for type_, said in reversed(causes):
        cause = {"type": type_, "reason": said, "caused_by": cause}
    found, sentence = reason_of({"error": {"type": kind, "reason": text, "caused_by": cause}})
    assert found == kind
    return sentence


def test_a_fields_value_is_left_out_and_the_kind_of_the_innermost_cause_is_given():
    said = reason(
        "mapper_parsing_exception",
        f"failed to parse field [content] of type [date] in document with id 'x'. Preview of field's value: '{MARK}'",
        ("illegal_argument_exception", f"failed to parse date field [{MARK}] with format [strict_date]"),
        ("date_time_parse_exception", f"{MARK}: no parser"),
    )
    assert said.startswith(
        "mapper_parsing_exception: failed to parse field [content] of type [date] in document with id 'x'"
    )
    assert said.endswith("date_time_parse_exception")
    assert MARK not in said


def test_the_beginning_of_a_term_that_is_too_long_is_left_out():
    said = reason(
        "illegal_argument_exception",
        f"Document contains at least one immense term in field=\"x\". The prefix of the first immense term is: '[{MARK}]...'",
        ("max_bytes_length_exceeded_exception", "bytes can be at most 32766 in length"),
    )
    assert said.endswith('immense term in field="x": bytes can be at most 32766 in length')
    assert MARK not in said


def test_what_is_not_about_a_document_is_given_in_full():
    assert reason("index_closed_exception", "closed") == "index_closed_exception: closed"
