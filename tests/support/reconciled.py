"""A bucket in memory, and everything that may hold its objects: for the tests of `reconcile`."""

import json
import threading
from contextlib import closing
from datetime import UTC, datetime

from recovery.operations.reconcile import reconcile, work_on
from recovery.operations.reconciling.request import ReconcileRequest
from testing.memory import BUCKET, NOW_MS
from worker.core.audit import Run
from worker.core.index.document import Write, encode
from worker.core.indexing.retry_store import RetryRecord, RetryStore, parked_name
from worker.core.s3.objects import Place
from worker.core.s3.reconciled import ReconciledBucket, read_reconciled_bucket

RUN = Run("run-1", "reconcile_index", "reconcile", "ann@host")
OLD_MS = NOW_MS - 86_400_000


def at(ms):
    return datetime.fromtimestamp(ms / 1000, UTC)


def iso(ms):
    return at(ms).isoformat()


class Scene:
    """A bucket, and everything that may hold its objects."""

    def __init__(self, fakes, folder):
        self.fakes, self.folder = fakes, folder
        self.settings = fakes.settings()

    def put(self, key, body=b"x", *, modified_ms=OLD_MS):
        self.fakes.s3.bodies[key] = body
        self.fakes.s3.modified[key] = at(modified_ms)

    def indexed(self, key, **more):
        self.fakes.index.documents[BUCKET, key] = NOW_MS - 1000, self.fakes.document(key, **more)

    def record(self, key, *, etag=None, parked=False, at_ms=NOW_MS - 5000):
        write = Write(BUCKET, key, at_ms, etag, encode({"bucket": BUCKET, "file_key": key}))
        record = RetryRecord(write, "why", rejected=True, stored_at=iso(at_ms))
        name = parked_name(record.name) if parked else record.name
        self.fakes.s3.records[name] = record.as_json()

    def held(self, key, *, at_ms=NOW_MS - 5000):
        with closing(RetryStore(self.fakes.state)) as store:
            store.hold(BUCKET, key, at_ms, scope=f"s3://{BUCKET}/", reason="the budget is used up")

    def dead(self, name, key, *, etag=None, failed_ms=NOW_MS - 5000):
        failure = {"schema": 1, "kind": "USER_ERROR", "error_type": "E", "last_failed_at": iso(failed_ms)}
        attributes = {"failure": {"DataType": "String", "StringValue": json.dumps(failure)}}
        self.fakes.dlq.add(name, self.body(key, etag), attributes, sent_ms=OLD_MS - 1000)

    def body(self, key, etag):
        detail = {"bucket": {"name": BUCKET}, "object": {"key": key, **({"etag": etag} if etag else {})}}
        return json.dumps({"source": "aws.s3", "detail-type": "Object Created", "detail": detail})

    def archived(self, name, key, *, etag=None, failed_ms=NOW_MS - 5000, archived_ms=NOW_MS - 1000, restored=False):
        failure = {"schema": 1, "kind": "USER_ERROR", "error_type": "E", "last_failed_at": iso(failed_ms)}
        mark = {"done": True, "at": "", "by": "", "run": "", "to": ""} if restored else None
        record = {
            "message_id": name, "body": self.body(key, etag), "system_attributes": {"SentTimestamp": str(OLD_MS - 1000)},
            "message_attributes": {}, "reason": "r", "error_type": "e", "archived_at": iso(archived_ms), "by": "b", "run": "r",
            "queue": "q", "restored": mark, "failure": failure,
        }  # fmt: skip
        self.fakes.s3.records[f"dlq-archive/2026-01-01/{name}.json"] = json.dumps(record).encode()

    def request(self, prefix="", **more):
        return ReconcileRequest(RUN, Place(BUCKET, prefix), **more)

    def run(self, prefix="", *, stop=None, while_open=lambda _: None, **more):
        request = self.request(prefix, **more)
        with work_on(self.settings, self.fakes.clients, request, self.folder) as work:
            result = reconcile(self.settings, self.fakes.clients, request, work, stop=stop or threading.Event())
            while_open(work)
        return result

    def recorded(self) -> ReconciledBucket:
        """The record of the bucket."""
        found = read_reconciled_bucket(self.fakes.state, BUCKET)
        assert found is not None
        return found

    def states(self, *args, **more):
        return {state.value: count for state, count in self.run(*args, **more).states.items() if count}
