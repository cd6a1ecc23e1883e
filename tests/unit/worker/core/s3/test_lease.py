"""One holder at a time: who gets a lease, who keeps it, and how it ends."""

import orjson
import pytest

from testing.memory import DOWN, NOW_MS
from worker.core.base.errors import StoreError
from worker.core.s3.lease import LEASE_S, Lease

KEY = "s3-index-worker/some-lease.json"


def lease(fakes, holder="here:1"):
    return Lease(fakes.state, KEY, holder=holder, clock=fakes.s3.clock)


def set_clock(fakes, after_s):
    fakes.s3.clock.now_ms = lambda: NOW_MS + int(after_s * 1000)


def record(fakes):
    return orjson.loads(fakes.s3.records[KEY])


def test_a_free_lease_is_taken_for_a_minute_and_released_at_the_end(fakes):
    with lease(fakes) as held:
        assert held.is_held
        assert record(fakes) == {"holder": "here:1", "until_ms": NOW_MS + LEASE_S * 1000}
    assert KEY not in fakes.s3.records
    assert not held.is_held


def test_a_lease_of_another_is_left_alone_until_it_has_expired(fakes):
    with lease(fakes, "elsewhere:2"):
        before = record(fakes)
        with lease(fakes) as held:
            assert not held.is_held
            assert not held.renew()
        assert record(fakes) == before
        set_clock(fakes, LEASE_S)
        with lease(fakes) as held:
            assert held.is_held
            assert record(fakes)["holder"] == "here:1"


@pytest.mark.parametrize("raw", [b"?", b"[]", b"{}", b'{"until_ms": "soon", "holder": 1}', b'{"until_ms": null}'])
def test_a_record_that_cannot_be_read_is_taken_over(fakes, raw):
    fakes.s3.records[KEY] = raw
    with lease(fakes) as held:
        assert held.is_held


def test_a_lease_that_ends_far_further_ahead_than_its_length_is_void(fakes):
    """Its holder's clock was wrong; otherwise nobody could heal for as long as that."""
    fakes.s3.records[KEY] = orjson.dumps({"holder": "elsewhere:2", "until_ms": NOW_MS + (2 * LEASE_S + 1) * 1000})
    with lease(fakes) as held:
        assert held.is_held


def test_a_lease_that_the_same_holder_failed_to_release_is_taken_again(fakes):
    fakes.s3.records[KEY] = orjson.dumps({"holder": "here:1", "until_ms": NOW_MS + 1_000})
    with lease(fakes) as held:
        assert held.is_held


@pytest.mark.parametrize(
    ("after_s", "until_s"), [(LEASE_S / 3, LEASE_S), (LEASE_S / 3 + 0.001, LEASE_S * 4 / 3 + 0.001)]
)
def test_it_is_renewed_when_a_third_of_its_time_is_used_up(fakes, after_s, until_s):
    with lease(fakes) as held:
        set_clock(fakes, after_s)
        assert held.renew()
        assert record(fakes)["until_ms"] == pytest.approx(NOW_MS + until_s * 1000, abs=1)


def test_one_that_was_taken_over_is_lost_at_the_next_renewal_and_left_to_its_new_holder(fakes):
    with lease(fakes) as first:
        set_clock(fakes, LEASE_S + 1)
        with lease(fakes, "elsewhere:2") as second:
            assert not first.renew()
            assert not first.is_held
            assert second.is_held
            first.__exit__()
            assert record(fakes)["holder"] == "elsewhere:2"


def test_an_expired_lease_is_not_deleted_for_it_may_be_anothers(fakes):
    with lease(fakes):
        fakes.s3.records[KEY] = orjson.dumps({"holder": "elsewhere:2", "until_ms": NOW_MS + 2 * LEASE_S * 1000})
        set_clock(fakes, LEASE_S)
    assert record(fakes)["holder"] == "elsewhere:2"


def test_without_conditional_writes_everyone_holds_it_and_nothing_is_stored(fakes):
    fakes.faults.add("state.claim", StoreError("a header is not implemented", code="NotImplemented"))
    with lease(fakes) as held, lease(fakes, "elsewhere:2") as other:
        assert held.is_held
        assert other.is_held
        assert held.renew()
    assert KEY not in fakes.s3.records


def test_of_two_that_find_it_free_at_the_same_time_one_gets_it(fakes, monkeypatch):
    monkeypatch.setattr(fakes.state, "get_with_etag", lambda key: None)
    with lease(fakes) as first, lease(fakes, "elsewhere:2") as second:
        assert (first.is_held, second.is_held) == (True, False)
        assert record(fakes)["holder"] == "here:1"


@pytest.mark.parametrize(
    ("call", "error"), [("state.get", DOWN), ("state.claim", StoreError("no", code="AccessDenied"))]
)
def test_what_s3_refuses_is_raised_and_nothing_is_held(fakes, call, error):
    fakes.faults.add(call, error)
    found = lease(fakes)
    with pytest.raises(StoreError):
        found.__enter__()
    assert not found.is_held
