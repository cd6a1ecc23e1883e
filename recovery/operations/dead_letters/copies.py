"""Edited copies of a dead letter: what stands of them in its record, and what a copy says of where it comes from.

A copy is a message of its own, with another body. Its failure record has an id by which it is known if it fails in its turn, and
names the dead letter that it was made of; the record of that one names the copy. It is written before the copy is sent, so that
after a kill between the two somebody looks, and nothing is sent twice.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Self

from worker.core.sqs.dead_letter import DeadLetter
from worker.core.sqs.failure_record import ATTRIBUTE, FailureRecord, correlation_id_of
from worker.core.sqs.stored_dead_letter import Hold, StoredDeadLetter, StoredState

COPIES = "copies"
"""The field of a record of `dead-letters/`."""
COPY_OF = "copy_of"
"""The field of a copy's failure record."""
MAX_COPIES = 20
"""That a record remembers; the audit has all of them."""


@dataclass(frozen=True, slots=True)
class Copy:
    """One copy that was sent, or was about to be."""

    id: str
    """Its dead letter id, if it fails."""
    at_ms: int
    by: str
    run: str
    to: str
    """URL of the queue."""
    body_sha256: str
    is_sent: bool = False
    """Whether the queue has accepted it; if not, whoever sent it was killed, or had no answer."""

    def as_json(self) -> dict[str, object]:
        """Everything, by name."""
        return {
            "id": self.id, "at_ms": self.at_ms, "by": self.by, "run": self.run, "to": self.to,
            "body_sha256": self.body_sha256, "sent": self.is_sent,
        }  # fmt: skip

    @classmethod
    def from_json(cls, found: object) -> Self | None:
        """What `as_json` wrote; None if it is anything else."""
        if not isinstance(found, dict):
            return None
        texts = [found.get(name) for name in ("id", "by", "run", "to", "body_sha256")]
        at_ms = found.get("at_ms")
        if not all(isinstance(text, str) for text in texts) or not isinstance(at_ms, int):
            return None
        name, by, run, to, body_sha256 = map(str, texts)
        return cls(name, at_ms, by, run, to, body_sha256, found.get("sent") is True)

    @property
    def hold(self) -> Hold:
        """The hold of the dead letter that it was made of."""
        said = "was sent" if self.is_sent else "is being sent"
        after = (
            "release it to act on it again"
            if self.is_sent
            else "if this stays, look into that queue whether it came, before you release it"
        )
        return Hold(f"an edited copy, {self.id}, {said} to {self.to}; {after}", self.by)


def copies_of(stored: StoredDeadLetter) -> tuple[Copy, ...]:
    """The copies that a record names, the oldest first."""
    found = stored.rest.get(COPIES)
    return tuple(filter(None, map(Copy.from_json, found))) if isinstance(found, list) else ()


def original_of(dead_letter: DeadLetter) -> str:
    """The dead letter of which this one says to be a copy, which anyone can claim; empty if of none."""
    said = dead_letter.failure.unknown.get(COPY_OF) if dead_letter.failure else None
    return said if isinstance(said, str) else ""


def with_copy(stored: StoredDeadLetter, copy: Copy) -> StoredDeadLetter:
    """A record that names a copy, and is held because of it; nothing sends the dead letter by itself any more."""
    others = [one for one in copies_of(stored) if one.id != copy.id]
    named = [one.as_json() for one in (*others, copy)][-MAX_COPIES:]
    held = replace(stored, hold=copy.hold, retry=replace(stored.retry, at_ms=None))
    return replace(held, rest={**stored.rest, COPIES: named})


def without_copy(stored: StoredDeadLetter, copy: Copy, *, retry_at_ms: int | None) -> StoredDeadLetter:
    """A record that does not name a copy that was not sent; its hold ends, if it is still the copy's.

    `retry_at_ms`: when it was to be sent by itself before.
    """
    named = [one.as_json() for one in copies_of(stored) if one.id != copy.id]
    rest: Mapping[str, object] = {name: value for name, value in stored.rest.items() if name != COPIES}
    hold = None if stored.hold == copy.hold else stored.hold
    retry = replace(stored.retry, at_ms=retry_at_ms if stored.state is StoredState.OPEN else None)
    return replace(stored, hold=hold, retry=retry, rest={**rest, COPIES: named} if named else rest)


def message_of(dead_letter: DeadLetter, body: str, name: str, *, to: str) -> tuple[DeadLetter, FailureRecord]:
    """A copy with this body, under this dead letter id, as it is sent to a queue; and its failure record.

    It keeps the attributes, but nothing of why the original failed: it has not failed yet.
    """
    attributes = {key: value for key, value in dead_letter.attributes.items() if key != ATTRIBUTE}
    made = DeadLetter(name, body, dead_letter.system, attributes)
    failure = dead_letter.failure or FailureRecord()
    record = FailureRecord(
        source_queue=to, dead_letter_id=name, source_service=failure.source_service,
        correlation_id=correlation_id_of(attributes) or failure.correlation_id, unknown={COPY_OF: dead_letter.id},
    )  # fmt: skip
    return made, record
