"""Everything outside, in memory and without delay: for tests of what recovery does when any one call fails."""

import json
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import orjson

from testing.aws import s3_event, s3_record
from worker.core.base.errors import IndexUnavailableError, ObjectGoneError, QueueError, StoreError
from worker.core.base.settings import Settings, load
from worker.core.clients import Clients
from worker.core.index import IndexState, Stored, WriteResult, WriteStatus
from worker.core.index.document import Write
from worker.core.s3.objects import ObjectStore, Snapshot
from worker.core.s3.state import State
from worker.core.sqs.queue import Message, Refusal

BUCKET, STATE = "files", "state"
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
NOW_MS = 1_795_000_000_000


class Faults:
    """Makes calls fail: `after` calls of one name go well, then `times` of them fail."""

    def __init__(self) -> None:
        self.plan: dict[str, tuple[int, int, Exception]] = {}
        self.calls: list[str] = []

    def add(self, name: str, error: Exception, *, after: int = 0, times: int = 1_000_000) -> None:
        self.plan[name] = (after, times, error)

    def call(self, name: str) -> None:
        self.calls.append(name)
        if name in self.plan:
            after, times, error = self.plan[name]
            if after:
                self.plan[name] = (after - 1, times, error)
            elif times:
                self.plan[name] = (after, times - 1, error)
                raise error


class MemoryQueue:
    """A queue without time: what is received stays hidden until it is released."""

    def __init__(self, faults: Faults, name: str) -> None:
        self.url = f"http://sqs/{name}"
        self.name = name
        self._faults = faults
        self.messages: dict[str, Message] = {}
        self.hidden: set[str] = set()
        self.sent = 0

    def add(self, message_id: str, body: str, attributes: Any = None, *, sent_ms: int | None = None) -> None:
        system = {"SentTimestamp": str(sent_ms or datetime.now(UTC).timestamp() * 1000).split(".")[0]}
        self.messages[message_id] = Message(message_id, f"r-{message_id}", body, system, attributes or {})

    def receive(self, *, wait_s: int, visibility_s: int, count: int = 10) -> list[Message]:
        self._faults.call(f"{self.name}.receive")
        found = [m for m in self.messages.values() if m.id not in self.hidden][:count]
        self.hidden |= {m.id for m in found}
        return found

    def delete(self, receipts: list[str]) -> dict[int, Refusal]:
        self._faults.call(f"{self.name}.delete")
        for receipt in receipts:
            self.messages.pop(receipt.removeprefix("r-"), None)
            self.hidden.discard(receipt.removeprefix("r-"))
        return {}

    def send(self, entries: list[dict[str, Any]]) -> dict[int, Refusal]:
        self._faults.call(f"{self.name}.send")
        for entry in entries:
            self.sent += 1
            self.add(f"{self.name}-{self.sent}", entry["MessageBody"], entry["MessageAttributes"])
        return {}

    def change_visibility(self, receipts: list[tuple[str, int]]) -> dict[int, Refusal]:
        self._faults.call(f"{self.name}.hide")
        self.hidden -= {receipt.removeprefix("r-") for receipt, seconds in receipts if not seconds}
        return {}

    def attributes(self) -> dict[str, str]:
        self._faults.call(f"{self.name}.attributes")
        waiting, held = (
            len(self.messages) - len(self.hidden & self.messages.keys()),
            len(self.hidden & self.messages.keys()),
        )
        return {
            "ApproximateNumberOfMessages": str(waiting), "ApproximateNumberOfMessagesNotVisible": str(held),
            "MessageRetentionPeriod": "1209600",
        }  # fmt: skip


class MemoryS3:
    """Both what the worker reads and its state bucket; the state's methods are those of boto3 that State calls."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self.clock = SimpleNamespace(now_ms=lambda: NOW_MS, uncertainty_s=0.0)
        self.holds: dict[str, bytes] = {}
        self.records: dict[str, bytes] = {}
        self.denied: set[str] = set()
        self.s3 = self

    def etag(self, key: str) -> str:
        return f"etag-{hash(self.holds[key])}"

    def read(self, bucket: str, key: str, *, admit: Any = lambda _: None) -> Snapshot:
        self._faults.call("s3.read")
        if bucket != BUCKET:
            raise StoreError("no such bucket", code="NoSuchBucket")
        if key in self.denied:
            raise StoreError("denied", code="AccessDenied")
        if key not in self.holds:
            raise ObjectGoneError(key)
        body = self.holds[key]
        return Snapshot(bucket, key, NOW_MS, len(body), self.etag(key), NOON, None, "text/plain", {}, body)

    def head(self, bucket: str, key: str) -> tuple[str | None, int]:
        self._faults.call("s3.head")
        return (self.etag(key) if key in self.holds else None), NOW_MS

    def is_object_fault(self, error: StoreError, bucket: str, key: str) -> bool:
        return ObjectStore.is_object_fault(self, error, bucket, key)  # type: ignore[arg-type]

    def others_readable(self, bucket: str, key: str) -> bool:
        return bool(self.holds.keys() - self.denied - {key})

    def check_bucket(self, bucket: str) -> None:
        self._faults.call("s3.check_bucket")

    # what State uses

    def put(self, bucket: str, key: str, body: bytes, *, metadata: Any) -> None:
        self._faults.call("state.put")
        self.records[key] = body

    def put_object(self, **call: Any) -> dict[str, Any]:
        self._faults.call("state.claim")
        key, body = call["Key"], call["Body"]
        present = f'"{hash(self.records[key])}"' if key in self.records else None
        if (present and "IfNoneMatch" in call) or call.get("IfMatch", present) != present:
            raise StoreError("another was first", code="PreconditionFailed")
        self.records[key] = body
        return {"ETag": f'"{hash(body)}"'}

    def peek(self, bucket: str, key: str) -> None:
        """Nothing comes cheaper here."""

    def get_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: N803 (boto3's names)
        self._faults.call("state.get")
        if Key not in self.records:
            raise StoreError("no such key", code="NoSuchKey")
        body = self.records[Key]
        return {"Body": SimpleNamespace(read=lambda: body), "ETag": f'"{hash(body)}"'}

    def delete_object(self, *, Bucket: str, Key: str) -> None:  # noqa: N803
        self._faults.call("state.delete")
        self.records.pop(Key, None)

    def delete_objects(self, *, Bucket: str, Delete: Any) -> dict[str, Any]:  # noqa: N803
        self._faults.call("state.delete")
        for one in Delete["Objects"]:
            self.records.pop(one["Key"], None)
        return {}

    def get_paginator(self, _name: str) -> Any:
        def paginate(Prefix: str, **_: Any) -> Any:  # noqa: N803
            self._faults.call("state.list")
            yield {"Contents": [{"Key": key} for key in sorted(self.records) if key.startswith(Prefix)]}

        return SimpleNamespace(paginate=paginate)


class MemoryIndex:
    """External versions, and documents that it will never take."""

    description = "an index in memory"

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self.documents: dict[tuple[str, str], tuple[int, dict[str, Any]]] = {}
        self.versions: dict[tuple[str, str], int] = {}
        self.rejects: set[str] = set()
        self.rejects_all = False
        self.unavailable: set[str] = set()
        """Keys whose documents it does not take now, each time anew."""

    def ping(self) -> None:
        self._faults.call("index.ping")

    def ensure(self) -> IndexState:
        return IndexState()

    inspect = ensure

    def write(self, writes: list[Write]) -> list[WriteResult]:
        self._faults.call("index.write")
        return [self._write(write) for write in writes]

    def _write(self, write: Write) -> WriteResult:
        name = write.bucket, write.key
        if write.key in self.unavailable:
            return WriteResult(WriteStatus.UNAVAILABLE, "429: rejected_execution_exception")
        if write.key in self.rejects or self.rejects_all:
            return WriteResult(WriteStatus.REJECTED, "mapper_parsing_exception: failed to parse")
        if self.versions.get(name, 0) > write.version:
            return WriteResult(WriteStatus.SUPERSEDED)
        self.versions[name] = write.version
        if write.source is None:
            self.documents.pop(name, None)
        else:
            self.documents[name] = write.version, orjson.loads(write.source)
        return WriteResult(WriteStatus.WRITTEN)

    def stored(self, objects: list[tuple[str, str]]) -> list[Stored | None]:
        self._faults.call("index.stored")
        found = [self.documents.get(name) for name in objects]
        return [
            None if one is None else Stored(one[1]["etag"], one[0], one[1]["extraction"]["status"]) for one in found
        ]

    def close(self) -> None:
        pass


class Fakes:
    """One deployment in memory."""

    def __init__(self) -> None:
        self.faults = Faults()
        self.source, self.dlq = MemoryQueue(self.faults, "source"), MemoryQueue(self.faults, "dlq")
        self.s3 = MemoryS3(self.faults)
        self.index = MemoryIndex(self.faults)
        self.state = State(self.s3, STATE)  # type: ignore[arg-type]
        self.clients = Clients(None, self.source, self.dlq, self.s3, self.state, self.index)  # type: ignore[arg-type]

    def settings(self, **more: Any) -> Settings:
        return load(
            sqs_queue_url="http://sqs/q/source", dlq_queue_url="http://sqs/q/dlq", s3_bucket=BUCKET, state_bucket=STATE,
            index_url="http://index:9200", **more,
        )  # fmt: skip

    def dead_letter(
        self, message_id: str, key: str, *, bucket: str = BUCKET, failure: Any = None, sent_ms: int | None = None
    ) -> None:
        """A dead letter about an object."""
        attributes = {"failure": {"DataType": "String", "StringValue": json.dumps(failure)}} if failure else {}
        self.dlq.add(message_id, s3_event(s3_record(bucket, key)), attributes, sent_ms=sent_ms)

    def indexed(self, key: str, *, status: str = "ok") -> None:
        """The index holds this object as S3 has it now."""
        document = {"etag": self.s3.etag(key), "extraction": {"status": status}}
        self.index.documents[BUCKET, key] = NOW_MS - 1000, document
        self.index.versions[BUCKET, key] = NOW_MS - 1000

    def under(self, prefix: str) -> dict[str, dict[str, Any]]:
        """The state bucket's records under a prefix."""
        return {key: json.loads(body) for key, body in self.s3.records.items() if key.startswith(prefix)}


DOWN = StoreError("down", code="SlowDown")
SQS_DOWN = QueueError("down", code="ServiceUnavailable")
INDEX_DOWN = IndexUnavailableError("down")
