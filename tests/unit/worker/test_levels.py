"""What is counted again and again for alarms: the right records, at a cost that does not grow with them."""

import math

import pytest

from testing.memory import DOWN, MemoryState
from worker.core.base.errors import StoreError
from worker.core.s3.state import DEAD_LETTERS_PREFIX, PARKED_PREFIX, RETRY_PREFIX
from worker.core.s3.waiting import MAX_LEVEL
from worker.levels import Levels


def test_parked_and_held_records_do_not_wait_for_the_index(fakes):
    for key in ("2026-11-29/a", "2026-11-30/b", "held/objects/c", "parked/2026-11-30/d"):
        fakes.s3.records[RETRY_PREFIX + key] = b""
    counted = Levels(fakes.state)
    counted.count()
    assert (counted.of(RETRY_PREFIX), counted.of(PARKED_PREFIX), counted.of(DEAD_LETTERS_PREFIX)) == (2, 1, 0)


class Listing(MemoryState):
    """A state bucket without end, and how many keys were asked of it."""

    def __init__(self, fakes):
        super().__init__(fakes.s3, fakes.faults)
        self.asked = 0

    def keys(self, prefix):
        while True:
            self.asked += 1
            yield f"{prefix}2026-11-30/{self.asked}"

    def count(self, prefix, *, at_most):
        return sum(1 for _ in zip(range(at_most), self.keys(prefix), strict=False))


def test_however_many_there_are_one_page_of_each_is_read(fakes):
    listing = Listing(fakes)
    counted = Levels(listing)
    counted.count()
    assert set(counted.figures().values()) == {MAX_LEVEL}
    assert listing.asked == 3 * MAX_LEVEL


def test_before_they_were_counted_nothing_is_said(fakes):
    fakes.faults.add("state.list", DOWN)
    counted = Levels(fakes.state)
    with pytest.raises(StoreError):
        counted.count()
    assert counted.figures() == {}
    assert math.isnan(counted.of(RETRY_PREFIX))
