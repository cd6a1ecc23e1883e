"""Dead letters: messages in the DLQ, and those that spilled to `dead-letters/` because the DLQ was away."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from worker.core.s3.state import DEAD_LETTERS_PREFIX, State
from worker.core.sqs.failure_record import ATTRIBUTE, attributes_of, read_failure
from worker.core.sqs.queue import Message, Queue

EMPTY_POLL_S = 1
"""An empty poll of so many seconds counts as one that found nothing."""

NEVER_MS = 253_402_300_800_000
"""The end of the year 9999: beyond, there are no dates."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One dead letter, wherever it lies."""

    id: str
    body: str
    system: Mapping[str, str]
    attributes: Mapping[str, Any]
    receipt: str = ""
    """Of a message in the DLQ, as long as it is held."""
    stored_key: str = ""
    """Of a record in `dead-letters/`."""

    @property
    def failure(self) -> dict[str, Any]:
        """Its failure record; empty where SQS's own redrive policy brought it."""
        return read_failure(self.attributes)

    @property
    def identity(self) -> str:
        """What two copies of one message share: the id it had in its source queue, if that is known."""
        return str(self.failure.get("source_message_id") or self.id)

    @property
    def sent_ms(self) -> int:
        """When it was first sent, ms since the epoch: its retention counts from here. 0 where SQS does not say."""
        return int(self.system.get("SentTimestamp", 0))

    @property
    def kind(self) -> str:
        """Whose fault it was; UNKNOWN without a failure record."""
        return str(self.failure.get("kind", "UNKNOWN"))


def receive(queue: Queue, count: int, *, visibility_s: int) -> list[DeadLetter]:
    """Up to `count` letters, by as many receives of ten as it takes; fewer once one of them finds nothing.

    Raises QueueError only where nothing was received: what is in hand must not be forgotten.
    """
    dead_letters: list[DeadLetter] = []
    while len(dead_letters) < count:
        try:
            found = queue.receive(
                wait_s=EMPTY_POLL_S, visibility_s=visibility_s, count=min(10, count - len(dead_letters))
            )
        except Exception:
            if dead_letters:
                break
            raise
        dead_letters += map(dead_letter_of, found)
        if not found:
            break
    return dead_letters


def dead_letter_of(message: Message) -> DeadLetter:
    """A received message as a letter."""
    return DeadLetter(message.id, message.body, message.system, message.attributes, receipt=message.receipt)


def sound(dead_letter: DeadLetter) -> DeadLetter:
    """The same letter, if it is made as SQS makes them: a record or a file may be anyone's.

    Raises TypeError, AttributeError or ValueError here, rather than in the middle of a command.
    """
    if not all(isinstance(text, str) for text in (dead_letter.id, dead_letter.body, *dead_letter.system.values())):
        raise TypeError("its id, body or system attributes are no text")
    if not all(isinstance(value.get("DataType"), str) for value in dead_letter.attributes.values()):
        raise TypeError("an attribute has no type")
    int(dead_letter.system.get("ApproximateReceiveCount", 0))
    if not 0 <= dead_letter.sent_ms < NEVER_MS:
        raise ValueError("it was sent at no time that has a date")
    return dead_letter


def spilled(state: State, key: str) -> DeadLetter | None:
    """A spilled letter; None where it is gone meanwhile. Raises StoreError, and ValueError for what is none."""
    raw = state.get(key)
    if raw is None:
        return None
    try:
        stored = orjson.loads(raw)
        attributes = attributes_of(stored)
        attributes[ATTRIBUTE] = {"DataType": "String", "StringValue": orjson.dumps(stored["failure"]).decode()}
        return sound(
            DeadLetter(stored["message_id"], stored["body"], stored["system_attributes"], attributes, stored_key=key)
        )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"{key} is no record of {DEAD_LETTERS_PREFIX}: {error!r}") from None
