"""What `/api/v1/messages` answers."""

from collections.abc import Mapping, Sequence
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field

from recovery.ledger.rows import Event, Outcome, Row, State
from recovery.manager.redacted import redacted
from recovery.manager.redaction import Redactor
from recovery.manager.web.moments import Moment, known, moment
from recovery.manager.web.parameters import EXAMPLE_ID
from recovery.manager.web.suggested import Suggestion
from worker.core.base.classify import FailureKind
from worker.core.sqs.stored_dead_letter import StoredDeadLetter

_AT = "2026-11-01T09:30:00.000Z"
EXAMPLE: dict[str, Any] = {
    "identity": EXAMPLE_ID, "key": f"dead-letters/2026-11-01/{EXAMPLE_ID}.json", "state": "open", "kind": "RECOVERABLE",
    "error_type": "ReadTimeoutError", "message": "GET s3://documents/経理/契約.pdf: no answer in 30 s",
    "fingerprint": "5b1f2c7d90aa", "type": "s3-event", "bucket": "documents", "object_key": "経理/契約.pdf",
    "about": "s3://documents/経理/契約.pdf", "source_queue": "https://sqs.eu-west-1.amazonaws.com/1/documents",
    "source_service": "s3-index-worker", "correlation_id": "", "worker": "worker-1",
    "body_sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", "size_bytes": 900,
    "attribute_count": 1, "fault": None, "attempts": 1, "redrives": 0, "retries": 0,
    "first_failed_at": _AT, "first_seen_at": _AT, "last_seen_at": _AT, "arrived_at": _AT, "sent_at": None, "sent_by": None,
    "sent_to": None, "sent_run": None, "retry_at": None, "retry_by": None, "owner": None, "note": None, "hold": None,
    "finding": None, "outcome": None, "version": 1, "changed_at": _AT,
}  # fmt: skip
"""A Message."""
EXAMPLE_WITH_ARRIVALS = {**EXAMPLE, "arrivals": [{"message_id": EXAMPLE_ID, "at": _AT}], "suggestion": None}


class Message(BaseModel):
    """One dead letter, as the ledger has it. Texts are empty, and times null, where nothing is known."""

    identity: str = Field(description="The dead letter's id, which it keeps for its whole life.")
    key: str = Field(description="Key of its object in the state bucket.")
    state: State
    kind: FailureKind
    error_type: str = Field(description="The exception's name.")
    message: str = Field(description="What the error said, at most 500 characters.")
    fingerprint: str = Field(description="The group: what failures of one cause share.")
    type: str = Field(description="The message type, such as `s3-event`.")
    bucket: str = Field(description="Bucket of the first object that it is about.")
    object_key: str | None = Field(description="Key of that object.")
    about: str = Field(description="What it is about, for display.")
    source_queue: str = Field(description="URL of the queue in which it failed.")
    source_service: str
    correlation_id: str
    worker: str = Field(description="Name of the worker that gave up.")
    body_sha256: str
    size_bytes: int = Field(description="Bytes of body and attributes, as SQS counts them.")
    attribute_count: int
    fault: str | None = Field(description="Why it must never be sent again as it is; null if it can be.")
    attempts: int = Field(description="How often it arrived in the dead-letter queue.")
    redrives: int = Field(description="How often operators sent it again.")
    retries: int = Field(description="How often its schedule sent it again.")
    first_failed_at: Moment | None
    first_seen_at: Moment | None = Field(description="When it was taken in first.")
    last_seen_at: Moment | None = Field(description="When it was taken in last.")
    arrived_at: Moment | None = Field(description="When SQS received it last, from which its age counts.")
    sent_at: Moment | None = Field(
        description="When it was last sent again; the next three say by whom, to where, in which run."
    )
    sent_by: str | None
    sent_to: str | None
    sent_run: str | None
    retry_at: Moment | None = Field(description="When its schedule will send it.")
    retry_by: str | None = Field(description="Who has scheduled it; null if the rules of retries have.")
    owner: str | None
    note: str | None
    hold: str | None = Field(description="Why nothing may be done with it; null if it is not held.")
    finding: str | None = Field(
        description="What the manager knows of it: what recovery would do, why it is not retried, or what became of a sending."
    )
    outcome: Outcome | None = Field(
        description="What is known of a sending that is not confirmed; null while that may still come, and if it was not sent."
    )
    version: int = Field(description="One more with every change; the `ETag`.")
    changed_at: Moment | None

    @classmethod
    def of(cls, row: Row, **more: Any) -> Self:
        """What a row says."""
        return cls(**_fields(row), **more)


def _fields(row: Row) -> dict[str, Any]:
    own = {name: getattr(row, name) for name in Message.model_fields if hasattr(row, name)}
    times = {
        "first_failed_at": row.first_failed_ms, "first_seen_at": row.first_seen_ms, "last_seen_at": row.last_seen_ms,
        "arrived_at": row.sent_ms, "sent_at": row.sent_at_ms, "retry_at": row.retry_at_ms,
        "changed_at": row.changed_ms or row.last_seen_ms,
    }  # fmt: skip
    return own | {name: moment(at_ms) for name, at_ms in times.items()}


class Arrival(BaseModel):
    """One time that a dead letter came."""

    message_id: str = Field(description="The id that it had in the dead-letter queue.", examples=["m-1"])
    at: Moment = Field(examples=[_AT])


class MessageWithArrivals(Message):
    """One dead letter, every time that it came, and what earlier ones of its group suggest."""

    arrivals: list[Arrival] = Field(description="The oldest first.")
    suggestion: Suggestion | None = Field(description="What to do, learned from earlier ones; null if little is known.")


class MessagePage(BaseModel):
    """Some of the dead letters that were asked for, in their order."""

    items: list[Message]
    count: int = Field(description="How many were asked for in all, counted up to 10,000.", examples=[1])
    count_is_exact: bool = Field(description="False if there are more than 10,000.")
    next: str | None = Field(description="The cursor of the next page; null if this is the last.", examples=[None])


class MessageEvent(BaseModel):
    """What somebody did to a dead letter."""

    id: int = Field(description="Later events have greater ones.", examples=[1])
    at: Moment = Field(examples=[_AT])
    by: str = Field(examples=["intake"])
    action: str = Field(examples=["taken in"])
    details: Mapping[str, Any] = Field(examples=[{"message_id": EXAMPLE_ID}])

    @classmethod
    def of(cls, event: Event) -> Self:
        """What the ledger says."""
        return cls(id=event.id, at=known(event.at_ms), by=event.by, action=event.action, details=event.details)


class EventPage(BaseModel):
    """Some events of a dead letter, the oldest first."""

    items: list[MessageEvent]
    next: int | None = Field(description="`after` of the next page; null if this is the last.", examples=[None])


class Attribute(BaseModel):
    """A message attribute, as SQS has it."""

    DataType: str = Field(examples=["String"])
    StringValue: str | None = Field(default=None, examples=["abc"])
    BinaryValue: str | None = Field(default=None, description="In base64.", examples=[None])


class Failure(BaseModel):
    """The failure record: why it failed. Fields of other programs stand beside these."""

    model_config = ConfigDict(extra="allow")

    kind: FailureKind
    error_type: str = Field(default="", examples=["ReadTimeoutError"])
    message: str = Field(default="", examples=["no answer in 30 s"])
    stack: str = Field(
        default="", description="The end of the stack, at most 2,000 characters.", examples=["Traceback …"]
    )
    attempts: int = Field(description="Receives until it failed.", examples=[5])
    redrives: int = Field(examples=[0])


class Body(BaseModel):
    """The whole message, and why it failed, from its object in the state bucket."""

    identity: str = Field(examples=[EXAMPLE_ID])
    body: str = Field(
        description="As it was received, but for what REDACT_FIELDS hides.",
        examples=['{"bucket": "documents", "key": "経理/契約.pdf"}'],
    )
    system_attributes: Mapping[str, str] = Field(examples=[{"SentTimestamp": "1793525400000"}])
    attributes: Mapping[str, Attribute]
    failure: Failure | None = Field(
        description="Null if SQS's own redrive policy moved it: then the reason is unknown."
    )

    @classmethod
    def of(cls, stored: StoredDeadLetter, redactor: Redactor) -> Self:
        """What an object says, as far as it may be shown."""
        shown = redacted(stored.dead_letter, redactor)
        return cls.model_validate({
            "identity": stored.dead_letter.id, "body": shown.body, "system_attributes": shown.system,
            "attributes": shown.attributes, "failure": shown.failure,
        })  # fmt: skip


def messages_of(rows: Sequence[Row]) -> list[Message]:
    """What these rows say."""
    return [Message.of(row) for row in rows]
