"""Attack 2: three workers on one queue are killed, stopped or frozen, or have their clocks set, at random moments."""

import random
import signal
import time

import pytest

from tests.chaos.clocks import Clock
from tests.chaos.fleet import Fleet, fleet
from tests.support.size import sized

SEED = 20261123
WORKERS = 3
CHANGES = sized(100, usual=60)
"""In each round."""
QUIET_WITHIN_S = 120.0
JUMP_HELD_S = 6.0


def assert_nothing_is_lost(of: Fleet) -> None:
    assert of.wait_quiet(QUIET_WITHIN_S), (
        f"still waiting: {of.on.site.depth()}, {of.on.site.state_keys('retry-index/')[:3]}"
    )
    found = of.judgement()
    received = of.on.fault_proxy.traffic_log.received
    print(
        f"\n{found}; {sum(count > 1 for count in received.values())} received more than once; exit codes {dict(of.codes)}"
    )
    assert found.holds, found
    assert not found.set_aside


@pytest.mark.slow("what a dead worker had in flight comes back when its visibility ends")
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize(
    ("number", "rounds", "codes"),
    [
        (signal.SIGKILL, sized(100, usual=2), {-9}),
        (signal.SIGTERM, sized(100, usual=0), {0}),
        (signal.SIGSTOP, sized(15, usual=0), set()),
    ],
    ids=["kill -9", "SIGTERM", "SIGSTOP"],
)
def test_nothing_is_lost_by_signals_at_random_moments(on, number, rounds, codes):
    if not rounds:
        pytest.skip("only in make chaos")
    rng = random.Random(SEED)
    with fleet(on, *[{}] * WORKERS) as of:
        for _ in range(rounds):
            of.signal_while_changing(rng, number, CHANGES)
        assert_nothing_is_lost(of)
        assert set(of.codes) <= codes
        assert of.stop() == [0] * WORKERS


@pytest.mark.slow("four jumps of the clock, and a visibility after each")
@pytest.mark.timeout(600)
def test_a_clock_that_jumps_an_hour_and_back_loses_nothing(on, tmp_path):
    """S3 refuses requests signed an hour off, an outage until the clock is right again. Versions come from S3's clock."""
    if not sized(1, usual=0):
        pytest.skip("only in make chaos")
    rng = random.Random(SEED)
    clock = Clock(tmp_path)
    with fleet(on, clock.env, {}) as of:
        for ahead_s in (0, 3_600, 0, -3_600, 0):
            clock.set(ahead_s)
            of.change(rng, CHANGES)
            time.sleep(JUMP_HELD_S)
        assert_nothing_is_lost(of)
        assert of.stop() == [0, 0]
