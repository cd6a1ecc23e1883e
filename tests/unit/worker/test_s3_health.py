"""Telling an outage of S3 from the fault of one object."""

import threading
import time

import pytest

from testing.memory import BUCKET, Faults, MemoryS3
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
        self.health = S3Health(self.objects, self.gate)

    def __call__(self, what, *, within_s=5.0):
        return self.health.read(what, bucket=BUCKET, key="k", until=time.monotonic() + within_s, stop=self.stop)


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


def test_failures_in_a_row_are_an_outage_that_shuts_the_gate_and_is_waited_for(read):
    for _ in range(FAILURES - 1):
        with pytest.raises(StoreError):
            read(refuse(DENIED))
        assert read.gate.is_open
    with pytest.raises(OutageError, match="held back: S3 does not answer"):
        read(refuse(DENIED), within_s=0.1)
    assert list(read.gate.reasons) == ["s3"]


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
