"""`python -m benchmarks`: compare workload a with floor and baseline; `--full`: all experiments. Results are JSON."""

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import dead_letters, experiments
from benchmarks.environment import BenchmarkEnvironment, benchmark_environment
from benchmarks.measure import commit, machine

RESULTS = Path(__file__).resolve().parents[1] / "build"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--full", action="store_true", help="run all experiments, not only workload a")
    parser.add_argument("--runs", type=int, default=5, help="number of runs of each contender (default: 5)")
    parser.add_argument("--messages", type=int, help="messages of workload a (default: 4,000; with --full 20,000)")
    parser.add_argument("--only", nargs="*", help="names of the experiments to run")
    parser.add_argument("--out", type=Path, help="file for the JSON (default: build/bench.json, build/bench-full.json)")
    asked = parser.parse_args()
    out: Path = asked.out or RESULTS / ("bench-full.json" if asked.full else "bench.json")
    out.parent.mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix="s3iw-bench-") as folder,
        benchmark_environment(Path(folder)) as environment,
    ):
        found: dict[str, dict[str, Any]] = {}
        for name, figures in _run(environment, Path(folder), asked):
            found[name] = {"commit": commit(), **figures}
            record = {
                "when": datetime.now(UTC).isoformat(timespec="seconds"),
                "machine": machine(),
                "experiments": found,
            }
            # Write after each experiment, because a later one may fail.
            out.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n")
    print(f"written to {out}")


def _run(
    environment: BenchmarkEnvironment, folder: Path, asked: argparse.Namespace
) -> Iterator[tuple[str, dict[str, Any]]]:
    runs, messages = asked.runs, asked.messages or (20_000 if asked.full else 4_000)
    plan: dict[str, Callable[[], dict[str, Any]]] = {
        "throughput": lambda: experiments.throughput(environment, folder, messages=messages, runs=runs)
    }
    if asked.full or asked.only:
        plan |= {
            "latency": lambda: experiments.latency(environment, folder, rate=300, seconds=20, runs=runs),
            "second process": lambda: experiments.second_process(environment, folder, messages=2_000, runs=runs),
            "mixed": lambda: experiments.mixed(environment, folder, messages=1_000, rate=50, runs=runs),
            "small office": lambda: experiments.small_office(runs=runs),
            "recovery": lambda: dead_letters.recovery(environment, folder, messages=8_158, runs=runs),
            "idle": lambda: experiments.idle(environment, folder, seconds=120),
            "large": lambda: experiments.large(environment, folder, messages=200, runs=1),
            "endurance": lambda: experiments.endurance(environment, folder, messages=200_000),
        }
    experiments.warm_up(environment, folder)
    for name, experiment in plan.items():
        if not asked.only or name in asked.only:
            print(name, flush=True)
            began = time.monotonic()
            yield name, experiment()
            environment.empty()
            print(f"  took {time.monotonic() - began:.0f} s", flush=True)


if __name__ == "__main__":
    main()
