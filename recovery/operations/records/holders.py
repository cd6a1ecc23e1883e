"""Records in the state bucket of the runs that keep dead letters invisible at present, for `dlq stats`."""

import contextlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import orjson

from worker.core.audit import Run
from worker.core.base.errors import StoreError
from worker.core.s3.state import CONTROL_PREFIX, State

HOLDERS_PREFIX = CONTROL_PREFIX + "holders/"


@contextmanager
def register_holder(state: State | None, run: Run) -> Iterator[None]:
    """Within this context, a record says that this run holds dead letters. There is none if the state bucket is missing or fails.

    The record is named after the run, so that each of several runs in one process removes only its own.
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
    """Return the records of all runs that hold dead letters, and of those that were killed meanwhile. Raises StoreError."""
    found: list[dict[str, object]] = []
    for key in state.keys(HOLDERS_PREFIX):
        with contextlib.suppress(ValueError):
            record = orjson.loads(state.get(key) or b"null")
            if isinstance(record, dict):
                found.append(record)
    return found
