"""How a recovery ends: on errors that nobody foresaw, between two batches, and at its limits."""

import threading
import time

import pytest

from recovery.operations.dead_letters.message_types import load_types
from recovery.operations.engine import Disposition
from recovery.operations.progress import ignore_progress
from recovery.operations.recovering.recovery_run import RecoveryRun
from recovery.operations.recovering.request import RecoverRequest
from testing.memory import INDEX_DOWN, SQS_DOWN
from worker.core.audit import Run
from worker.core.base.errors import IndexUnavailableError, QueueError
from worker.core.sqs import dead_letter_store
from worker.core.sqs.dead_letter import DeadLetter
from worker.core.sqs.failure_record import FailureRecord
from worker.core.sqs.queue import Refusal

pytestmark = pytest.mark.timeout(60)


def run(fakes, *, stop=None, on_progress=ignore_progress, **options):
    request = RecoverRequest(Run.new("recover_dlq", action="recover", by="me@here"), load_types(), **options)
    return RecoveryRun(
        fakes.settings(), fakes.clients, request, stop=stop or threading.Event(), on_progress=on_progress
    ).run()


def fill(fakes, count):
    for number in range(count):
        fakes.s3.bodies[f"{number}.txt"] = b"x"
        fakes.dead_letter(f"m{number}", f"{number}.txt")


def test_an_error_that_nobody_foresaw_ends_the_run_and_releases_everything(fakes):
    fill(fakes, 30)
    fakes.faults.add("index.stored", MemoryError())
    with pytest.raises(MemoryError):
        run(fakes, batch_size=5)
    assert (len(fakes.dlq.messages), fakes.dlq.hidden) == (30, set())


def test_a_progress_callback_that_raises_ends_the_run_and_releases_everything(fakes):
    fill(fakes, 30)

    def gone(now):
        if now.done:
            raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        run(fakes, batch_size=5, on_progress=gone)
    assert not fakes.dlq.hidden


def test_a_stop_is_heeded_by_a_batch_that_waits_for_its_turn(fakes):
    fill(fakes, 200)
    stop = threading.Event()
    done: list[int] = []

    def stop_at(now):
        done.append(now.done)
        if now.done >= 110:  # the run is trusted: every lane waits for its turn
            stop.set()

    report = run(fakes, batch_size=10, rate=100, stop=stop, on_progress=stop_at)
    assert report.handled <= 120
    assert not fakes.dlq.hidden


def test_a_failure_ends_the_waits_of_the_other_lanes(fakes):
    fill(fakes, 200)
    fakes.faults.add("index.write", INDEX_DOWN, after=11)
    began = time.monotonic()
    report = run(fakes, batch_size=10, rate=50)
    assert isinstance(report.failure, IndexUnavailableError)
    assert time.monotonic() - began < 110 / 50 + 2
    assert not fakes.dlq.hidden


def test_stored_dead_letters_count_towards_the_maximum_number_of_batches(fakes):
    for number in range(30):
        fakes.s3.bodies[f"{number}.txt"] = b"x"
        fakes.dead_letter(f"m{number}", f"{number}.txt")
        dead_letter_store.put(fakes.state, DeadLetter.received(fakes.dlq.messages.pop(f"m{number}")), FailureRecord())
    assert run(fakes, batch_size=10, max_batches=1).handled == 10
    assert run(fakes, batch_size=15, max_batches=1).handled == 15
    assert run(fakes).counts == {Disposition.RECOVERED: 5}


def test_a_message_that_sqs_does_not_delete_at_once_is_deleted_by_another_attempt(fakes, monkeypatch):
    fill(fakes, 3)
    delete = fakes.dlq.delete
    refused: list[str] = []

    def flaky(receipts):
        if not refused:
            refused.append(receipts[0])
            delete(receipts[1:])
            return {0: Refusal("InternalError", "try again", senders_fault=False)}
        return delete(receipts)

    monkeypatch.setattr(fakes.dlq, "delete", flaky)
    report = run(fakes)
    assert (report.also["settled_not_deleted"], fakes.dlq.messages, len(refused)) == (0, {}, 1)


def test_a_run_that_cannot_find_out_what_is_in_flight_says_so(fakes):
    fill(fakes, 1)
    fakes.faults.add("dlq.attributes", SQS_DOWN, after=1)
    report = run(fakes)
    assert (report.handled, type(report.failure)) == (1, QueueError)
