"""What the ledger holds: a row for each dead letter, its arrivals and its events. Plain values; times are ms since the epoch."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum

from worker.core.base.classify import FailureKind

MAX_MESSAGE_CHARS = 500
"""As in a failure record (worker/core/sqs/failure_record.py)."""


class State(StrEnum):
    """Where a dead letter is in its life."""

    OPEN = "open"
    """It waits for somebody to act."""
    SCHEDULED = "scheduled"
    """It will be sent again at `retry_at_ms`."""
    SENT = "sent"
    """It was sent to its queue again; whether it was handled is not known yet."""
    RECOVERED = "recovered"
    """Its work is confirmed."""
    ARCHIVED = "archived"
    """It failed through its own fault, and is in `dlq-archive/`."""
    ABANDONED = "abandoned"
    """It was given up, and is in `dlq-archive/`."""
    MISSING = "missing"
    """Its object is gone, and no audit entry says why."""


class Outcome(StrEnum):
    """What is known of a sending whose work is not confirmed; a row without one was sent too recently to say more."""

    STORED_FOR_RETRY = "stored_for_retry"
    """It was processed, and its document waits in `retry-index/`."""
    PARKED = "parked"
    """It was processed, and the index refuses its document: the record of it is parked."""
    NOT_RETURNED = "not_returned"
    """Nobody can confirm its work, but its queue was empty since, and it has not come back."""
    UNCONFIRMED = "unconfirmed"
    """Neither its work nor its return was seen in time: it may be sent again."""


WAITING = (State.OPEN, State.SCHEDULED)
"""What the depth of the dead letters counts, beside the DLQ itself; the default of every selection."""
ENDED = (State.RECOVERED, State.ARCHIVED, State.ABANDONED)
"""What `prune` may delete."""
IN_ARCHIVE = (State.ARCHIVED, State.ABANDONED)
"""What `restore` can bring back."""


@dataclass(frozen=True, slots=True)
class Row:
    """One dead letter. A text is empty if nothing is known; None stands where a reader must tell it from an empty text."""

    identity: str
    """The dead letter's id, unique."""
    key: str
    """The key of its object under `dead-letters/`, unique."""
    state: State = State.OPEN
    kind: FailureKind = FailureKind.UNKNOWN
    error_type: str = ""
    message: str = ""
    """At most MAX_MESSAGE_CHARS."""
    fingerprint: str = ""
    """The group: what failures of one cause share."""
    type: str = ""
    """The message type, such as `s3-event`."""
    bucket: str = ""
    object_key: str | None = None
    """The first object that it is about."""
    about: str = ""
    """What it is about, for display."""
    source_queue: str = ""
    source_service: str = ""
    correlation_id: str = ""
    worker: str = ""
    body_sha256: str = ""
    size_bytes: int = 0
    attribute_count: int = 0
    fault: str | None = None
    """Why it must never be sent again as it is; None if it can be sent."""
    attempts: int = 1
    """Arrivals in the DLQ."""
    redrives: int = 0
    """How often operators sent it again."""
    retries: int = 0
    """How often its schedule sent it again."""
    first_failed_ms: int = 0
    first_seen_ms: int = 0
    last_seen_ms: int = 0
    sent_ms: int = 0
    """SQS's SentTimestamp of the latest arrival, from which its age counts."""
    sent_at_ms: int | None = None
    """The last time that it was sent again; the next three fields say by whom, to where, in which run."""
    sent_by: str | None = None
    sent_to: str | None = None
    sent_run: str | None = None
    retry_at_ms: int | None = None
    retry_by: str | None = None
    """Who wants it to be sent again then; None if the rules of retries do."""
    owner: str | None = None
    note: str | None = None
    hold: str | None = None
    """Why nothing may be done with it; None if it is not held."""
    finding: str | None = None
    """What the manager knows of it, in a sentence: what recovery would do, why it is not retried, what became of a sending."""
    outcome: str | None = None
    """An Outcome, where there is one."""
    version: int = 1
    """One more with every change; the ETag."""
    generation: int = 1
    """One more with every change but those of FOUND_OUT alone: a plan is of this one."""
    changed_ms: int = 0
    """When the row was last changed, by which `prune` goes; 0 when it is written: as `last_seen_ms`."""
    id: int = 0
    """The row's number, set by the ledger."""


ROW_FIELDS = tuple(one.name for one in fields(Row))
CHANGEABLE = frozenset(ROW_FIELDS) - {
    "id",
    "identity",
    "key",
    "version",
    "generation",
    "changed_ms",
    "first_seen_ms",
    "body_sha256",
}
"""What `change` may set."""
FOUND_OUT = frozenset({"owner", "finding", "outcome"})
"""What the manager finds out by itself while people plan: it does not change what is to be done."""


USED_UP = "retries used up"
"""The event of a dead letter that has come back from its last retry."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A dead letter that was received from the DLQ, as it is to stand in its row."""

    message_id: str
    """The id that SQS gave it in the DLQ this time."""
    row: Row
    at_ms: int
    by: str = "intake"
    is_news: bool = False
    """Whether somebody is to be notified of it, unless it will be sent again by itself."""
    also: tuple[str, ...] = ()
    """What else it means: the actions of further events."""


@dataclass(frozen=True, slots=True)
class ArrivalRow:
    """A DLQ id that a dead letter has had."""

    message_id: str
    identity: str
    at_ms: int


@dataclass(frozen=True, slots=True)
class Event:
    """What somebody did to a dead letter, and when."""

    identity: str
    at_ms: int
    by: str
    action: str
    details: Mapping[str, object] = field(default_factory=dict)
    id: int = 0
    """The event's number, set by the ledger; later events have greater ones."""


@dataclass(frozen=True, slots=True)
class Change:
    """One change of one row, for `change_many`; `version` is None where any version may be changed."""

    identity: str
    action: str
    by: str
    fields: Mapping[str, object]
    details: Mapping[str, object] = field(default_factory=dict)
    version: int | None = None
    is_news: bool = False
    """Whether somebody is to be notified of it, unless it will be sent again by itself."""


class Taken(StrEnum):
    """What the arrival of a DLQ id meant."""

    NEW = "new"
    RETURNED = "returned"
    """A known dead letter arrived under another id: it failed once more."""
    REPEATED = "repeated"
    """The id is known: SQS delivered it twice, and nothing changes."""
