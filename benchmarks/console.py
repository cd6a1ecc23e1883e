"""`python -m benchmarks.console [--rows N] [--times N]`: how long each page of the console takes, on SQLite and on PostgreSQL.

The real manager serves on the real servers, with a ledger full of dead letters of 60 causes, of which a few have their records
in the state bucket, an audit of some days, and an index of 10,000 files. Each page is asked for many times by one reader, each
time about something else where that is possible. `CPU ms` is what manager and PostgreSQL spend on one: on a machine that does
other work at the same time, a page takes longer than that. Target (p95): 150 ms with 100,000 dead letters; a page has at most
100 KB over the wire. `first` is the first page, soon after the start.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import SimpleNamespace

from rich.console import Console
from rich.table import Table

from benchmarks.console_pages import STORED, Answer, Browser, fill, fill_audit, fill_index, timed
from benchmarks.measure import cpu, machine, quantile
from recovery.ledger.address import ledger_url
from recovery.ledger.database import Database
from recovery.ledger.ledger import Ledger
from recovery.ledger.migrating import SchemaState
from testing import failures
from testing.aws import queue_depth
from testing.postgresql import PostgresServer
from testing.servers import ElasticMQServer, SeaweedFSServer
from testing.site import Site, make_site
from testing.waiting import wait_until
from testing.worker import WorkerProcess

PER_MINUTE = "1000000"


@contextmanager
def serving(site: Site, url: str, sqs: ElasticMQServer, folder: Path) -> Iterator[WorkerProcess]:
    """A manager that has taken in STORED dead letters more, with the search page."""
    failures.fill(sqs.url, site.queues.dlq, source=site.queues.source, bucket=site.bucket, count=STORED)
    fill_audit(site)
    index = folder / f"{site.bucket}.sqlite"
    fill_index(index, site.bucket)
    env = {
        **site.env, "LEDGER_URL": url, "MANAGER_PORT": "0", "LOG_LEVEL": "info", "MANAGER_REQUESTS_PER_MINUTE": PER_MINUTE,
        "RETRY_TIMES": "0", "INDEX_URL": f"sqlite:///{index}", "SEARCH_PAGE": "on",
    }  # fmt: skip
    manager = WorkerProcess(
        env, folder, name="manager", module=("recovery.manager.cli", "serve"), started="manager.started"
    )
    try:
        manager.start()
        yield manager
    finally:
        manager.kill()


def _port(manager: WorkerProcess) -> int:
    return int(manager.events("manager.started")[-1]["port"])


def _first(port: int) -> Iterator[Answer]:
    with closing(Browser(port)) as browser:
        yield browser.ask("/console/messages")[0]


def _table(name: str, rows: int, found: Iterator[tuple[str, Iterator[Answer]]], spent_s: Callable[[], float]) -> Table:
    table = Table(title=f"{name}, {rows:,} dead letters")
    table.add_column("page")
    for title in ("p50 ms", "p95 ms", "CPU ms", "KB"):
        table.add_column(title, justify="right")
    for page, asked in found:
        before_s = spent_s()
        answers = list(asked)
        each_ms = (spent_s() - before_s) * 1000 / len(answers)
        times = [one.ms for one in answers]
        most = max(one.size_bytes for one in answers) / 1000
        table.add_row(
            page, f"{quantile(times, 0.5):.0f}", f"{quantile(times, 0.95):.0f}", f"{each_ms:.0f}", f"{most:.1f}"
        )
    return table


def _measure(
    database: str, url: str, rows: int, times: int, servers: tuple[SeaweedFSServer, ElasticMQServer, PostgresServer],
    folder: Path,
) -> Table:  # fmt: skip
    s3, sqs, postgresql = servers
    with closing(make_site(s3, sqs, SimpleNamespace(url=""))) as site:  # type: ignore[arg-type]
        with closing(Ledger(Database(ledger_url(url)))) as ledger:
            if ledger.schema_state() is not SchemaState.CURRENT:
                ledger.migrate()
            fill(ledger, rows)
        if not url.startswith("sqlite"):
            postgresql.psql("VACUUM ANALYZE", database=url.rpartition("/")[2])  # which it does by itself, minutes later
        with serving(site, url, sqs, folder) as manager:

            def spent_s() -> float:
                return cpu(manager.pid).total_s + (0.0 if url.startswith("sqlite") else cpu(postgresql.pid).total_s)

            def asked() -> Iterator[tuple[str, Iterator[Answer]]]:
                wait_until(
                    lambda: queue_depth(site.sqs, site.queues.dlq)[:2] == (0, 0), 60, "an empty dead-letter queue"
                )
                time.sleep(1.0)  # what intake, the figures and the start still do is not a page's
                yield "first", _first(_port(manager))
                wait_until(
                    lambda: manager.events("upkeep.checked") or manager.events("upkeep.failed"), 300, "the daily check"
                )  # of all rows, most of which have no record here, so that it fails
                yield from timed(_port(manager), times)

            return _table(database, rows, asked(), spent_s)


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
                console.print(_measure(database, url, asked.rows, asked.times, (s3, sqs, postgresql), folder))
                console.print(f"load: {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
