"""Attack 9: an hour of mixed load with random faults. Nothing is lost or stuck; memory, open files and threads do not grow."""

import json
import os
import random
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import pytest

from tests.chaos.campaign import RESULTS, SEED
from tests.chaos.fleet import Fleet, fleet
from tests.chaos.stage import fresh_name
from tests.chaos.test_outages import rules
from tests.support.faults import DEATHS, FAULTS, Strike
from tests.support.size import sized

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
"""asyncio drops, and warns of, a connection that it accepts while the fault proxy makes that server unreachable."""
SOAK_S = float(os.environ.get("CHAOS_SOAK_S", sized(3_600, usual=0)))
CHANGES = 250
LONGEST_FAULT_S = 6.0
QUIET_WITHIN_S = 90.0
CALLS = (
    "s3 GetObject objects", "s3 HeadObject objects", "s3 PutObject retry-index", "s3 GetObject retry-index", "s3 PostBucket",
    "s3 GetObject pause", "s3 PutObject replay-lease", "index _bulk", "index GET _settings", "sqs ReceiveMessage source",
    "sqs DeleteMessageBatch source", "sqs ChangeMessageVisibilityBatch source", "sqs SendMessageBatch dlq",
)  # fmt: skip
MAX_GROWTH = {"rss_mb": 40, "fds": 12, "threads": 12, "children": 1}
"""How much the last fifth of the samples may exceed the second fifth, by when caches and pools have filled."""


@dataclass(frozen=True, slots=True)
class Sample:
    """The resources of one idle worker."""

    worker: int
    at_s: float
    rss_mb: float
    fds: int
    threads: int
    children: int


def sample(of: Fleet, at_s: float) -> Iterator[Sample]:
    for number, worker in enumerate(of.workers):
        process = Path(f"/proc/{worker.pid}")
        status = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
        children = sum(len(task.read_text().split()) for task in process.glob("task/*/children"))
        yield Sample(
            number, round(at_s, 1), int(status["VmRSS"].split()[0]) / 1024, len(list((process / "fd").iterdir())),
            int(status["Threads"]), children,
        )  # fmt: skip


def growth(samples: list[Sample], what: str) -> float:
    """The median of the last fifth minus that of the second."""
    values: list[float] = [getattr(one, what) for one in samples]
    fifth = len(values) // 5
    return median(values[-fifth:]) - median(values[fifth : 2 * fifth])


@pytest.mark.slow("a soak")
@pytest.mark.timeout(0)
def test_an_hour_of_faults_loses_nothing_and_nothing_grows(on):
    if not SOAK_S:
        pytest.skip("only in make chaos, or with CHAOS_SOAK_S")
    rng = random.Random(SEED)
    samples: list[Sample] = []
    lost, stuck, duplicates, events, faults = 0, 0, 0, 0, 0
    began = time.monotonic()
    with fleet(on, {}, {}) as of:
        while time.monotonic() - began < SOAK_S:
            strikes = [
                Strike(rng.choice(CALLS), rng.choice(sorted(FAULTS.keys() - DEATHS)), for_ever=True)
                for _ in range(rng.choice([0, 1, 2]))
            ]
            on.rule()
            with ExitStack() as stack:
                stack.enter_context(rules(on, *strikes))
                of.change(rng, CHANGES)
                on.load(fresh_name())
                time.sleep(rng.random() * LONGEST_FAULT_S)
            quiet = of.wait_quiet(QUIET_WITHIN_S)
            found = of.judgement()
            on.oracle.forget()
            on.empty_state()
            lost, stuck = lost + len(found.lost), stuck + len(found.stuck) + (not quiet)
            duplicates, events, faults = duplicates + found.duplicates, events + found.events, faults + len(strikes)
            samples += sample(of, time.monotonic() - began)
            print(
                f"{time.monotonic() - began:6.0f} s  {' | '.join(map(str, strikes)) or 'no fault':100}  {found}  {samples[-1]}"
            )
        codes = dict(of.codes)
        ended = of.stop()
    grown = {what: max(growth([s for s in samples if s.worker == n], what) for n in (0, 1)) for what in MAX_GROWTH}
    RESULTS.mkdir(parents=True, exist_ok=True)
    summary = {"seconds": SOAK_S, "events": events, "faults": faults, "lost": lost, "stuck": stuck, "duplicates": duplicates,
               "codes": codes, "grown": grown, "samples": [asdict(one) for one in samples]}  # fmt: skip
    (RESULTS / "soak.json").write_text(json.dumps(summary))
    print({**summary, "samples": len(samples)})
    assert (lost, stuck, codes, ended) == (0, 0, {}, [0, 0])
    assert {what: more for what, more in grown.items() if more > MAX_GROWTH[what]} == {}
