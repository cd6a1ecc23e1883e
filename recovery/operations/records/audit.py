"""Who did what to which messages: a log line, and a record under `s3-index-worker/audit/` in the state bucket."""

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Self

import orjson

from recovery.operations.run import Run
from worker.core.base.errors import StoreError
from worker.core.base.events import LogEvent
from worker.core.base.logs import emit
from worker.core.s3.state import CONTROL_PREFIX, State, dated
from worker.core.sqs.dead_letter import DeadLetter

SCHEMA = 1
AUDIT_PREFIX = CONTROL_PREFIX + "audit/"


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """One change, by one run of an operation."""

    action: str
    """The operation: redrive, recover, delete and so on."""
    run: str
    by: str
    """The operator: user@host."""
    ids: tuple[str, ...]
    """The messages that were meant."""
    result: Mapping[str, object]
    """How many messages, or which, came to what."""
    details: Mapping[str, object] = field(default_factory=dict)
    """What was asked for: queues, filter, reason, file; different for each action."""
    dead_letters: tuple[DeadLetter, ...] = ()
    """Messages of which nothing else is left; they are kept whole."""
    at: datetime = field(default_factory=lambda: datetime.now(UTC))

    @classmethod
    def of(
        cls,
        run: Run,
        dead_letters: Iterable[DeadLetter],
        result: Mapping[str, object],
        details: Mapping[str, object],
    ) -> Self:
        """What a run did to these dead letters, which are named and not kept."""
        ids = tuple(dead_letter.id for dead_letter in dead_letters)
        return cls(run.action, run.name, run.by, ids, result, details)

    def as_json(self) -> dict[str, object]:
        """Everything, by name."""
        return {
            "schema": SCHEMA,
            "action": self.action,
            "run": self.run,
            "by": self.by,
            "at": self.at.isoformat(timespec="milliseconds"),
            **self.details,
            "ids": list(self.ids),
            "result": dict(self.result),
            "dead_letters": [dead_letter.as_json() for dead_letter in self.dead_letters],
        }

    @classmethod
    def from_json(cls, raw: bytes) -> Self:
        """A record that was read. Raises ValueError for what is none."""
        try:
            stored = orjson.loads(raw)
            own = {name: stored.pop(name) for name in ("action", "run", "by", "ids", "result")}
            dead_letters = tuple(DeadLetter.from_json(one) for one in stored.pop("dead_letters"))
            at = datetime.fromisoformat(stored.pop("at"))
            del stored["schema"]
            return cls(**{**own, "ids": tuple(own["ids"])}, details=stored, dead_letters=dead_letters, at=at)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise ValueError(f"it is no record of {AUDIT_PREFIX}: {error!r}") from None


@dataclass(frozen=True, slots=True)
class Recorded:
    """Where an audit event was written."""

    key: str = ""
    """In the state bucket; empty where it is in the log alone."""
    problem: str = ""
    """Why the state bucket did not take it; empty where it did, or where there is none."""


def write(state: State | None, event: AuditEvent) -> str:
    """Record a change in the state bucket and in the log; its key. Raises StoreError.

    Without a state bucket there is the log line alone, and the key is empty.
    """
    key = ""
    if state is not None:
        day = dated(int(event.at.timestamp() * 1000))
        key = f"{AUDIT_PREFIX}{day}/{event.at:%H%M%S%f}-{event.action}-{secrets.token_hex(3)}.json"
        state.put(key, orjson.dumps(event.as_json()))
    emit(
        LogEvent.AUDIT_RECORDED,
        action=event.action,
        run=event.run,
        by=event.by,
        count=len(event.ids),
        result=dict(event.result),
        record=key,
    )
    return key


def record(state: State | None, event: AuditEvent) -> Recorded:
    """Record what was changed; in the log alone where the state bucket refuses, for the change cannot be taken back."""
    try:
        return Recorded(write(state, event))
    except StoreError as error:
        write(None, event)
        return Recorded(problem=str(error))
