"""`python -m benchmarks.intake [--messages N] [--kills N]`: the manager's intake beside a bare loop, in the same run.

Both receive ten dead letters at a time with the same clients and threads. The bare loop puts each into S3 and deletes the ten;
intake does that with what two receives return, keeps one record for each dead letter, and writes the ledger, before it deletes.
Then intake is killed with SIGKILL again and again while it takes in as many once more: rows, records and what was sent must be
the same number.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import orjson

from recovery.ledger.ledger import open_ledger
from recovery.ledger.rows import State as RowState
from recovery.ledger.selection import Selection
from recovery.manager.arrivals import Arrivals
from recovery.manager.assembly import Parts, connect, load_settings
from recovery.manager.figures import Figures
from recovery.manager.group_commit import GroupCommit
from recovery.manager.intake import LANES, Intake
from recovery.manager.metrics import ManagerMetrics
from recovery.manager.schedule import RetryRules, Scheduler
from testing import failures
from testing.aws import queue_depth
from testing.servers import ElasticMQServer, SeaweedFSServer
from testing.site import Site, make_site
from worker.core.base import logs
from worker.core.base.liveness import Liveness
from worker.core.s3.state import DEAD_LETTERS_PREFIX
from worker.core.sqs.dead_letter import DeadLetter

SHORTEST_LIFE_S, LONGEST_LIFE_S = 1.5, 4.0
EVERY = Selection(states=tuple(RowState))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.intake", description=__doc__)
    parser.add_argument("--messages", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3, help="how often each loop runs (default: 3)")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--take-in", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    logs.configure(level="error", form="json")
    if asked.take_in:
        take_in(connect(load_settings()), os.environ["LEDGER_URL"])
        return
    with tempfile.TemporaryDirectory(prefix="s3iw-bench-") as name:
        folder = Path(name)
        s3, sqs = SeaweedFSServer(folder / "s3"), ElasticMQServer(folder / "sqs")
        s3.start()
        sqs.start()
        try:
            compare(s3, sqs, folder, messages=asked.messages, rounds=asked.rounds)
            kill(s3, sqs, folder, messages=asked.messages, kills=asked.kills)
        finally:
            s3.stop()
            sqs.stop()


def compare(s3: SeaweedFSServer, sqs: ElasticMQServer, folder: Path, *, messages: int, rounds: int) -> None:
    """Run both loops in turn, each on a deployment of its own."""
    rates: dict[str, list[float]] = {"bare loop": [], "intake": []}
    for number in range(rounds):
        for name, found in rates.items():
            with closing(_site(s3, sqs)) as site:
                os.environ |= site.env
                failures.fill(sqs.url, site.queues.dlq, source=site.queues.source, bucket=site.bucket, count=messages)
                parts = connect(load_settings())
                began, cpu = time.monotonic(), time.process_time()
                if name == "intake":
                    take_in(parts, f"sqlite:///{folder}/ledger-{number}.sqlite")
                else:
                    bare_loop(parts)
                took_s, used_s = time.monotonic() - began, time.process_time() - cpu
                found.append(messages / took_s)
                per_message = f"{took_s / messages * 1000:.2f} ms, {used_s / messages * 1000:.2f} ms of CPU per message"
                print(f"{name}: {messages / took_s:,.0f}/s, {per_message}", flush=True)
    middle = {name: sorted(all_)[len(all_) // 2] for name, all_ in rates.items()}
    print(f"intake is {middle['intake'] / middle['bare loop']:.2f} × the bare loop (medians of {rounds})")


def bare_loop(parts: Parts) -> None:
    """Receive, put, delete, on as many threads as intake has, until nothing comes."""

    def lane() -> None:
        while messages := parts.clients.dlq.receive(wait_s=1, visibility_s=120):
            for message in messages:
                record = orjson.dumps(DeadLetter.received(message).as_json())
                parts.state.put(f"{DEAD_LETTERS_PREFIX}bare/{message.id}.json", record)
            assert not parts.clients.dlq.delete([message.receipt for message in messages])

    _on_threads(lane)


def take_in(parts: Parts, ledger_url: str) -> None:
    """Take in until nothing comes."""
    with closing(open_ledger(ledger_url)) as ledger:
        commit = GroupCommit(ledger)
        writer = threading.Thread(target=commit.run, args=(Liveness(3_600),), daemon=True)
        writer.start()
        metrics = ManagerMetrics(Figures)
        clock = parts.clients.objects.clock
        scheduler = Scheduler(RetryRules(), parts.clients.types, clock.now_ms)
        arrivals = Arrivals(parts.rows, scheduler, metrics)
        intake = Intake(parts.clients.dlq, parts.state, clock, ledger, commit, arrivals)

        def lane() -> None:
            while intake.once(wait_s=1):
                pass

        _on_threads(lane)
        commit.stop()
        writer.join()


def kill(s3: SeaweedFSServer, sqs: ElasticMQServer, folder: Path, *, messages: int, kills: int) -> None:
    """Kill intake in the middle, again and again, and count what there is at the end."""
    with closing(_site(s3, sqs)) as site:
        failures.fill(sqs.url, site.queues.dlq, source=site.queues.source, bucket=site.bucket, count=messages)
        url = f"sqlite:///{folder}/killed.sqlite"
        env = {**os.environ, **site.env, "LEDGER_URL": url}
        command = [sys.executable, "-m", "benchmarks.intake", "--take-in"]
        done = 0
        for _ in range(kills):
            process = subprocess.Popen(command, env=env)
            try:
                process.wait(random.uniform(SHORTEST_LIFE_S, LONGEST_LIFE_S))
                break
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                process.wait()
                done += 1
        _wait_visible(site)
        subprocess.run(command, env=env, check=True)
        with closing(open_ledger(url)) as ledger:
            rows = sum(ledger.stats().by_state.values())
            attempts = sum(row.attempts for row in ledger.rows(EVERY))
        records = len(site.state_keys(DEAD_LETTERS_PREFIX))
        left = queue_depth(site.sqs, site.queues.dlq)[:2]
        print(
            f"killed {done} times: {messages:,} sent, {records:,} records, {rows:,} rows, {attempts:,} attempts, {left} left"
        )
        assert rows == records == attempts == messages
        assert left == (0, 0)


def _site(s3: SeaweedFSServer, sqs: ElasticMQServer) -> Site:
    """A deployment whose index nobody asks."""
    return make_site(s3, sqs, SimpleNamespace(url="sqlite:////dev/null"))  # type: ignore[arg-type]


def _wait_visible(site: Site) -> None:
    """Wait until what the killed processes had received can be received again."""
    while queue_depth(site.sqs, site.queues.dlq)[1]:
        time.sleep(1)


def _on_threads(lane: Callable[[], None]) -> None:
    threads = [threading.Thread(target=lane) for _ in range(LANES)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main()
