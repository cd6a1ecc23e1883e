"""Who holds dead letters just now: a small record in the state bucket while a command runs, for `dlq stats`."""

import contextlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import orjson

from recovery.operations.audit import who
from worker.core.base.errors import StoreError
from worker.core.s3.state import CONTROL_PREFIX, State

HOLDERS_PREFIX = CONTROL_PREFIX + "holders/"


@contextmanager
def holding(state: State | None, command: str) -> Iterator[None]:
    """Say who holds letters, while this lasts. Without a state bucket, or where it refuses, nothing is said."""
    key = f"{HOLDERS_PREFIX}{os.uname().nodename}-{os.getpid()}.json"
    record = {
        "command": command,
        "by": who(),
        "host": os.uname().nodename,
        "pid": os.getpid(),
        "since": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    if state is not None:
        with contextlib.suppress(StoreError):
            state.put(key, orjson.dumps(record))
    try:
        yield
    finally:
        if state is not None:
            with contextlib.suppress(StoreError):
                state.delete(key)


def holders(state: State) -> list[dict[str, Any]]:
    """The records of those who hold letters now, and of those who were killed while they did. Raises StoreError."""
    found = []
    for key in state.keys(HOLDERS_PREFIX):
        with contextlib.suppress(ValueError):
            record = orjson.loads(state.get(key) or b"null")
            if isinstance(record, dict):
                found.append(record)
    return found
