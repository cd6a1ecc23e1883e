"""Telling an outage of S3 from the fault of one object."""

import threading
import time
from contextlib import nullcontext

import pytest

from testing.memory import BUCKET, Faults, MemoryS3
from testing.waiting import wait_until
from worker import s3_health
from worker.core.base.errors import OutageError, StoreError
from worker.core.s3.objects import is_object_fault
from worker.core.sqs.outcome import Failed
from worker.pause_gate import PauseGate
from worker.s3_health import FAILURES, S3Health

DENIED = StoreError("x", code="AccessDenied")


class Reader:
    """Reads the only object that may be denied, through an S3Health."""

    def __init__(self):
        self.objects, self.gate, self.stop = MemoryS3(Faults()), PauseGate(), threading.Event()
        self.state_error: StoreError | None = None
        self.health = S3Health(self.objects, self.gate, ask_state=self.ask_state)

    def ask_state(self):
        if self.state_error is not None:
            raise self.state_error

    def __call__(self, what, *, within_s=5.0, bucket=BUCKET):
        return self.health.read(
            what, bucket=bucket, key="k", until=time.monotonic() + within_s, stop=self.stop, waiting=nullcontext
        )


@pytest.fixture
def read():
    made = Reader()
    yield made
    made.health.close()


def refuse(error):
    def refused():
        raise error

    return refused


@pytest.mark.parametrize(
    ("code", "others", "own"),
    [
        ("AccessDenied", True, True),
        ("AccessDenied", False, False),
        ("NoSuchBucket", False, True),
        ("SlowDown", True, False),
        ("ExpiredToken", True, False),
        ("RequestTimeTooSkewed", True, False),
        ("404", False, False),
        ("SomethingNew", True, True),
        ("InvalidRequest", False, True),
        ("ParamValidationError", False, True),
        ("KMS.DisabledException", False, False),
        ("SomethingNew", False, False),
    ],
)
def test_a_denied_object_is_at_fault_only_where_others_can_be_read(code, others, own):
    assert is_object_fault(StoreError("x", code=code), others_readable=lambda: others) is own


def test_what_was_read_is_returned(read):
    assert read(lambda: "body") == "body"


def test_an_object_at_fault_fails_alone_and_counts_for_no_outage(read):
    read.objects.bodies["another"] = b"readable"
    for _ in range(FAILURES):
        assert read(refuse(DENIED)) == Failed(DENIED)
    assert read.gate.is_open


def fail(read, times, **options):
    for _ in range(times):
        with pytest.raises(StoreError):
            read(refuse(DENIED), **options)


def test_failures_in_a_row_hold_back_their_bucket_alone(read):
    fail(read, FAILURES)
    assert read.gate.is_open
    assert read.health.held_back == {BUCKET: "x"}
    with pytest.raises(OutageError, match=f"nothing in s3://{BUCKET} can be read: x"):
        read(lambda: "not even tried")
    assert read(lambda: "body", bucket="another") == "body"


def test_a_bucket_that_can_be_read_again_is_held_back_no_more(read, monkeypatch):
    monkeypatch.setattr(s3_health, "PROBE_S", 0.01)
    fail(read, FAILURES)
    read.objects.bodies["k"] = b"readable"
    wait_until(lambda: not read.health.held_back, 5, "the probe")
    assert read(lambda: "body") == "body"
    fail(read, FAILURES - 1)
    assert not read.health.held_back, "its count began again"


def test_when_no_bucket_and_not_even_the_state_bucket_answers_everything_waits_for_s3(read, monkeypatch):
    monkeypatch.setattr(s3_health, "PROBE_S", 0.01)
    read.state_error = DENIED
    fail(read, FAILURES - 1)
    with pytest.raises(OutageError, match="held back: S3 does not answer"):
        read(refuse(DENIED), within_s=0.1)
    assert list(read.gate.reasons) == ["s3"]
    read.state_error = None
    wait_until(lambda: read.gate.is_open, 5, "the state bucket")
    assert list(read.health.held_back) == [BUCKET]


def test_s3_is_not_unavailable_while_another_bucket_can_be_read(read):
    read.state_error = DENIED
    read.objects.bodies["k"] = b"readable"
    assert read(lambda: "body") == "body"
    read.objects.denied_buckets.add("denied")
    fail(read, FAILURES, bucket="denied")
    assert read.gate.is_open
    assert list(read.health.held_back) == ["denied"]


def test_any_number_of_buckets_may_fail(read, monkeypatch):
    monkeypatch.setattr(s3_health, "MAX_BUCKETS", 8)
    for number in range(50):
        fail(read, 1, bucket=f"bucket-{number}")
    assert len(read.health._failing) <= 8


def test_a_read_that_succeeds_ends_the_row_of_failures(read):
    for _ in range(2):
        for _ in range(FAILURES - 1):
            with pytest.raises(StoreError):
                read(refuse(DENIED))
        read(lambda: "body")
    assert read.gate.is_open


def test_a_read_waits_for_the_gate_and_goes_on_when_it_opens(read):
    read.gate.shut("paused", "paused by an operator")
    threading.Timer(0.1, read.gate.clear, ["paused"]).start()
    assert read(lambda: "body") == "body"


def test_a_stop_ends_the_wait(read):
    read.gate.shut("paused", "paused by an operator")
    read.stop.set()
    with pytest.raises(OutageError, match="paused by an operator"):
        read(lambda: "body")


def test_more_buckets_than_may_be_are_not_held_back_but_tried_each_time(read, monkeypatch):
    monkeypatch.setattr(s3_health, "MAX_BUCKETS", 4)
    for number in range(20):
        fail(read, FAILURES, bucket=f"bucket-{number}")
    assert len(read.health._failing) == len(read.health.held_back) == 4
    fail(read, 1, bucket="bucket-19")


def test_of_two_buckets_that_come_back_together_a_late_answer_of_the_state_bucket_shuts_no_gate(read, monkeypatch):
    monkeypatch.setattr(s3_health, "PROBE_S", 0.05)
    for bucket in ("a-files", "b-files"):
        fail(read, FAILURES, bucket=bucket)
    read.state_error = DENIED
    answers = iter([0.5, *[0.0] * 1_000])

    def ask_slowly():
        time.sleep(next(answers))
        raise DENIED

    monkeypatch.setattr(read.health, "_ask_state", ask_slowly)
    monkeypatch.setattr(read.objects, "answers_for", lambda _bucket, _key: True)
    wait_until(lambda: not read.health.held_back, 5, "both buckets")
    time.sleep(0.7)
    assert read.gate.is_open
