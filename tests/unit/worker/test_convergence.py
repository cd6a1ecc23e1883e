"""Any order and duplication of events converges to what S3 holds: hypothesis against a model of S3, on a real index.

S3 is the model, since no server can be made to answer in every order; the index is SQLite with the versions of both.
"""

import tempfile
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from tests.support.size import sized
from tests.unit.worker.core.indexing.test_pipeline import NOON, Clock, SlowExtractor
from worker.core.base.errors import ObjectGoneError
from worker.core.index import WriteStatus
from worker.core.index.sqlite import SqliteIndex
from worker.core.indexing.pipeline import Pipeline, Product
from worker.core.s3.events import ObjectRef
from worker.core.s3.objects import Snapshot

KEYS = st.sampled_from(["a.txt", "経理/b.txt", "c"])


class ModelOfS3:
    """Keys and their etags, consistent after each write, with a clock that each step moves on."""

    def __init__(self):
        self.clock, self.bodies = Clock(), {}

    def read(self, bucket, key, *, admit=lambda _: None):
        if key not in self.bodies:
            raise ObjectGoneError(key)
        etag = self.bodies[key]
        return Snapshot(bucket, key, self.clock.now_ms(), 4, etag, NOON, None, None, {}, b"text")


class Convergence(RuleBasedStateMachine):
    """Objects change, each change sends an event, events are processed in any order and written in another."""

    events = Bundle("events")
    writes = Bundle("writes")

    def __init__(self):
        super().__init__()
        self.s3 = ModelOfS3()
        settings_: Any = SimpleNamespace(
            state="state", include_keys=(), exclude_keys=(), worker_name="w", max_content_chars=1000, spool_bytes=4096
        )
        s3: Any = self.s3
        extractor: Any = SlowExtractor(s3)
        self.pipeline = Pipeline(settings_, s3, extractor=extractor)
        self.folder = tempfile.TemporaryDirectory()
        self.index = SqliteIndex(Path(self.folder.name) / "index.db", timeout_s=5)
        self.index.ensure()
        self.unseen, self.unwritten, self.changes = [], [], 0

    def teardown(self):
        """Whatever is still in flight arrives; then the index holds what S3 holds."""
        for key in self.unseen:
            self.unwritten.append(self.observe_at(key))
        for write in reversed(self.unwritten):
            self.put(write)
        with closing(self.index):
            held = {key: self.index.stored([("b", key)])[0] for key in ("a.txt", "経理/b.txt", "c")}
            assert {key: found.state.etag for key, found in held.items() if found and found.state} == self.s3.bodies
        self.folder.cleanup()

    def observe_at(self, key):
        self.s3.clock.ms += 1
        found = self.pipeline.read("b", key)
        return (found if isinstance(found, Product) else self.pipeline.document(found)).write

    def put(self, write):
        [result] = self.index.write([write])
        assert result.status in {WriteStatus.WRITTEN, WriteStatus.SUPERSEDED}

    @rule(key=KEYS, removed=st.booleans(), target=events)
    def change(self, key, removed):
        self.s3.clock.ms += 1
        self.changes += 1
        if removed:
            self.s3.bodies.pop(key, None)
        else:
            self.s3.bodies[key] = f"e{self.changes}"
        self.unseen.append(key)
        return key

    @rule(key=events, target=writes)
    def observe(self, key):
        """An event is delivered, perhaps once more."""
        if key in self.unseen:
            self.unseen.remove(key)
        write = self.observe_at(ObjectRef("b", key).key)
        self.unwritten.append(write)
        return write

    @rule(write=consumes(writes))
    def write(self, write):
        self.unwritten.remove(write)
        self.put(write)

    @invariant()
    def the_clock_never_stands_still(self):
        assert self.s3.clock.ms >= 1_000_000 + self.changes


Convergence.TestCase.settings = settings(max_examples=sized(1_000, usual=40), stateful_step_count=30)
TestConvergence = Convergence.TestCase
