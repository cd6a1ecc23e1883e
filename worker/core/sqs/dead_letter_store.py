"""`dead-letters/` in the state bucket: the dead letters that are not in the dead-letter queue."""

import orjson

from worker.core.s3.state import DEAD_LETTERS_PREFIX, State, dated
from worker.core.sqs.dead_letter import DeadLetter
from worker.core.sqs.failure_record import FailureRecord


def put(state: State, dead_letter: DeadLetter, failure: FailureRecord) -> str:
    """Store a message with the record of its latest failure; once this returns it is durable. Its key. Raises StoreError."""
    key = f"{DEAD_LETTERS_PREFIX}{dated(dead_letter.sent_ms)}/{dead_letter.id}.json"
    state.put(key, orjson.dumps({**dead_letter.as_json(), "failure": failure.as_json()}))
    return key


def read(state: State, key: str) -> DeadLetter | None:
    """A stored dead letter; None if it no longer exists. Raises StoreError, and ValueError if it is not a dead letter."""
    raw = state.get(key)
    if raw is None:
        return None
    try:
        return DeadLetter.from_json(orjson.loads(raw), stored_key=key)
    except ValueError as error:
        raise ValueError(f"{key} is no record of {DEAD_LETTERS_PREFIX}: {error}") from None
