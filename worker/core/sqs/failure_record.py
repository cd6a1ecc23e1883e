"""What a failed message carries to the DLQ: its body and attributes untouched, and one `failure` attribute beside them."""

import hashlib
import traceback
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from worker.core.base.classify import FailureKind, kind_of
from worker.core.base.text import sendable

SCHEMA = 1
ATTRIBUTE = "failure"
MAX_MESSAGE_CHARS = 500
MAX_STACK_CHARS = 2_000
CORRELATION_NAMES = ("correlation_id", "correlationId", "CorrelationId")

_OURS = ("worker", "recovery")


@dataclass(frozen=True, slots=True)
class FailureRecord:
    """Why a message failed, for the operator and for recovery."""

    kind: FailureKind
    error_type: str
    message: str
    stack: str
    fingerprint: str
    attempts: int
    redrives: int
    first_failed_at: str
    last_failed_at: str
    source_queue: str
    source_message_id: str
    worker: str
    correlation_id: str | None

    def as_json(self, *, stack_chars: int = MAX_STACK_CHARS, message_chars: int = MAX_MESSAGE_CHARS) -> str:
        """The record as JSON text, its long parts cut to the given lengths."""
        return orjson.dumps(
            {
                "schema": SCHEMA,
                "kind": self.kind,
                "error_type": self.error_type,
                "message": self.message[:message_chars],
                "stack": self.stack[-stack_chars:] if stack_chars else "",
                "fingerprint": self.fingerprint,
                "attempts": self.attempts,
                "redrives": self.redrives,
                "first_failed_at": self.first_failed_at,
                "last_failed_at": self.last_failed_at,
                "source_queue": self.source_queue,
                "source_message_id": self.source_message_id,
                "worker": self.worker,
                "correlation_id": self.correlation_id,
            }
        ).decode()


def read_failure(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """The failure record among a message's attributes; empty where there is none or it cannot be read."""
    try:
        found = orjson.loads(attributes[ATTRIBUTE]["StringValue"])
    except (KeyError, TypeError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def failure_record(
    error: BaseException,
    *,
    attributes: Mapping[str, Any],
    receives: int,
    source_queue: str,
    message_id: str,
    worker: str,
) -> FailureRecord:
    """The record of a message that failed with `error`; a redriven one keeps the history of its earlier record."""
    earlier = read_failure(attributes)
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    return FailureRecord(
        kind=kind_of(error),
        error_type=type(error).__name__,
        message=sendable(str(error))[:MAX_MESSAGE_CHARS],
        stack=sendable("".join(traceback.format_exception(error)))[-MAX_STACK_CHARS:],
        fingerprint=fingerprint(error),
        attempts=_count(earlier, "attempts") + receives,
        redrives=_count(earlier, "redrives"),
        first_failed_at=str(earlier.get("first_failed_at") or now),
        last_failed_at=now,
        source_queue=source_queue,
        source_message_id=message_id,
        worker=worker,
        correlation_id=_correlation_id(attributes),
    )


def fingerprint(error: BaseException) -> str:
    """What failures of one cause share: error type and innermost frame of ours, without line number or text."""
    place = ""
    for frame in traceback.extract_tb(error.__traceback__):
        parts = Path(frame.filename).parts
        ours = next((i for i, part in enumerate(parts) if part in _OURS), None)
        if ours is not None:
            place = f"{'/'.join(parts[ours:])}:{frame.name}"
    return hashlib.sha256(f"{type(error).__name__} {place}".encode()).hexdigest()[:12]


def size_bytes(body: str, attributes: Mapping[str, Any]) -> int:
    """What SQS counts of a message: body, and each attribute's name, type and value."""
    total = len(body.encode())
    for name, value in attributes.items():
        total += len(name.encode()) + len(str(value.get("DataType", "")).encode())
        total += len(str(value.get("StringValue", "")).encode()) + len(value.get("BinaryValue", b""))
    return total


def dead_letter_entry(
    body: str, attributes: Mapping[str, Any], record: FailureRecord, *, max_bytes: int, max_attributes: int
) -> dict[str, Any] | None:
    """The entry to send to the DLQ, or None where body and attributes leave no room even for the shortest record."""
    kept = {name: _resent(value) for name, value in attributes.items() if name != ATTRIBUTE}
    if len(kept) >= max_attributes:
        return None
    for stack, message in ((MAX_STACK_CHARS, MAX_MESSAGE_CHARS), (0, MAX_MESSAGE_CHARS), (0, 80)):
        text = record.as_json(stack_chars=stack, message_chars=message)
        whole = {**kept, ATTRIBUTE: {"DataType": "String", "StringValue": text}}
        if size_bytes(body, whole) <= max_bytes:
            return {"MessageBody": body, "MessageAttributes": whole}
    return None


def spilled(message_id: str, body: str, system: Mapping[str, str], attributes: Mapping[str, Any], record: str) -> bytes:
    """A failed message as the JSON of `dead-letters/`: lossless, binary attributes as base64."""
    return orjson.dumps({**lossless(message_id, body, system, attributes), "failure": orjson.loads(record)})


def lossless(message_id: str, body: str, system: Mapping[str, str], attributes: Mapping[str, Any]) -> dict[str, Any]:
    """A message as JSON can say it, everything kept; binary attributes as base64."""
    return {
        "schema": SCHEMA,
        "message_id": message_id,
        "body": body,
        "system_attributes": dict(system),
        "message_attributes": {name: _as_text(value) for name, value in attributes.items()},
    }


def attributes_of(stored: Mapping[str, Any]) -> dict[str, Any]:
    """The message attributes of what `lossless` made, as SQS takes them. Raises ValueError for bad base64."""
    return {
        name: {**value, "BinaryValue": b64decode(value["BinaryValue"], validate=True)}
        if "BinaryValue" in value
        else value
        for name, value in stored["message_attributes"].items()
    }


def resendable(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Received attributes in the shape that a send takes."""
    return {name: _resent(value) for name, value in attributes.items()}


def _resent(value: Mapping[str, Any]) -> dict[str, Any]:
    """A received attribute in the shape that a send takes: without the empty list fields of the answer."""
    return {k: v for k, v in value.items() if k in {"DataType", "StringValue", "BinaryValue"}}


def _as_text(value: Mapping[str, Any]) -> dict[str, Any]:
    plain = _resent(value)
    if "BinaryValue" in plain:
        plain["BinaryValue"] = b64encode(plain["BinaryValue"]).decode("ascii")
    return plain


def _count(record: Mapping[str, Any], name: str) -> int:
    value = record.get(name)
    return value if isinstance(value, int) and value >= 0 else 0


def _correlation_id(attributes: Mapping[str, Any]) -> str | None:
    for name in CORRELATION_NAMES:
        value = attributes.get(name, {}).get("StringValue")
        if value:
            return str(value)
    return None
