"""The kind of other services' failures: one table of what is known of them, and what that means."""

import pytest

from worker.core.base.classify import FailureKind
from worker.core.base.classify_foreign import STATUS_KINDS, kind_of_foreign, status_in

R, U, S, X = FailureKind.RECOVERABLE, FailureKind.USER_ERROR, FailureKind.SYSTEM_ERROR, FailureKind.UNKNOWN


@pytest.mark.parametrize(
    ("error_type", "kind"),
    [
        ("TimeoutError", R), ("requests.exceptions.ConnectTimeout", R), ("java.net.SocketTimeoutException", R), ("TimedOut", R),
        ("DEADLINE_EXCEEDED", R), ("DeadlineExceeded", R), ("ThrottlingException", R), ("TooManyRequests", R), ("SlowDown", R),
        ("RateLimitError", R), ("ConnectionRefusedError", R), ("ConnectionResetError", R), ("ServerDisconnectedError", R),
        ("ServiceUnavailable", R), ("gaierror", R), ("UnknownHostException", R), ("BrokenPipeError", R), ("GatewayTimeout", R),
        ("ExpiredToken", R), ("NoCredentialsError", R), ("InvalidToken", R), ("InvalidAccessKeyId", R),
        ("ValidationError", U), ("pydantic.ValidationError", U), ("JSONDecodeError", U), ("json_parse_error", U),
        ("MalformedEventError", U), ("UnreadableFileError", U), ("SyntaxError", U), ("BadRequest", U), ("NotFound", U),
        ("FileNotFoundError", U), ("NoSuchKey", U), ("InvalidArgument", U), ("UnprocessableEntity", U),
        ("AccessDenied", S), ("AccessDeniedException", S), ("PermissionError", S), ("Forbidden", S), ("Unauthorized", S),
        ("UnauthorizedOperation", S), ("InternalServerError", S), ("BadGateway", S),
        ("KeyError", X), ("NullPointerException", X), ("ValueError", X), ("Error", X), ("", X), ("エラー", X),
    ],
)  # fmt: skip
def test_the_name_of_an_error_type_says_its_kind(error_type, kind):
    assert kind_of_foreign(error_type, "") is kind


@pytest.mark.parametrize(("status", "kind"), STATUS_KINDS.items())
def test_a_status_says_the_kind_wherever_it_is_mentioned(status, kind):
    assert kind_of_foreign("HTTPError", "", status) is kind
    assert kind_of_foreign(f"HTTP {status}", "") is kind
    assert kind_of_foreign(str(status), "") is kind
    assert kind_of_foreign("HTTPError", f"{status} Client or Server Error: reason for url") is kind
    assert kind_of_foreign("ClientError", f"request failed with status code {status}") is kind


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("Read timed out. (read timeout=10)", R), ("context deadline exceeded", R), ("Connection refused", R),
        ("connection was reset by peer", R), ("An error occurred (ThrottlingException) when calling GetItem", R),
        ("Too many requests, slow down", R), ("Service Unavailable", R), ("The security token has expired: token is expired", R),
        ("Unable to locate credentials", R), ("Temporary failure in name resolution", R),
        ("An error occurred (AccessDenied) when calling PutObject", S), ("permission denied for table jobs", S),
        ("Internal Server Error", S), ("upstream: bad gateway", S),
        ("malformed body", U), ("1 validation error for Job", U), ("not valid JSON at 3", U),
        ("list index out of range", X), ("order 503 has 404 lines", X), ("", X),
    ],
)  # fmt: skip
def test_a_message_counts_where_type_and_status_say_nothing(message, kind):
    assert kind_of_foreign("RuntimeError", message) is kind


@pytest.mark.parametrize(
    ("error_type", "message", "status", "kind"),
    [
        ("ValidationError", "the connection timed out", None, U),
        ("TimeoutError", "404 Not Found", None, R),
        ("HTTPError", "connection refused", 404, U),
        ("HTTPError", "503 Service Unavailable", 400, U),
        ("HTTPError", "teapot", 418, X),
    ],
)
def test_the_type_counts_before_the_status_and_that_before_the_message(error_type, message, status, kind):
    assert kind_of_foreign(error_type, message, status) is kind


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("HTTP 503", 503), ("HTTP/1.1 404 Not Found", 404), ("status: 502", 502), ("statusCode=500", 500), ("[429] slow", 429),
        ("503", 503), ("took 503 ms", None), ("503 ms", 503), ("1234 rows", None), ("5030", None), ("", None), ("HTTP 999", None),
    ],
)  # fmt: skip
def test_a_status_is_read_where_it_stands_as_one(text, status):
    assert status_in(text) == status


def test_a_long_text_is_not_read_to_its_end():
    assert kind_of_foreign("x" * 10_000_000, "y" * 10_000_000 + "timeout") is X
