"""The verdicts for a batch of dead letters, in order, and their effects."""

import itertools
import json
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from recovery.operations import engine as engine_module
from recovery.operations.abort_policy import AbortPolicy
from recovery.operations.dead_letters.message_types import load_types
from recovery.operations.dead_letters.scan import receive
from recovery.operations.engine import Disposition, RecoveryEngine, Verdict
from testing.aws import s3_event, s3_record
from testing.memory import BUCKET, DOWN, INDEX_DOWN, NOW_MS
from worker.core.base import retry
from worker.core.base.errors import ConfigError, IndexUnavailableError, StoreError
from worker.core.clients import make_extractor
from worker.core.indexing.fresh_writer import MAX_OBSERVATION_AGE_MS, UNAVAILABLE_TOGETHER
from worker.core.indexing.pipeline import Pipeline
from worker.core.indexing.reindexer import UNDECIDED_IN_A_ROW
from worker.core.indexing.retry_store import RetryStore
from worker.core.s3.state import RETRY_PREFIX

SKIPPED, INDEXED, GONE, RECOVERED, STORED, ARCHIVED, KEPT = Disposition

TYPES = load_types()


@pytest.fixture
def examine(fakes):
    """Examine every dead letter of the DLQ as one batch; returns verdicts by id, in the order of the batch."""
    pool, store = ThreadPoolExecutor(4), RetryStore(fakes.state)
    extractors = []

    def examined(*, stopping=None, dry_run=False, archive_system_errors=False, **settings):
        chosen = fakes.settings(**settings)
        extractors.append(make_extractor(chosen))
        engine = RecoveryEngine(
            chosen, fakes.clients, pipeline=Pipeline(chosen, fakes.clients.objects, extractor=extractors[-1]), retry=store,
            pool=pool, types=TYPES, stopping=stopping or threading.Event(), dry_run=dry_run,
            archive_system_errors=archive_system_errors,
        )  # fmt: skip
        fakes.dlq.hidden.clear()
        verdicts = engine.examine(receive(fakes.dlq, 800, visibility_s=60))
        return {verdict.dead_letter.id: verdict for verdict in verdicts}

    yield examined
    pool.shutdown()
    store.close()
    for extractor in extractors:
        extractor.close()


def holds(fakes, *keys):
    for number, key in enumerate(keys):
        fakes.s3.bodies[key] = f"text of {key}".encode()
        fakes.dead_letter(f"m{number}", key)


def dispositions(verdicts):
    return {name: verdict.disposition for name, verdict in verdicts.items()}


# -- one batch ---------------------------------------------------------------------------------------------------


def test_every_dead_letter_gets_its_verdict_in_the_order_of_the_batch(fakes, examine):
    holds(fakes, *(f"{number}.txt" for number in range(60)))
    fakes.indexed("7.txt")
    del fakes.s3.bodies["13.txt"]
    fakes.index.rejects.add("21.txt")
    verdicts = examine(bulk_documents=10)
    assert list(verdicts) == [f"m{number}" for number in range(60)]
    unusual = {"m7": INDEXED, "m13": GONE, "m21": STORED}
    assert dispositions(verdicts) == dict.fromkeys(verdicts, RECOVERED) | unusual
    assert {verdict.about for verdict in verdicts.values()} == {f"{number}.txt" for number in range(60)}
    assert len(fakes.index.documents) == 58


def test_an_empty_batch_causes_no_calls(fakes, examine):
    assert examine() == {}
    assert not {"index.stored", "index.write", "s3.head", "s3.read"} & set(fakes.faults.calls)


def test_a_message_without_an_object_needs_neither_s3_nor_the_index(fakes, examine):
    fakes.dlq.add("m1", "noise")
    fakes.dlq.add("m2", '{"Records": []}')
    fakes.dead_letter("m3", "a.tmp")
    found = examine(exclude_keys=("*.tmp",))
    assert dispositions(found) == {"m1": ARCHIVED, "m2": SKIPPED, "m3": SKIPPED}
    assert found["m1"].error_type == "MalformedEventError"
    assert found["m3"].reason == "inside EXCLUDE_KEYS"
    assert not {"index.stored", "index.write", "s3.head", "s3.read"} & set(fakes.faults.calls)


def test_the_worst_of_several_records_counts_and_the_others_take_effect(fakes, examine):
    fakes.s3.bodies |= {"a.txt": b"a", "b.txt": b"b"}
    fakes.index.rejects.add("b.txt")
    fakes.dlq.add("m1", s3_event(*(s3_record(BUCKET, key) for key in ("a.txt", "b.txt", "gone.txt"))))
    [verdict] = examine().values()
    assert (verdict.disposition, verdict.error_type, verdict.about) == (STORED, "mapper_parsing_exception", "a.txt")
    assert set(fakes.index.documents) == {(BUCKET, "a.txt")}


def test_a_dry_examination_returns_verdicts_and_writes_nothing(fakes, examine):
    holds(fakes, "new.txt", "gone.txt", "indexed.txt")
    fakes.indexed("indexed.txt")
    del fakes.s3.bodies["gone.txt"]
    before = dict(fakes.index.documents)
    assert dispositions(examine(dry_run=True)) == {"m0": RECOVERED, "m1": GONE, "m2": INDEXED}
    assert fakes.index.documents == before
    assert not {"index.write", "state.put"} & set(fakes.faults.calls)


# -- failures --------------------------------------------------------------------------------------------------


def test_a_failing_object_does_not_affect_the_others(fakes, examine, monkeypatch):
    holds(fakes, *(f"{number}.txt" for number in range(20)))
    read = fakes.s3.read
    errors = {"3.txt": DOWN, "5.txt": ZeroDivisionError("a bug"), "9.txt": OSError(28, "No space left on device")}

    def failing(bucket, key, **options):
        if key in errors:
            raise errors[key]
        return read(bucket, key, **options)

    monkeypatch.setattr(fakes.s3, "read", failing)
    verdicts = examine()
    kept = {name: verdict for name, verdict in verdicts.items() if verdict.disposition is KEPT}
    assert {name: verdict.error_type for name, verdict in kept.items()} == {
        "m3": "StoreError SlowDown", "m5": "ZeroDivisionError", "m9": "OSError",
    }  # fmt: skip
    assert all(verdict.reason for verdict in kept.values())
    assert sum(verdict.disposition is RECOVERED for verdict in verdicts.values()) == 17


def test_a_denied_object_is_at_fault_only_if_others_can_be_read(fakes, examine):
    holds(fakes, "a.txt")
    fakes.s3.denied.add("a.txt")
    assert examine()["m0"].disposition is KEPT
    fakes.s3.bodies["b.txt"] = b"readable"
    verdict = examine()["m0"]
    assert (verdict.disposition, verdict.error_type, verdict.is_final) == (KEPT, "StoreError AccessDenied", True)
    assert verdict.cause == f"AccessDenied in s3://{BUCKET}"
    assert examine(archive_system_errors=True)["m0"].disposition is ARCHIVED


def test_an_index_that_is_unavailable_ends_the_batch_without_verdicts(fakes, examine):
    holds(fakes, "a.txt")
    for call in ("index.stored", "index.write"):
        fakes.faults.plan.clear()
        fakes.faults.add(call, INDEX_DOWN)
        with pytest.raises(IndexUnavailableError):
            examine()


def test_a_few_documents_refused_transiently_are_kept_but_many_count_as_an_outage(fakes, examine):
    holds(fakes, *(f"{number}.txt" for number in range(UNAVAILABLE_TOGETHER)))
    fakes.index.unavailable |= set(fakes.s3.bodies) - {"0.txt"}
    verdicts = examine()
    assert dispositions(verdicts) == dict.fromkeys(verdicts, KEPT) | {"m0": RECOVERED}
    assert verdicts["m1"].error_type == "IndexUnavailableError"
    fakes.index.unavailable.add("0.txt")
    fakes.index.documents.clear()
    with pytest.raises(IndexUnavailableError, match="429"):
        examine()


def test_a_dead_letter_whose_observation_became_too_old_is_kept(fakes, examine, monkeypatch):
    holds(fakes, "old.txt", "new.txt")
    read, later_ms = fakes.s3.read, NOW_MS + MAX_OBSERVATION_AGE_MS + 1

    def slow(bucket, key, **options):
        fakes.s3.clock.now_ms = lambda: later_ms
        return read(bucket, key, **options)

    monkeypatch.setattr(fakes.s3, "read", slow)
    etags = itertools.count()
    monkeypatch.setattr(fakes.s3, "etag", lambda key: str(next(etags)))  # it changes at every read
    verdicts = examine()
    assert {verdict.disposition for verdict in verdicts.values()} == {KEPT}
    assert {verdict.error_type for verdict in verdicts.values()} == {"StaleObservation"}
    assert not fakes.index.documents


def test_a_rejected_document_that_cannot_be_stored_for_retry_is_kept(fakes, examine):
    holds(fakes, "a.txt")
    fakes.index.rejects.add("a.txt")
    fakes.faults.add("state.put", DOWN)
    verdict = examine()["m0"]
    assert verdict.disposition is KEPT
    assert "neither the index nor retry-index/ accepts it" in verdict.reason


def test_an_unreadable_file_is_archived_even_if_the_index_rejects_its_document(fakes, examine):
    holds(fakes, "a.pdf")
    fakes.s3.bodies["a.pdf"] = b"%PDF-1.4 broken"
    assert examine()["m0"].disposition is ARCHIVED
    assert fakes.index.documents[BUCKET, "a.pdf"][1]["recovery_source"] == "dlq"
    fakes.index.rejects.add("a.pdf")
    verdict = examine()["m0"]
    assert (verdict.disposition, verdict.error_type) == (ARCHIVED, "UnreadableFileError")
    assert len(fakes.under(RETRY_PREFIX)) == 1
    fakes.faults.add("state.put", DOWN)
    assert examine()["m0"].disposition is KEPT


# -- limits and stops ---------------------------------------------------------------------------------------------


def test_a_batch_begun_before_a_stop_is_completed_without_waits_between_attempts(fakes, examine, monkeypatch):
    monkeypatch.setattr(retry, "FIRST_WAIT_S", 60)
    monkeypatch.setattr(retry, "LONGEST_WAIT_S", 60)
    monkeypatch.setattr(engine_module, "WINDOW", 2)
    holds(fakes, *(f"{number}.txt" for number in range(20)))
    fakes.faults.add("s3.read", DOWN, after=5, times=1)
    stopping = threading.Event()
    stopping.set()
    found = list(dispositions(examine(stopping=stopping)).values())
    assert (found.count(RECOVERED), found.count(KEPT)) == (19, 1)


@pytest.mark.timeout(60)
def test_batches_are_examined_on_several_threads_at_once(fakes):
    pool, store, settings = ThreadPoolExecutor(4), RetryStore(fakes.state), fakes.settings(bulk_documents=5)
    extractor = make_extractor(settings)
    pipeline = Pipeline(settings, fakes.clients.objects, extractor=extractor)
    engine = RecoveryEngine(
        settings,
        fakes.clients,
        pipeline=pipeline,
        retry=store,
        pool=pool,
        types=TYPES,
        stopping=threading.Event(),
        dry_run=False,
    )
    holds(fakes, *(f"{number}.txt" for number in range(120)))
    dead_letters = receive(fakes.dlq, 120, visibility_s=60)
    with ThreadPoolExecutor(4) as lanes:
        batches = [dead_letters[start : start + 30] for start in range(0, 120, 30)]
        for batch, verdicts in zip(batches, lanes.map(engine.examine, batches), strict=True):
            assert [verdict.dead_letter for verdict in verdicts] == batch
            assert {verdict.disposition for verdict in verdicts} == {RECOVERED}
    pool.shutdown()
    store.close()
    extractor.close()


def test_a_bucket_that_cannot_be_read_is_skipped_after_some_tries_and_the_others_go_on(fakes, examine):
    for number in range(4 * UNDECIDED_IN_A_ROW):
        fakes.dead_letter(f"d{number}", f"{number}.txt", bucket="denied-bucket")
    holds(fakes, *(f"{number}.txt" for number in range(30)))
    fakes.s3.denied_buckets.add("denied-bucket")
    verdicts = examine()
    found = Counter(verdict.disposition for verdict in verdicts.values())
    assert found == {RECOVERED: 30, KEPT: 4 * UNDECIDED_IN_A_ROW}
    assert fakes.faults.calls.count("s3.read") < 2 * UNDECIDED_IN_A_ROW + 30
    assert sum(verdict.error_type == "skipped bucket" for verdict in verdicts.values()) > 2 * UNDECIDED_IN_A_ROW


# -- abort policy -----------------------------------------------------------------------------------


def verdicts_of(fakes, disposition, count, *, error_type=""):
    for number in range(count):
        fakes.dlq.add(f"{disposition}-{number}", json.dumps({}))
    found = receive(fakes.dlq, count, visibility_s=60)
    fakes.dlq.messages.clear()
    fakes.dlq.hidden.clear()
    return [Verdict(dead_letter, disposition, reason="503", error_type=error_type) for dead_letter in found]


def test_a_run_in_which_most_objects_are_gone_is_aborted_after_a_hundred(fakes):
    policy = AbortPolicy()
    policy.add(verdicts_of(fakes, GONE, 99))
    with pytest.raises(ConfigError, match="gone"):
        policy.add(verdicts_of(fakes, RECOVERED, 1))


def test_a_frequent_error_that_is_in_no_failure_record_ends_the_run(fakes):
    error = StoreError("x", code="AccessDenied")
    with pytest.raises(ConfigError, match=type(error).__name__):
        AbortPolicy().add(verdicts_of(fakes, ARCHIVED, 100, error_type=f"StoreError {error.code}"))


def test_a_folder_is_skipped_and_counts_as_nothing_that_is_gone(fakes, examine):
    fakes.s3.bodies["folder/"] = b""
    fakes.dead_letter("m1", "folder/")
    found = examine()
    assert dispositions(found) == {"m1": SKIPPED}
    assert found["m1"].reason == "folder"
