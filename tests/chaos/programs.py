"""The programs under attack, each as a scenario: a load, one fault or none, its end, and what the oracle finds."""

import time
from collections import Counter

from tests.chaos import commands
from tests.chaos.case import CLEAN, Case, Play, Result
from tests.chaos.stage import Stage, fresh_name
from tests.support.faults import Strike

HELD_S = 4.0
"""How long a lasting fault goes on after it first occurred."""
STRUCK_WITHIN_S = 12.0
QUIET_WITHIN_S = 45.0


def play_worker(on: Stage, strike: Strike | None, case: Case | None) -> Result:
    """A worker and a load."""
    if case is not None and case.at_start:
        on.stop()
        if case.call.startswith("index PUT"):
            on.drop_index()
    on.rule(*filter(None, [strike]))
    on.keep_alive()
    on.load(fresh_name())
    codes: Counter[int] = Counter()
    if strike is not None and strike.for_ever:
        _let_it_strike(on, strike, codes)
        strike.heal()
        on.fault_proxy.reach()
    quiet, more = on.wait_quiet(QUIET_WITHIN_S)
    judgement = on.judgement()
    if not quiet and judgement.holds:
        judgement.stuck.append("work is left")
    return Result(case or CLEAN, strike.hits if strike else 0, judgement, codes + more)


def _let_it_strike(on: Stage, strike: Strike, codes: Counter[int]) -> None:
    until = time.monotonic() + STRUCK_WITHIN_S
    struck = False
    while time.monotonic() < until:
        if strike.hits and not struck:
            struck, until = True, time.monotonic() + HELD_S
        code = on.keep_alive()
        if code is not None:
            codes[code] += 1
        time.sleep(0.2)


PROGRAMS: dict[str, Play] = {
    "worker": play_worker,
    "recover_dlq": commands.play_recover,
    "replay_retry_index": commands.play_replay,
    "dlq redrive-all": commands.play_redrive,
    "dlq redrive-all --native": commands.play_native,
    "dlq inspect": commands.play_inspect,
    "dlq abandon": commands.play_abandon,
    "dlq restore": commands.play_restore,
    "dlq purge": commands.play_purge,
    "dlq import": commands.play_import,
}
