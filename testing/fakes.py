"""One deployment in memory: for tests of what happens when any one call fails.

That the parts implement the protocols is checked by mypy, as Fakes makes a Clients of them.
"""

import functools
import json
from typing import Any

from recovery.operations.dead_letters.message_types import MessageTypes, load_types
from testing.aws import s3_event, s3_record
from testing.memory import BUCKET, NOW_MS, STATE, Faults, MemoryQueue, MemoryS3, MemoryState
from testing.memory_index import MemoryIndex
from worker.core.base.aws import Aws
from worker.core.base.settings import Settings, load
from worker.core.clients import Clients
from worker.core.s3.reindexing import ReindexWatch
from worker.core.sqs.dead_letter import DeadLetter
from worker.core.sqs.dead_letter_store import take_in
from worker.core.sqs.stored_dead_letter import StoredDeadLetter


@functools.cache
def included_types() -> MessageTypes:
    """The types that come with the product; their schemas are checked once."""
    return load_types(default_bucket=BUCKET)


class Fakes:
    """One deployment in memory."""

    def __init__(self) -> None:
        self.faults = Faults()
        self.source, self.dlq = MemoryQueue(self.faults, "source"), MemoryQueue(self.faults, "dlq")
        self.s3 = MemoryS3(self.faults)
        self.index = MemoryIndex(self.faults)
        self.state = MemoryState(self.s3, self.faults)
        watch = ReindexWatch(self.state, "files")
        self.clients = Clients(
            Aws(region="eu-central-1"), self.source, self.dlq, self.s3, self.state, self.index, watch
        )

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

    def store(self, message_id: str) -> StoredDeadLetter:
        """Move a dead letter from the DLQ to `dead-letters/`, as a worker or a manager does."""
        dead_letter = DeadLetter.received(self.dlq.messages.pop(message_id))
        stored, _ = take_in(self.state, dead_letter, at_ms=NOW_MS)
        return stored

    def document(self, key: str, *, status: str = "ok", **more: Any) -> dict[str, Any]:
        """What a document says of this object as S3 has it now; `more` adds or replaces fields."""
        state = self.s3.state(key)
        known = {
            "bucket": BUCKET,
            "file_key": key,
            "etag": state.etag,
            "last_modified": state.last_modified.isoformat(),
        }
        return {**known, "version_id": None, "extraction": {"status": status}, **more}

    def indexed(self, key: str, *, status: str = "ok") -> None:
        """The index holds this object as S3 has it now."""
        self.index.documents[BUCKET, key] = NOW_MS - 1000, self.document(key, status=status)
        self.index.versions[BUCKET, key] = NOW_MS - 1000

    def under(self, prefix: str) -> dict[str, dict[str, Any]]:
        """The state bucket's records under a prefix."""
        return {key: json.loads(body) for key, body in self.s3.records.items() if key.startswith(prefix)}
