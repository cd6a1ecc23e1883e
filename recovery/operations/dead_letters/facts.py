"""What is known about a dead letter, and the criteria by which an operator selects dead letters."""

import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace

from recovery.operations.dead_letters.message_types import MessageTypes
from worker.core.base.classify import FailureKind
from worker.core.s3.events import ObjectRef
from worker.core.sqs.dead_letter import DeadLetter
from worker.core.sqs.failure_record import FailureRecord
from worker.core.sqs.stored_dead_letter import StoredDeadLetter

MAX_REDRIVES = 3
"""A message that was redriven this often is only redriven again with --force."""
FINGERPRINT_CHARS = 12
"""The length of a fingerprint (`failure_record.fingerprint`)."""
NO_FINGERPRINT = "-"
"""The group of those without a fingerprint."""
NO_RECORD = "no record (redrive policy)"
"""Shown as error for messages that SQS's redrive policy moved to the DLQ: they have no failure record."""


def cause_text(error: str, reason: str) -> str:
    """An error with the code of its reason: `UnreadableFileError corrupt-pdf`."""
    return f"{error} {reason}" if reason and reason not in error.split() else error


@dataclass(frozen=True, slots=True)
class Facts:
    """A dead letter, with its type and its objects."""

    dead_letter: DeadLetter
    type: str
    refs: tuple[ObjectRef, ...]
    """The objects that its body refers to."""
    about: str
    """Bucket and key of the first object; for messages without objects, the label fields of their type."""
    stored: StoredDeadLetter | None = None
    """Its record, if it was found in `dead-letters/`."""

    @property
    def failure(self) -> FailureRecord:
        """Its failure record; an empty one if it has none."""
        return self.dead_letter.failure or FailureRecord()

    @property
    def error(self) -> str:
        """The name of the exception."""
        return self.failure.error_type or NO_RECORD

    @property
    def cause(self) -> str:
        """The name of the exception, and the code of the reason unless the name is the same."""
        return cause_text(self.error, self.failure.reason)

    @property
    def fingerprint(self) -> str:
        """Identifies the cause: failures with the same cause have the same fingerprint. Empty without a failure record."""
        return self.failure.fingerprint

    @property
    def source(self) -> str:
        """URL of the queue in which it failed; empty without a failure record."""
        return self.failure.source_queue

    def of(self, dead_letter: DeadLetter) -> "Facts":
        """The same facts with a newer receipt of the same message."""
        return replace(self, dead_letter=dead_letter)

    def age_s(self) -> int:
        """Seconds since it was first sent."""
        return int(time.time() - self.dead_letter.sent_ms / 1000)

    def as_json(self, *, retention_s: int) -> dict[str, object]:
        """Everything, by name."""
        dead_letter, failure, age_s = self.dead_letter, self.failure, self.age_s()
        return {
            "message_id": dead_letter.id,
            "stored": dead_letter.stored_key or None,
            **({} if self.stored is None else _standing(self.stored)),
            "known_as": sorted(dead_letter.names - {dead_letter.id}),
            "sent_at_ms": dead_letter.sent_ms,
            "age_s": age_s,
            "expires_in_s": None if dead_letter.stored_key else retention_s - age_s,
            "kind": dead_letter.kind.value,
            "error_type": self.error,
            "reason": failure.reason or None,
            "error": failure.message or None,
            "fingerprint": self.fingerprint or None,
            "type": self.type,
            "about": self.about,
            "objects": [{"bucket": ref.bucket, "key": ref.key} for ref in self.refs],
            "receives": dead_letter.receives,
            "redrives": dead_letter.redrives,
            "source_queue": self.source or None,
            "correlation_id": failure.correlation_id or None,
            "source_service": failure.source_service or None,
            "routing_key": failure.routing_key or None,
        }


def _standing(stored: StoredDeadLetter) -> dict[str, object]:
    """What its record says of its life, beside the message."""
    life = stored.life()
    return {name: life[name] for name in ("state", "owner", "note", "hold", "retry", "sent")}


def facts_of(dead_letter: DeadLetter, types: MessageTypes) -> Facts:
    """Return what is known about a dead letter. Never raises, whatever the body contains."""
    refs = types.objects(dead_letter.body)
    about = f"{refs[0].bucket}/{refs[0].key}" if refs else types.label(dead_letter.body)
    return Facts(dead_letter, types.of(dead_letter.body), refs, about)


@dataclass(frozen=True, slots=True)
class Ids:
    """Selects dead letters by their ids. What `beginnings` stand for is found by `short_ids.whole`."""

    names: frozenset[str]
    beginnings: frozenset[str] = frozenset()
    """Each is an id, or the beginning of one."""

    def as_json(self) -> dict[str, object]:
        """Return the criteria, for the audit."""
        return {"ids": sorted(self.names | self.beginnings)}

    def wants(self, facts: Facts) -> bool:
        """Whether it selects this dead letter."""
        return self.fits(facts.dead_letter)

    def fits(self, dead_letter: DeadLetter) -> bool:
        """Whether one of these is an id, or begins one, that the dead letter has, or had elsewhere."""
        names, beginnings = dead_letter.names, tuple(self.beginnings)
        return not self.names.isdisjoint(names) or any(name.startswith(beginnings) for name in names)

    def missing_from(self, known: Iterable[str]) -> tuple[str, ...]:
        """Those that are none of the known ids, and begin none."""
        ids = frozenset(known)
        nobodys = {one for one in self.beginnings if not any(name.startswith(one) for name in ids)}
        return tuple(sorted((self.names - ids) | nobodys))


@dataclass(frozen=True, slots=True)
class Filter:
    """Selects dead letters by their properties; a property that is None is not compared."""

    kind: FailureKind | None = None
    error: str | None = None
    type: str | None = None
    older_than_s: int | None = None
    match: str | None = None
    group: str | None = None
    """A fingerprint, or the beginning of one, which `short_ids.whole_group` makes whole; NO_FINGERPRINT: those without one."""

    @property
    def has_whole_group(self) -> bool:
        """Whether its group is not only the beginning of a fingerprint."""
        return self.group == NO_FINGERPRINT or len(self.group or "") >= FINGERPRINT_CHARS

    @property
    def is_empty(self) -> bool:
        """Whether it selects every dead letter."""
        return self == EVERY_ONE

    def as_json(self) -> dict[str, object]:
        """Return the criteria, for the audit."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    def wants(self, facts: Facts) -> bool:
        """Whether it selects this dead letter."""
        dead_letter = facts.dead_letter
        return (
            (self.kind is None or dead_letter.kind == self.kind)
            and (self.error is None or facts.error.casefold() == self.error.casefold())
            and (self.type is None or facts.type == self.type)
            and (self.older_than_s is None or time.time() - dead_letter.sent_ms / 1000 >= self.older_than_s)
            and (self.group is None or self._is_of_group(facts.fingerprint or NO_FINGERPRINT))
            and (self.match is None or self._matches(facts))
        )

    def _is_of_group(self, fingerprint: str) -> bool:
        return fingerprint == self.group or (not self.has_whole_group and fingerprint.startswith(self.group or ""))

    def _matches(self, facts: Facts) -> bool:
        """Search the raw body and the decoded keys, because events contain keys URL-encoded; `s3://BUCKET/` is one bucket."""
        text = (self.match or "").casefold()
        return text in facts.dead_letter.body.casefold() or any(
            text in f"s3://{ref.bucket}/{ref.key}".casefold() for ref in facts.refs
        )


EVERY_ONE = Filter()
"""Selects every dead letter."""
