"""The failure record that `recovery.client` writes: what an exception of any service says of itself."""

import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from worker.core.base.classify import FailureKind, kind_of
from worker.core.base.classify_foreign import kind_of_foreign
from worker.core.base.errors import WorkerError
from worker.core.base.text import sendable
from worker.core.sqs.failure_record import MAX_COUNT, MAX_MESSAGE_CHARS, MAX_STACK_CHARS, FailureRecord
from worker.core.sqs.foreign_facts import MAX_NAME_CHARS, bounded_metadata, foreign_fingerprint, text_of, type_in

_CODES = ("status_code", "status", "code")
"""Attributes under which libraries keep an HTTP status or an error code: of the exception, or of its response."""


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What the caller knows of a failure besides the error."""

    attempts: object = 0
    source_service: object = ""
    correlation_id: object = ""
    routing_key: object = ""
    metadata: object = field(default_factory=dict)


def record_of(error: BaseException | str, known: Circumstances, *, message_id: str, worker: str) -> FailureRecord:
    """The failure record. Never raises, whatever the error and the circumstances hold: the item must be published."""
    message = sendable(text_of(error))
    stack = _stack_of(error)
    error_type = (type(error).__name__ if isinstance(error, BaseException) else type_in(message))[:MAX_NAME_CHARS]
    service, now = _name(known.source_service), datetime.now(UTC).isoformat(timespec="milliseconds")
    metadata = known.metadata if isinstance(known.metadata, Mapping) else {"metadata": known.metadata}
    return FailureRecord(
        kind=_kind_of(error, error_type, message),
        error_type=error_type,
        message=message[:MAX_MESSAGE_CHARS],
        stack=stack[-MAX_STACK_CHARS:],
        fingerprint=foreign_fingerprint(error_type, service, message, stack),
        attempts=min(MAX_COUNT, max(0, known.attempts)) if isinstance(known.attempts, int) else 0,
        first_failed_at=now,
        last_failed_at=now,
        source_message_id=message_id,
        worker=worker,
        correlation_id=_name(known.correlation_id),
        source_service=service,
        routing_key=_name(known.routing_key),
        metadata=bounded_metadata(metadata),
    )


def _kind_of(error: BaseException | str, error_type: str, message: str) -> FailureKind:
    """By our own rules for our own errors; else by the service's code or status, then by the names of type and base classes."""
    if isinstance(error, WorkerError):
        return kind_of(error)
    if not isinstance(error, BaseException):
        return kind_of_foreign(error_type, message)
    code = _code_of(error)
    names = [code, *(kind.__name__ for kind in type(error).__mro__)]
    found = (kind_of_foreign(name, "") for name in names)
    known = next((kind for kind in found if kind is not FailureKind.UNKNOWN), None)
    return known or kind_of_foreign("", message)


def _code_of(error: BaseException) -> str:
    """The HTTP status or error code that a library has attached to its exception; empty if there is none."""
    try:
        response = getattr(error, "response", None)
        if isinstance(response, Mapping):  # botocore's ClientError
            return str(response["Error"]["Code"])
        values = [getattr(holder, name, None) for holder in (error, response) for name in _CODES]
        return next((str(value) for value in values if isinstance(value, int | str) and value), "")
    except Exception:  # noqa: BLE001 (anyone's property)
        return ""


def _stack_of(error: BaseException | str) -> str:
    try:
        return sendable("".join(traceback.format_exception(error))) if isinstance(error, BaseException) else ""
    except Exception:  # noqa: BLE001 (anyone's exception)
        return ""


def _name(value: object) -> str:
    return "" if value is None else sendable(text_of(value))[:MAX_NAME_CHARS]
