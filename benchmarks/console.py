"""`python -m benchmarks.console [--rows N] [--times N]`: how long each page of the console takes, on SQLite and on PostgreSQL.

The real manager serves on the real servers, with a ledger full of dead letters of 60 causes, of which a few have their records
in the state bucket. Each page is asked for many times by one reader, each time about something else where that is possible.
Target (p95): 150 ms with 100,000 dead letters; a page has at most 100 KB over the wire.
"""

import argparse
import http.client
import json
import random
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, fields, replace
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import quote, urlencode

from rich.console import Console
from rich.table import Table

from benchmarks.ledger import CAUSES, LOADED_AT_ONCE, NOW_MS, STEP_MS, WORDS, row
from benchmarks.measure import machine, quantile
from recovery.ledger.address import ledger_url
from recovery.ledger.database import Database
from recovery.ledger.ledger import Ledger
from recovery.ledger.migrating import SchemaState
from recovery.ledger.rows import Row
from recovery.ledger.selection import instant
from testing import failures
from testing.aws import queue_depth
from testing.postgresql import PostgresServer
from testing.servers import ElasticMQServer, SeaweedFSServer
from testing.site import Site, make_site
from testing.waiting import wait_until
from testing.worker import WorkerProcess

STORED = 60
"""Dead letters that come through the queue, and so have records."""
TIMES = tuple(one.name for one in fields(Row) if one.name.endswith("_ms"))
PER_MINUTE = "1000000"


@dataclass(frozen=True)
class Answer:
    """What a page was answered with."""

    ms: float
    size_bytes: int
    """Over the wire."""


class Browser:
    """One reader, who keeps a connection."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def ask(self, path: str) -> tuple[Answer, bytes]:
        """Read one page to its end; anything but a success ends the benchmark."""
        began = time.perf_counter()
        self._connection.request("GET", path, headers={"Accept-Encoding": "gzip", "Accept-Language": "en"})
        answer = self._connection.getresponse()
        body = answer.read()
        took_ms = (time.perf_counter() - began) * 1000
        if answer.status != 200:
            raise SystemExit(f"{path}: {answer.status} {body[:300]!r}")
        return Answer(took_ms, len(body)), body

    def post(self, path: str, body: object) -> Mapping[str, str]:
        """What a change through the API is answered with."""
        self._connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
        answer = self._connection.getresponse()
        found: Mapping[str, str] = json.loads(answer.read())
        return found

    def close(self) -> None:
        self._connection.close()


def fill(ledger: Ledger, rows: int) -> None:
    """Write the rows of the ledger's benchmark, of which the latest has come just now."""
    chance, later_ms = random.Random(7), time.time_ns() // 1_000_000 - NOW_MS - rows * STEP_MS - 600_000
    numbers = iter(range(rows))
    while some := list(islice(numbers, LOADED_AT_ONCE)):
        made = [row(number, chance) for number in some]
        moved = [{name: value + later_ms for name in TIMES if (value := getattr(one, name))} for one in made]
        ledger.restore_rows([replace(one, **moments) for one, moments in zip(made, moved, strict=True)])


def pages(browser: Browser) -> dict[str, list[str]]:
    """Paths of each page, by name."""
    items = json.loads(browser.ask(f"/api/v1/messages?limit={STORED}&sort=last_seen")[1])["items"]
    groups = [one["fingerprint"] for one in json.loads(browser.ask("/api/v1/groups?limit=40")[1])["items"]]
    as_of = instant(time.time_ns() // 1_000_000)
    plan = browser.post("/api/v1/plans", {"verb": "redrive", "q": f"group:{groups[0]}"})
    operation = browser.post("/api/v1/operations", {"plan": plan["id"]})["id"]
    browser.post(f"/api/v1/operations/{operation}/pause", {})
    waiting = browser.post("/api/v1/plans", {"verb": "redrive", "q": f"group:{groups[1]}"})["id"]
    queries = (
        [f"key:{word}" for word in WORDS]
        + [f"error:{error}" for _, error, _ in CAUSES[:10]]
        + ["kind:UNKNOWN older:2h"]
    )
    return {
        "overview": ["/console/"],
        "groups": ["/console/groups"],
        "one group": [f"/console/groups/{quote(one, safe='')}?as_of={as_of}" for one in groups],
        "messages": ["/console/messages"],
        "messages, filtered": [f"/console/messages?{urlencode({'q': query})}" for query in queries],
        "one message": [f"/console/messages/{one['identity']}" for one in items],
        "plan": [f"/console/plans/{waiting}"],
        "operations": ["/console/operations"],
        "operation": [f"/console/operations/{operation}"],
        "archive": ["/console/archive"],
        "schedule": ["/console/schedule"],
        "audit": ["/console/audit"],
        "settings": ["/console/settings"],
    }


def measure(port: int, times: int) -> Iterator[tuple[str, list[Answer]]]:
    """The answers of every page."""
    with closing(Browser(port)) as browser:
        for name, paths in pages(browser).items():
            browser.ask(paths[0])
            yield name, [browser.ask(paths[number % len(paths)])[0] for number in range(times)]


@contextmanager
def serving(site: Site, url: str, sqs: ElasticMQServer, folder: Path) -> Iterator[int]:
    """A manager that has taken in STORED dead letters more; its port."""
    failures.fill(sqs.url, site.queues.dlq, source=site.queues.source, bucket=site.bucket, count=STORED)
    env = {
        **site.env, "LEDGER_URL": url, "MANAGER_PORT": "0", "LOG_LEVEL": "error", "MANAGER_REQUESTS_PER_MINUTE": PER_MINUTE,
        "RETRY_TIMES": "0",
    }  # fmt: skip
    manager = WorkerProcess(
        {**env, "LOG_LEVEL": "info"}, folder, name="manager", module=("recovery.manager.cli", "serve"), started="manager.started"
    )  # fmt: skip
    try:
        manager.start()
        wait_until(lambda: queue_depth(site.sqs, site.queues.dlq)[:2] == (0, 0), 60, "an empty dead-letter queue")
        yield int(manager.events("manager.started")[-1]["port"])
    finally:
        manager.kill()


def _table(name: str, rows: int, found: Iterator[tuple[str, list[Answer]]]) -> Table:
    table = Table(title=f"{name}, {rows:,} dead letters")
    table.add_column("page")
    for title in ("p50 ms", "p95 ms", "KB"):
        table.add_column(title, justify="right")
    for page, answers in found:
        times = [one.ms for one in answers]
        most = max(one.size_bytes for one in answers) / 1000
        table.add_row(page, f"{quantile(times, 0.5):.0f}", f"{quantile(times, 0.95):.0f}", f"{most:.1f}")
    return table


def main() -> None:
    """Print a table for each database."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.console", description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000, help="dead letters in the ledger (default: 100,000)")
    parser.add_argument("--times", type=int, default=40, help="how often each page is asked for (default: 40)")
    asked = parser.parse_args()
    console, about = Console(), machine()
    console.print(f"{about['cpu']}, {about['cores']} cores, Python {about['python']}")
    with tempfile.TemporaryDirectory(prefix="s3iw-bench-") as name:
        folder = Path(name)
        with (
            SeaweedFSServer(folder / "s3") as s3, ElasticMQServer(folder / "sqs") as sqs,
            PostgresServer(folder / "postgresql", durable=True) as postgresql,
        ):  # fmt: skip
            urls = {"SQLite": f"sqlite:///{folder}/ledger.sqlite", "PostgreSQL": postgresql.new_database()}
            for database, url in urls.items():
                with closing(make_site(s3, sqs, SimpleNamespace(url=""))) as site:  # type: ignore[arg-type]
                    with closing(Ledger(Database(ledger_url(url)))) as ledger:
                        if ledger.schema_state() is not SchemaState.CURRENT:
                            ledger.migrate()
                        fill(ledger, asked.rows)
                    with serving(site, url, sqs, folder) as port:
                        console.print(_table(database, asked.rows, measure(port, asked.times)))


if __name__ == "__main__":
    main()
