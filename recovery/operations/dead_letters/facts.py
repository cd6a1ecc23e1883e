"""What is known of each dead letter, and which of them are meant."""

import time
from dataclasses import asdict, dataclass, replace

from recovery.operations.dead_letters.message_types import MessageTypes
from worker.core.base.classify import FailureKind
from worker.core.base.errors import MalformedEventError
from worker.core.s3.events import ObjectRef, parse
from worker.core.sqs.dead_letter import DeadLetter
from worker.core.sqs.failure_record import FailureRecord

MAX_REDRIVES = 3
"""A message that came back so often needs an operator who says --force."""
NO_RECORD = "no record (redrive policy)"
"""Where SQS's own redrive policy dead-lettered a message, nothing says why."""


@dataclass(frozen=True, slots=True)
class Facts:
    """One dead letter, as far as it can be told apart from others."""

    dead_letter: DeadLetter
    type: str
    refs: tuple[ObjectRef, ...]
    """The objects that it refers to."""
    about: str
    """Bucket and key of the first of them; of other messages, the label fields of their type."""

    @property
    def failure(self) -> FailureRecord:
        """Its failure record; an empty one where it has none."""
        return self.dead_letter.failure or FailureRecord()

    @property
    def error(self) -> str:
        """The exception's name."""
        return self.failure.error_type or NO_RECORD

    @property
    def fingerprint(self) -> str:
        """What failures of one cause share; empty where nothing says why."""
        return self.failure.fingerprint

    @property
    def source(self) -> str:
        """URL of the queue that it failed in; empty where nothing says so."""
        return self.failure.source_queue

    def of(self, dead_letter: DeadLetter) -> "Facts":
        """The same facts of a newer receipt of the same message."""
        return replace(self, dead_letter=dead_letter)

    def age_s(self) -> int:
        """Seconds since it was first sent."""
        return int(time.time() - self.dead_letter.sent_ms / 1000)

    def as_json(self, *, retention_s: int) -> dict[str, object]:
        """Everything, by name."""
        dead_letter, failure, age_s = self.dead_letter, self.failure, self.age_s()
        return {
            "message_id": dead_letter.id,
            "sent_at_ms": dead_letter.sent_ms,
            "age_s": age_s,
            "expires_in_s": retention_s - age_s,
            "kind": dead_letter.kind.value,
            "error_type": self.error,
            "error": failure.message or None,
            "fingerprint": self.fingerprint or None,
            "type": self.type,
            "about": self.about,
            "objects": [{"bucket": ref.bucket, "key": ref.key} for ref in self.refs],
            "receives": dead_letter.receives,
            "redrives": dead_letter.redrives,
            "source_queue": self.source or None,
            "correlation_id": failure.correlation_id or None,
        }


def facts_of(dead_letter: DeadLetter, types: MessageTypes, *, default_bucket: str | None = None) -> Facts:
    """What is known of a dead letter. Never raises: a body may be anything."""
    try:
        items = parse(dead_letter.body, default_bucket=default_bucket)
        refs = tuple(item for item in items if isinstance(item, ObjectRef))
    except MalformedEventError:
        refs = ()
    about = f"{refs[0].bucket}/{refs[0].key}" if refs else types.label(dead_letter.body)
    return Facts(dead_letter, types.of(dead_letter.body), refs, about)


@dataclass(frozen=True, slots=True)
class Ids:
    """The dead letters that are meant, named one by one."""

    names: frozenset[str]

    def as_json(self) -> dict[str, object]:
        """What was asked for."""
        return {"ids": sorted(self.names)}

    def wants(self, facts: Facts) -> bool:
        """Whether this one is meant."""
        return facts.dead_letter.id in self.names


@dataclass(frozen=True, slots=True)
class Filter:
    """The dead letters that are meant, by what they are like; what is None does not matter."""

    kind: FailureKind | None = None
    error: str | None = None
    type: str | None = None
    older_than_s: int | None = None
    match: str | None = None
    group: str | None = None

    @property
    def is_empty(self) -> bool:
        """Whether everything is meant."""
        return self == Filter()

    def as_json(self) -> dict[str, object]:
        """What was asked for."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    def wants(self, facts: Facts) -> bool:
        """Whether this one is meant."""
        dead_letter = facts.dead_letter
        return (
            (self.kind is None or dead_letter.kind == self.kind)
            and (self.error is None or facts.error.casefold() == self.error.casefold())
            and (self.type is None or facts.type == self.type)
            and (self.older_than_s is None or time.time() - dead_letter.sent_ms / 1000 >= self.older_than_s)
            and (self.group is None or (facts.fingerprint or "-").startswith(self.group))
            and (self.match is None or self._matches(facts))
        )

    def _matches(self, facts: Facts) -> bool:
        """In the body as it is, or in a key as S3 has it: events hold keys url-encoded."""
        text = (self.match or "").casefold()
        return text in facts.dead_letter.body.casefold() or any(
            text in f"{ref.bucket}/{ref.key}".casefold() for ref in facts.refs
        )
