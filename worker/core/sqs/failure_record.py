"""The failure record: why a message failed, as JSON in one message attribute, `failure`. It reads and writes itself."""

import hashlib
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Self

import orjson

from worker.core.base.classify import FailureKind, kind_of
from worker.core.base.errors import WorkerError
from worker.core.base.text import sendable

SCHEMA = 1
ATTRIBUTE = "failure"
MAX_MESSAGE_CHARS = 500
MAX_STACK_CHARS = 2_000
MAX_COUNT = 1_000_000
"""A larger count in a record is not a count; JSON could not hold what comes after the largest of them."""
CORRELATION_NAMES = ("correlation_id", "correlationId", "CorrelationId")

_OURS = ("worker", "recovery")
_TEXTS = (
    "error_type", "reason", "message", "stack", "fingerprint", "first_failed_at", "last_failed_at", "source_queue",
    "source_message_id", "worker", "correlation_id", "dead_letter_id", "source_service", "routing_key",
)  # fmt: skip
_NAMES = frozenset({"schema", "kind", "attempts", "redrives", "metadata", *_TEXTS})


@dataclass(frozen=True, slots=True)
class FailureRecord:
    """Why a message failed, for the operator and for recovery. A text is empty if nothing is known."""

    kind: FailureKind = FailureKind.UNKNOWN
    error_type: str = ""
    """The exception's name."""
    reason: str = ""
    """The code for the cause (core/base/reasons.py, or S3's); empty if the error has none, or the record is an older one."""
    message: str = ""
    stack: str = ""
    fingerprint: str = ""
    attempts: int = 0
    """Receives until it failed, including those before earlier redrives."""
    redrives: int = 0
    """How often it was sent back to its queue."""
    first_failed_at: str = ""
    last_failed_at: str = ""
    source_queue: str = ""
    """URL of the queue in which it failed."""
    source_message_id: str = ""
    """The id that it had there."""
    worker: str = ""
    correlation_id: str = ""
    dead_letter_id: str = ""
    """By which the dead letter is known again if it returns (core/sqs/dead_letter_store.py); empty before its first redrive."""
    source_service: str = ""
    """The service in which it failed, where that is not a worker of ours."""
    routing_key: str = ""
    """Where that service had it from, or would have sent it next, in its own terms."""
    metadata: Mapping[str, object] = field(default_factory=dict)
    """Further facts that this service gave; the first thing that is left out where there is no room."""
    schema: int = SCHEMA
    unknown: Mapping[str, object] = field(default_factory=dict)
    """Fields that a newer version added; they are kept unchanged."""

    # -- reading -------------------------------------------------------------------------------------------------

    @classmethod
    def parse(cls, text: object) -> Self | None:
        """The record in a JSON text; None if there is none. Never raises: the text may come from anyone."""
        if not isinstance(text, str | bytes):
            return None
        try:
            return cls.from_json(orjson.loads(text))
        except ValueError:
            return None

    @classmethod
    def from_json(cls, found: object) -> Self | None:
        """The record in a JSON value; None if it is not an object, or an empty one. Fields of a wrong type are left out."""
        if not isinstance(found, dict) or not found:
            return None
        texts = {name: value for name in _TEXTS if isinstance(value := found.get(name), str)}
        metadata = found.get("metadata")
        return cls(
            kind=_kind(found.get("kind")),
            attempts=_count(found.get("attempts")),
            redrives=_count(found.get("redrives")),
            metadata=_writable(metadata) if isinstance(metadata, dict) else {},
            schema=_count(found.get("schema")) or SCHEMA,
            unknown=_writable({name: value for name, value in found.items() if name not in _NAMES}),
            **texts,
        )

    @classmethod
    def of(cls, attributes: Mapping[str, Mapping[str, object]]) -> Self | None:
        """The record among a message's attributes; None if there is none that can be read."""
        return cls.parse(attributes.get(ATTRIBUTE, {}).get("StringValue"))

    # -- writing -------------------------------------------------------------------------------------------------

    @classmethod
    def of_error(
        cls,
        error: BaseException,
        *,
        earlier: Self | None,
        attributes: Mapping[str, Mapping[str, object]],
        receives: int,
        source_queue: str,
        message_id: str,
        worker: str,
    ) -> Self:
        """The record of a message that failed with `error`; a redriven one keeps the history of its `earlier` record."""
        earlier = earlier or cls()
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        return cls(
            kind=kind_of(error),
            error_type=type(error).__name__,
            message=sendable(str(error))[:MAX_MESSAGE_CHARS],
            stack=sendable("".join(traceback.format_exception(error)))[-MAX_STACK_CHARS:],
            reason=reason_of(error),
            fingerprint=fingerprint(error),
            attempts=earlier.attempts + receives,
            redrives=earlier.redrives,
            first_failed_at=earlier.first_failed_at or now,
            last_failed_at=now,
            source_queue=source_queue,
            source_message_id=message_id,
            worker=worker,
            dead_letter_id=earlier.dead_letter_id,
            correlation_id=correlation_id_of(attributes) or earlier.correlation_id,
            source_service=earlier.source_service,
            routing_key=earlier.routing_key,
            metadata=earlier.metadata,
            unknown=earlier.unknown,
        )

    def redriven(self, dead_letter_id: str, *, sent_ms: int = 0) -> Self:
        """The same record after one more redrive of a dead letter, by which it is known if it returns.

        `sent_ms` is when the message was first sent: the best that is known of when it failed, if there was no record.
        """
        sent_at = datetime.fromtimestamp(sent_ms / 1000, UTC).isoformat(timespec="milliseconds") if sent_ms else ""
        first_failed_at = self.first_failed_at or sent_at
        return replace(self, redrives=self.redrives + 1, dead_letter_id=dead_letter_id, first_failed_at=first_failed_at)

    def retried(self, dead_letter_id: str, *, sent_ms: int = 0) -> Self:
        """The same record before the dead letter is sent again by itself: that counts as no redrive. Otherwise as `redriven`."""
        return replace(self.redriven(dead_letter_id, sent_ms=sent_ms), redrives=self.redrives)

    def as_json(
        self, *, metadata: bool = True, stack_chars: int = MAX_STACK_CHARS, message_chars: int = MAX_MESSAGE_CHARS
    ) -> dict[str, object]:
        """Every known field by name, with or without metadata, and with long texts cut to the given lengths."""
        texts: dict[str, str] = {name: text for name in _TEXTS if (text := getattr(self, name))}
        if "message" in texts:
            texts["message"] = self.message[:message_chars]
        if "stack" in texts:
            texts["stack"] = self.stack[-stack_chars:] if stack_chars else ""
        return {
            "schema": self.schema, "kind": self.kind.value, "attempts": self.attempts, "redrives": self.redrives, **texts,
            **({"metadata": dict(self.metadata)} if metadata and self.metadata else {}), **self.unknown,
        }  # fmt: skip

    def as_text(
        self, *, metadata: bool = True, stack_chars: int = MAX_STACK_CHARS, message_chars: int = MAX_MESSAGE_CHARS
    ) -> str:
        """The same as JSON text in characters that SQS accepts."""
        found = self.as_json(metadata=metadata, stack_chars=stack_chars, message_chars=message_chars)
        return sendable(orjson.dumps(found).decode())


def fingerprint(error: BaseException) -> str:
    """What failures of one cause share: the error's type, and its reason; without one, the innermost frame of this program.

    Neither text nor line number counts. A frame is known by its module's name, so two installations in different folders give
    one fingerprint.
    """
    if reason := reason_of(error):
        return _hash(f"{type(error).__name__} reason {reason}")
    place = ""
    for frame, _ in traceback.walk_tb(error.__traceback__):
        module = str(frame.f_globals.get("__name__", ""))
        if module.partition(".")[0] in _OURS:
            place = f"{module}:{frame.f_code.co_name}"
    return _hash(f"{type(error).__name__} {place}")


def reason_of(error: BaseException) -> str:
    """The code for the cause of an error of ours; empty if it has none."""
    return str(error.reason) if isinstance(error, WorkerError) else ""


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _kind(value: object) -> FailureKind:
    try:
        return FailureKind(str(value))
    except ValueError:
        return FailureKind.UNKNOWN


def _count(value: object) -> int:
    return min(value, MAX_COUNT) if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def _writable(fields: dict[str, object]) -> dict[str, object]:
    """These fields, or none: orjson reads deeper nesting than it writes."""
    try:
        orjson.dumps(fields)
    except TypeError:
        return {}
    return fields


def correlation_id_of(attributes: Mapping[str, Mapping[str, object]]) -> str:
    """The correlation id among a message's attributes; empty if there is none."""
    values = (attributes.get(name, {}).get("StringValue") for name in CORRELATION_NAMES)
    return next((value for value in values if isinstance(value, str) and value), "")
