"""Queue, S3 and state bucket in memory, without delay, whose calls can be made to fail."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Any, TypeVar

from worker.core.base.clock import S3Clock
from worker.core.base.errors import IndexUnavailableError, ObjectGoneError, QueueError, StoreError
from worker.core.base.jsontypes import JsonObject
from worker.core.s3.objects import ListedObject, ListingPage, ObjectState, Snapshot, is_object_fault
from worker.core.s3.state import PAUSE_KEY, pause_in_force
from worker.core.sqs.queue import MAX_BATCH, Message, Refusal

BUCKET, STATE = "files", "state"
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
NOW_MS = 1_795_000_000_000
DOWN = StoreError("down", code="SlowDown")
SQS_DOWN = QueueError("down", code="ServiceUnavailable")
INDEX_DOWN = IndexUnavailableError("down")
T = TypeVar("T")


class Faults:
    """Makes calls fail: `after` calls of one name succeed, then `times` of them fail."""

    def __init__(self) -> None:
        self.plan: dict[str, tuple[int, int, BaseException]] = {}
        self.calls: list[str] = []

    def add(self, name: str, error: BaseException, *, after: int = 0, times: int = 1_000_000) -> None:
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
    """A queue in memory, without timeouts: what is received stays invisible until it is released."""

    def __init__(self, faults: Faults, name: str, refuses: Mapping[int, Refusal] | None = None) -> None:
        """`refuses`: by position, what every batch call refuses."""
        self.name, self.url = name, f"http://sqs/{name}"
        self.refuses = dict(refuses or {})
        self.changed: list[tuple[str, int]] = []
        """Receipt handles and seconds of each change of visibility."""
        self.also: dict[str, str] = {}  # further attributes
        self._faults = faults
        self.messages: dict[str, Message] = {}
        self.hidden: set[str] = set()
        self.sent = 0

    def add(self, message_id: str, body: str, attributes: Any = None, *, sent_ms: int | None = None) -> None:
        system = {"SentTimestamp": str(sent_ms or datetime.now(UTC).timestamp() * 1000).split(".")[0]}
        self.messages[message_id] = Message(message_id, f"r-{message_id}", body, system, attributes or {})

    def receive(self, *, wait_s: int, visibility_s: int, count: int = MAX_BATCH) -> list[Message]:
        self._faults.call(f"{self.name}.receive")
        found = [m for m in self.messages.values() if m.id not in self.hidden][:count]
        self.hidden |= {m.id for m in found}
        return found

    def delete(self, receipts: Sequence[str]) -> dict[int, Refusal]:
        self._faults.call(f"{self.name}.delete")
        for receipt in self._taken(receipts):
            self.messages.pop(receipt.removeprefix("r-"), None)
            self.hidden.discard(receipt.removeprefix("r-"))
        return self.refuses

    def send(self, entries: Sequence[Mapping[str, Any]]) -> dict[int, Refusal]:
        self._faults.call(f"{self.name}.send")
        for entry in self._taken(entries):
            self.sent += 1
            self.add(f"{self.name}-{self.sent}", entry["MessageBody"], entry["MessageAttributes"])
        return self.refuses

    def change_visibility(self, receipts: Sequence[tuple[str, int]]) -> dict[int, Refusal]:
        self._faults.call(f"{self.name}.hide")
        self.changed += (taken := self._taken(receipts))
        self.hidden -= {receipt.removeprefix("r-") for receipt, seconds in taken if not seconds}
        return self.refuses

    def _taken(self, entries: Sequence[T]) -> list[T]:
        return [entry for position, entry in enumerate(entries) if position not in self.refuses]

    def attributes(self) -> dict[str, str]:
        self._faults.call(f"{self.name}.attributes")
        held = len(self.hidden & self.messages.keys())
        return {
            "ApproximateNumberOfMessages": str(len(self.messages) - held),
            "ApproximateNumberOfMessagesNotVisible": str(held),
            "MessageRetentionPeriod": "1209600",
            **self.also,
        }

    def start_move(self, to_arn: str, *, per_second: int | None) -> str:
        """Begin a move, which never makes progress by itself."""
        self._faults.call(f"{self.name}.start_move")
        return "move-1"

    def move(self) -> dict[str, Any]:
        return {}

    def cancel_move(self, handle: str) -> None:
        self._faults.call(f"{self.name}.cancel_move")


class FixedClock(S3Clock):
    """S3's clock, which always shows NOW_MS."""

    @property
    def uncertainty_s(self) -> float:
        return 0.0

    def now_ms(self) -> int:
        return NOW_MS


class MemoryS3:
    """A bucket of objects (`bodies`, by key), and the records of the state bucket, which MemoryState reads and writes."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self.clock = FixedClock()
        self.bodies: dict[str, bytes] = {}
        self.modified: dict[str, datetime] = {}
        """By key, where it is not NOON."""
        self.records: dict[str, bytes] = {}
        self.page_size = 1_000
        self.denied: set[str] = set()
        self.denied_buckets: set[str] = set()

    def etag(self, key: str) -> str:
        return f"etag-{hash(self.bodies[key])}"

    def state(self, key: str) -> ObjectState:
        return ObjectState(self.etag(key), self.modified.get(key, NOON), None)

    def read(self, bucket: str, key: str, *, admit: Callable[[int], None] = lambda _: None) -> Snapshot:
        self._faults.call("s3.read")
        if bucket in self.denied_buckets:
            raise StoreError("denied", code="AccessDenied")
        if bucket != BUCKET:
            raise StoreError("no such bucket", code="NoSuchBucket")
        if key in self.denied:
            raise StoreError("denied", code="AccessDenied")
        if key not in self.bodies:
            raise ObjectGoneError(key)
        body = self.bodies[key]
        modified = self.modified.get(key, NOON)
        return Snapshot(bucket, key, NOW_MS, len(body), self.etag(key), modified, None, "text/plain", {}, body)

    def head(self, bucket: str, key: str) -> tuple[ObjectState | None, int]:
        self._faults.call("s3.head")
        return (self.state(key) if key in self.bodies else None), NOW_MS

    def is_object_fault(self, error: StoreError, bucket: str, key: str) -> bool:
        readable = bucket not in self.denied_buckets and bool(self.bodies.keys() - self.denied - {key})
        return is_object_fault(error, others_readable=lambda: readable)

    def answers_for(self, bucket: str, key: str) -> bool:
        return bucket == BUCKET and bucket not in self.denied_buckets and bool(self.bodies.keys() - self.denied)

    def check_bucket(self, bucket: str) -> None:
        self._faults.call("s3.check_bucket")

    def list_page(self, bucket: str, prefix: str, token: str | None) -> ListingPage:
        """Pages of `page_size`, in the order of `bodies`; the token is the number of the first object."""
        self._faults.call("s3.list")
        if bucket != BUCKET:
            raise StoreError("no such bucket", code="NoSuchBucket")
        keys = [key for key in self.bodies if key.startswith(prefix)]
        start = int(token or 0)
        found = [
            ListedObject(
                key, self.etag(key), len(self.bodies[key]), int(self.state(key).last_modified.timestamp() * 1000)
            )
            for key in keys[start : start + self.page_size]
        ]
        end = start + len(found)
        return ListingPage(found, str(end) if end < len(keys) else None)


class MemoryState:
    """The system's records, kept in a MemoryS3."""

    def __init__(self, s3: MemoryS3, faults: Faults, bucket: str = STATE) -> None:
        self._s3 = s3
        self._faults = faults
        self.bucket = bucket
        self.notifies: JsonObject = {}
        """What `notifications` answers."""

    def notifications(self) -> JsonObject:
        self._faults.call("state.notifications")
        return self.notifies

    def put(self, key: str, record: bytes, *, metadata: Mapping[str, str] | None = None) -> None:
        self._faults.call("state.put")
        self._s3.records[key] = record

    def get(self, key: str) -> bytes | None:
        return (self.get_with_etag(key) or (None,))[0]

    def get_with_etag(self, key: str) -> tuple[bytes, str] | None:
        self._faults.call("state.get")
        record = self._s3.records.get(key)
        return None if record is None else (record, _etag(record))

    def delete(self, key: str) -> None:
        self.delete_all([key])

    def delete_all(self, keys: Sequence[str]) -> None:
        if keys:
            self._faults.call("state.delete")
        for key in keys:
            self._s3.records.pop(key, None)

    def destroy(self, key: str, *, but_latest: bool = False) -> None:
        self._faults.call("state.destroy")
        if not but_latest:
            self._s3.records.pop(key, None)

    def keys(self, prefix: str) -> Iterator[str]:
        self._faults.call("state.list")
        yield from sorted(key for key in self._s3.records if key.startswith(prefix))

    def modified(self, prefix: str) -> Iterator[tuple[str, int]]:
        return ((key, self._s3.clock.now_ms()) for key in self.keys(prefix))

    def folders(self, prefix: str) -> Iterator[str]:
        rests = (key.removeprefix(prefix).partition("/") for key in self.keys(prefix))
        yield from dict.fromkeys(f"{prefix}{name}/" for name, slash, _ in rests if slash)

    def count(self, prefix: str, *, at_most: int) -> int:
        return sum(1 for _ in islice(self.keys(prefix), at_most))

    def claim(self, key: str, record: bytes, *, instead_of: str | None) -> str | None:
        self._faults.call("state.claim")
        present = self._s3.records.get(key)
        if instead_of != (None if present is None else _etag(present)):
            return None
        self._s3.records[key] = record
        return _etag(record)

    def calibrate_clock(self) -> None:
        """The clock is exact."""

    def pause_record(self) -> dict[str, Any] | None:
        record = self.get(PAUSE_KEY)
        return None if record is None else pause_in_force(record, self._s3.clock.now_ms())


def _etag(record: bytes) -> str:
    return f'"{hash(record)}"'
