"""Who did what to which messages: a log line, and a record under `s3-index-worker/audit/` in the state bucket."""

import getpass
import os
import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import orjson

from recovery.operations.dead_letters import DeadLetter
from worker.core.base.events import LogEvent
from worker.core.base.logs import emit
from worker.core.s3.state import CONTROL_PREFIX, State, dated
from worker.core.sqs.failure_record import lossless

AUDIT_PREFIX = CONTROL_PREFIX + "audit/"


def who() -> str:
    """The operator: user@host."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        user = str(os.getuid())
    return f"{user}@{os.uname().nodename}"


def new_run(command: str) -> str:
    """A name for one run of a command, sortable by time."""
    return f"{command}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"


def audit(
    state: State | None, action: str, *, run: str, ids: Sequence[str], result: Mapping[str, Any],
    dead_letters: Sequence[DeadLetter] = (), **details: Any,
) -> str:  # fmt: skip
    """Record a mutation; its key in the state bucket. Dead letters given are kept whole. Raises StoreError.

    Without a state bucket there is the log line alone, and the key is empty.
    """
    now = datetime.now(UTC)
    record = {
        "schema": 1,
        "action": action,
        "run": run,
        "by": who(),
        "at": now.isoformat(timespec="milliseconds"),
        **details,
        "ids": list(ids),
        "result": dict(result),
        "letters": [lossless(each.id, each.body, each.system, each.attributes) for each in dead_letters],
    }
    key = f"{AUDIT_PREFIX}{dated(int(now.timestamp() * 1000))}/{now:%H%M%S%f}-{action}-{secrets.token_hex(3)}.json"
    if state is None:
        key = ""
    else:
        state.put(key, orjson.dumps(record))
    emit(
        LogEvent.AUDIT_RECORDED,
        action=action,
        run=run,
        by=record["by"],
        count=len(ids),
        result=dict(result),
        record=key,
    )
    return key
