"""`estimate_backfill` changes nothing, counts what a run would do, and reckons from a sample what that takes."""

import threading
from dataclasses import replace
from io import BytesIO

import pytest

from recovery.operations import estimate_backfill as module
from recovery.operations.backfilling import measuring
from recovery.operations.backfilling.keys_file import KeysFile
from recovery.operations.backfilling.measuring import Sample
from recovery.operations.backfilling.request import BackfillRequest
from recovery.operations.backfilling.sources import Candidate
from recovery.operations.estimate_backfill import estimate_backfill
from testing.memory import BUCKET, DOWN, NOW_MS
from tests.support.backfilled import RUN, WHOLE, Bucket
from worker.core.base.errors import ConfigError, StoreError
from worker.core.s3.workers import WorkerRecord, write_worker

MEASURED = Sample(objects=100, size_bytes=1_000, seconds=2.0, cpu_s=1.0, with_index=False, failures=0)


@pytest.fixture
def bucket(fakes):
    return Bucket(fakes, 2_500)


@pytest.fixture
def measured(monkeypatch):
    """What the sample takes is given, and which objects are in it is noted."""
    samples = []

    def measure(settings, clients, sample, stop):
        samples.append(sample)
        return MEASURED

    monkeypatch.setattr(module, "measure", measure)
    return samples


def estimate(bucket, source=None, *, sample=100, stop=None, **how):
    return estimate_backfill(
        bucket.settings, bucket.fakes.clients, BackfillRequest(RUN, **how), source or bucket.listing(), sample=sample,
        stop=stop or threading.Event(),
    )  # fmt: skip


def alive(bucket, name):
    write_worker(bucket.fakes.state, WorkerRecord(name, state="serving", written_at_ms=NOW_MS))


def test_it_counts_what_a_run_would_do_and_changes_nothing(bucket, measured):
    for key in ("0000", "0001"):
        bucket.fakes.indexed(key)
    found = estimate(bucket)
    assert found.report.numbers() == {
        "sent": 2_498, "indexed": 0, "stored_for_retry": 0, "current": 2, "skipped": 0, "failed": 0, "before": 0, "elsewhere": 0,
    }  # fmt: skip
    assert (found.objects, found.size_bytes) == (2_498, 2_498 * len("text of 0000"))
    assert not bucket.fakes.source.messages
    assert not bucket.fakes.s3.records
    assert {"state.put", "state.claim", "source.send", "index.write"}.isdisjoint(bucket.fakes.faults.calls)


def test_a_low_depth_limits_how_many_are_sent_a_minute(bucket, measured):
    assert estimate(bucket, rate=100.0).seconds == 50
    assert estimate(bucket, rate=100.0, max_depth=490).seconds == (2_500 - 490) * 60 / 500
    assert estimate(bucket, rate=100.0, max_depth=490, direct=True).seconds == 50


def test_before_there_is_an_index_everything_is_to_be_done(bucket, measured):
    bucket.fakes.index.exists = False
    assert estimate(bucket).objects == 2_500
    assert not bucket.fakes.index.exists


def test_the_sample_is_of_objects_that_would_be_done_each_once(bucket, measured):
    bucket.fakes.indexed("0000")
    estimate(bucket)
    [sample] = measured
    keys = {one.key for one in sample}
    assert (len(keys), keys - bucket.fakes.s3.bodies.keys(), "0000" in keys) == (100, set(), False)
    assert max(keys) > "1500"
    estimate(bucket, sample=10_000)
    assert len(measured[1]) == 2_499


def test_the_rate_decides_unless_the_workers_are_slower(bucket, measured):
    assert estimate(bucket, rate=10).seconds == 250
    assert estimate(bucket, rate=1_000).seconds == 50  # one worker does 50 a second
    alive(bucket, "w1")
    alive(bucket, "w2")
    found = estimate(bucket, rate=1_000)
    assert (found.workers, found.seconds) == (2, 25)
    assert estimate(bucket).seconds == 25


def test_with_direct_only_this_process_works(bucket, measured):
    alive(bucket, "w1")
    alive(bucket, "w2")
    found = estimate(bucket, direct=True)
    assert (found.workers, found.seconds, found.report.numbers()["indexed"]) == (1, 50, 2_500)


def test_the_dollars_are_those_of_requests_and_cpu(bucket, measured):
    """10 ms of a CPU at $0.03625 an hour, a GET, and three tenths of a call to SQS; three pages of a listing."""
    cpu = 2_500 * 0.010 / 3_600 * 0.03625
    gets, lists = 2_500 * 0.40e-6, 2.5 * 5e-6
    assert estimate(bucket, direct=True).dollars == pytest.approx(cpu + gets + lists)
    assert estimate(bucket).dollars == pytest.approx(cpu + gets + lists + 2_500 * 0.3 * 0.40e-6)


def test_where_only_keys_are_known_sizes_are_those_of_the_sample_and_etags_cost_requests(bucket, measured):
    keys = KeysFile(BytesIO(b"0000\n0001\n"), "keys.txt", WHOLE)
    found = estimate(bucket, keys, direct=True)
    assert (found.size_bytes, found.objects) == (20, 2)
    assert found.dollars == pytest.approx(2 * (0.010 / 3_600 * 0.03625 + 0.40e-6))
    bucket.fakes.index.documents[BUCKET, "0000"] = 1, {"etag": "another"}
    assert estimate(bucket, keys, direct=True).dollars == pytest.approx(found.dollars + 0.40e-6)


def test_nothing_to_do_takes_nothing(bucket, monkeypatch):
    bucket.fakes.s3.bodies.clear()
    found = estimate(bucket)
    assert (found.objects, found.size_bytes, found.seconds, found.dollars) == (0, 0, 0, 0)


def test_a_sample_of_which_nothing_can_be_read_tells_no_time(bucket, monkeypatch):
    nothing = replace(MEASURED, objects=0, failures=100)
    monkeypatch.setattr(module, "measure", lambda *_: nothing)
    found = estimate(bucket)
    assert (found.objects, found.seconds, found.dollars, found.as_json()["hours"]) == (2_500, None, None, None)


def test_once_stopped_there_is_no_estimate(bucket, measured):
    stop = threading.Event()
    stop.set()
    assert estimate(bucket, stop=stop) is None


def test_it_reckons_only_what_an_interrupted_run_has_left(bucket, measured):
    stop = threading.Event()
    bucket.run(stop=stop, on_progress=lambda now: stop.set() if now.done >= 2_000 else None)
    found = estimate(bucket)
    assert (found.objects, found.report.also["before"]) == (500, 2_000)
    assert estimate(bucket, restart=True).objects == 2_500


def test_it_checks_what_a_run_would_check(bucket):
    bucket.fakes.faults.add("s3.check_bucket", StoreError("no such bucket", code="NoSuchBucket"), after=1)
    with pytest.raises(ConfigError, match="the bucket files cannot be listed"):
        estimate(bucket)


# -- measuring -----------------------------------------------------------------------------------------------------------


def measure_some(bucket, *keys):
    return measuring.measure(
        bucket.settings, bucket.fakes.clients, [Candidate(BUCKET, key) for key in keys], threading.Event()
    )


def test_a_sample_is_read_and_extracted_and_nothing_is_written(bucket):
    found = measure_some(bucket, *(f"{number:04}" for number in range(100)))
    assert (found.objects, found.size_bytes, found.failures, found.with_index) == (100, 1_200, 0, False)
    assert found.seconds > 0
    assert found.per_second == found.objects / found.seconds
    assert not bucket.fakes.index.documents


def test_what_cannot_be_read_is_counted_apart_and_what_is_gone_has_no_size(bucket):
    bucket.fakes.s3.denied.add("0000")
    found = measure_some(bucket, "0000", "0001", "gone")
    assert (found.objects, found.failures, found.size_bytes) == (2, 1, 12)


def test_an_outage_is_counted_not_raised(bucket):
    bucket.fakes.faults.add("s3.read", DOWN)
    found = measure_some(bucket, "0000")
    assert (found.objects, found.failures) == (0, 1)


def test_for_sqlite_writing_is_measured_on_a_file_of_its_own(bucket, tmp_path):
    bucket.settings = bucket.settings.model_copy(update={"temp_dir": tmp_path})
    without = bucket.settings
    bucket.settings = type(without)(
        **{**without.model_dump(), "index_url": f"sqlite:///{tmp_path}/index.db", "temp_dir": tmp_path}
    )
    found = measure_some(bucket, *(f"{number:04}" for number in range(50)))
    assert (found.objects, found.with_index) == (50, True)
    assert list(tmp_path.iterdir()) == []
