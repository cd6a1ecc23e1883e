"""Dead letters: messages in the DLQ, and those that spilled to `dlq-spill/` because the DLQ was away."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from worker.core.envelope import ATTRIBUTE, attributes_of, read_failure
from worker.core.queue import Message, Queue
from worker.core.state import SPILL_PREFIX, State

LOOK_S = 1
"""An empty poll of so many seconds counts as one that found nothing."""

NEVER_MS = 253_402_300_800_000
"""The end of the year 9999: beyond, there are no dates."""


@dataclass(frozen=True, slots=True)
class Letter:
    """One dead letter, wherever it lies."""

    id: str
    body: str
    system: Mapping[str, str]
    attributes: Mapping[str, Any]
    receipt: str = ""
    """Of a message in the DLQ, as long as it is held."""
    spill_key: str = ""
    """Of a record in `dlq-spill/`."""

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


def receive(queue: Queue, count: int, *, visibility_s: int) -> list[Letter]:
    """Up to `count` letters, by as many receives of ten as it takes; fewer once one of them finds nothing.

    Raises QueueError only where nothing was received: what is in hand must not be forgotten.
    """
    letters: list[Letter] = []
    while len(letters) < count:
        try:
            found = queue.receive(wait_s=LOOK_S, visibility_s=visibility_s, count=min(10, count - len(letters)))
        except Exception:
            if letters:
                break
            raise
        letters += map(letter_of, found)
        if not found:
            break
    return letters


def letter_of(message: Message) -> Letter:
    """A received message as a letter."""
    return Letter(message.id, message.body, message.system, message.attributes, receipt=message.receipt)


def sound(letter: Letter) -> Letter:
    """The same letter, if it is made as SQS makes them: a record or a file may be anyone's.

    Raises TypeError, AttributeError or ValueError here, rather than in the middle of a command.
    """
    if not all(isinstance(text, str) for text in (letter.id, letter.body, *letter.system.values())):
        raise TypeError("its id, body or system attributes are no text")
    if not all(isinstance(value.get("DataType"), str) for value in letter.attributes.values()):
        raise TypeError("an attribute has no type")
    int(letter.system.get("ApproximateReceiveCount", 0))
    if not 0 <= letter.sent_ms < NEVER_MS:
        raise ValueError("it was sent at no time that has a date")
    return letter


def spilled(state: State, key: str) -> Letter | None:
    """A spilled letter; None where it is gone meanwhile. Raises StoreError, and ValueError for what is none."""
    raw = state.get(key)
    if raw is None:
        return None
    try:
        stored = orjson.loads(raw)
        attributes = attributes_of(stored)
        attributes[ATTRIBUTE] = {"DataType": "String", "StringValue": orjson.dumps(stored["failure"]).decode()}
        return sound(
            Letter(stored["message_id"], stored["body"], stored["system_attributes"], attributes, spill_key=key)
        )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"{key} is no record of {SPILL_PREFIX}: {error!r}") from None
