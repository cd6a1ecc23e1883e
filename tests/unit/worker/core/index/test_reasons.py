"""Why an index refuses, as it is logged: OpenSearch quotes from the document, and no body is ever logged."""

import base64
import json
from contextlib import closing

import pytest

from tests.support.tls import serving
from worker.core.base.settings import load
from worker.core.index.client import MAX_REASON_CHARS, Client, RefusedError, reason_of

SQS = "https://sqs.eu-central-1.amazonaws.com/1"
REQUIRED = {"sqs_queue_url": f"{SQS}/q", "dlq_queue_url": f"{SQS}/d", "state_bucket": "state-bucket"}

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


# -- what others than OpenSearch say -----------------------------------------------------------------------------------

ARN = "arn:aws:sts::123456789012:assumed-role/worker/i-1"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (f'{{"Message": "User: {ARN} is not authorized to perform: es:ESHttpPost"}}',
         f"User: {ARN} is not authorized to perform: es:ESHttpPost"),
        ('{"message":"The security token included in the request is expired"}',
         "The security token included in the request is expired"),
        ('{"message": null, "errorMessage": "too slow"}', "too slow"),
        ('{"error": "unauthorized", "error_description": "no token"}', "unauthorized: no token"),
        ('{"status":403,"request-id":"1","error":{"reason":"403 Forbidden","type":"Forbidden"}}', "Forbidden: 403 Forbidden"),
        ('{"error": {"message": "denied by policy"}}', "denied by policy"),
        ('{"code": 7}', '{"code":7}'),
        ('["no", "way"]', '["no","way"]'),
        ('"no way"', "no way"),
        ("Unauthorized", "Unauthorized"),
        ("upstream connect error\r\n or disconnect", "upstream connect error or disconnect"),
        ("<html><head><title>403</title><style>p {}</style></head><body><h1>403 &amp; out</h1>\n<p>by proxy</body></html>",
         "403 & out by proxy"),
        ("", "no reason was given"), ("{}", "no reason was given"), ("null", "no reason was given"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("content_type", ["application/json", "application/x-amz-json-1.1", "text/html", ""])
def test_whoever_refuses_a_request_is_quoted_on_one_line(body, said, content_type):
    def respond(_asked):
        return 403, {"Content-Type": content_type} if content_type else {}, body.encode()

    with (
        serving(respond=respond) as (port, _),
        closing(a_client(f"http://127.0.0.1:{port}")) as client,
        pytest.raises(RefusedError) as raised,
    ):
        client.request("POST", "/files/_bulk", b"{}")
    assert str(raised.value) == f"http://127.0.0.1:{port} answered 403: {said}"
    assert raised.value.status == 403


@pytest.mark.parametrize("body", [b"\x83\x47\x83\x89\x81\x5b", b"\xff" * 2_000, b"x" * 100_000])
def test_a_page_in_any_encoding_and_of_any_length_is_a_refusal(body):
    with (
        serving(respond=lambda _: (502, {}, body)) as (port, _),
        closing(a_client(f"http://127.0.0.1:{port}")) as client,
        pytest.raises(RefusedError, match="answered 502") as raised,
    ):
        client.request("GET", "/")
    assert len(str(raised.value)) <= MAX_REASON_CHARS
    assert str(raised.value).isprintable()


def test_a_refusal_that_quotes_the_sign_in_is_shown_without_it():
    """AWS does so: `'Basic …' not a valid key=value pair (missing equal-sign) in Authorization header`."""

    def respond(asked):
        return 403, {}, json.dumps({"message": f"{asked.authorization!r} not a valid key=value pair"}).encode()

    with (
        serving(respond=respond) as (port, _),
        closing(a_client(f"http://user:geheim@127.0.0.1:{port}")) as client,
        pytest.raises(RefusedError, match=r"Basic .hidden.* not a valid") as raised,
    ):
        client.request("GET", "/")
    assert base64.b64encode(b"user:geheim").decode() not in str(raised.value)


def a_client(url):
    return Client(load(**REQUIRED, index_url=url))
