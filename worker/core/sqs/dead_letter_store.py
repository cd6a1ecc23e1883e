"""`dead-letters/` in the state bucket: dead letters outside the DLQ, each in one record for its whole life.

A record is named by the day on which the dead letter first failed, and by its id: `dead_letter_id` in its failure record (which
a redrive adds), else the id that it had in its source queue, else its id in the DLQ. A failure record can be forged, so an id
counts only where the body and the source queue are those of the record that has this id already.

Everyone who changes a record does so by a conditional write, and keeps the fields that they do not know.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Self

import orjson

from worker.core.base.errors import StoreError
from worker.core.s3.state import DEAD_LETTERS_PREFIX, NO_CONDITIONS, State, dated, safe_name
from worker.core.sqs.dead_letter import NEVER_MS, DeadLetter
from worker.core.sqs.failure_record import FailureRecord

MAX_ARRIVALS = 1_000
"""Number of ids that a record remembers; a dead letter that returns more often than this is nobody's any more."""
ATTEMPTS = 10
"""Conditional writes of one record that may fail because others write it at the same time."""


class StoredState(StrEnum):
    """What has become of a stored dead letter. Once it is recovered, archived or abandoned, its record is deleted."""

    OPEN = "open"
    SENT = "sent"
    """It was sent to be processed again, and nobody knows yet how that ended."""


@dataclass(frozen=True, slots=True)
class Sending:
    """How a dead letter was last sent to a queue."""

    at_ms: int
    by: str
    run: str
    to: str
    """URL of the queue."""
    unconfirmed_ms: int
    """From when it may be sent again, because it should have been processed or have returned by then."""


@dataclass(frozen=True, slots=True)
class Claim:
    """Who is acting on a stored dead letter, and until when nobody else may (ms on S3's clock)."""

    holder: str
    run: str
    until_ms: int


@dataclass(frozen=True, slots=True)
class StoredDeadLetter:
    """One record of `dead-letters/`."""

    dead_letter: DeadLetter
    arrivals: Mapping[str, int]
    """When it came here (ms since the epoch), by the id that it had in the DLQ each time, or in its source queue."""
    state: StoredState = StoredState.OPEN
    sent: Sending | None = None
    """The last time; it stays when the dead letter returns."""
    claim: Claim | None = None
    etag: str = ""
    rest: Mapping[str, object] = field(default_factory=dict)
    """Fields of other programs, or of a newer version."""

    @property
    def key(self) -> str:
        """Key of the record."""
        return self.dead_letter.stored_key

    def is_waiting(self, now_ms: int) -> bool:
        """Whether it was sent and may still be processed: until then, nothing is to be done with it."""
        return self.state is StoredState.SENT and self.sent is not None and now_ms < self.sent.unconfirmed_ms

    def is_same(self, other: DeadLetter) -> bool:
        """Whether the other is this dead letter, as its failure record claims: by its body, and by where it failed."""
        mine = self.dead_letter
        queues = {"", mine.source_queue, self.sent.to if self.sent else ""}
        return mine.body_sha256 == other.body_sha256 and (not mine.source_queue or other.source_queue in queues)

    def returned(self, other: DeadLetter, at_ms: int) -> Self:
        """This dead letter, after it came here once more."""
        newest = dict(list({**self.arrivals, other.id: at_ms}.items())[-MAX_ARRIVALS:])
        mine = _stored(other, self.dead_letter.id, self.key, newest)
        return replace(self, dead_letter=mine, arrivals=newest, state=StoredState.OPEN)

    # -- JSON --------------------------------------------------------------------------------------------------------

    def as_json(self) -> dict[str, object]:
        """The record."""
        failure = self.dead_letter.failure
        return {
            **self.rest,
            **replace(self.dead_letter, known_as=frozenset()).as_json(),
            "message_id": list(self.arrivals)[-1],
            **({"failure": failure.as_json()} if failure else {}),
            **self.life(),
        }

    def life(self) -> dict[str, object]:
        """What has happened to the dead letter since it first came here."""
        return {
            "dead_letter_id": self.dead_letter.id,
            "arrivals": [{"message_id": name, "at_ms": at_ms} for name, at_ms in self.arrivals.items()],
            "state": self.state.value,
            "sent": _fields(self.sent),
            "claim": _fields(self.claim),
        }

    @classmethod
    def from_json(cls, raw: bytes, key: str, etag: str = "") -> Self:
        """Read a record, one of an earlier version too. Raises ValueError if it is not one."""
        try:
            stored = orjson.loads(raw)
            dead_letter = DeadLetter.from_json(stored, stored_key=key)
            arrivals = {str(one["message_id"]): _ms(one["at_ms"]) for one in stored.pop("arrivals", [])}
            arrivals = arrivals or {dead_letter.id: dead_letter.sent_ms}
            return cls(
                _stored(dead_letter, str(stored.pop("dead_letter_id", dead_letter.id)), key, arrivals),
                arrivals,
                StoredState(stored.pop("state", StoredState.OPEN)),
                _sending(stored.pop("sent", None)),
                _claim(stored.pop("claim", None)),
                etag,
                {name: value for name, value in stored.items() if name not in _OF_DEAD_LETTER},
            )
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"{key} is no record of {DEAD_LETTERS_PREFIX}: {error}") from None


class Arrival(StrEnum):
    """What it means that a dead letter came."""

    NEW = "new"
    RETURNED = "returned"
    """It had been here before, and has failed again."""
    REPEATED = "repeated"
    """The same delivery came twice; nothing has changed."""


def take_in(
    state: State, dead_letter: DeadLetter, *, at_ms: int, keys: Mapping[str, str] | None = None
) -> tuple[StoredDeadLetter, Arrival]:
    """Store a dead letter that came at this time (ms since the epoch); once this returns, it is durable. Raises StoreError.

    It is harmless to do this again: an id that the record has already is a repeated delivery. `keys`: the keys of records that
    are known to exist, by dead letter id.
    """
    day = dated(first_failed_ms(dead_letter))
    forged = f"{dead_letter.id}-{dead_letter.body_sha256}"  # where a forger has taken even its own id
    for name in (*dead_letter.possible_ids, forged):
        key = (keys or {}).get(name) or f"{DEAD_LETTERS_PREFIX}{day}/{safe_name(name)}.json"
        if (done := _take_in_as(name, key, state, dead_letter, at_ms)) is not None:
            return done
    raise StoreError(
        f"every id of the dead letter {dead_letter.id} is another's in {DEAD_LETTERS_PREFIX}", code="Conflict"
    )


def _take_in_as(
    name: str, key: str, state: State, dead_letter: DeadLetter, at_ms: int
) -> tuple[StoredDeadLetter, Arrival] | None:
    """Store it under this id; None if the id is another's."""
    arrivals = {dead_letter.id: at_ms}
    new = StoredDeadLetter(_stored(dead_letter, name, key, arrivals), arrivals)
    for _ in range(ATTEMPTS):
        if (created := _create(state, new)) is not None:
            return created, Arrival.NEW
        try:
            found = read(state, key)
        except ValueError:
            return None  # someone's record that is none: it stays as it is
        if found is None:
            continue  # it has just been deleted
        if dead_letter.id in found.arrivals:
            return found, Arrival.REPEATED
        if not found.is_same(dead_letter):
            return None
        if (returned := write(state, found.returned(dead_letter, at_ms))) is not None:
            return returned, Arrival.RETURNED
    raise StoreError(f"{key} is being written by others all the time", code="Conflict")


def put(state: State, dead_letter: DeadLetter, failure: FailureRecord) -> str:
    """Store a message with the record of its latest failure; once this returns it is durable. Its key. Raises StoreError."""
    stored, _ = take_in(state, replace(dead_letter, failure=failure), at_ms=int(time.time() * 1000))
    return stored.key


def read(state: State, key: str) -> StoredDeadLetter | None:
    """A stored dead letter; None if it no longer exists. Raises StoreError, and ValueError if it is not a dead letter."""
    found = state.get_with_etag(key)
    return None if found is None else StoredDeadLetter.from_json(found[0], key, found[1])


def write(state: State, stored: StoredDeadLetter) -> StoredDeadLetter | None:
    """Write a record in place of the one that was read; None if that has changed meanwhile. Raises StoreError.

    Where the store has no conditional writes, the last writer wins (`doctor` warns of it).
    """
    record = orjson.dumps(stored.as_json())
    try:
        etag = state.claim(stored.key, record, instead_of=stored.etag)
    except StoreError as error:
        if error.code not in NO_CONDITIONS:
            raise
        state.put(stored.key, record)
        written = state.get_with_etag(stored.key)
        etag = written[1] if written else None
    return None if etag is None else replace(stored, etag=etag)


# -- inside ----------------------------------------------------------------------------------------------------------

_OF_DEAD_LETTER = frozenset({"schema", "message_id", "body", "system_attributes", "message_attributes", "failure"})


def _create(state: State, new: StoredDeadLetter) -> StoredDeadLetter | None:
    """Write a record where there is none; None if there is one."""
    record = orjson.dumps(new.as_json())
    try:
        etag = state.claim(new.key, record, instead_of=None)
    except StoreError as error:
        if error.code not in NO_CONDITIONS:
            raise
        if state.get(new.key) is not None:
            return None
        state.put(new.key, record)
        return new
    return None if etag is None else replace(new, etag=etag)


def _stored(dead_letter: DeadLetter, name: str, key: str, arrivals: Mapping[str, int]) -> DeadLetter:
    """A dead letter as it is known once it is stored."""
    return replace(dead_letter, id=name, receipt="", stored_key=key, known_as=frozenset(arrivals))


def first_failed_ms(dead_letter: DeadLetter) -> int:
    """When it first failed, as far as that is known; the same for each copy, and each time that it returns."""
    try:
        stated = dead_letter.failure.first_failed_at if dead_letter.failure else ""
        first_ms = int(datetime.fromisoformat(stated).timestamp() * 1000)
    except (ValueError, OverflowError, OSError):
        return dead_letter.sent_ms
    return first_ms if 0 <= first_ms < NEVER_MS else dead_letter.sent_ms


def _fields(value: Sending | Claim | None) -> dict[str, object] | None:
    return None if value is None else {name: getattr(value, name) for name in value.__slots__}


def _sending(found: object) -> Sending | None:
    if not isinstance(found, dict):
        return None
    by, run, to = (str(found[name]) for name in ("by", "run", "to"))
    return Sending(_ms(found["at_ms"]), by, run, to, _ms(found["unconfirmed_ms"]))


def _claim(found: object) -> Claim | None:
    if not isinstance(found, dict):
        return None
    return Claim(str(found["holder"]), str(found["run"]), _ms(found["until_ms"]))


def _ms(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < NEVER_MS:
        raise TypeError("a time is no number of milliseconds")
    return value
