"""On which dead letters a verb must not act, and why: decided from their rows alone, so that a plan reads no bodies.

Whoever acts checks the record again; a plan says beforehand what would be refused.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from recovery.ledger.rows import Outcome, State


class Verb(StrEnum):
    """What an operation can do with dead letters."""

    REDRIVE = "redrive"
    """Send them to their queue again."""
    RECOVER = "recover"
    """Do their work now, and confirm it."""
    ABANDON = "abandon"
    """Give them up: they go to `dlq-archive/`."""
    DELETE = "delete"
    """The same, where somebody says that nobody needs them."""
    RESTORE = "restore"
    """Send archived ones to a queue again."""
    HOLD = "hold"
    RELEASE = "release"
    NOTE = "note"
    ASSIGN = "assign"
    SCHEDULE = "schedule"
    """Let the manager send them again at a time that somebody chooses, as its own retries."""
    UNSCHEDULE = "unschedule"
    """Let nothing send them again by itself."""


SENDING = frozenset({Verb.REDRIVE, Verb.RESTORE})
"""Doing these twice sends a message twice."""
SAYING = frozenset({Verb.HOLD, Verb.RELEASE, Verb.NOTE, Verb.ASSIGN})
"""These change only what people say about a dead letter."""
SCHEDULING = frozenset({Verb.SCHEDULE, Verb.UNSCHEDULE})
"""These change only when the manager sends a dead letter again by itself."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a plan compares rows with."""

    max_redrives: int = 3
    max_bytes: int = 1024 * 1024
    """What the queue takes."""
    record_bytes: int = 700
    """What the shortest failure record takes, with all its ids."""
    max_attributes: int = 10
    force: bool = False
    """Also those that were redriven too often, or whose failure record does not fit."""
    own_types: tuple[str, ...] = ("s3-event", "unknown")
    """Those that `recover` can do."""


def refusal_sql(verb: Verb, limits: Limits) -> str:
    """An expression of SQL, of a dead letter `d` and its class `c`: why the verb must not act on it, or NULL."""
    cases = " ".join(f"WHEN {condition} THEN '{reason}'" for reason, condition in _refusals(verb, limits))
    return f"CASE {cases} END"


def _refusals(verb: Verb, limits: Limits) -> Iterator[tuple[str, str]]:
    if verb is Verb.RESTORE:
        yield "not in the archive", f"d.state NOT IN ('{State.ARCHIVED}', '{State.ABANDONED}')"
        return
    yield "ended", f"d.state IN ('{State.RECOVERED}', '{State.ARCHIVED}', '{State.ABANDONED}')"
    yield "missing", f"d.state = '{State.MISSING}'"
    if verb is Verb.RELEASE:
        yield "not held", "d.hold IS NULL"
    if verb in SAYING:
        return
    if verb is Verb.UNSCHEDULE:
        yield "already sent", f"d.state = '{State.SENT}'"
        yield "not scheduled", f"d.state <> '{State.SCHEDULED}'"
        return
    yield "held", "d.hold IS NOT NULL"
    yield "already sent", f"d.state = '{State.SENT}' AND coalesce(d.outcome, '') <> '{Outcome.UNCONFIRMED}'"
    if verb is Verb.RECOVER:
        own = ", ".join(f"'{name}'" for name in limits.own_types)
        yield "of another program", f"c.type NOT IN ({own})"
    if verb in {Verb.REDRIVE, Verb.RECOVER, Verb.SCHEDULE}:
        yield "at fault", "d.fault IS NOT NULL"
    if verb is Verb.SCHEDULE:
        yield "already sent", f"d.state = '{State.SENT}'"  # whatever is known of it
        yield "of a FIFO queue", "c.source_queue LIKE '%.fifo'"  # retries are not sent in their order
        yield "its queue is not known", "c.source_queue = '' AND c.type <> 's3-event'"
    forced = verb is Verb.REDRIVE and limits.force
    if verb is Verb.REDRIVE and not forced:
        yield "redriven too often", f"d.redrives >= {limits.max_redrives}"
    if verb in {Verb.REDRIVE, Verb.SCHEDULE} and not forced:
        room = limits.max_bytes - limits.record_bytes
        # Where a message has a failure record, that is replaced; its error type says that it has one.
        full = f"d.attribute_count >= {limits.max_attributes} AND c.error_type = ''"
        yield "its failure record may not fit", f"d.size_bytes > {room} OR {full}"
