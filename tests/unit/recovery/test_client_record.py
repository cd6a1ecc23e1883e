"""The failure record of another service's exception: its type, its kind, its place, and never an error of its own."""

import pytest

from recovery.client_record import Circumstances, record_of
from worker.core.base.classify import FailureKind
from worker.core.base.errors import StoreError, UnreadableFileError
from worker.core.sqs.failure_record import FailureRecord


def record(error: BaseException | str, **known: object) -> FailureRecord:
    return record_of(error, Circumstances(**known), message_id="m1", worker="host:7")


def raised(error: Exception) -> BaseException:
    """The error with a traceback."""
    with pytest.raises(type(error)) as caught:
        _fail(error)
    return caught.value


def _fail(error: Exception) -> None:
    raise error


class HTTPError(Exception):
    """As requests and httpx have it: the status is the response's."""

    def __init__(self, status: int) -> None:
        super().__init__("it failed")
        self.response = type("Response", (), {"status_code": status})()


class ClientError(Exception):
    """As botocore has it."""

    def __init__(self, code: str) -> None:
        super().__init__("it failed")
        self.response = {"Error": {"Code": code}}


class SlowUpstreamError(TimeoutError):
    pass


class BrokenError(Exception):
    def __str__(self):
        raise ValueError

    @property
    def code(self):
        raise KeyError


def test_an_exception_says_its_type_message_stack_and_place():
    found = record(
        raised(TimeoutError("maps did not answer")), attempts=3, source_service="maps", correlation_id="c-1",
        routing_key="maps.high", metadata={"city": "京都"},
    )  # fmt: skip
    assert (found.kind, found.error_type, found.message) == ("RECOVERABLE", "TimeoutError", "maps did not answer")
    assert found.stack.startswith("Traceback")
    assert found.stack.endswith("TimeoutError: maps did not answer\n")
    assert (found.attempts, found.source_service, found.correlation_id) == (3, "maps", "c-1")
    assert (found.routing_key, found.metadata) == ("maps.high", {"city": "京都"})
    assert (found.source_message_id, found.worker) == ("m1", "host:7")
    assert found.first_failed_at == found.last_failed_at != ""
    assert found.fingerprint == record(raised(TimeoutError("another text")), source_service="maps").fingerprint
    assert found.fingerprint != record(raised(TimeoutError()), source_service="orders").fingerprint


def test_message_and_stack_are_cut():
    found = record(raised(ValueError("x" * 10_000)))
    assert (len(found.message), len(found.stack)) == (500, 2_000)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (HTTPError(503), "RECOVERABLE"), (HTTPError(404), "USER_ERROR"), (HTTPError(500), "SYSTEM_ERROR"),
        (ClientError("ThrottlingException"), "RECOVERABLE"), (ClientError("AccessDenied"), "SYSTEM_ERROR"),
        (SlowUpstreamError(), "RECOVERABLE"), (ConnectionRefusedError(), "RECOVERABLE"), (PermissionError(), "SYSTEM_ERROR"),
        (UnicodeDecodeError("utf-8", b"x", 0, 1, "no"), "USER_ERROR"), (RuntimeError("Read timed out"), "RECOVERABLE"),
        (StoreError("no", code="NoSuchBucket"), "SYSTEM_ERROR"), (UnreadableFileError("no"), "USER_ERROR"),
        (KeyError("x"), "UNKNOWN"), (KeyboardInterrupt(), "UNKNOWN"),
    ],
)  # fmt: skip
def test_the_kind_is_that_of_code_status_type_or_base_class(error, kind):
    assert record(error).kind == FailureKind(kind)


@pytest.mark.parametrize(
    ("text", "error_type", "kind"),
    [
        ("TimeoutError: no answer", "TimeoutError", "RECOVERABLE"), ("HTTP 503 of maps", "Error", "RECOVERABLE"),
        ("it failed", "Error", "UNKNOWN"), ("", "Error", "UNKNOWN"),
    ],
)  # fmt: skip
def test_a_text_instead_of_an_exception_is_read(text, error_type, kind):
    found = record(text)
    assert (found.error_type, found.kind, found.message, found.stack) == (error_type, FailureKind(kind), text, "")


def test_whatever_the_error_and_the_circumstances_hold_there_is_a_record():
    for error in (BrokenError(), ValueError("\ud800\x00\uffff"), ClientError.__new__(ClientError), "\ud800"):
        odd = {"attempts": "three", "source_service": object(), "correlation_id": None, "routing_key": 7}
        found = record(error, **odd, metadata=["no mapping", BrokenError()])
        assert FailureRecord.parse(found.as_text()) == found
        assert (found.attempts, found.correlation_id, found.routing_key) == (0, "", "7")
