"""`recover` as an operation: what it records of its run, and what it says about ids that it does not find."""

import threading

import pytest

from recovery.operations.dead_letters.message_types import load_types
from recovery.operations.progress import ignore_progress
from recovery.operations.records.holders import HOLDERS_PREFIX
from recovery.operations.recover import recover
from recovery.operations.recovering.request import RecoverRequest
from testing.memory import INDEX_DOWN
from worker.core.audit import AUDIT_PREFIX, Run
from worker.core.base.errors import StoreError


def run(fakes, *, on_progress=ignore_progress, **options):
    request = RecoverRequest(Run.new("dlq recover", action="recover", by="me@here"), load_types(), **options)
    return recover(fakes.settings(), fakes.clients, request, stop=threading.Event(), on_progress=on_progress)


@pytest.fixture
def three(fakes):
    for number in range(3):
        fakes.s3.bodies[f"{number}.txt"] = b"x"
        fakes.dead_letter(f"m{number}", f"{number}.txt")
    return fakes


def test_a_run_is_recorded_with_who_ran_it_and_what_happened(three):
    report = run(three)
    [(key, record)] = three.under(AUDIT_PREFIX).items()
    assert report.recorded is not None
    assert report.recorded.key == key
    assert (record["action"], record["by"], record["ids"]) == ("recover", "me@here", [])
    assert (record["result"]["recovered"], record["result"]["kept"], record["result"]["stopped_by"]) == (3, 0, "")


def test_a_run_on_given_ids_records_them(three):
    run(three, ids=frozenset({"m0", "m2"}))
    [record] = three.under(AUDIT_PREFIX).values()
    assert (record["ids"], record["result"]["recovered"], sorted(three.dlq.messages)) == (["m0", "m2"], 2, ["m1"])


def test_a_run_that_was_stopped_by_an_error_is_recorded_with_its_reason(three):
    three.faults.add("index.write", INDEX_DOWN, after=1)
    report = run(three, batch_size=1)
    [record] = three.under(AUDIT_PREFIX).values()
    assert report.failure is not None
    assert (record["result"]["stopped_by"], record["result"]["recovered"]) == (str(report.failure), 1)


def test_a_dry_run_and_a_run_that_finds_nothing_record_nothing(three):
    assert run(three, dry_run=True).recorded is None
    three.dlq.messages.clear()
    assert run(three).recorded is None
    assert not three.under(AUDIT_PREFIX)
    assert not three.under(HOLDERS_PREFIX)


def test_a_record_that_cannot_be_written_is_reported_and_undoes_nothing(three, monkeypatch):
    put = three.state.put

    def refuse_audit(key, record, **options):
        if key.startswith(AUDIT_PREFIX):
            raise StoreError("denied", code="AccessDenied")
        put(key, record, **options)

    monkeypatch.setattr(three.state, "put", refuse_audit)
    report = run(three)
    assert report.recorded is not None
    assert (report.recorded.problem, report.handled) == ("denied", 3)


def test_ids_that_are_not_found_are_counted_and_named(three):
    notes: list[str] = []
    report = run(three, ids=frozenset({"m0", "mistyped"}), on_progress=lambda now: notes.append(now.note))
    assert (report.handled, report.also["not_found"], report.is_unfinished) == (1, 1, True)
    assert [note for note in notes if note] == [
        "not found: mistyped: neither in the DLQ nor in dead-letters/, or in flight elsewhere; see `dlq stats`"
    ]
