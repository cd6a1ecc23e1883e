"""Pauses the fleet, and ends the pause: the record that every worker looks at."""

import time
from datetime import UTC, datetime

import orjson

from worker.core.base.jsontypes import JsonObject
from worker.core.base.text import one_line
from worker.core.s3.state import PAUSE_KEY, State


def pause_fleet(state: State, *, reason: str, by: str, lasting_s: float | None) -> None:
    """Stop the polling of all workers, until `resume_fleet` or for so many seconds. Raises StoreError."""
    now = time.time()
    record = {
        "reason": one_line(reason),
        "by": by,
        "at": datetime.fromtimestamp(now, UTC).isoformat(timespec="seconds"),
        "until_ms": None if lasting_s is None else int((now + lasting_s) * 1000),
    }
    state.put(PAUSE_KEY, orjson.dumps(record))


def resume_fleet(state: State) -> JsonObject | None:
    """End a pause; the record of it, None if there was none. Raises StoreError."""
    was = state.pause_record()
    state.delete(PAUSE_KEY)
    return was
