"""What is known of each dead letter, which of them are meant, and which failed for one cause."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

import orjson

from recovery.operations.dead_letters import DeadLetter
from recovery.operations.message_types import MessageTypes
from worker.core.base.classify import FailureKind
from worker.core.base.errors import MalformedEventError
from worker.core.s3.events import ObjectRef, parse

NO_RECORD = "no record (redrive policy)"
"""Where SQS's own redrive policy dead-lettered a message, nothing says why."""
MAX_SAMPLES = 3
_NAMING = ("city", "source_url", "source_name")
"""Fields by which a person knows a frontier message."""


@dataclass(frozen=True, slots=True)
class Facts:
    """One letter, as far as it can be told apart from others."""

    dead_letter: DeadLetter
    type: str
    refs: tuple[ObjectRef, ...]
    """The objects that it speaks of."""
    about: str
    """Bucket and key of the first of them; of other messages, what a person knows them by."""

    @property
    def error(self) -> str:
        """The exception's name."""
        return str(self.dead_letter.failure.get("error_type") or NO_RECORD)

    @property
    def fingerprint(self) -> str:
        """What failures of one cause share; empty where nothing says why."""
        return str(self.dead_letter.failure.get("fingerprint") or "")

    @property
    def source(self) -> str:
        """URL of the queue that it failed in; empty where nothing says so."""
        return str(self.dead_letter.failure.get("source_queue") or "")

    @property
    def redrives(self) -> int:
        """How often it was sent back to its queue."""
        return redrives_of(self.dead_letter)

    def as_json(self, *, retention_s: int) -> dict[str, Any]:
        """Everything, by name."""
        dead_letter, failure, now = self.dead_letter, self.dead_letter.failure, time.time()
        sent_s = dead_letter.sent_ms / 1000
        return {
            "message_id": dead_letter.id,
            "sent_at_ms": dead_letter.sent_ms,
            "age_s": int(now - sent_s),
            "expires_in_s": int(sent_s + retention_s - now),
            "kind": dead_letter.kind,
            "error_type": self.error,
            "error": failure.get("message"),
            "fingerprint": self.fingerprint or None,
            "type": self.type,
            "about": self.about,
            "objects": [{"bucket": ref.bucket, "key": ref.key} for ref in self.refs],
            "receives": int(dead_letter.system.get("ApproximateReceiveCount", 0)),
            "redrives": self.redrives,
            "source_queue": self.source or None,
            "correlation_id": failure.get("correlation_id"),
        }


def facts_of(dead_letter: DeadLetter, types: MessageTypes, *, default_bucket: str | None = None) -> Facts:
    """What is known of a letter. Never raises: a body may be anything."""
    try:
        items = parse(dead_letter.body, default_bucket=default_bucket)
        refs = tuple(item for item in items if isinstance(item, ObjectRef))
    except MalformedEventError:
        refs = ()
    about = f"{refs[0].bucket}/{refs[0].key}" if refs else _known_by(dead_letter.body)
    return Facts(dead_letter, types.of(dead_letter.body), refs, about)


def redrives_of(dead_letter: DeadLetter) -> int:
    """How often a letter was redriven, as far as its failure record says."""
    count = dead_letter.failure.get("redrives")
    return count if isinstance(count, int) and count > 0 else 0


def _known_by(body: str) -> str:
    try:
        value = orjson.loads(body)
    except ValueError:
        return ""
    found = [value.get(name) for name in _NAMING] if isinstance(value, dict) else []
    return " ".join(one for one in found if isinstance(one, str))


@dataclass(frozen=True, slots=True)
class Filter:
    """Which letters are meant; what is None does not matter."""

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

    def as_json(self) -> dict[str, Any]:
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


class By(StrEnum):
    """What letters are grouped by."""

    FINGERPRINT = "fingerprint"
    ERROR = "error"
    TYPE = "type"
    SOURCE = "source"
    KIND = "kind"

    def of(self, facts: Facts) -> str:
        """The group that a letter belongs to."""
        match self:
            case By.FINGERPRINT:
                return facts.fingerprint or "-"
            case By.ERROR:
                return facts.error
            case By.TYPE:
                return facts.type
            case By.SOURCE:
                return facts.source or NO_RECORD
        return facts.dead_letter.kind


@dataclass(slots=True)
class Group:
    """Letters of one cause."""

    name: str
    error: str
    kind: str
    count: int = 0
    first_ms: int = 0
    last_ms: int = 0
    """When the oldest and the newest of them were sent."""
    message: str = ""
    """What the first of them says."""
    ids: list[str] = field(default_factory=list)


def grouped(facts: Iterable[Facts], by: By) -> list[Group]:
    """The groups, the largest first."""
    found: dict[str, Group] = {}
    for one in facts:
        dead_letter, name = one.dead_letter, by.of(one)
        group = found.setdefault(name, Group(name, one.error, dead_letter.kind, first_ms=dead_letter.sent_ms))
        group.count += 1
        group.first_ms, group.last_ms = (
            min(group.first_ms, dead_letter.sent_ms),
            max(group.last_ms, dead_letter.sent_ms),
        )
        group.message = group.message or str(dead_letter.failure.get("message") or "")
        if len(group.ids) < MAX_SAMPLES:
            group.ids.append(dead_letter.id)
    return sorted(found.values(), key=lambda group: -group.count)


def counts(facts: Sequence[Facts], by: By) -> dict[str, int]:
    """How many there are of each, the most frequent first."""
    return {group.name: group.count for group in grouped(facts, by)}
