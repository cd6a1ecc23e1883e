"""What is measured, one function each; every one gives its figures by name."""

import time
from pathlib import Path
from typing import Any

from benchmarks import loads
from benchmarks.measure import cpu, quantile, rss_mb, spread
from benchmarks.runs import FLOOR, SEQUENTIAL, WORKER, Contender, Cost, drain
from benchmarks.stand import AWS, LOCAL, Stand
from tests.support.waiting import wait_until
from tests.support.worker import WorkerProcess

Figures = dict[str, Any]

SEQUENTIAL_MESSAGES = 200
FEW = {"WORKER_CONCURRENCY": "4"}
"""Handlers that keep one process under 40% of two cores when S3 is 25 ms away."""
INJECTED_MS = 1000 * (AWS.latency_s["sqs"] + AWS.latency_s["s3"] + AWS.latency_s["index"])


def warm_up(stand: Stand, folder: Path) -> None:
    """A run that counts for nothing: cold Java servers are several times slower."""
    say("warm-up", drain(stand, WORKER, AWS, stand.fill(loads.texts(2_000)), folder))
    stand.empty()


def throughput(stand: Stand, folder: Path, *, messages: int, runs: int) -> Figures:
    """Workload a: worker against floor without latency, worker against the sequential loop with AWS's; interleaved."""
    keys = stand.fill(loads.texts(messages))
    costs: dict[str, list[Cost]] = {}
    for _ in range(runs):
        for contender, profile, count in (
            (WORKER, LOCAL, messages), (FLOOR, LOCAL, messages), (WORKER, AWS, messages),
            (SEQUENTIAL, AWS, SEQUENTIAL_MESSAGES),
        ):  # fmt: skip
            cost = drain(stand, contender, profile, keys[:count], folder)
            say(f"{contender.name} {profile.name}", cost)
            costs.setdefault(f"{contender.name} {profile.name}", []).append(cost)
    local, floor = costs["worker local"], costs["floor local"]
    return {
        **{name: summary(each) for name, each in costs.items()},
        "cpu over floor": spread([a.cpu_ms / b.cpu_ms for a, b in zip(local, floor, strict=True)]),
        "rate over floor": spread([a.rate / b.rate for a, b in zip(local, floor, strict=True)]),
        "rate over sequential": spread(
            [a.rate / b.rate for a, b in zip(costs["worker aws"], costs["sequential aws"], strict=True)]
        ),
    }


def second_process(stand: Stand, folder: Path, *, messages: int, runs: int) -> Figures:
    """One process and two on one queue, at a concurrency that leaves the machine mostly idle."""
    keys = stand.fill(loads.texts(messages))
    few = Contender("few", WORKER.module, FEW)
    one, two = [], []
    for _ in range(runs):
        one.append(drain(stand, few, AWS, keys, folder))
        say("one process", one[-1])
        two.append(drain(stand, few, AWS, keys, folder, processes=2))
        say("two processes", two[-1])
    shares = [cost.cpus[0].total_s / cost.seconds / 2 for cost in one]
    return {
        "one process": summary(one),
        "two processes": summary(two),
        "share of two cores, one process": spread(shares),
        "two over one": spread([b.rate / a.rate for a, b in zip(one, two, strict=True)]),
    }


def latency(stand: Stand, folder: Path, *, rate: float, seconds: float, runs: int) -> Figures:
    """From send to acknowledged by the index, while messages come at an even rate."""
    keys = stand.fill(loads.texts(int(rate * seconds)))
    p50s, p99s = [], []
    for _ in range(runs):
        delays_ms = _paced(stand, folder, keys, rate)
        p50s.append(quantile(delays_ms, 0.5) - INJECTED_MS)
        p99s.append(quantile(delays_ms, 0.99) - INJECTED_MS)
        print(
            f"  latency at {rate:.0f}/s: p50 {p50s[-1]:.0f} ms, p99 {p99s[-1]:.0f} ms over {INJECTED_MS:.0f} ms",
            flush=True,
        )
    return {
        "messages per second": round(rate),
        "injected ms": INJECTED_MS,
        "p50 ms over injected": spread(p50s),
        "p99 ms over injected": spread(p99s),
    }


def _paced(stand: Stand, folder: Path, keys: list[str], rate: float) -> list[float]:
    site = stand.fresh(AWS)
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
        stand.verify(site, keys)
        process.stop()
    finally:
        process.kill()
    stand.drop(site)
    indexed_at = stand.wire.books.indexed_at
    return [1000 * (indexed_at[f"{site.bucket}/{key}"] - at) for key, at in sent_at.items()]


def mixed(stand: Stand, folder: Path, *, messages: int, runs: int) -> Figures:
    """Workload b: how long texts and files take, and how much of it all the children spend."""
    keys = stand.fill(loads.mix(messages))
    costs, texts_ms, files_ms = [], [], []
    for _ in range(runs):
        costs.append(drain(stand, WORKER, LOCAL, keys, folder))
        say("mix", costs[-1])
        for line in costs[-1].processes[0].events("message.settled"):
            (texts_ms if line["key"].endswith(".txt") else files_ms).append(line["duration_ms"])
    shares = [sum(c.children_s for c in cost.cpus) / sum(c.total_s for c in cost.cpus) for cost in costs]
    return {
        "worker local": summary(costs),
        "share of CPU in children": spread(shares),
        "texts, receive to settled": histogram(texts_ms),
        "files, receive to settled": histogram(files_ms),
    }


def large(stand: Stand, folder: Path, *, messages: int, runs: int) -> Figures:
    """Workload c: memory while texts of 20 MB go through."""
    keys = stand.fill(loads.large(messages))
    costs = []
    for _ in range(runs):
        costs.append(drain(stand, WORKER, LOCAL, keys, folder))
        say("20 MB texts", costs[-1])
    return {"worker local": summary(costs)}


def endurance(stand: Stand, folder: Path, *, messages: int) -> Figures:
    """One process and very many messages: resident memory over time."""
    keys = stand.fill(loads.texts(4_000))
    site = stand.fresh(LOCAL)
    process = WORKER.process(site, folder)
    sizes: list[float] = []
    try:
        process.start()
        sent = 0
        while sent < messages or site.depth() != (0, 0, 0):
            if sent < messages and sum(site.depth()) < 4_000:
                stand.send(site, keys[: messages - sent])
                sent += len(keys)
            sizes.append(rss_mb(process.pid))
            time.sleep(0.5)
        correct = stand.verify(site, keys)
        process.stop()
    finally:
        process.kill()
    stand.drop(site)
    quarter = len(sizes) // 4
    second, last = sizes[quarter : 2 * quarter], sizes[3 * quarter :]
    means = sum(second) / len(second), sum(last) / len(last)
    print(
        f"  {sent:,} messages: most {max(sizes):.0f} MB, second quarter {means[0]:.0f}, last {means[1]:.0f} MB",
        flush=True,
    )
    return {
        "messages": sent,
        "most MB": round(max(sizes), 1),
        "second quarter MB": round(means[0], 1),
        "last quarter MB": round(means[1], 1),
        "growth": round(means[1] / means[0] - 1, 4),
        "correct": correct,
    }


def idle(stand: Stand, folder: Path, *, seconds: float) -> Figures:
    """A quiet queue: CPU and requests."""
    site = stand.fresh(AWS)
    process: WorkerProcess = WORKER.process(site, folder)
    try:
        process.start()
        time.sleep(5)
        began, before, calls = time.monotonic(), cpu(process.pid), sum(stand.wire.books.calls.values())
        wait_until(lambda: time.monotonic() - began >= seconds, seconds + 10, "the end of a quiet minute")
        length = time.monotonic() - began
        share = cpu(process.pid).since(before).total_s / length
        requests = (sum(stand.wire.books.calls.values()) - calls) * 3600 / length
        process.stop()
    finally:
        process.kill()
    stand.drop(site)
    print(f"  idle: {share:.2%} of a core, {requests:.0f} requests an hour", flush=True)
    return {"seconds": round(length), "share of a core": round(share, 5), "requests an hour": round(requests)}


def summary(costs: list[Cost]) -> Figures:
    """Medians and spread of several runs."""
    figures = [cost.figures() for cost in costs]
    return {
        "messages": costs[0].messages,
        **{name: spread([each[name] for each in figures]) for name in figures[0]},
        "correct": costs[0].correct,
    }


def histogram(values_ms: list[float]) -> Figures:
    """How many values fall under each of some bounds, and the quantiles."""
    bounds = (10, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 60_000)
    counts = {f"<= {bound} ms": sum(value <= bound for value in values_ms) for bound in bounds}
    return {
        "p50 ms": round(quantile(values_ms, 0.5), 1),
        "p99 ms": round(quantile(values_ms, 0.99), 1),
        "most ms": round(max(values_ms), 1),
        "cumulative": counts,
    }


def say(what: str, cost: Cost) -> None:
    calls = "".join(f", {count:.3f} {name}" for name, count in cost.requests.items())
    print(
        f"  {what}: {cost.rate:.0f}/s, {cost.cpu_ms:.3f} ms CPU a message, {max(cost.peak_mb):.0f} MB{calls}; {cost.correct}",
        flush=True,
    )
