"""`retry-index/`: the writes that the index did not take, kept until a replay brings them in.

A record's name holds the time of its observation, so no name is used twice and a replay may delete what it has read.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import KW_ONLY, dataclass, field, replace
from datetime import UTC, datetime
from types import UnionType
from typing import Self

import orjson

from worker.core.base.concurrency import full_pool
from worker.core.base.errors import StoreError
from worker.core.base.events import LogEvent
from worker.core.base.jsontypes import JsonObject
from worker.core.base.logs import emit
from worker.core.base.names import is_bucket_name
from worker.core.base.settings import MIB
from worker.core.index import earlier_system
from worker.core.index.document import Write
from worker.core.s3.state import HELD_PREFIX, PARKED_PREFIX, RETRY_PREFIX, State, dated, fitting_key, safe_name

SCHEMA = 1
MAX_HISTORY = 10
STORE_THREADS = 8
LARGE_BYTES = 4 * MIB
_KINDS: dict[str, type | UnionType] = {
    "bucket": str, "key": str, "observed_at_ms": int, "etag": str | None, "removal": bool, "document": dict | None,
    "reason": str, "rejected": bool, "attempts": int, "history": list | None, "stored_at": str,
}  # fmt: skip
"""The type of each field of a stored record. One of another type could make the index refuse a whole bulk request."""


@dataclass(frozen=True, slots=True)
class RetryRecord:
    """One write that waits for a replay, and why."""

    write: Write
    reason: str
    _: KW_ONLY
    rejected: bool
    """The index rejected the document itself; otherwise the index was unavailable, or the observation too old."""
    attempts: int = 0
    """Replays that failed through the record's own fault."""
    history: tuple[dict[str, str], ...] = ()
    """When and why the last of these failed."""
    stored_at: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="milliseconds"))

    @property
    def name(self) -> str:
        """Its key in the state bucket."""
        return record_name(self.write.bucket, self.write.key, self.write.version)

    def as_json(self) -> bytes:
        """The record as it is stored: lossless."""
        write = self.write
        return orjson.dumps(
            {
                "schema": SCHEMA,
                "bucket": write.bucket,
                "key": write.key,
                "observed_at_ms": write.version,
                "etag": write.etag,
                "removal": write.is_removal,
                "document": None if write.source is None else orjson.Fragment(write.source),
                "reason": self.reason,
                "rejected": self.rejected,
                "attempts": self.attempts,
                "history": list(self.history),
                "stored_at": self.stored_at,
            }
        )

    def tried(self, reason: str) -> Self:
        """The record after one more replay that failed through its own fault."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        history = (*self.history, {"at": now, "reason": reason})[-MAX_HISTORY:]
        return replace(self, reason=reason, rejected=True, attempts=self.attempts + 1, history=history)

    @classmethod
    def from_json(cls, found: JsonObject) -> Self:
        """Read a stored record. Raises ValueError if it is none."""
        if found.get("schema") != SCHEMA:
            raise ValueError(f"not a retry record of schema {SCHEMA}")
        for name, kind in _KINDS.items():
            if not isinstance(found.get(name), kind):
                raise ValueError(f"not a retry record: its {name} is {str(found.get(name))[:100]!r}")  # noqa: TRY004 (a value)
        if not is_bucket_name(found["bucket"]):
            raise ValueError(
                f"not a retry record: its bucket is {found['bucket'][:100]!r}, which cannot be a bucket's name"
            )
        if not found["key"] or (found["document"] is None) is not found["removal"]:
            raise ValueError("not a retry record: it lacks its key or document")
        document = found["document"]
        if document is not None and (document.get("bucket"), document.get("file_key")) != (
            found["bucket"],
            found["key"],
        ):
            raise ValueError("not a retry record: its document is about another object")
        source = None if found["removal"] else orjson.dumps(document)
        write = Write(found["bucket"], found["key"], found["observed_at_ms"], found["etag"], source)
        history = tuple(found.get("history") or ())
        return cls(
            write, found["reason"], rejected=found["rejected"], attempts=found["attempts"], history=history,
            stored_at=found["stored_at"],
        )  # fmt: skip


def read_record(name: str, raw: bytes, *, default_bucket: str | None) -> RetryRecord:
    """What is stored under a name: a record, or what the earlier system stored in its place. Raises ValueError if it is neither."""
    found = orjson.loads(raw)
    if not isinstance(found, dict):
        raise ValueError("it is not a JSON object")  # noqa: TRY004 (what is wrong is the record's value)
    if "schema" in found:
        return RetryRecord.from_json(found)
    bucket, key = earlier_system.object_of(found, stored_as(name), default_bucket=default_bucket)
    stored_at = f"{stored_as(name)[:10]}T00:00:00+00:00"  # the day in its name is all that is known
    return RetryRecord(
        Write(bucket, key, 0, None, None), earlier_system.STORED_REASON, rejected=False, stored_at=stored_at
    )


class RetryStore:
    """Stores records in `retry-index/`, several at once. May be used from any thread."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._large = threading.Lock()
        """Large records are stored one at a time: each takes several times its size while it is sent."""
        self.last_stored = 0.0
        """When a document that the index did not reject was last stored, or may have been, in monotonic seconds. S3 may have
        stored it without its answer arriving, and such a record must not wait for the next outage."""
        self._pool = full_pool(STORE_THREADS, "store-for-retry")  # the last resort must not depend on a new thread

    def put_all(self, records: list[RetryRecord]) -> Iterator[StoreError | None]:
        """Store each; in order and as they are ready, None for each that is durable now, otherwise the error."""
        return self._pool.map(self._put, records)

    def close(self) -> None:
        """End the threads, without waiting for a request under way."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def put_as(self, name: str, record: RetryRecord) -> None:
        """Store a record under the given name. Raises StoreError."""
        metadata = {
            "observed-at-ms": str(record.write.version),
            "rejected": str(record.rejected).lower(),
            "reason": record.reason,
        }
        self._state.put(name, record.as_json(), metadata=metadata)

    def hold(self, bucket: str, key: str, observed_at_ms: int, *, scope: str, reason: str) -> None:
        """Store that an object is to be read once a cap, that of `scope`, has room again. Raises StoreError.

        The record is that of a removal: it holds no document, so a replay reads the object. Its name holds the moment, as
        every record's does: an event that comes while the record is replayed gets another.
        """
        record = RetryRecord(Write(bucket, key, observed_at_ms, None, None), reason, rejected=False)
        name = fitting_key(
            f"{HELD_PREFIX}{safe_name(scope)}/{dated(observed_at_ms)}/{bucket}/", key, f".{observed_at_ms}.json"
        )
        self.put_as(name, record)
        emit(LogEvent.BUDGET_HELD, bucket=bucket, key=key, reason=reason, name=name)

    def _put(self, record: RetryRecord) -> StoreError | None:
        write = record.write
        try:
            with self._large if write.size_bytes > LARGE_BYTES else nullcontext():
                self.put_as(record.name, record)
        except StoreError as error:
            return error
        finally:
            if not record.rejected:
                self.last_stored = time.monotonic()
        emit(
            LogEvent.INDEX_STORED_FOR_RETRY, "warning" if record.rejected else "info",
            bucket=write.bucket, key=write.key, rejected=record.rejected, reason=record.reason, name=record.name,
        )  # fmt: skip
        return None


def record_name(bucket: str, key: str, observed_at_ms: int) -> str:
    """`retry-index/YYYY-MM-DD/<bucket>/<key>.<observed ms>.json`; the record itself holds the exact key."""
    reserve = len(PARKED_PREFIX) - len(RETRY_PREFIX)
    return fitting_key(
        f"{RETRY_PREFIX}{dated(observed_at_ms)}/{bucket}/", key, f".{observed_at_ms}.json", reserve=reserve
    )


def parked_name(name: str) -> str:
    """The name under which a record is parked."""
    return PARKED_PREFIX + stored_as(name)


def held_for(name: str) -> str | None:
    """The scope of the cap for which a record is held, as `safe_name` writes it; None if the record is not held."""
    return name.removeprefix(HELD_PREFIX).partition("/")[0] if name.startswith(HELD_PREFIX) else None


def waiting_name(name: str) -> str:
    """The name under which a record is replayed without regard to caps."""
    return name if held_for(name) is None else RETRY_PREFIX + stored_as(name)


def stored_as(name: str) -> str:
    """The part of a record's name that stays the same when it is parked, or held."""
    if held_for(name) is not None:
        return name.removeprefix(HELD_PREFIX).partition("/")[2]
    return name.removeprefix(PARKED_PREFIX).removeprefix(RETRY_PREFIX)
