"""The metrics of the last reconciliation: what each bucket's record says, and nothing where there is none."""

from dataclasses import replace

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from worker.core.s3.reconciled import ReconciledBucket, read_reconciled, read_reconciled_bucket, write_reconciled
from worker.reconciled import ReconciledMetrics

RESULT = ReconciledBucket(
    "our-files", 1_795_000_000_000, 12, 3_400, {"current": 10, "missing": 2}, orphans=3, unaccounted=5, repeated=4
)


def lines(registry):
    return {line for line in generate_latest(registry).decode().splitlines() if line[0] != "#"}


def test_a_record_becomes_gauges_of_its_bucket():
    registry = CollectorRegistry()
    ReconciledMetrics(registry).show([RESULT])
    assert lines(registry) == {
        'reconcile_objects{bucket="our-files",state="current"} 10.0',
        'reconcile_objects{bucket="our-files",state="missing"} 2.0',
        'reconcile_orphans{bucket="our-files"} 3.0',
        'reconcile_unaccounted{bucket="our-files"} 4.0',
        'reconcile_last_success_timestamp_seconds{bucket="our-files"} 1.795e+09',
    }


def test_a_bucket_without_a_record_has_no_gauge_also_after_it_had_one():
    registry = CollectorRegistry()
    metrics = ReconciledMetrics(registry)
    assert lines(registry) == set()
    metrics.show([RESULT, replace(RESULT, bucket="other")])
    metrics.show([replace(RESULT, states={"current": 12})])
    assert len(lines(registry)) == 4
    assert 'reconcile_objects{bucket="our-files",state="current"} 12.0' in lines(registry)
    metrics.show([])
    assert lines(registry) == set()


def test_what_the_state_bucket_says_is_shown(fakes):
    registry = CollectorRegistry()
    write_reconciled(fakes.state, RESULT, {})
    ReconciledMetrics(registry).read(fakes.state)
    assert len(lines(registry)) == 5


# -- the record ------------------------------------------------------------------------------------------------------------


def test_a_record_is_read_as_it_was_written(fakes):
    write_reconciled(fakes.state, RESULT, {"run": "r"})
    [record] = fakes.under("s3-index-worker/reconcile/").values()
    assert (record["run"], record["schema"]) == ("r", 1)
    assert list(read_reconciled(fakes.state)) == [RESULT]
    assert read_reconciled_bucket(fakes.state, "our-files") == RESULT
    assert read_reconciled_bucket(fakes.state, "other") is None


@pytest.mark.parametrize("raw", [b"noise", b"[]", b"{}", b'{"bucket": 1}', b'{"bucket": ""}'])
def test_what_is_no_record_is_left_out(fakes, raw):
    fakes.s3.records["s3-index-worker/reconcile/our-files.json"] = raw
    assert list(read_reconciled(fakes.state)) == []
    assert read_reconciled_bucket(fakes.state, "our-files") is None


def test_values_of_wrong_types_count_as_nothing(fakes):
    raw = b'{"bucket": "b", "at_ms": "x", "objects": -1, "states": {"current": true, "missing": 2}, "repeated": 1.5}'
    assert ReconciledBucket.from_json(raw) == ReconciledBucket("b", 0, 0, 0, {"current": 0, "missing": 2})
