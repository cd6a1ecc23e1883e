"""Attack 1: each external call of each program × each fault. Prints a line for each case; writes JSON lines to .cache/chaos/."""

import random

import pytest

from tests.chaos.campaign import SEED, cases_of, lane_count, record, run_cases
from tests.chaos.programs import PROGRAMS
from tests.chaos.stage import stage
from tests.support.size import sized

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
"""asyncio drops, and warns of, a connection that it accepts while the fault proxy makes that server unreachable."""
SAMPLE = {"worker": 2, "recover_dlq": 1, "replay_retry_index": 1}
"""Cases in `make test-all`; the verbs of `dlq` have none there."""
MORE = 20
"""In `make chaos`, how many cases follow for each program, with another duration and moment, after each call × fault once."""


@pytest.mark.slow("each case starts a program and waits until nothing is left to do")
@pytest.mark.timeout(sized(5_400, usual=180))
@pytest.mark.parametrize("program", PROGRAMS)
def test_no_call_that_fails_loses_anything(servers, tmp_path, program):
    whole = bool(sized(1, usual=0))
    if not whole and program not in SAMPLE:
        pytest.skip("only in make chaos")
    rng = random.Random(SEED)
    with stage(servers, tmp_path / "clean") as on:
        cases = cases_of(program, on, rng)
        if whole:
            others = set(cases_of(program, on, rng)) - set(cases)
            cases += rng.sample(sorted(others, key=str), min(MORE, len(others)))
        else:
            cases = rng.sample([case for case in cases if not case.is_long], SAMPLE[program])
    print(f"\n{program}: {len({case.call for case in cases})} calls, {len(cases)} cases")
    results = run_cases(servers, tmp_path, cases, lanes=lane_count(), on_result=print)
    found = [result.judgement for result in results]
    print(
        f"{program}: {len(results)} runs, {sum(one.events for one in found)} events, {sum(len(one.lost) for one in found)} lost, "
        f"{sum(len(one.stuck) for one in found)} stuck, {sum(one.duplicates for one in found)} duplicates; "
        f"written to {record(results, program.replace(' ', '-'))}"
    )
    assert len(results) == len(cases)
    assert not [str(result) for result in results if not result.holds]
