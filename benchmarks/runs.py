"""One run: fill a queue, let a contender empty it, and record the cost, provided that the result is correct."""

import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.environment import AWS, BenchmarkEnvironment, Profile
from benchmarks.measure import Cpu, cpu, peak_rss_mb
from recovery.operations.backfilling.prices import dollars_per_million
from testing.fault_proxy import TrafficLog
from testing.site import Site
from testing.waiting import wait_until
from testing.worker import WorkerProcess

LONGEST_S = 1_800


@dataclass(frozen=True)
class Contender:
    """A program that processes messages from a queue and writes to an index."""

    name: str
    module: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)

    def process(self, site: Site, folder: Path) -> WorkerProcess:
        env = {**site.env, "LONG_POLL_S": "10", **self.env}
        return WorkerProcess(env, folder, name=self.name, module=self.module)


WORKER = Contender("worker", ("worker", "run"))
FLOOR = Contender("floor", ("benchmarks.floor",))
SEQUENTIAL = Contender("sequential", ("benchmarks.sequential",))


@dataclass(frozen=True)
class Cost:
    """The cost of emptying a queue with one or more processes."""

    messages: int
    seconds: float
    cpus: list[Cpu]
    peak_mb: list[float]
    requests: dict[str, float]
    """Requests per message, by service; empty without a proxy."""
    correct: str
    processes: list[WorkerProcess]

    @property
    def rate(self) -> float:
        return self.messages / self.seconds

    @property
    def cpu_ms(self) -> float:
        """CPU per message of all processes and their children, in ms."""
        return 1000 * sum(each.total_s for each in self.cpus) / self.messages

    def figures(self) -> dict[str, Any]:
        figures: dict[str, Any] = {
            "messages_per_second": self.rate,
            "cpu_ms_per_message": self.cpu_ms,
            "peak_rss_mb": max(self.peak_mb),
        }
        figures |= {f"{service}_requests_per_message": count for service, count in self.requests.items()}
        return figures | (
            {"dollars_per_million": dollars_per_million(self.cpu_ms, self.requests)} if self.requests else {}
        )


def drain(
    environment: BenchmarkEnvironment, contender: Contender, profile: Profile, keys: list[str], folder: Path, *, processes: int = 1,
    dead: int = 0,
) -> Cost:  # fmt: skip
    """Fill a new queue with an event for each key, and let the contender empty it. Raises WrongResultError."""
    site = environment.fresh(profile)
    environment.send(site, keys)
    with ExitStack() as stack:
        running = [contender.process(site, folder) for _ in range(processes)]
        for each in running:
            stack.callback(each.kill)
            each.spawn()
        for each in running:
            each.wait_started()
        began, before = time.monotonic(), [cpu(each.pid) for each in running]
        wait_until(lambda: site.depth() == (0, 0, 0), LONGEST_S, "an empty queue")
        seconds = time.monotonic() - began
        spent = [cpu(each.pid).since(earlier) for each, earlier in zip(running, before, strict=True)]
        peaks = [peak_rss_mb(each.pid) for each in running]
        correct = environment.verify(site, keys, dead=dead)
        requests = requests_per_message(environment.fault_proxy.traffic_log, len(keys)) if profile.latency_s else {}
        for each in running:
            each.stop() if contender.module == WORKER.module else each.kill()
    environment.drop(site)
    return Cost(len(keys), seconds, spent, peaks, requests, correct, running)


def paced(environment: BenchmarkEnvironment, folder: Path, keys: list[str], rate: float) -> dict[str, float]:
    """Milliseconds from send to acknowledged by the index, by key, at a constant rate and with AWS's latency."""
    site = environment.fresh(AWS)
    sent_at: dict[str, float] = {}
    process = WORKER.process(site, folder)
    try:
        process.start()
        began = time.monotonic()
        for start in range(0, len(keys), 10):
            time.sleep(max(0.0, began + start / rate - time.monotonic()))
            part = keys[start : start + 10]
            sent_at |= dict.fromkeys(part, time.time())
            site.send_all(part)
        site.wait_empty(60)
        environment.verify(site, keys)
        process.stop()
    finally:
        process.kill()
    environment.drop(site)
    indexed_at = environment.fault_proxy.traffic_log.indexed_at
    return {key: 1000 * (indexed_at[f"{site.bucket}/{key}"] - at) for key, at in sent_at.items()}


def requests_per_message(traffic_log: TrafficLog, messages: int) -> dict[str, float]:
    """The number of calls to each service so far, divided by the number of messages."""
    return {service: traffic_log.requests(service) / messages for service in ("sqs", "s3", "index")}
