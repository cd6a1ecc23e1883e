"""Pauses the fleet, and ends the pause: the record that every worker looks at."""

import secrets
import time
from dataclasses import dataclass
from datetime import UTC, datetime

import orjson

from worker.core.base.errors import StoreError
from worker.core.base.jsontypes import JsonObject
from worker.core.base.text import one_line
from worker.core.s3.brakes import BrakeRecord, read_brakes, read_resumption
from worker.core.s3.state import PAUSE_KEY, State


@dataclass(frozen=True, slots=True)
class Resumed:
    """What `resume_fleet` has ended."""

    pause: JsonObject | None
    """The pause's record; None if the fleet was not paused."""
    brakes: tuple[BrakeRecord, ...]
    """The brakes that were on."""
    problem: str
    """Why others may have been on, too; empty if these are all. They have ended as well."""

    @property
    def commands(self) -> list[str]:
        """What sends again what had failed, each command once: several workers fail for one cause."""
        return list(dict.fromkeys(command for brake in self.brakes for command in brake.commands))


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


def resume_fleet(state: State, *, letting_fail_s: float = 0) -> Resumed:
    """End a pause, and the brakes of all workers; what was ended. Raises StoreError.

    What remains is a record of a pause that has run out, also for workers of an earlier version, with a new mark. For so many
    seconds, no worker brakes again.
    """
    was = state.pause_record()
    brakes, problem = _brakes(state)
    record = {
        "reason": "resumed",
        "until_ms": 0,
        "resumed": secrets.token_hex(8),
        "lets_fail_until_ms": int((time.time() + letting_fail_s) * 1000) if letting_fail_s else 0,
    }
    state.put(PAUSE_KEY, orjson.dumps(record))
    return Resumed(was, tuple(brakes), problem)


def _brakes(state: State) -> tuple[list[BrakeRecord], str]:
    """The brakes that are on, and why there may be others: a role that may only pause and resume may still do that."""
    try:
        found, unread = read_brakes(state)
    except StoreError as error:
        return [], error.code
    return found, f"records not looked at: {unread}" if unread else ""
