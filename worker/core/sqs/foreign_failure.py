"""Reads what another service's dead letter says of its failure: attributes such as `x-error-type`, or an envelope around `payload`.

Widespread tools put these beside a message that they give up. The message itself is never changed.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import orjson

from worker.core.base.classify_foreign import kind_of_foreign
from worker.core.base.text import sendable
from worker.core.sqs.failure_record import (
    MAX_COUNT,
    MAX_MESSAGE_CHARS,
    MAX_STACK_CHARS,
    FailureRecord,
    correlation_id_of,
)
from worker.core.sqs.foreign_facts import MAX_NAME_CHARS, bounded_metadata, foreign_fingerprint, innermost_line, type_in

PAYLOAD = "payload"
"""The member of an envelope that holds the message."""
_FACTS = ("retry_count", "error_type", "error_message", "stack_trace", "source_service", "metadata", "failed_at")
_MORE = ("correlation_id", "routing_key")
_CERTAIN = frozenset({"error_type", "error_message", "stack_trace", "failed_at"})
"""Facts that only a failure has; every job may have a count of retries, a service and metadata."""
_STATUS_NAMES = ("status_code", "http_status", "status", "statusCode")
_MAX_FACT_CHARS = 100_000
_MS = 100_000_000_000
"""A time above this is in milliseconds: in seconds, it would be in the year 5138."""


def foreign_failure(attributes: Mapping[str, Mapping[str, Any]], body: str) -> FailureRecord | None:
    """The failure that a message of another service tells of; None if it tells of none. Never raises."""
    try:
        facts = _among(attributes) or _in_envelope(body)
        return _record(facts, correlation_id_of(attributes)) if facts else None
    except Exception:  # noqa: BLE001 (a message may hold anything; one that cannot be understood has no record)
        return None


def _among(attributes: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The facts among a message's attributes, by our name; empty where they tell of no failure."""
    found = {}
    for name, value in attributes.items():
        fact = _fact(name)
        text = value.get("StringValue")
        if fact and isinstance(text, str) and text and name.lower().startswith("x"):
            found[fact] = text[-_MAX_FACT_CHARS:] if fact == "stack_trace" else text[:_MAX_FACT_CHARS]
    return found if found.keys() & (_CERTAIN | {"retry_count"}) else {}


def _in_envelope(body: str) -> dict[str, Any]:
    """The facts in a body that is an envelope; empty where it is none."""
    if f'"{PAYLOAD}"' not in body or ("rror" not in body and "stack" not in body and "failed" not in body):
        return {}  # most bodies: not worth a parse
    try:
        envelope = orjson.loads(body)
    except ValueError:
        return {}
    if not isinstance(envelope, dict) or PAYLOAD not in envelope:
        return {}
    found = {fact: value for name, value in envelope.items() if (fact := _fact(name)) and value not in (None, "")}
    return found if found.keys() & _CERTAIN else {}


def _fact(name: str) -> str:
    """Our name of a fact: `x-error-type`, `X_Error_Type` and `error-type` are `error_type`; empty for anything else."""
    plain = name.lower().replace("-", "_").removeprefix("x_")
    return plain if plain in _FACTS or plain in _MORE else ""


def _record(facts: Mapping[str, Any], correlation_id: str) -> FailureRecord:
    message, stack = _text(facts, "error_message"), _text(facts, "stack_trace")
    error_type = _text(facts, "error_type")[:MAX_NAME_CHARS] or type_in(message, stack)
    service, metadata, failed_at = (
        _name(facts, "source_service"),
        _metadata(facts.get("metadata")),
        _time(facts.get("failed_at")),
    )
    return FailureRecord(
        kind=kind_of_foreign(error_type, message, _status(metadata)),
        error_type=error_type,
        message=message[:MAX_MESSAGE_CHARS],
        stack=cut_stack(stack),
        fingerprint=foreign_fingerprint(error_type, service, message, stack),
        attempts=_number(facts.get("retry_count")),
        first_failed_at=failed_at,
        last_failed_at=failed_at,
        correlation_id=_name(facts, "correlation_id") or sendable(correlation_id)[:MAX_NAME_CHARS],
        source_service=service,
        routing_key=_name(facts, "routing_key"),
        metadata=metadata,
    )


def cut_stack(stack: str) -> str:
    """The end of a stack that has the innermost frame: Python's is at the bottom, that of most others at the top."""
    if len(stack) <= MAX_STACK_CHARS:
        return stack
    return stack[:MAX_STACK_CHARS] if innermost_line(stack).startswith("at ") else stack[-MAX_STACK_CHARS:]


def _text(facts: Mapping[str, Any], name: str) -> str:
    """A fact as text; lists of lines and objects occur too."""
    value: Any = facts.get(name, "")
    if isinstance(value, list) and all(isinstance(line, str) for line in value):
        value = "\n".join(value)
    text = value if isinstance(value, str) else orjson.dumps(value).decode()
    return sendable(text[-_MAX_FACT_CHARS:] if name == "stack_trace" else text[:_MAX_FACT_CHARS])


def _name(facts: Mapping[str, Any], name: str) -> str:
    return _text(facts, name)[:MAX_NAME_CHARS]


def _metadata(value: object) -> dict[str, object]:
    """An object, or the JSON text of one; anything else under the name `metadata`."""
    found = value
    if isinstance(value, str):
        try:
            found = orjson.loads(value)
        except ValueError:
            found = value[:1_000]
    if isinstance(found, dict):
        return bounded_metadata(found)
    return {} if found is None else bounded_metadata({"metadata": found})


def _status(metadata: Mapping[str, object]) -> int | None:
    return next((number for name in _STATUS_NAMES if (number := _number(metadata.get(name)))), None)


def _number(value: object) -> int:
    """A count, from a number or its text; 0 for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return 0
    try:
        return min(MAX_COUNT, max(0, int(float(value))))
    except (ValueError, OverflowError):
        return 0


def _time(value: object) -> str:
    """A time as text: seconds or milliseconds since the epoch become ISO 8601, anything else stays as it is."""
    try:
        number = float(value)  # type: ignore[arg-type]
        moment = datetime.fromtimestamp(number / 1000 if number > _MS else number, UTC)
    except (TypeError, ValueError, OverflowError, OSError):
        return sendable(value)[:64] if isinstance(value, str) else ""
    return moment.isoformat(timespec="milliseconds")
