"""Who keeps dead letters invisible just now: a small record in the state bucket for each run, for `dlq stats`."""

import contextlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import orjson

from recovery.operations.run import Run
from worker.core.base.errors import StoreError
from worker.core.s3.state import CONTROL_PREFIX, State

HOLDERS_PREFIX = CONTROL_PREFIX + "holders/"


@contextmanager
def holding(state: State | None, run: Run) -> Iterator[None]:
    """Say that this run holds dead letters, while this lasts. Nothing is said where there is no state bucket, or it refuses.

    The record has the run's name, so that of two runs in one process the first to end removes its own.
    """
    if state is None:
        yield
        return
    key = f"{HOLDERS_PREFIX}{run.name}.json"
    record = {
        "command": run.command,
        "by": run.by,
        "host": os.uname().nodename,
        "pid": os.getpid(),
        "since": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    with contextlib.suppress(StoreError):
        state.put(key, orjson.dumps(record))
    try:
        yield
    finally:
        with contextlib.suppress(StoreError):
            state.delete(key)


def holders(state: State) -> list[dict[str, object]]:
    """The records of those who hold dead letters now, and of those who were killed while they did. Raises StoreError."""
    found: list[dict[str, object]] = []
    for key in state.keys(HOLDERS_PREFIX):
        with contextlib.suppress(ValueError):
            record = orjson.loads(state.get(key) or b"null")
            if isinstance(record, dict):
                found.append(record)
    return found
