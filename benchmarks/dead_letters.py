"""Workload d: a DLQ as after an incident, recovered by `recover_dlq` and by the loop that most teams would write."""

import json
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from benchmarks import loads
from benchmarks.environment import AWS, BenchmarkEnvironment, WrongResultError
from benchmarks.measure import rss_mb, spread
from benchmarks.runs import Contender, requests_per_message
from testing.aws import queue_depth
from testing.dead_letters import expected, fill_dlq, kept_keys
from testing.site import Site
from testing.waiting import wait_until
from testing.worker import base_env

BASELINE_MESSAGES = 200
BASELINE = Contender("sequential", ("benchmarks.sequential", "dlq"))


def recovery(environment: BenchmarkEnvironment, folder: Path, *, messages: int, runs: int) -> dict[str, Any]:
    """Messages per second of both, and the command's memory. The command's summary is compared with the servers."""
    keys = environment.fill(loads.texts(messages))
    ours, theirs, ratios, peaks, growths = [], [], [], [], []
    for _ in range(runs):
        rate, sizes = _recover(environment, keys)
        ours.append(rate)
        theirs.append(_sequential(environment, folder, keys[:BASELINE_MESSAGES]))
        ratios.append(ours[-1] / theirs[-1])
        peaks.append(max(sizes))
        quarter = len(sizes) // 4
        second, last = sizes[quarter : 2 * quarter], sizes[3 * quarter :]
        growths.append(sum(last) / len(last) / (sum(second) / len(second)) - 1)
        print(
            f"  recover_dlq {ours[-1]:.0f}/s, sequential {theirs[-1]:.1f}/s, {ratios[-1]:.0f} ×, {peaks[-1]:.0f} MB",
            flush=True,
        )
    return {
        "messages": messages,
        "recover_per_second": spread(ours),
        "sequential_per_second": spread(theirs),
        "rate_over_sequential": spread(ratios),
        "peak_rss_mb": spread(peaks),
        "growth": spread(growths),
        "requests_per_message": requests_per_message(environment.fault_proxy.traffic_log, BASELINE_MESSAGES),
    }


def _recover(environment: BenchmarkEnvironment, keys: list[str]) -> tuple[float, list[float]]:
    site = environment.fresh(AWS)
    fill_dlq(site, keys, environment.etags, endpoint=environment.sqs_url)
    command = [sys.executable, "-m", "recovery.cli.recover_dlq", "--batch-size", "50", "--json"]
    began = time.monotonic()
    process = subprocess.Popen(
        command, env={**base_env(), **site.env}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    sizes: list[float] = []
    watcher = threading.Thread(target=_watch, args=(process, sizes))
    watcher.start()
    out, errors = process.communicate(timeout=600)
    watcher.join()
    seconds = time.monotonic() - began
    found = json.loads(out) if out else {}
    wanted = expected(len(keys))
    if process.returncode or any(found.get(name) != count for name, count in wanted.items()):
        raise WrongResultError(f"exit {process.returncode}, {found}; it should be {wanted}; {errors[-2000:]}")
    print(f"  {environment.verify(site, kept_keys(keys))}; {_archived(site, wanted['archived'])}", flush=True)
    environment.drop(site)
    return len(keys) / seconds, sizes


def _archived(site: Site, wanted: int) -> str:
    archived = len([key for key in site.state_keys("dlq-archive/") if key.endswith(".json")])
    site.empty_state()
    if archived != wanted:
        raise WrongResultError(f"dlq-archive/ has {archived} records; it should have {wanted}")
    return f"dlq-archive/ {archived}"


def _watch(process: "subprocess.Popen[str]", sizes: list[float]) -> None:
    while process.poll() is None:
        try:
            sizes.append(rss_mb(process.pid))
        except (OSError, IndexError):
            return
        time.sleep(0.1)


def _sequential(environment: BenchmarkEnvironment, folder: Path, keys: list[str]) -> float:
    site = environment.fresh(AWS)
    fill_dlq(site, keys, environment.etags, endpoint=environment.sqs_url)
    process = BASELINE.process(site, folder)
    process.start()
    try:
        began = time.monotonic()
        wait_until(lambda: queue_depth(site.sqs, site.queues.dlq) == (0, 0, 0), 300, "an empty DLQ")
        return len(keys) / (time.monotonic() - began)
    finally:
        process.kill()
        environment.drop(site)
