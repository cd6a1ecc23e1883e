"""`python -m benchmarks.console_watchers [--viewers N] [--seconds S]`: what open pages cost the manager.

So many browsers watch one operation, as the page of an operation does: they hold its events, and read the page again after a
change, at most every GAP_S. As many have the overview open, which is read again every 5 s. Some more ask for pages and never
read the answers. Meanwhile, one reader measures how long a page takes. Target: under half a core, and pages in 150 ms.
"""

import argparse
import http.client
import socket
import tempfile
import threading
import time
from collections import Counter
from contextlib import closing, suppress
from pathlib import Path
from types import SimpleNamespace

from rich.console import Console

from benchmarks.console import serving
from benchmarks.console_pages import Browser, fill
from benchmarks.measure import cpu, quantile
from recovery.ledger.ledger import open_ledger
from testing.servers import ElasticMQServer, SeaweedFSServer
from testing.site import make_site

ROWS = 20_000
GAP_S = 2.0
"""As static/live.js."""
OVERVIEW_S = 5.0
UNREAD = 10


class Crowd:
    """Those who look on, each on a thread, until `stop` is set."""

    def __init__(self, port: int, operation: str, viewers: int) -> None:
        self._port, self._page = port, f"/console/operations/{operation}"
        self._events = f"/api/v1/operations/{operation}/events"
        self.stop = threading.Event()
        self.counts: Counter[str] = Counter()
        for number in range(viewers):
            self._start(self._watch)
            self._start(self._overview, number / viewers * OVERVIEW_S)
        for _ in range(UNREAD):
            self._start(self._never_read)

    def _start(self, work: object, *given: object) -> None:
        threading.Thread(target=work, args=given, daemon=True).start()  # type: ignore[arg-type]

    def _watch(self) -> None:
        events = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        events.request("GET", self._events)
        answer, read_at = events.getresponse(), 0.0
        self.counts[f"events answered {answer.status}"] += 1
        with suppress(OSError, http.client.HTTPException), closing(Browser(self._port)) as browser:
            while not self.stop.is_set() and (line := answer.readline()):
                if line.startswith(b"data:") and time.monotonic() - read_at >= GAP_S:
                    read_at = time.monotonic()
                    browser.ask(self._page)
                    self.counts["operation pages"] += 1

    def _overview(self, later_s: float) -> None:
        time.sleep(later_s)
        while not self.stop.wait(OVERVIEW_S):
            # The manager closes a connection that is idle for 5 s.
            with suppress(OSError, http.client.HTTPException), closing(Browser(self._port)) as browser:
                browser.ask("/console/")
                self.counts["overviews"] += 1

    def _never_read(self) -> None:
        with socket.create_connection(("127.0.0.1", self._port)) as connection:
            connection.sendall(f"GET {self._events} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
            self.stop.wait()


def main() -> None:
    """Print the CPU of the manager, and how long a page took meanwhile."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.console_watchers", description=__doc__)
    parser.add_argument("--viewers", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=30.0)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="s3iw-bench-") as name:
        folder = Path(name)
        url = f"sqlite:///{folder}/ledger.sqlite"
        with closing(open_ledger(url)) as ledger:
            fill(ledger, ROWS)
        with (
            SeaweedFSServer(folder / "s3") as s3, ElasticMQServer(folder / "sqs") as sqs,
            closing(make_site(s3, sqs, SimpleNamespace(url=""))) as site,  # type: ignore[arg-type]
            serving(site, url, sqs, folder) as manager,
        ):  # fmt: skip
            port = int(manager.events("manager.started")[-1]["port"])
            _measure(port, manager.pid, asked.viewers, asked.seconds)


def _measure(port: int, pid: int, viewers: int, seconds: float) -> None:
    with closing(Browser(port)) as browser:
        options = {"rate": 5, "while_paused": True}
        plan = browser.post("/api/v1/plans", {"verb": "redrive", "q": "state:open", "options": options})
        operation = browser.post("/api/v1/operations", {"plan": plan["id"]})["id"]
        before = _cores(pid, seconds / 3)
        crowd = Crowd(port, operation, viewers)
        time.sleep(OVERVIEW_S)
        began, spent = time.monotonic(), cpu(pid).total_s
        times = []
        while time.monotonic() - began < seconds:
            with closing(Browser(port)) as reader:
                times.append(reader.ask("/console/messages")[0].ms)
            time.sleep(0.2)
        cores = (cpu(pid).total_s - spent) / (time.monotonic() - began)
        crowd.stop.set()
    out = Console()
    out.print(f"{viewers} viewers: {cores:.2f} cores, {before:.2f} without them; {dict(crowd.counts)}")
    out.print(f"a page meanwhile: p50 {quantile(times, 0.5):.0f} ms, p95 {quantile(times, 0.95):.0f} ms")


def _cores(pid: int, seconds: float) -> float:
    spent = cpu(pid).total_s
    time.sleep(seconds)
    return (cpu(pid).total_s - spent) / seconds


if __name__ == "__main__":
    main()
