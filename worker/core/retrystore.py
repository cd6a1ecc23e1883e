"""`retry-index/`: what the index could not take, kept until a replay brings it in.

A record's name holds the time of its look, so no name is used twice and a replay may delete what it has read.
"""

import hashlib
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self
from urllib.parse import quote

import orjson

from worker.core.document import Write, scrub
from worker.core.errors import StoreError
from worker.core.logs import emit
from worker.core.state import RETRY_PREFIX, State, dated

SCHEMA = 1
MAX_NAME_BYTES = 1024
MAX_SEGMENT_BYTES = 255
"""S3 allows longer segments, some of its likes (SeaweedFS) do not."""
MAX_REASON_CHARS = 300
STORE_THREADS = 8

_NOT_CARRIED = re.compile("[\x00-\x1f\x7f]|^/|/$|(?<=/)/|(?<![^/])\\.{1,2}(?![^/])")


@dataclass(frozen=True, slots=True)
class RetryRecord:
    """One write that waits, and why."""

    write: Write
    reason: str
    rejected: bool
    """The index refused the document itself; else the index was away."""
    attempts: int = 0

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
                "look_ms": write.version,
                "etag": write.etag,
                "removal": write.is_removal,
                "document": None if write.source is None else orjson.Fragment(write.source),
                "reason": self.reason,
                "rejected": self.rejected,
                "attempts": self.attempts,
                "stored_at": datetime.now(UTC).isoformat(timespec="milliseconds"),
            }
        )

    @classmethod
    def from_json(cls, raw: bytes) -> Self:
        """A stored record. Raises ValueError where it is not one of ours."""
        found = orjson.loads(raw)
        if not isinstance(found, dict) or found.get("schema") != SCHEMA:
            raise ValueError(f"not a retry record of schema {SCHEMA}")
        source = None if found["removal"] else orjson.dumps(found["document"])
        write = Write(found["bucket"], found["key"], found["look_ms"], found["etag"], source)
        return cls(write, found["reason"], found["rejected"], found["attempts"])


class RetryStore:
    """Stores records in `retry-index/`, several at once."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._pool = ThreadPoolExecutor(STORE_THREADS, thread_name_prefix="store-for-retry")

    def put_all(self, records: list[RetryRecord]) -> list[StoreError | None]:
        """Store each; in order, None for what is durable now, else why not."""
        return list(self._pool.map(self._put, records))

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown()

    def _put(self, record: RetryRecord) -> StoreError | None:
        write = record.write
        metadata = {
            "look-ms": str(write.version),
            "rejected": str(record.rejected).lower(),
            "reason": quote(scrub(record.reason), safe=" /:,._-()[]=")[:MAX_REASON_CHARS],
        }
        try:
            self._state.put(record.name, record.as_json(), metadata=metadata)
        except StoreError as error:
            return error
        emit(
            "index.stored_for_retry", "warning" if record.rejected else "info",
            bucket=write.bucket, key=write.key, rejected=record.rejected, reason=record.reason, name=record.name,
        )  # fmt: skip
        return None


def record_name(bucket: str, key: str, look_ms: int) -> str:
    """`retry-index/YYYY-MM-DD/<bucket>/<key>.<look ms>.json`, the key made fit for every S3 and every client.

    The record itself holds the exact key; here, what obstore would not carry is percent-encoded, and what is too long
    gets a hashed tail.
    """
    prefix = f"{RETRY_PREFIX}{dated(look_ms)}/{bucket}/"
    suffix = f".{look_ms}.json"
    name = _NOT_CARRIED.sub(lambda m: "".join(f"%{byte:02X}" for byte in m[0].encode()), key)
    room = MAX_NAME_BYTES - len(prefix) - len(suffix)
    last = len(name.rsplit("/", 1)[-1].encode()) + len(suffix)
    if len(name.encode()) > room or max(last, *(len(part.encode()) for part in name.split("/"))) > MAX_SEGMENT_BYTES:
        name = _shortened(name, room)
    return prefix + name + suffix


def _shortened(name: str, room: int) -> str:
    """The name's beginning, flattened, and a SHA-256 of the whole."""
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()
    keep = min(room, MAX_SEGMENT_BYTES - 24) - len(digest) - 1
    head = name.replace("/", "%2F").encode()[:keep].decode("utf-8", "ignore")
    return f"{head}~{digest}"
