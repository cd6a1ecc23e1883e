"""A dead letter, wherever it is: as it was received, as JSON, and as the entry that sends it on. It reads and writes itself.

One JSON form serves `dead-letters/`, `dlq-archive/` and export files; they differ in what stands beside the message.
"""

import hashlib
import time
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NotRequired, Self, TypedDict

from worker.core.base.classify import FailureKind
from worker.core.sqs.failure_record import ATTRIBUTE, MAX_MESSAGE_CHARS, MAX_STACK_CHARS, FailureRecord
from worker.core.sqs.foreign_failure import foreign_failure
from worker.core.sqs.queue import MAX_ATTRIBUTES, Message

SCHEMA = 1
NEVER_MS = 253_402_300_800_000
"""The end of the year 9999: beyond, there are no dates."""
MAX_ID_CHARS = 128
"""A longer text in a failure record is no id; SQS's have 36 characters."""
PRODUCERS_OWN = "failure_of_producer"
"""Under this name, a hand-off keeps an attribute `failure` of the message's producer that is not a failure record."""
_CUTS = (
    (True, MAX_STACK_CHARS, MAX_MESSAGE_CHARS), (False, MAX_STACK_CHARS, MAX_MESSAGE_CHARS), (False, 0, MAX_MESSAGE_CHARS),
    (False, 0, 80),
)  # fmt: skip
"""What a failure record keeps: metadata, characters of the stack, characters of the message. The first that fits is taken."""


class Attribute(TypedDict, total=False):
    """A message attribute as SQS has it."""

    DataType: str
    StringValue: str
    BinaryValue: bytes


class SendEntry(TypedDict):
    """One message of a batch to send, as SQS takes it."""

    MessageBody: str
    MessageAttributes: dict[str, Attribute]
    MessageGroupId: NotRequired[str]
    MessageDeduplicationId: NotRequired[str]
    MessageSystemAttributes: NotRequired[dict[str, Attribute]]


@dataclass(frozen=True, slots=True)
class Refused:
    """Why something is not done, in a sentence."""

    reason: str


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One dead letter; its failure record is parsed once, when it is made."""

    id: str
    body: str
    system: Mapping[str, str]
    """SentTimestamp, ApproximateReceiveCount and others, as SQS spells them."""
    attributes: Mapping[str, Attribute]
    receipt: str = ""
    """Receipt handle of a message in a queue, as long as it is in flight."""
    stored_key: str = ""
    """Key of its record in `dead-letters/`, if it is stored there; `id` is then its dead letter id, which never changes."""
    known_as: frozenset[str] = frozenset()
    """The ids that a stored dead letter has had in the DLQ."""
    failure: FailureRecord | None = None
    """None if SQS's own redrive policy moved it: then the reason is unknown. By default the one among the attributes, or what
    another service's message says in its own way; a stored dead letter may have left no room for one there."""

    def __post_init__(self) -> None:
        if self.failure is None:
            object.__setattr__(self, "failure", self._failure_within())

    @property
    def identity(self) -> str:
        """What two copies of one message share: their body, and the id it had in its source queue, if that is known.

        The id alone is not enough: anyone can send a message with another's in its failure record.
        """
        failure = self.failure or FailureRecord()
        return f"{failure.source_queue} {failure.source_message_id or self.id} {self.body_sha256}"

    @property
    def body_sha256(self) -> str:
        """SHA-256 of the body, in hexadecimal digits."""
        return hashlib.sha256(self.body.encode("utf-8", "surrogatepass")).hexdigest()

    @property
    def size_bytes(self) -> int:
        """What SQS counts of it: the body, and each attribute's name, type and value."""
        return _size_bytes(self.body, self.attributes)

    @property
    def source_queue(self) -> str:
        """URL of the queue in which it failed; empty if that is not known."""
        return self.failure.source_queue if self.failure else ""

    @property
    def possible_ids(self) -> tuple[str, ...]:
        """The ids that it may have as a dead letter, best first. A failure record may be forged: see `dead_letter_store`."""
        if self.stored_key:
            return (self.id,)
        claimed = (self.failure.dead_letter_id, self.failure.source_message_id) if self.failure else ()
        return (*(name for name in claimed if 0 < len(name) <= MAX_ID_CHARS and name.isprintable()), self.id)

    @property
    def names(self) -> frozenset[str]:
        """Every id by which an operator may know it: in the DLQ, in its source queue, and as a dead letter."""
        return self.known_as.union(self.possible_ids, (self.id,))

    @property
    def sent_ms(self) -> int:
        """When it was first sent, ms since the epoch: its retention counts from here. 0 if SQS does not say."""
        return int(self.system.get("SentTimestamp", 0))

    @property
    def receives(self) -> int:
        """How often it has been received from the queue in which it is now."""
        return int(self.system.get("ApproximateReceiveCount", 0))

    @property
    def kind(self) -> FailureKind:
        """Why it failed; UNKNOWN without a failure record."""
        return self.failure.kind if self.failure else FailureKind.UNKNOWN

    @property
    def redrives(self) -> int:
        """How often it was sent back to its queue, as far as its failure record says."""
        return self.failure.redrives if self.failure else 0

    # -- reading -------------------------------------------------------------------------------------------------

    @classmethod
    def received(cls, message: Message) -> Self:
        """A message that was received."""
        return cls(message.id, message.body, message.system, message.attributes, receipt=message.receipt)

    @classmethod
    def from_json(cls, stored: object, *, stored_key: str = "") -> Self:
        """What `as_json` wrote, with or without a failure record beside it, which then counts.

        Raises ValueError where it is not made as SQS makes messages: a record or a file may be anyone's.
        """
        if not isinstance(stored, dict):
            raise ValueError("it is not a JSON object")  # noqa: TRY004 (what is wrong is the record's value)
        try:
            attributes = {name: _from_json(value) for name, value in stored["message_attributes"].items()}
            failure = FailureRecord.from_json(stored.get("failure"))
            known_as = frozenset(map(str, stored.get("known_as", ())))
            made = cls(
                stored["message_id"], stored["body"], stored["system_attributes"], attributes, stored_key=stored_key,
                known_as=known_as, failure=failure,
            )  # fmt: skip
            made._check()
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise ValueError(f"it is not a dead letter: {error!r}") from None
        return made

    def _check(self) -> None:
        """Raises TypeError, AttributeError or ValueError here, rather than in the middle of an operation."""
        if not all(isinstance(text, str) for text in (self.id, self.body, *self.system.values())):
            raise TypeError("its id, body or system attributes are not text")
        if self.receives < 0 or not 0 <= self.sent_ms < NEVER_MS:
            raise ValueError("its receive count is negative, or it was sent at no time that has a date")

    # -- writing -------------------------------------------------------------------------------------------------

    def as_json(self) -> dict[str, object]:
        """The whole message, and beside it a failure record that it does not have itself."""
        beside = self._failure_beside()
        return {
            **self.message_as_json(),
            **({"known_as": sorted(self.known_as)} if self.known_as else {}),
            **({"failure": beside.as_json()} if beside else {}),
        }

    def message_as_json(self) -> dict[str, object]:
        """The message alone, as SQS had it; binary attributes as base64."""
        return {
            "schema": SCHEMA,
            "message_id": self.id,
            "body": self.body,
            "system_attributes": dict(self.system),
            "message_attributes": {name: _as_json(value) for name, value in self.attributes.items()},
        }

    def entry(self, record: FailureRecord | None, *, max_bytes: int, fifo: bool = False) -> SendEntry | Refused:
        """The entry to send to a queue that takes `max_bytes`: body and attributes unchanged, with `record` beside them.

        The record is cut as far as it must be. Without one, the message is sent as it is: with its own failure record, or,
        where there is no room for it, without.
        """
        if record is None and (beside := self._failure_beside()) is not None:
            whole = self.entry(beside, max_bytes=max_bytes, fifo=fifo)
            if not isinstance(whole, Refused):
                return whole
        attributes = {name: _resendable(value) for name, value in self.attributes.items()}
        if ATTRIBUTE in attributes and record is not None and FailureRecord.of(self.attributes) is None:
            attributes.setdefault(PRODUCERS_OWN, attributes[ATTRIBUTE])
        measure = f"its {_size_bytes(self.body, attributes):,} bytes and {len(attributes)} attributes"
        limits = f"the queue's limits of {max_bytes:,} and {MAX_ATTRIBUTES}"
        if record is None:
            if _fits(self.body, attributes, max_bytes):
                return self._entry(attributes, fifo=fifo)
            return Refused(f"{measure} are over {limits}")
        for metadata, stack_chars, message_chars in _CUTS:
            text = record.as_text(metadata=metadata, stack_chars=stack_chars, message_chars=message_chars)
            with_record = {**attributes, ATTRIBUTE: _failure_attribute(text)}
            if _fits(self.body, with_record, max_bytes):
                return self._entry(with_record, fifo=fifo)
        return Refused(f"{measure} leave no room for a failure record within {limits}")

    def _failure_beside(self) -> FailureRecord | None:
        """Its failure record, if the message itself does not say the same."""
        return None if self.failure is None or self.failure == self._failure_within() else self.failure

    def _failure_within(self) -> FailureRecord | None:
        """What the message itself says of its failure: our record among its attributes, or another service's facts."""
        return FailureRecord.of(self.attributes) or foreign_failure(self.attributes, self.body)

    def _entry(self, attributes: dict[str, Attribute], *, fifo: bool) -> SendEntry:
        entry = SendEntry(MessageBody=self.body, MessageAttributes=attributes)
        if fifo:  # SQS drops what comes again under one deduplication id within five minutes, and says nothing
            entry["MessageGroupId"] = self.system.get("MessageGroupId", self.id)
            entry["MessageDeduplicationId"] = f"{self.id}-{time.time_ns()}"
        if "AWSTraceHeader" in self.system:
            header = Attribute(DataType="String", StringValue=self.system["AWSTraceHeader"])
            entry["MessageSystemAttributes"] = {"AWSTraceHeader": header}
        return entry


def entry_bytes(entry: SendEntry) -> int:
    """What SQS counts of an entry, towards the limits of a message and of a batch."""
    return _size_bytes(entry["MessageBody"], entry["MessageAttributes"])


def _size_bytes(body: str, attributes: Mapping[str, Attribute]) -> int:
    total = len(body.encode())
    for name, value in attributes.items():
        total += len(name.encode()) + len(value.get("DataType", "").encode())
        total += len(value.get("StringValue", "").encode()) + len(value.get("BinaryValue", b""))
    return total


def _fits(body: str, attributes: Mapping[str, Attribute], max_bytes: int) -> bool:
    return len(attributes) <= MAX_ATTRIBUTES and _size_bytes(body, attributes) <= max_bytes


def _failure_attribute(text: str) -> Attribute:
    return Attribute(DataType="String", StringValue=text)


def _resendable(value: Attribute) -> Attribute:
    """A received attribute in the form that a send takes: without the empty list fields of the answer."""
    kept = Attribute(DataType=value.get("DataType", "String"))
    if "StringValue" in value:
        kept["StringValue"] = value["StringValue"]
    if "BinaryValue" in value:
        kept["BinaryValue"] = value["BinaryValue"]
    return kept


def _as_json(value: Attribute) -> dict[str, str]:
    made = {"DataType": value.get("DataType", "String")}
    if "StringValue" in value:
        made["StringValue"] = value["StringValue"]
    if "BinaryValue" in value:
        made["BinaryValue"] = b64encode(value["BinaryValue"]).decode("ascii")
    return made


def _from_json(stored: Mapping[str, object]) -> Attribute:
    """Raises TypeError, AttributeError or ValueError if the value is not an attribute."""
    texts = {name: stored[name] for name in ("DataType", "StringValue", "BinaryValue") if name in stored}
    kind, text, binary = (texts.get(name, "") for name in ("DataType", "StringValue", "BinaryValue"))
    if not (isinstance(kind, str) and isinstance(text, str) and isinstance(binary, str)) or not kind:
        raise TypeError("an attribute has no type, or a value that is not text")
    value = Attribute(DataType=kind)
    if "StringValue" in texts:
        value["StringValue"] = text
    if "BinaryValue" in texts:
        value["BinaryValue"] = b64decode(binary, validate=True)
    return value
