"""Pauses the fleet, and ends the pause: the record that every worker looks at."""

import secrets
import time
from datetime import UTC, datetime

import orjson

from worker.core.base.jsontypes import JsonObject
from worker.core.base.text import one_line
from worker.core.s3.brakes import read_resumption
from worker.core.s3.state import PAUSE_KEY, State


def pause_fleet(state: State, *, reason: str, by: str, lasting_s: float | None) -> None:
    """Stop the polling of all workers, until `resume_fleet` or for so many seconds. Raises StoreError."""
    now = time.time()
    record = {
        "reason": one_line(reason),
        "by": by,
        "at": datetime.fromtimestamp(now, UTC).isoformat(timespec="seconds"),
        "until_ms": None if lasting_s is None else int((now + lasting_s) * 1000),
        "resumed": read_resumption(state).mark,
    }
    state.put(PAUSE_KEY, orjson.dumps(record))


def resume_fleet(state: State, *, letting_fail_s: float = 0) -> JsonObject | None:
    """End a pause, and the brakes of all workers; the pause's record, None if there was none. Raises StoreError.

    What remains is a record of a pause that has run out, also for workers of an earlier version, with a new mark. For so many
    seconds, no worker brakes again.
    """
    was = state.pause_record()
    record = {
        "reason": "resumed",
        "until_ms": 0,
        "resumed": secrets.token_hex(8),
        "lets_fail_until_ms": int((time.time() + letting_fail_s) * 1000) if letting_fail_s else 0,
    }
    state.put(PAUSE_KEY, orjson.dumps(record))
    return was
