"""One message in, one outcome out, and not before the effect of each of its records is acknowledged."""

import json
import threading
from types import SimpleNamespace

import pytest

from testing.memory import Faults, MemoryS3
from worker.byte_budget import MemoryBudget
from worker.core.base.errors import BudgetError, ExtractionStoppedError, StoreError, UnreadableFileError
from worker.core.base.liveness import Liveness
from worker.core.index import WriteStatus
from worker.core.index.document import Write
from worker.core.indexing.pipeline import Product
from worker.core.sqs.in_flight import InFlightMessage
from worker.core.sqs.outcome import Done, Failed, Release
from worker.core.sqs.queue import Message
from worker.handler import LARGE_BODY, PARSING_FACTOR, Handler
from worker.memory import DOCUMENT_FACTOR, MEMORY_FACTOR
from worker.pause_gate import PauseGate
from worker.s3_health import S3Health

SIZE = 1_000
PARSING = 50_000
DOCUMENT = DOCUMENT_FACTOR * Write("files", "a.txt", 1, "etag", b"{}").size_bytes


class FakePipeline:
    """Makes a document of every object; `faults` holds, by key, an exception to raise or the file's fault."""

    def __init__(self):
        self.budget, self.used = MemoryBudget(2 * 10**9), []
        self.held, self.unholdable = [], set()
        self.faults, self.slow, self.gone, self.skipped, self.discarded = {}, set(), set(), set(), []

    def hold(self, bucket, key, error):
        if key in self.unholdable:
            raise StoreError("down", code="SlowDown")
        self.held.append((bucket, key, str(error)))

    def skip_reason(self, ref):
        return "inside EXCLUDE_KEYS" if ref.key in self.skipped else None

    def read(self, bucket, key, *, admit):
        admit(SIZE)
        if isinstance(self.faults.get(key), StoreError | BudgetError):
            raise self.faults[key]
        if key in self.gone:
            return Product(Write(bucket, key, 1, None, None))
        return SimpleNamespace(bucket=bucket, key=key, discard=lambda: self.discarded.append(key))

    def is_slow(self, snapshot):
        return snapshot.key in self.slow

    def memory_in_process(self, snapshot):
        return PARSING if snapshot.key.endswith(".html") else 0

    def document(self, snapshot):
        self.used.append(self.budget.used)
        fault = self.faults.get(snapshot.key)
        if fault is not None and not isinstance(fault, UnreadableFileError):
            raise fault
        return Product(Write(snapshot.bucket, snapshot.key, 1, "etag", b"{}"), fault)


class FakeBatcher:
    """Keeps what is submitted, for the test to acknowledge."""

    def __init__(self):
        self.submitted = []

    def submit(self, write, acknowledge):
        self.submitted.append((write.key, acknowledge))

    def acknowledge(self, status=WriteStatus.WRITTEN, error=None):
        for _, acknowledge in self.submitted:
            acknowledge(status, error)
        self.submitted = []


@pytest.fixture
def at():
    """A handler with its collaborators; as no object can be read, every denial is an outage."""
    made = SimpleNamespace(pipeline=FakePipeline(), batcher=FakeBatcher(), gate=PauseGate())
    made.budget = made.pipeline.budget
    made.s3_health = S3Health(MemoryS3(Faults()), made.gate, ask_state=lambda: None)
    made.handler = Handler(
        pipeline=made.pipeline, batcher=made.batcher, s3_health=made.s3_health, gate=made.gate, budget=made.budget,
        hold=made.pipeline.hold,
        default_bucket=None, spool_bytes=10**6, slow_threads=1,
    )  # fmt: skip
    yield made
    made.s3_health.close()


def record(key):
    return {"eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": "files"}, "object": {"key": key}}}


def handled(at, *keys, body=None, deadline_s=60):
    """The message after the handler has returned."""
    body = json.dumps({"Records": [record(key) for key in keys]}) if body is None else body
    item = InFlightMessage(Message("m", "r", body, {}, {}), deadline_s=deadline_s, settle=lambda _: None)
    item.start()
    at.handler.handle(item)
    return item


def test_a_message_is_settled_only_when_its_write_is_acknowledged(at):
    item = handled(at, "a.txt")
    assert not item.is_settling
    at.batcher.acknowledge()
    assert item.is_settling
    assert item.outcome == Done("indexed")
    assert item.subject == {"bucket": "files", "key": "a.txt"}


@pytest.mark.parametrize(
    ("status", "note"),
    [
        (WriteStatus.SUPERSEDED, "superseded"),
        (WriteStatus.UNAVAILABLE, "stored_for_retry"),
        (WriteStatus.REJECTED, "rejected_by_index"),
    ],
)
def test_what_the_index_does_not_take_is_done_once_it_is_stored_for_retry(at, status, note):
    item = handled(at, "a.txt")
    at.batcher.acknowledge(status)
    assert item.outcome == Done(note)


def test_a_write_that_is_durable_nowhere_releases_the_message_for_a_while(at):
    item = handled(at, "a.txt")
    at.batcher.acknowledge(WriteStatus.UNAVAILABLE, StoreError("disk full", code="InternalError"))
    assert isinstance(item.outcome, Release)
    assert item.outcome.delay_s >= 60
    assert "disk full" in item.outcome.reason


def test_an_object_that_is_gone_is_removed(at):
    at.pipeline.gone.add("a.txt")
    item = handled(at, "a.txt")
    at.batcher.acknowledge()
    assert item.outcome == Done("removed")


def test_an_unreadable_file_fails_its_message_once_its_document_is_acknowledged(at):
    fault = at.pipeline.faults["a.pdf"] = UnreadableFileError("it is encrypted")
    item = handled(at, "a.pdf")
    assert not item.is_settling
    at.batcher.acknowledge()
    assert item.outcome == Failed(fault)


def test_each_record_takes_effect_and_the_worst_outcome_counts(at):
    at.pipeline.faults["b.txt"] = StoreError("no bucket", code="NoSuchBucket")
    at.pipeline.skipped.add("c.txt")
    item = handled(at, "a.txt", "b.txt", "c.txt", "d.txt")
    assert [key for key, _ in at.batcher.submitted] == ["a.txt", "d.txt"]
    assert not item.is_settling
    at.batcher.acknowledge()
    assert item.outcome == Failed(at.pipeline.faults["b.txt"])
    assert item.subject == {"records": 4}


@pytest.mark.parametrize("body", ["not JSON", "[]", '{"Records": 7}'])
def test_a_body_that_is_no_event_fails(at, body):
    item = handled(at, body=body)
    assert isinstance(item.outcome, Failed)
    assert item.outcome.kind == "USER_ERROR"


def test_a_record_that_asks_for_nothing_is_done_with_the_reason(at):
    at.pipeline.skipped.add("a.txt")
    assert handled(at, "a.txt").outcome == Done("skipped: inside EXCLUDE_KEYS")


def test_a_bug_fails_the_message_and_keeps_its_error(at):
    bug = at.pipeline.faults["a.txt"] = KeyError("nobody foresaw this")
    item = handled(at, "a.txt")
    assert item.outcome == Failed(bug)
    assert item.outcome.kind == "SYSTEM_ERROR"


class PanicException(BaseException):
    """As a library in Rust raises it."""


@pytest.mark.parametrize("slow", [False, True])
def test_a_panic_fails_its_message_and_not_the_thread(at, slow):
    panic = at.pipeline.faults["a.pdf"] = PanicException("called `Result::unwrap()` on an `Err` value")
    if slow:
        at.pipeline.slow.add("a.pdf")
    item = handled(at, "a.pdf")
    at.handler.close()
    at.handler.run_slow(Liveness(60))
    assert item.outcome == Failed(panic)
    assert item.outcome.kind == "SYSTEM_ERROR"


def test_a_slow_file_is_left_to_the_thread_for_slow_files(at):
    at.pipeline.slow.add("a.pdf")
    item = handled(at, "a.pdf")
    assert at.batcher.submitted == []
    slow = threading.Thread(target=at.handler.run_slow, args=(Liveness(60),))
    slow.start()
    at.handler.close()
    slow.join(5)
    assert [key for key, _ in at.batcher.submitted] == ["a.pdf"]
    at.batcher.acknowledge()
    assert item.outcome == Done("indexed")


def test_a_slow_file_whose_turn_comes_after_the_deadline_goes_back_unread(at):
    at.pipeline.slow.add("a.pdf")
    item = handled(at, "a.pdf")
    item.deadline = 0
    at.handler.close()
    at.handler.run_slow(Liveness(60))
    assert isinstance(item.outcome, Release)
    assert item.outcome.delay_s >= 60
    assert item.outcome.reason == "held back to its deadline"
    assert (at.pipeline.discarded, at.batcher.submitted) == (["a.pdf"], [])


def test_a_message_that_waits_for_memory_at_its_deadline_goes_back(at):
    at.budget.bodies.take(10**9, until=float("inf"), stop=threading.Event())
    body = json.dumps({"Records": [record("a.txt")]})
    item = InFlightMessage(Message("m", "r", body, {}, {}), deadline_s=0.1, settle=lambda _: None)
    at.handler.handle(item)
    assert isinstance(item.outcome, Release)
    assert "memory" in item.outcome.reason


def test_memory_is_reserved_until_the_effect_is_durable(at):
    handled(at, "a.txt", "b.txt")
    assert at.pipeline.used == [MEMORY_FACTOR * SIZE, DOCUMENT + MEMORY_FACTOR * SIZE]
    assert at.budget.used == 2 * DOCUMENT
    at.batcher.acknowledge()
    assert at.budget.used == 0


def test_bodies_that_wait_for_a_parser_leave_room_for_the_documents_of_others(at):
    """In one budget, those that wait for room for a document would wait for those that wait for them."""
    at.pipeline.slow.add("a.pdf")
    item = handled(at, "a.pdf")
    at.budget.bodies.take(10**9 - MEMORY_FACTOR * SIZE, until=float("inf"), stop=threading.Event())
    at.handler.close()
    at.handler.run_slow(Liveness(60))
    assert [key for key, _ in at.batcher.submitted] == ["a.pdf"]
    assert at.budget.bodies.used == 10**9 - MEMORY_FACTOR * SIZE
    assert at.budget.documents.used == DOCUMENT
    at.batcher.acknowledge()
    assert at.budget.documents.used == 0
    assert item.outcome == Done("indexed")


def test_a_file_for_whose_parsing_there_is_no_room_is_discarded(at, monkeypatch):
    def fails(_snapshot):
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(at.pipeline, "memory_in_process", fails)
    item = handled(at, "a.html")
    assert isinstance(item.outcome, Release)
    assert at.pipeline.discarded == ["a.html"]


def test_what_parsing_takes_is_reserved_while_it_lasts(at):
    handled(at, "a.html", "b.txt")
    body = MEMORY_FACTOR * SIZE
    html = DOCUMENT + DOCUMENT_FACTOR * len("l")  # its name is longer
    assert at.pipeline.used == [body + PARSING, html + body]
    assert at.budget.used == html + DOCUMENT


def test_an_outage_of_s3_releases_what_waits_for_it_with_a_long_delay(at):
    at.gate.shut("s3", "S3 does not answer")
    body = json.dumps({"Records": [record("a.txt")]})
    item = InFlightMessage(Message("m", "r", body, {}, {}), deadline_s=0.1, settle=lambda _: None)
    at.handler.handle(item)
    assert isinstance(item.outcome, Release)
    assert item.outcome.delay_s >= 60
    assert "S3 does not answer" in item.outcome.reason


def test_extraction_that_is_stopped_at_shutdown_releases_the_message_at_once(at):
    at.pipeline.faults["a.pdf"] = ExtractionStoppedError("stopping")
    assert handled(at, "a.pdf").outcome == Release(0, "the worker stops")


def test_what_is_delivered_is_handled_unless_another_has_claimed_it(at):
    bodies = [json.dumps({"Records": [record(key)]}) for key in ("a.txt", "b.txt")]
    items = [
        InFlightMessage(Message(body, body, body, {}, {}), deadline_s=60, settle=lambda _: None) for body in bodies
    ]
    assert items[0].start(), "the shutdown was first"
    for item in items:
        at.handler.deliver(item)
    running = threading.Thread(target=at.handler.run, args=(Liveness(60),))
    running.start()
    for _ in range(500):
        if at.batcher.submitted:
            break
        threading.Event().wait(0.01)
    at.handler.stop()
    running.join(5)
    assert [key for key, _ in at.batcher.submitted] == ["b.txt"]


def test_a_large_message_is_parsed_within_the_memory_budget_and_its_records_do_not_hold_that(at, monkeypatch):
    used = []

    def parsed(body, *, default_bucket):
        used.append(at.budget.used)
        return []

    monkeypatch.setattr("worker.handler.parse", parsed)
    handled(at, body=" " * LARGE_BODY)
    handled(at, body=" " * (LARGE_BODY + 1))
    assert used == [0, PARSING_FACTOR * (LARGE_BODY + 1)]
    assert at.budget.used == 0


def test_a_large_message_for_which_there_is_no_memory_until_its_deadline_goes_back_to_the_queue(at):
    at.budget.bodies.take(10**9, until=0, stop=threading.Event())
    outcome = handled(at, body=" " * (LARGE_BODY + 1), deadline_s=0.05).outcome
    assert isinstance(outcome, Release)
    assert "memory" in outcome.reason


def test_an_object_that_is_not_to_be_in_the_index_is_skipped_once_its_removal_is_acknowledged(at):
    at.pipeline.gone.add("folder/")
    item = handled(at, "folder/")
    at.batcher.acknowledge()
    assert item.outcome == Done("removed")
    at.pipeline.read = lambda bucket, key, **_: Product(Write(bucket, key, 1, None, None), skipped="folder")
    item = handled(at, "folder/")
    at.batcher.acknowledge()
    assert item.outcome == Done("skipped: folder")


def test_a_large_message_that_waits_for_memory_when_the_worker_stops_goes_back_at_once(at):
    at.budget.bodies.take(10**9, until=0, stop=threading.Event())
    at.handler.stop()
    assert handled(at, body=" " * (LARGE_BODY + 1)).outcome == Release(0, "the worker stops")


def test_an_object_over_the_cap_of_its_prefix_is_held_and_its_message_is_done(at):
    at.pipeline.faults["a.txt"] = BudgetError("spent", scope="s3://files/")
    item = handled(at, "a.txt", "b.txt")
    at.batcher.acknowledge()
    assert at.pipeline.held == [("files", "a.txt", "spent")]
    assert isinstance(item.outcome, Done)


def test_an_object_that_cannot_be_held_goes_back_to_the_queue(at):
    at.pipeline.faults["a.txt"] = BudgetError("spent", scope="s3://files/")
    at.pipeline.unholdable.add("a.txt")
    outcome = handled(at, "a.txt").outcome
    assert isinstance(outcome, Release)
    assert outcome.delay_s >= 60


def test_an_object_over_a_cap_on_everything_goes_back_to_the_queue_and_is_not_held(at):
    at.pipeline.faults["a.txt"] = BudgetError("spent", scope="")
    outcome = handled(at, "a.txt").outcome
    assert isinstance(outcome, Release)
    assert outcome.delay_s >= 60
    assert at.pipeline.held == []
