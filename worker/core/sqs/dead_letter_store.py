"""`dead-letters/` in the state bucket: dead letters outside the DLQ, each in one record for its whole life.

A record is named by the day on which the dead letter first failed, and by its id: `dead_letter_id` in its failure record (which
a redrive adds), else the id that it had in its source queue, else its id in the DLQ. A failure record can be forged, so an id
counts only where the body and the source queue are those of the record that has this id already.

Everyone who changes a record does so by a conditional write, and keeps the fields that they do not know.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from enum import StrEnum

import orjson

from worker.core.base.errors import StoreError
from worker.core.s3.conditional import write_instead
from worker.core.s3.state import DEAD_LETTERS_PREFIX, State, dated, safe_name
from worker.core.sqs.dead_letter import DeadLetter
from worker.core.sqs.failure_record import FailureRecord
from worker.core.sqs.stored_dead_letter import StoredDeadLetter, as_stored, first_failed_ms

ATTEMPTS = 10
"""Conditional writes of one record that may fail because others write it at the same time."""


Prepare = Callable[[StoredDeadLetter], StoredDeadLetter]


class Arrival(StrEnum):
    """What it means that a dead letter came."""

    NEW = "new"
    RETURNED = "returned"
    """It had been here before, and has failed again."""
    REPEATED = "repeated"
    """The same delivery came twice; nothing has changed."""


def record_key(dead_letter: DeadLetter, name: str) -> str:
    """The key of the record in which a dead letter of this id is stored."""
    return f"{DEAD_LETTERS_PREFIX}{dated(first_failed_ms(dead_letter))}/{safe_name(name)}.json"


def take_in(
    state: State, dead_letter: DeadLetter, *, at_ms: int, keys: Mapping[str, str] | None = None,
    prepare: Prepare = lambda stored: stored,
) -> tuple[StoredDeadLetter, Arrival]:  # fmt: skip
    """Store a dead letter that came at this time (ms since the epoch); once this returns, it is durable. Raises StoreError.

    It is harmless to do this again: an id that the record has already is a repeated delivery. `keys`: the keys of records that
    are known to exist, by dead letter id. `prepare` makes of the record of what is new or has returned what is written.
    """
    forged = f"{dead_letter.id}-{dead_letter.body_sha256}"  # where a forger has taken even its own id
    for name in (*dead_letter.possible_ids, forged):
        key = (keys or {}).get(name) or record_key(dead_letter, name)
        if (done := _take_in_as(name, key, state, dead_letter, at_ms, prepare)) is not None:
            return done
    raise StoreError(
        f"every id of the dead letter {dead_letter.id} is another's in {DEAD_LETTERS_PREFIX}", code="Conflict"
    )


def _take_in_as(
    name: str, key: str, state: State, dead_letter: DeadLetter, at_ms: int, prepare: Prepare
) -> tuple[StoredDeadLetter, Arrival] | None:
    """Store it under this id; None if the id is another's."""
    arrivals = {dead_letter.id: at_ms}
    new = prepare(StoredDeadLetter(as_stored(dead_letter, name, key, arrivals), arrivals))
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
        if (returned := write(state, prepare(found.returned(dead_letter, at_ms)))) is not None:
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
    """Write a record in place of the one that was read; None if that has changed meanwhile. Raises StoreError."""
    etag = write_instead(state, stored.key, orjson.dumps(stored.as_json()), instead_of=stored.etag)
    return None if etag is None else replace(stored, etag=etag)


# -- inside ----------------------------------------------------------------------------------------------------------


def _create(state: State, new: StoredDeadLetter) -> StoredDeadLetter | None:
    """Write a record where there is none; None if there is one."""
    etag = write_instead(state, new.key, orjson.dumps(new.as_json()), instead_of=None)
    return None if etag is None else replace(new, etag=etag)
