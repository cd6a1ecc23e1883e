"""The summary of ages."""

import math

import pytest

from recovery.manager.figures import Ages


def test_nothing_has_no_quantiles():
    assert Ages.of([]) == Ages(0, 0.0, {})


def test_one_age_is_every_quantile():
    assert Ages.of([7.0]) == Ages(1, 7.0, {0.5: 7.0, 0.9: 7.0, 0.99: 7.0})


@pytest.mark.parametrize("count", [2, 3, 10, 99, 100, 101, 1_000])
def test_a_quantile_is_the_smallest_age_that_so_many_do_not_exceed(count):
    ages = Ages.of(float(age) for age in reversed(range(1, count + 1)))
    assert ages.sum_s == count * (count + 1) / 2
    assert ages.quantiles == {quantile: float(math.ceil(quantile * count)) for quantile in (0.5, 0.9, 0.99)}
