"""Attack 1: each outside call of a program × each fault. The calls are those of a clean run, so a new one is found by itself."""

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
MOST_NOT_PLAYED = 10
"""Errors of the harness itself, before it gives up."""


def cases_of(program: str, on: Stage, rng: random.Random) -> list[Case]:
    """Every call that a clean run makes × every fault that can befall it; how long and when, by the seed.

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
    servers: Any, folder: Path, cases: Sequence[Case], *, lanes: int, told: Callable[[Result], None] = lambda _: None
) -> list[Result]:  # fmt: skip
    """Play cases, several at once, each lane on a stage of its own; a stage on which one broke is left for a new one.

    Raises ExceptionGroup where some could not be played.
    """
    waiting: queue.SimpleQueue[Case] = queue.SimpleQueue()
    for case in sorted(cases, key=lambda case: case.at_start):
        waiting.put(case)
    results: list[Result] = []
    not_played: list[Exception] = []
    lock = threading.Lock()

    def note(result: Result) -> None:
        with lock:
            results.append(result)
            told(result)

    def lane(number: int) -> None:
        while not waiting.empty() and len(not_played) < MOST_NOT_PLAYED:
            try:
                with stage(servers, folder / f"lane-{number}-{fresh_name()}") as on:
                    for result in _played(on, waiting):
                        note(result)
            except Exception as error:  # noqa: BLE001 (told now, not in hours, and raised after all the other cases)
                traceback.print_exc()
                not_played.append(error)

    with ThreadPoolExecutor(lanes, thread_name_prefix="lane") as pool:
        for done in [pool.submit(lane, number) for number in range(lanes)]:
            done.result()
    if not_played:
        raise ExceptionGroup("cases that could not be played", not_played)
    return results


def _played(on: Stage, waiting: "queue.SimpleQueue[Case]") -> Iterator[Result]:
    """Cases on one stage, until one breaks."""
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
        on.recovery_run()


def record(results: Sequence[Result], name: str) -> Path:
    """Write results down, one JSON object a line."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / f"{name}.jsonl"
    path.write_text("".join(json.dumps(result.as_json(), ensure_ascii=False) + "\n" for result in results))
    return path


def lanes_wished() -> int:
    """How many stages side by side; most of a case is waiting."""
    return int(os.environ.get("CHAOS_LANES", "4"))
