"""Records who did what, to which messages or documents: as a log line, and under `s3-index-worker/audit/` in the state bucket."""

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Self

import orjson

from worker.core.base.errors import StoreError
from worker.core.base.events import LogEvent
from worker.core.base.logs import emit
from worker.core.s3.state import CONTROL_PREFIX, State, dated
from worker.core.sqs.dead_letter import DeadLetter

SCHEMA = 1
AUDIT_PREFIX = CONTROL_PREFIX + "audit/"


@dataclass(frozen=True, slots=True)
class Run:
    """One run of one operation, and who started it."""

    name: str
    """Unique, and sortable by time within one command: `dlq-redrive-20260401T093000Z-5b1f2c`."""
    command: str
    """The command that the operator entered: `dlq redrive`."""
    action: str
    """The name of the action in the audit: `redrive`."""
    by: str
    """The operator: user@host."""

    @classmethod
    def new(cls, command: str, *, action: str, by: str) -> Self:
        """Create a run that begins now."""
        began = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
        return cls(f"{command.replace(' ', '-')}-{began}-{secrets.token_hex(3)}", command, action, by)


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """One change, by one run of an operation."""

    action: str
    """The operation: redrive, recover, delete and so on."""
    run: str
    by: str
    """The operator: user@host."""
    ids: tuple[str, ...]
    """The messages to which the operation applied."""
    result: Mapping[str, object]
    """The number of messages for each result, or the result of each message."""
    details: Mapping[str, object] = field(default_factory=dict)
    """The request: queues, filter, reason, file; different for each action."""
    dead_letters: tuple[DeadLetter, ...] = ()
    """Complete messages, if they were deleted and exist nowhere else."""
    at: datetime = field(default_factory=lambda: datetime.now(UTC))

    @classmethod
    def of(
        cls,
        run: Run,
        dead_letters: Iterable[DeadLetter],
        result: Mapping[str, object],
        details: Mapping[str, object],
    ) -> Self:
        """Create the event for what a run did to these dead letters. It contains their ids, not the messages."""
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


@dataclass(frozen=True, slots=True)
class Recorded:
    """Where an audit event was written."""

    key: str = ""
    """Key in the state bucket; empty if it is only in the log."""
    problem: str = ""
    """Why it could not be written to the state bucket; empty if it was, or if there is no state bucket."""


def write(state: State | None, event: AuditEvent) -> str:
    """Record a change in the state bucket and in the log, and return the key of the record. Raises StoreError.

    Without a state bucket, only the log line is written, and the key is empty.
    """
    key = ""
    if state is not None:
        day = dated(int(event.at.timestamp() * 1000))
        key = f"{AUDIT_PREFIX}{day}/{event.at:%H%M%S%f}-{event.action}-{secrets.token_hex(3)}.json"
        state.put(key, orjson.dumps(event.as_json()))
    emit(
        LogEvent.AUDIT_RECORDED,
        "info" if key else "error",  # a line that is the only record is written wherever the command runs
        action=event.action,
        run=event.run,
        by=event.by,
        count=len(event.ids),
        result=dict(event.result),
        record=key,
    )
    return key


def record(state: State | None, event: AuditEvent) -> Recorded:
    """Record a change; only in the log if the state bucket fails, because the change itself cannot be undone."""
    try:
        return Recorded(write(state, event))
    except StoreError as error:
        write(None, event)
        return Recorded(problem=str(error))
