"""The experiments, one function each; every function returns its figures by name."""

import os
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from tempfile import gettempdir
from typing import Any

from benchmarks import loads
from benchmarks.environment import AWS, LOCAL, BenchmarkEnvironment
from benchmarks.measure import cpu, quantile, rss_mb, spread
from benchmarks.runs import FLOOR, SEQUENTIAL, WORKER, Contender, Cost, drain, paced
from testing.waiting import wait_until
from testing.worker import WorkerProcess
from worker.core.extract.extractor import Extractor
from worker.core.extract.kinds import kind_of
from worker.core.extract.parse import parse

Figures = dict[str, Any]

SEQUENTIAL_MESSAGES = 200
FEW = {"WORKER_CONCURRENCY": "4"}
"""Handlers that keep one process under 40% of two cores when S3 is 25 ms away."""
MAX_CHARS = 5_000_000
INJECTED_MS = 1000 * (AWS.latency_s["sqs"] + AWS.latency_s["s3"] + AWS.latency_s["index"])


def warm_up(environment: BenchmarkEnvironment, folder: Path) -> None:
    """A run that is not counted, because Java servers are several times slower at first."""
    say("warm-up", drain(environment, WORKER, AWS, environment.fill(loads.texts(2_000)), folder))
    environment.empty()


def throughput(environment: BenchmarkEnvironment, folder: Path, *, messages: int, runs: int) -> Figures:
    """Workload a: compare the worker with the floor without latency, and with the sequential loop with AWS's latency.

    The runs are interleaved.
    """
    keys = environment.fill(loads.texts(messages))
    costs: dict[str, list[Cost]] = {}
    for _ in range(runs):
        for contender, profile, count in (
            (WORKER, LOCAL, messages), (FLOOR, LOCAL, messages), (WORKER, AWS, messages),
            (SEQUENTIAL, AWS, SEQUENTIAL_MESSAGES),
        ):  # fmt: skip
            cost = drain(environment, contender, profile, keys[:count], folder)
            say(f"{contender.name} {profile.name}", cost)
            costs.setdefault(f"{contender.name} {profile.name}", []).append(cost)
    local, floor = costs["worker local"], costs["floor local"]
    return {
        **{name: summary(each) for name, each in costs.items()},
        "cpu_over_floor": spread([a.cpu_ms / b.cpu_ms for a, b in zip(local, floor, strict=True)]),
        "rate_over_floor": spread([a.rate / b.rate for a, b in zip(local, floor, strict=True)]),
        "rate_over_sequential": spread(
            [a.rate / b.rate for a, b in zip(costs["worker aws"], costs["sequential aws"], strict=True)]
        ),
    }


def second_process(environment: BenchmarkEnvironment, folder: Path, *, messages: int, runs: int) -> Figures:
    """Compare one process and two processes on one queue, with so few handlers that the machine is mostly idle."""
    keys = environment.fill(loads.texts(messages))
    few = Contender("few", WORKER.module, FEW)
    one, two = [], []
    for _ in range(runs):
        one.append(drain(environment, few, AWS, keys, folder))
        say("one process", one[-1])
        two.append(drain(environment, few, AWS, keys, folder, processes=2))
        say("two processes", two[-1])
    shares = [cost.cpus[0].total_s / cost.seconds / (os.cpu_count() or 1) for cost in one]
    return {
        "one process": summary(one),
        "two processes": summary(two),
        "one_process_share_of_machine": spread(shares),
        "two_over_one": spread([b.rate / a.rate for a, b in zip(one, two, strict=True)]),
    }


def latency(environment: BenchmarkEnvironment, folder: Path, *, rate: float, seconds: float, runs: int) -> Figures:
    """Time from send to acknowledged by the index, with messages arriving at a constant rate."""
    keys = environment.fill(loads.texts(int(rate * seconds)))
    p50s, p99s = [], []
    for _ in range(runs):
        delays_ms = list(paced(environment, folder, keys, rate).values())
        p50s.append(quantile(delays_ms, 0.5) - INJECTED_MS)
        p99s.append(quantile(delays_ms, 0.99) - INJECTED_MS)
        print(f"  p50 {p50s[-1]:.0f} ms, p99 {p99s[-1]:.0f} ms over {INJECTED_MS:.0f} ms", flush=True)
    return {
        "messages_per_second": round(rate),
        "injected_ms": INJECTED_MS,
        "p50_ms_over_injected": spread(p50s),
        "p99_ms_over_injected": spread(p99s),
    }


def mixed(environment: BenchmarkEnvironment, folder: Path, *, messages: int, rate: float, runs: int) -> Figures:
    """Workload b: its cost, the share of it that the child processes use, and whether texts wait behind slow files."""
    keys = environment.fill(loads.mix(messages))
    costs: list[Cost] = []
    delays_ms: dict[str, list[float]] = {}
    for _ in range(runs):
        costs.append(drain(environment, WORKER, LOCAL, keys, folder))
        say("mix", costs[-1])
        for key, delay_ms in paced(environment, folder, keys, rate).items():
            delays_ms.setdefault(_speed(key), []).append(delay_ms)
        print("  p99", {name: f"{quantile(each, 0.99):.0f} ms" for name, each in delays_ms.items()}, flush=True)
    shares = [sum(c.children_s for c in cost.cpus) / sum(c.total_s for c in cost.cpus) for cost in costs]
    return {
        "worker local": summary(costs),
        "children_share_of_cpu": spread(shares),
        "messages_per_second": round(rate),
        "delay_ms": {name: histogram(each) for name, each in delays_ms.items()},
    }


def _speed(key: str) -> str:
    """Which of the three sorts of files in the mix a key belongs to."""
    return "slow" if ".slow." in key else "text" if key.endswith(".txt") else "file"


def small_office(*, runs: int, rounds: int = 30) -> Figures:
    """CPU for reading a small office file, with the readers in this process and through the worker's child process."""
    files = loads.small_office()
    alone_ms: list[float] = []
    ours_ms: list[float] = []
    extractor = Extractor(
        processes=1, timeout_s=60, memory_bytes=2 << 30, max_chars=MAX_CHARS, temp_dir=Path(gettempdir())
    )
    with closing(extractor):
        readers: tuple[tuple[list[float], Callable[[bytes, str], object]], ...] = (
            (alone_ms, lambda body, name: parse(body, kind_of(body[:4096], name, None), MAX_CHARS)),
            (ours_ms, lambda body, name: extractor.extract(body, name, None)),
        )
        for run in range(runs + 1):
            for values, read in readers:
                before = cpu(os.getpid())
                for ending, body in files * rounds:
                    read(body, f"a.{ending}")
                if run:  # the first run only loads libraries and starts the child
                    values.append(1000 * cpu(os.getpid()).since(before).total_s / (rounds * len(files)))
    print(f"  small office file: {alone_ms} alone, {ours_ms} ms through a child", flush=True)
    return {
        "files": rounds * len(files),
        "parser_alone_cpu_ms": spread(alone_ms),
        "worker_cpu_ms": spread(ours_ms),
        "ms_over_parser": spread([ours - alone for ours, alone in zip(ours_ms, alone_ms, strict=True)]),
    }


def large(environment: BenchmarkEnvironment, folder: Path, *, messages: int, runs: int) -> Figures:
    """Workload c: memory while texts of 20 MB are processed."""
    keys = environment.fill(loads.large(messages))
    costs = []
    for _ in range(runs):
        costs.append(drain(environment, WORKER, LOCAL, keys, folder))
        say("20 MB texts", costs[-1])
    return {"worker local": summary(costs)}


def endurance(environment: BenchmarkEnvironment, folder: Path, *, messages: int) -> Figures:
    """Resident memory over time, with one process and very many messages."""
    keys = environment.fill(loads.texts(4_000))
    site = environment.fresh(LOCAL)
    process = WORKER.process(site, folder)
    sizes: list[float] = []
    try:
        process.start()
        sent = 0
        while sent < messages or site.depth() != (0, 0, 0):
            if sent < messages and sum(site.depth()) < 4_000:
                environment.send(site, keys[: messages - sent])
                sent += len(keys)
            sizes.append(rss_mb(process.pid))
            time.sleep(0.5)
        correct = environment.verify(site, keys)
        process.stop()
    finally:
        process.kill()
    refused = len(process.events("index.stored_for_retry"))
    environment.drop(site)
    quarter = len(sizes) // 4
    second, last = sizes[quarter : 2 * quarter], sizes[3 * quarter :]
    means = sum(second) / len(second), sum(last) / len(last)
    print(
        f"  {sent:,} messages: most {max(sizes):.0f} MB, second quarter {means[0]:.0f}, last {means[1]:.0f} MB, "
        f"{refused} refused by the index at first",
        flush=True,
    )
    return {
        "messages": sent,
        "refused_by_the_index_at_first": refused,
        "peak_rss_mb": round(max(sizes), 1),
        "second_quarter_mb": round(means[0], 1),
        "last_quarter_mb": round(means[1], 1),
        "growth": round(means[1] / means[0] - 1, 4),
        "rss_mb": [round(size, 1) for size in sizes[:: max(1, len(sizes) // 60)]],
        "correct": correct,
    }


def idle(environment: BenchmarkEnvironment, folder: Path, *, seconds: float) -> Figures:
    """CPU and requests with an empty queue."""
    site = environment.fresh(AWS)
    process: WorkerProcess = WORKER.process(site, folder)
    try:
        process.start()
        time.sleep(5)
        began, before, calls = (
            time.monotonic(),
            cpu(process.pid),
            sum(environment.fault_proxy.traffic_log.calls.values()),
        )
        wait_until(lambda: time.monotonic() - began >= seconds, seconds + 10, "the end of a quiet minute")
        length = time.monotonic() - began
        share = cpu(process.pid).since(before).total_s / length
        requests = (sum(environment.fault_proxy.traffic_log.calls.values()) - calls) * 3600 / length
        process.stop()
    finally:
        process.kill()
    environment.drop(site)
    print(f"  idle: {share:.2%} of a core, {requests:.0f} requests per hour", flush=True)
    return {"seconds": round(length), "share_of_a_core": round(share, 5), "requests_per_hour": round(requests)}


def summary(costs: list[Cost]) -> Figures:
    """Median, minimum and maximum of several runs."""
    figures = [cost.figures() for cost in costs]
    return {
        "messages": costs[0].messages,
        **{name: spread([each[name] for each in figures]) for name in figures[0]},
        "correct": costs[0].correct,
    }


def histogram(values_ms: list[float]) -> Figures:
    """The number of values up to each of some bounds, and quantiles."""
    bounds = (10, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 60_000)
    return {
        "messages": len(values_ms),
        "p50": round(quantile(values_ms, 0.5)),
        "p99": round(quantile(values_ms, 0.99)),
        "max": round(max(values_ms)),
        "at_most": {str(bound): sum(value <= bound for value in values_ms) for bound in bounds},
    }


def say(what: str, cost: Cost) -> None:
    calls = "".join(f", {count:.3f} {name}" for name, count in cost.requests.items())
    print(
        f"  {what}: {cost.rate:.0f}/s, {cost.cpu_ms:.3f} ms CPU per message, {max(cost.peak_mb):.0f} MB{calls}; {cost.correct}",
        flush=True,
    )
