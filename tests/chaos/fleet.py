"""Several workers on one queue, sent signals while they work: a stream of changes, and the oracle at the end."""

import random
import signal
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

from testing.aws import s3_event, s3_record
from testing.corpus_bodies import SAMPLES
from testing.worker import WorkerProcess
from tests.chaos.stage import VISIBILITY_S, Stage
from tests.support.oracle import Judgement

WRITERS = 8
FROZEN_S = VISIBILITY_S + 2.0
QUIET_FOR_S = 2.0
MAX_SIGNAL_DELAY_S = 1.0
"""The longest time from the first change to a signal."""
MAX_KEYS = 8_000
"""Beyond this number, only existing objects are changed."""
OFFICE = 0.1
"""The share of objects that are office files, which a child process reads, whatever their names are."""
DOCUMENTS = tuple(
    (SAMPLES / name).read_bytes()
    for name in ("経理/請求書 No.1042.pdf", "legal/NDA draft (v2+final).docx", "経理/2026年度 予算案.xlsx")
)
NOISE_OF = 50
"""One message in this many is noise."""


@dataclass
class Fleet:
    """Workers on one queue; a worker that exits is restarted."""

    on: Stage
    envs: list[Mapping[str, str]]
    workers: list[WorkerProcess] = field(default_factory=list)
    codes: Counter[int] = field(default_factory=Counter)
    keys: list[str] = field(default_factory=list)
    """Every key that was ever written."""

    def start(self) -> None:
        """Start all of them and wait until they serve."""
        self.workers = [self._spawned(number) for number in range(len(self.envs))]
        for worker in self.workers:
            worker.wait_started()

    def _spawned(self, number: int) -> WorkerProcess:
        env = {**self.on.env, **self.envs[number]}
        worker = WorkerProcess(env, self.on.folder, name=f"w{number}", module=("tests.chaos.hurried", "worker", "run"))
        worker.spawn()
        return worker

    def keep_alive(self) -> None:
        """Restart the workers that have exited."""
        for number, worker in enumerate(self.workers):
            code = worker.process.poll() if worker.process else 0
            if code is not None:
                self.codes[code] += 1
                self.workers[number] = self._spawned(number)

    def signal_while_changing(self, rng: random.Random, number: signal.Signals, count: int) -> None:
        """Send one of them a signal while objects change."""
        with ThreadPoolExecutor(1) as pool:
            changing = pool.submit(self.change, random.Random(rng.random()), count)
            time.sleep(rng.random() * MAX_SIGNAL_DELAY_S)
            self.send_signal(rng, number)
            changing.result()

    def send_signal(self, rng: random.Random, number: signal.Signals) -> None:
        """Send one of them a signal; one that is frozen continues after its messages have become visible again."""
        worker = rng.choice(self.workers)
        if number != signal.SIGKILL:  # which may come during a start, too
            worker.wait_started()
        worker.send(number)
        if number == signal.SIGSTOP:
            time.sleep(FROZEN_S)
            worker.send(signal.SIGCONT)
        else:
            worker.wait(40)
        self.keep_alive()

    # -- changes -------------------------------------------------------------------------------------------------

    def change(self, rng: random.Random, count: int) -> None:
        """New objects, overwrites and removals, each with its event; and some noise."""
        known = len(self.keys)
        new = count * 3 // 4 if known < MAX_KEYS else 0
        self.keys += [f"f/{known + at:06}.txt" for at in range(new)]
        chosen = self.keys[known:] + [rng.choice(self.keys) for _ in range(count - new)]
        seeds = [rng.random() for _ in chosen]
        by_key: dict[str, list[float]] = {}
        for key, seed in zip(chosen, seeds, strict=True):
            by_key.setdefault(key, []).append(seed)
        with ThreadPoolExecutor(WRITERS) as pool:  # one key's changes in order, by one thread
            list(pool.map(self._change_each, by_key.items()))

    def _change_each(self, item: tuple[str, list[float]]) -> None:
        key, seeds = item
        for seed in seeds:
            self._change_one(key, seed)

    def _change_one(self, key: str, seed: float) -> None:
        site = self.on.site
        if seed < 0.05:
            site.s3.delete_object(Bucket=site.bucket, Key=key)
            self.on.send(key, "ObjectRemoved:Delete")
            return
        office = seed < 0.05 + OFFICE
        site.put(key, DOCUMENTS[int(seed * 1e6) % len(DOCUMENTS)] if office else f"text of {key} {seed}")
        self.on.send(key)
        if seed > 1 - 1 / NOISE_OF:
            self.on.send_body(f"noise {key} {seed}", is_dead_letter=True)

    # -- the end -------------------------------------------------------------------------------------------------

    def wait_quiet(self, timeout_s: float) -> bool:
        """Wait until nothing is left to do for a while, also by a worker that was frozen; workers that exit are restarted."""
        until = time.monotonic() + timeout_s
        quiet_since: float | None = None
        while time.monotonic() < until:
            self.keep_alive()
            if not self.on.is_quiet:
                quiet_since = None
            elif quiet_since is None:
                quiet_since = time.monotonic()
            elif time.monotonic() - quiet_since > QUIET_FOR_S:
                return True
            time.sleep(0.3)
        return False

    def judgement(self) -> Judgement:
        """What the oracle finds about every event, and about every key ever written."""
        return self.on.oracle.judgement(self.on.fault_proxy.traffic_log, also=self.keys)

    def kill(self) -> None:
        """Kill all of them."""
        for worker in self.workers:
            worker.kill()

    def stop(self) -> list[int]:
        """Send SIGTERM to all, once they have started: before, it ends a process as it ends any; their exit codes."""
        return [worker.wait_started().stop() for worker in self.workers]


@contextmanager
def fleet(on: Stage, *envs: Mapping[str, str]) -> Iterator[Fleet]:
    """A running fleet, which is killed at the end."""
    made = Fleet(on, list(envs))
    with ExitStack() as stack:
        stack.callback(made.kill)
        on.rule()
        made.start()
        yield made


def event_of(on: Stage, key: str, name: str = "ObjectCreated:Put", **fields: Any) -> str:
    """The body of an event."""
    return s3_event(s3_record(on.site.bucket, key, name, **fields))
