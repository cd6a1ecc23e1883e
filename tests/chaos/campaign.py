"""Attack 1: each external call of a program × each fault. The calls are taken from a clean run, so a new one is included."""

import json
import os
import queue
import random
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from testing.fault_proxy import Call
from tests.chaos.case import Case, Result
from tests.chaos.programs import PROGRAMS, play_worker
from tests.chaos.stage import Stage, fresh_name, stage
from tests.support.faults import FAULTS, Strike, applies, name_of

SEED = 20261123
RESULTS = Path(".cache/chaos")
MAX_NOT_RUN = 10
"""How many errors of the harness itself are tolerated before it gives up."""


def cases_of(program: str, on: Stage, rng: random.Random) -> list[Case]:
    """Every call that a clean run makes × every fault that applies to it; duration and moment are chosen by the seed.

    Raises AssertionError where a clean run does not hold.
    """
    found: Counter[str] = Counter()
    again: Counter[str] = Counter()
    example: dict[str, Call] = {}
    for calls in (found, again) if program == "worker" else (found,):  # a worker makes some calls only at its start
        result = PROGRAMS[program](on, None, None)
        assert result.holds, f"{program} without any fault: {result}"
        calls.update(on.calls())
        example |= {name_of(call): call for call in on.fault_proxy.traffic_log.trace}
    cases = []
    for call in sorted(found | again):
        at_start = program == "worker" and not again[call]
        for fault in [fault for fault in FAULTS if applies(fault, example[call])]:
            occurrence = rng.choice(["first", "middle", "last"])
            count = found[call] if at_start else again[call] or found[call]
            first = {"first": 1, "middle": max(1, count // 2), "last": max(1, count * 4 // 5)}[occurrence]
            cases.append(Case(program, call, fault, rng.random() < 0.5, occurrence, first, at_start))
    return cases


def run_cases(
    servers: Any, folder: Path, cases: Sequence[Case], *, lanes: int, on_result: Callable[[Result], None] = lambda _: None
) -> list[Result]:  # fmt: skip
    """Run cases, several at once, each lane on its own stage; after a failed case, a lane takes a new stage.

    Raises ExceptionGroup if some could not be run.
    """
    waiting: queue.SimpleQueue[Case] = queue.SimpleQueue()
    for case in sorted(cases, key=lambda case: case.at_start):
        waiting.put(case)
    results: list[Result] = []
    not_run: list[Exception] = []
    lock = threading.Lock()

    def note(result: Result) -> None:
        with lock:
            results.append(result)
            on_result(result)

    def lane(number: int) -> None:
        while not waiting.empty() and len(not_run) < MAX_NOT_RUN:
            try:
                with stage(servers, folder / f"lane-{number}-{fresh_name()}") as on:
                    for result in _run_on(on, waiting):
                        note(result)
            except Exception as error:  # noqa: BLE001 (printed now, not hours later, and raised after all other cases)
                traceback.print_exc()
                not_run.append(error)

    with ThreadPoolExecutor(lanes, thread_name_prefix="lane") as pool:
        for done in [pool.submit(lane, number) for number in range(lanes)]:
            done.result()
    if not_run:
        raise ExceptionGroup("cases that could not be run", not_run)
    return results


def _run_on(on: Stage, waiting: "queue.SimpleQueue[Case]") -> Iterator[Result]:
    """Run cases on one stage until one fails."""
    warm = False
    while True:
        try:
            case = waiting.get_nowait()
        except queue.Empty:
            return
        if case.program == "worker" and not warm:
            play_worker(on, None, None)
            warm = True
        strike = Strike(case.call, case.fault, case.first, case.for_ever, on.kill)
        began = time.monotonic()
        result = PROGRAMS[case.program](on, strike, case)
        result.seconds = time.monotonic() - began
        if not result.hits and case.first > 1:  # this time there were fewer such calls
            waiting.put(replace(case, occurrence="first", first=1))
            continue
        yield result
        if not result.holds:
            return
        on.empty_state()


def record(results: Sequence[Result], name: str) -> Path:
    """Write the results as JSON lines."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / f"{name}.jsonl"
    path.write_text("".join(json.dumps(result.as_json(), ensure_ascii=False) + "\n" for result in results))
    return path


def lane_count() -> int:
    """How many stages run side by side; most of a case is waiting."""
    return int(os.environ.get("CHAOS_LANES", "4"))
